//! What must be so in the end, whatever happened: one ledger everywhere, every head that was ever
//! published is one of its, and everything that was acknowledged is at its place.

use crate::cluster::{Cluster, answered};
use crate::load::Written;
use crate::network::NODES;
use muster_identity::cbor::Decode as _;
use muster_ledger::{Block, Chain, Checkpoint, Entry, OperationHash};
use std::collections::BTreeMap;

impl Cluster {
    /// Waits until all nodes agree, and checks everything. Nobody lied, so nobody is accused.
    pub(crate) async fn is_sound(&mut self, written: &Written) {
        self.is_one_ledger(written).await;
        // A node whose own upload lost to another batch fetches that one's leaves after the block.
        self.until("every node has all leaves", || async {
            for node in 0..NODES {
                let missing = self.consensus(node).await?.missing_leaves;
                if !missing.is_empty() {
                    return Err(format!("node {} lacks those of {missing:?}", node + 1));
                }
            }
            Ok(())
        })
        .await;
        for node in 0..NODES {
            let evidence = self.nodes[node].evidence();
            assert!(evidence.is_empty(), "node {} accuses: {evidence:?}", node + 1);
            let view = self.consensus(node).await.expect("it answers");
            assert!(view.evidence.is_empty(), "node {}: {:?}", node + 1, view.evidence);
        }
    }

    /// The same, where somebody may be accused.
    pub(crate) async fn is_one_ledger(&mut self, written: &Written) {
        self.all_live();
        self.agree(&[0, 1, 2, 3]).await;
        self.watch.check();
        let log = self.log(0).await;
        for node in 1..NODES {
            let other = self.log(node).await;
            let shared = log.len().min(other.len());
            assert_eq!(log[..shared], other[..shared], "the log of node {}", node + 1);
        }
        for acknowledged in &written.acknowledged {
            let entry = log.get(acknowledged.index as usize);
            assert!(
                entry == Some(&acknowledged.entry),
                "entry {}, acknowledged by node {}, is not in the log",
                acknowledged.index,
                acknowledged.node + 1
            );
        }
        let heads = self.replay(&log);
        for head in self.watch.heads() {
            let own = heads.get(&head.size).map(|own| own.same_ledger(&head));
            assert_eq!(own, Some(true), "{head:?} was published and is no head of the ledger");
        }
        for hash in &written.unanswered {
            assert!(in_log(&log, hash), "{hash} was said to be in the log, and is not");
        }
        self.watch.check();
    }

    /// All entries that a node has under a signed head, which must cover them.
    pub(crate) async fn log(&self, node: usize) -> Vec<Vec<u8>> {
        let client = self.client(node);
        let mut log: Vec<Vec<u8>> = Vec::new();
        loop {
            let feed = answered(client.feed(log.len() as u64, 0, 0)).await.expect("a feed");
            let size = Checkpoint::parse(&feed.checkpoint).expect("a note").head().size;
            assert_eq!(feed.from, log.len() as u64);
            log.extend(feed.entries);
            if log.len() as u64 >= size {
                return log;
            }
        }
    }

    /// The heads of a log, worked out anew from the genesis, by their sizes.
    fn replay(&self, log: &[Vec<u8>]) -> BTreeMap<u64, muster_ledger::Head> {
        let entries = log.iter().map(|entry| Entry::from_cbor(entry).expect("an entry"));
        let blocks = Block::from_entries(entries).expect("whole blocks");
        let mut chain = Chain::new(&self.network.genesis);
        let mut heads = BTreeMap::new();
        let mut keep = |chain: &Chain| {
            let head = chain.head(chain.time()).expect("a head");
            heads.insert(head.size, head);
        };
        keep(&chain);
        for block in &blocks {
            chain = chain.extend(block).expect("a block that follows").0;
            keep(&chain);
        }
        heads
    }
}

/// Whether an operation is in a log.
pub(crate) fn in_log(log: &[Vec<u8>], hash: &OperationHash) -> bool {
    let hash_of = |entry: &Vec<u8>| Entry::from_cbor(entry).expect("an entry").operation.hash();
    log.iter().any(|entry| hash_of(entry) == *hash)
}
