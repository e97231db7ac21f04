use crate::network::{Network, genesis as of_one, secret};
use muster_identity::{SecretKey, Signer as _};
use muster_ledger::{EvidencePolicy, Genesis, Head, ValidatorSet};
use std::time::Duration;

/// Several nodes of one network, however they come to decide.
pub(crate) trait Cluster {
    /// A node, running or not. The validators are the first ones.
    fn node(&self, node: usize) -> &Network;

    /// How many there are.
    fn nodes(&self) -> usize;

    /// Ends a node.
    async fn stop(&mut self, node: usize);

    /// Starts it again in its folder.
    async fn start(&mut self, node: usize);

    /// Whether a node gets no leaves from the others.
    fn starve(&self, node: usize, starved: bool);
}

/// The key of a validator: their order is that of the set.
pub(crate) fn validator(place: usize) -> SecretKey {
    let mut keys: Vec<SecretKey> = (0..4).map(|n| secret(&format!("validator {n}"))).collect();
    keys.sort_by_key(SecretKey::public_key);
    if place < keys.len() { keys.swap_remove(place) } else { secret("no validator") }
}

/// A network of four validators.
pub(crate) fn genesis() -> Genesis {
    let validators = ValidatorSet((0..4).map(|n| validator(n).public_key()).collect());
    Genesis { validators, ..of_one(2_000_000, EvidencePolicy::Possession) }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("20 s passed, and it is not so: {what}");
}

/// Waits until these nodes show a head, and a ledger of at least so many entries.
pub(crate) async fn shown(cluster: &impl Cluster, nodes: &[usize], size: u64) -> Head {
    let mut head = None;
    until(&format!("{nodes:?} show {size} entries"), async || {
        let heads = nodes.iter().map(|n| cluster.node(*n).registry.head());
        let heads: Option<Vec<Head>> = heads.map(|h| h.ok().map(|h| *h.head())).collect();
        let Some(heads) = heads else { return false };
        head = heads.first().copied();
        heads.iter().all(|h| h.size >= size && h.same_ledger(&heads[0]))
    })
    .await;
    head.expect("a head")
}
