use muster_api::Host;
use muster_ledger::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// This machine: its wall clock and its random source.
pub(crate) struct Machine;

impl Host for Machine {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}
