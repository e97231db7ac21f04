//! How many connections one address holds: whoever reaches a listener could else take them all.

use muster_api::{limits, source_of};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The addresses that hold connections, and how many. It never has more entries than there are
/// connections.
#[derive(Default)]
pub(super) struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// A connection of an address, for as long as the value lives.
pub(super) struct Held {
    sources: Arc<Sources>,
    source: Option<IpAddr>,
}

impl Sources {
    /// Counts a connection, or says that this address has its share. This machine is not counted:
    /// behind a proxy everybody is on it.
    pub(super) fn hold(self: &Arc<Self>, peer: IpAddr) -> Option<Held> {
        let source = Some(source_of(peer)).filter(|source| !source.is_loopback());
        if let Some(source) = source {
            let mut counts = self.lock();
            let count = counts.entry(source).or_default();
            if *count >= limits::CONNECTIONS_OF_ONE_SOURCE {
                return None;
            }
            *count += 1;
        }
        Some(Held { sources: self.clone(), source })
    }

    /// A count is whole after every statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut counts = self.sources.lock();
        if let Some(count) = counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(sources: &Arc<Sources>, peer: &str) -> Option<Held> {
        sources.hold(peer.parse().expect("an address"))
    }

    #[test]
    fn one_address_has_its_share_and_no_more() {
        let sources = Arc::new(Sources::default());
        let share = limits::CONNECTIONS_OF_ONE_SOURCE;
        let mut held: Vec<Held> = (0..share).map_while(|_| hold(&sources, "192.0.2.1")).collect();
        assert_eq!(held.len(), share);
        assert!(hold(&sources, "192.0.2.1").is_none());
        assert!(hold(&sources, "::ffff:192.0.2.1").is_none(), "the same in other clothes");
        assert!(hold(&sources, "192.0.2.2").is_some(), "others have theirs");
        held.pop();
        assert!(hold(&sources, "192.0.2.1").is_some(), "one went, one comes");
        drop(held);
        assert!(sources.lock().is_empty(), "nothing is remembered");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_this_machine_is_not_counted() {
        let sources = Arc::new(Sources::default());
        let share = limits::CONNECTIONS_OF_ONE_SOURCE;
        let held: Vec<_> = (0..share)
            .map(|n| hold(&sources, &format!("2001:db8::{n:x}")).expect("its share"))
            .collect();
        assert!(hold(&sources, "2001:db8:0:0:ffff::1").is_none());
        assert!(hold(&sources, "2001:db8:0:1::1").is_some());
        for near in ["127.0.0.1", "::1"] {
            let near: Vec<_> = (0..=share).map_while(|_| hold(&sources, near)).collect();
            assert_eq!(near.len(), share + 1);
        }
        drop(held);
    }
}
