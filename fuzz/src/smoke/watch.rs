//! A decoder that never returns cannot be caught by unwinding: a second thread watches the
//! clock, prints the input and ends the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for one input. Decoders take microseconds; a machine under load, a thousand
/// times that.
const LIMIT: Duration = Duration::from_secs(10);

type Slot = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Watches one target.
pub struct Watch(Slot);

/// The mark of a run in progress; dropping it ends the run.
pub struct Running<'a>(&'a Slot);

impl Watch {
    /// Starts the watching thread, which ends with the process.
    pub fn start(target: &'static str) -> Self {
        let slot = Slot::default();
        let watched = Arc::clone(&slot);
        thread::spawn(move || {
            loop {
                thread::sleep(LIMIT / 10);
                if let Some((since, input)) = &*lock(&watched)
                    && since.elapsed() > LIMIT
                {
                    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                    println!("{target:<14} FAILED: one input took {} s: {hex}", LIMIT.as_secs());
                    std::process::exit(1);
                }
            }
        });
        Self(slot)
    }

    /// Marks the start of a run.
    pub fn running(&self, input: &[u8]) -> Running<'_> {
        *lock(&self.0) = Some((Instant::now(), input.to_vec()));
        Running(&self.0)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<(Instant, Vec<u8>)>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
