use muster_api::Host;
use muster_identity::{Algorithm, SecretKey};
use muster_ledger::Time;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// This machine: its wall clock and its random source.
pub(crate) struct Machine;

impl Host for Machine {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn since_start(&self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{DynamicClockId, clock_gettime_dynamic};
            let time = clock_gettime_dynamic(DynamicClockId::Boottime).ok()?;
            Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    fn random(&self) -> [u8; 16] {
        random()
    }
}

/// Bytes from the operating system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new private key.
pub(crate) fn new_key(algorithm: Algorithm) -> SecretKey {
    loop {
        // For P-256 about one draw in 2^32 is out of range.
        if let Ok(key) = SecretKey::from_bytes(algorithm, &Zeroizing::new(random())) {
            return key;
        }
    }
}
