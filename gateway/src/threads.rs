use muster_ledger::Join;
use std::panic::resume_unwind;
use std::thread;

/// Two things at once, on two threads: a roll of a million changed devices is hashed in half the
/// time by two cores.
pub(crate) struct Threads;

impl Join for Threads {
    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        thread::scope(|scope| {
            let b = scope.spawn(b);
            let a = a();
            (a, b.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }
}
