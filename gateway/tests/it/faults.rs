//! Every lie is refused, named, and followed by the next node.

use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, START, VALIDATOR, World, key, note};
use data_encoding::BASE64;
use muster_gateway::Gateway;
use muster_identity::cbor::{Encode as _, Writer};
use muster_identity::{Signer as _, sha256};
use muster_ledger::merkle::{Frontier, leaf_hash};
use muster_ledger::{BatchId, Entry, Head, SignedOperation, Target, Time};
use std::path::Path;
use std::sync::Arc;

struct Case {
    dir: tempfile::TempDir,
    clock: Arc<Clock>,
    /// Honest, then made to lie.
    liar: Node,
    honest: Node,
    world: World,
    gateway: Gateway,
}

impl Case {
    /// A gateway that follows the first of two nodes.
    async fn new() -> Self {
        let mut world = World::new();
        world.enrol(&[&Device::new(10)]);
        world.enrol(&[&Device::new(11)]);
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let (liar, honest) = (Node::start(&world).await, Node::start(&world).await);
        let nodes = [liar.url.as_str(), honest.url.as_str()];
        let gateway = Gateway::start(config(dir.path(), &world, &nodes, &clock)).await.unwrap();
        eventually(&gateway, Gateway::ready).await;
        Self { dir, clock, liar, honest, world, gateway }
    }

    /// The lie is named and the next node's news arrive.
    async fn refused(mut self, fault: &'static str, words: &str, evidence: bool) {
        let refused = |g: &Gateway| g.status().nodes[0].faults.contains_key(fault);
        eventually(&self.gateway, refused).await;
        self.world.enrol(&[&Device::new(12)]);
        self.honest.serve(&self.world, self.world.time);
        let size = self.world.chain.size();
        eventually(&self.gateway, |g| g.status().size == size).await;
        let status = self.gateway.status();
        let last = status.nodes[0].last_fault.as_deref().unwrap();
        assert!(last.contains(words), "{last}");
        assert_eq!(status.forks_seen > 0, evidence);
        assert_eq!(status.stopped, None);
        assert_eq!(files(self.dir.path(), fault), usize::from(evidence), "{fault}");
        let metric = format!(r#"node_faults_total{{node="{}",fault="{fault}"}}"#, self.liar.url);
        assert!(self.gateway.metrics().contains(&metric));
        self.gateway.close().await;
    }
}

fn files(dir: &Path, fault: &str) -> usize {
    let files = std::fs::read_dir(dir.join("evidence")).unwrap();
    let named = |name: String| name.starts_with(&format!("{fault}-"));
    files.filter(|file| named(file.as_ref().unwrap().file_name().into_string().unwrap())).count()
}

/// The head of some bytes, whatever they are.
fn head_over(world: &World, entries: &[Vec<u8>]) -> Head {
    let mut log = Frontier::default();
    entries.iter().for_each(|entry| log.push(leaf_hash(entry)));
    let (size, log_root, height) = (log.size(), log.root(), world.chain.height() + 1);
    Head { size, log_root, height, ..world.head(world.time + 1_000) }
}

/// The ledger and one more entry, signed by the quorum whatever it says.
fn signed(world: &World, operation: SignedOperation) -> (Vec<Vec<u8>>, String) {
    let entry =
        Entry { height: world.chain.height() + 1, time: Time(world.time + 1_000), operation };
    let entries = [world.entries.clone(), vec![entry.to_cbor()]].concat();
    let note = note(&head_over(world, &entries));
    (entries, note)
}

#[tokio::test]
async fn a_fork_of_the_same_size() {
    let case = Case::new().await;
    let mut fork = World::new();
    fork.enrol(&[&Device::new(10)]);
    fork.enrol(&[&Device::new(66)]);
    case.liar.serve(&fork, START + 9_000);
    case.refused("fork", "another ledger at size 2", true).await;
}

#[tokio::test]
async fn a_fork_that_grew() {
    let case = Case::new().await;
    let mut fork = World::new();
    fork.enrol(&[&Device::new(10)]);
    fork.enrol(&[&Device::new(66)]);
    fork.enrol(&[&Device::new(67)]);
    case.liar.serve(&fork, START + 9_000);
    case.refused("apart", "a fork, or false operations", true).await;
}

#[tokio::test]
async fn a_history_taken_back() {
    let case = Case::new().await;
    let mut shorter = World::new();
    shorter.enrol(&[&Device::new(10)]);
    case.liar.serve(&shorter, START + 9_000);
    case.refused("rolled-back", "a head of size 1 was signed after ours of size 2", true).await;
}

#[tokio::test]
async fn an_old_head_is_no_crime() {
    let case = Case::new().await;
    let mut shorter = World::new();
    shorter.enrol(&[&Device::new(10)]);
    case.liar.change(|book| book.hasty = true);
    case.liar.serve(&shorter, START + 1_500);
    case.refused("behind", "behind", false).await;
}

#[tokio::test]
async fn a_false_state_root() {
    let case = Case::new().await;
    let mut grown = case.world.clone();
    grown.enrol(&[&Device::new(66)]);
    let head = Head { state_root: [1; 32], ..grown.head(grown.time) };
    case.liar.change(|book| {
        book.entries = grown.entries.clone();
        (book.note, book.time) = (note(&head), grown.time);
    });
    case.refused("mismatch", "state root", true).await;
}

#[tokio::test]
async fn invented_operations_stop_nobody() {
    let case = Case::new().await;
    let operation = case.world.admin_signs(muster_ledger::Action::Revoke(muster_ledger::Revoke {
        target: Target::Batch(BatchId([5; 32])),
        reason: String::new(),
    }));
    let (entries, _) = signed(&case.world, operation);
    let mut grown = case.world.clone();
    grown.enrol(&[&Device::new(66)]);
    case.liar.change(|book| {
        book.entries = entries;
        (book.note, book.time) = (grown.note(grown.time), grown.time);
    });
    case.refused("apart", "no batch 0505", true).await;
}

#[tokio::test]
async fn a_head_nobody_signed() {
    let case = Case::new().await;
    let head = case.world.head(START + 9_000);
    let forged = muster_ledger::cosign(&head, &key(3)).unwrap().to_note();
    case.liar.change(|book| (book.note, book.time) = (forged, START + 9_000));
    case.refused("unsigned", "0 of 1 needed", false).await;
}

/// Whoever signs may claim that the validators changed. The entries must say so.
#[tokio::test]
async fn other_validators_that_no_operation_names() {
    for chunk in [1, 1_000] {
        let case = Case::new().await;
        let mut grown = case.world.clone();
        grown.enrol(&[&Device::new(66)]);
        let head = Head { validators: [7; 32], ..grown.head(START + 9_000) };
        let forged = muster_ledger::cosign(&head, &key(3)).unwrap().to_note();
        case.liar.change(|book| {
            (book.entries, book.chunk) = (grown.entries, chunk);
            (book.note, book.time) = (forged, START + 9_000);
        });
        case.refused("unsigned", "0 of 1 needed", false).await;
    }
}

/// Nor does a stranger's head make a gateway fetch what no ledger could be.
#[tokio::test]
async fn other_validators_over_operations_that_are_refused() {
    let case = Case::new().await;
    let operation = case.world.admin_signs(muster_ledger::Action::Revoke(muster_ledger::Revoke {
        target: Target::Batch(BatchId([5; 32])),
        reason: String::new(),
    }));
    let (entries, _) = signed(&case.world, operation);
    let head = Head { validators: [7; 32], ..head_over(&case.world, &entries) };
    let forged = muster_ledger::cosign(&head, &key(3)).unwrap().to_note();
    case.liar.change(|book| {
        book.entries = entries;
        (book.note, book.time) = (forged, START + 9_000);
    });
    case.refused("unsigned", "0 of 1 needed", false).await;
}

#[tokio::test]
async fn a_head_of_another_network() {
    let case = Case::new().await;
    let other = World::starting(START + 1);
    case.liar.change(|book| (book.note, book.time) = (other.note(START + 9_000), START + 9_000));
    case.refused("unsigned", "another network", false).await;
}

#[tokio::test]
async fn entries_that_are_withheld() {
    let case = Case::new().await;
    let mut grown = case.world.clone();
    grown.enrol(&[&Device::new(66)]);
    case.liar.change(|book| (book.note, book.time) = (grown.note(grown.time), grown.time));
    case.refused("stalled", "does not hand out", false).await;
}

#[tokio::test]
async fn a_node_that_has_nothing_new() {
    let case = Case::new().await;
    case.liar.change(|book| book.hasty = true);
    // The long poll that is under way ends with an ordinary heartbeat.
    case.liar.serve(&case.world, START + 4_000);
    case.refused("stalled", "no newer head", false).await;
}

#[tokio::test]
async fn a_node_in_trouble() {
    let case = Case::new().await;
    case.liar.change(|book| book.down = true);
    case.refused("unreachable", "status 500", false).await;
}

#[tokio::test]
async fn a_node_that_is_not_there() {
    let mut world = World::new();
    world.enrol(&[&Device::new(10)]);
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let nodes = [NOBODY, node.url.as_str()];
    let gateway = Gateway::start(config(dir.path(), &world, &nodes, &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let status = gateway.status();
    assert_eq!(status.nodes[0].faults.get("unreachable"), Some(&1));
    assert!(status.nodes[1].followed);
    gateway.close().await;
}

/// The quorum itself signs what no ledger may hold: nobody is followed past it, decisions go on.
async fn stops(case: Case, operation: SignedOperation, fault: &'static str, words: &str) {
    let (entries, note) = signed(&case.world, operation);
    case.liar.change(|book| {
        (book.entries, book.note) = (entries, note);
        book.time = case.world.time + 1_000;
    });
    stopped(case, fault, words).await;
}

/// Following has stopped; decisions go on until the roll is stale.
async fn stopped(case: Case, fault: &'static str, words: &str) {
    eventually(&case.gateway, |g| g.status().stopped.is_some()).await;
    let status = case.gateway.status();
    assert!(status.stopped.as_deref().unwrap().contains(words), "{status:#?}");
    assert!(status.nodes.iter().any(|node| node.faults.contains_key(fault)));
    assert!(case.gateway.ready());
    assert_eq!(status.size, 2);
    let now = case.clock.ms();
    case.clock.set(now + 2 * 3_600_000);
    assert!(!case.gateway.ready(), "the roll is older than its hour");
    case.clock.set(now);
    case.gateway.close().await;
    // What was not verified is gone from the disk too.
    let nodes = [case.honest.url.as_str()];
    let again = config(case.dir.path(), &case.world, &nodes, &case.clock);
    let gateway = Gateway::start(again).await.unwrap();
    assert_eq!(gateway.status().size, 2);
    gateway.close().await;
}

#[tokio::test]
async fn a_refused_operation_that_the_quorum_signed() {
    let case = Case::new().await;
    let operation = case.world.admin_signs(muster_ledger::Action::Revoke(muster_ledger::Revoke {
        target: Target::Batch(BatchId([5; 32])),
        reason: String::new(),
    }));
    stops(case, operation, "invalid-operation", "no batch 0505").await;
}

/// An operation with these protected header and payload, signed by the admin.
fn cose(protected: Writer, payload: Writer) -> SignedOperation {
    let (protected, payload) = (protected.into_bytes(), payload.into_bytes());
    let mut text = Writer::default();
    text.array(4).text("Signature1").bytes(&protected).bytes(&[]).bytes(&payload);
    let signature = key(1).sign(&text.into_bytes()).unwrap();
    let mut cose = Writer::default();
    cose.array(4).bytes(&protected).map(0).bytes(&payload).value(&signature);
    SignedOperation(cose.into_bytes())
}

#[tokio::test]
async fn an_unknown_action() {
    let case = Case::new().await;
    let mut payload = Writer::default();
    payload.map(5).uint(1).uint(1).uint(2).value(&case.world.genesis.network());
    payload.uint(3).value(&case.world.genesis.organisation_did()).uint(4).uint(START + 60_000);
    payload.uint(5).array(2).uint(1_000).map(0);
    let mut protected = Writer::default();
    protected.map(3).uint(1).int(key(1).public_key().algorithm().cose());
    protected.uint(4).value(&key(1).public_key()).uint(16).text("muster-op+cose");
    stops(case, cose(protected, payload), "upgrade-needed", "upgrade needed").await;
}

#[tokio::test]
async fn an_operation_of_a_later_version() {
    let case = Case::new().await;
    // Nothing of it is as we know it, but where it says its version.
    let mut payload = Writer::default();
    payload.map(3).uint(1).uint(2).uint(7).text("what?").uint(9).array(1).uint(1);
    let mut protected = Writer::default();
    protected.map(2).uint(1).int(-48).uint(77).bytes(&[7; 1_952]);
    stops(case, cose(protected, payload), "upgrade-needed", "another protocol version").await;
}

/// The head that a program of the next version signs.
pub(crate) fn later_note(world: &World, time: u64) -> String {
    let body = world.note(time).replace("protocol 1", "protocol 2");
    let (body, _) = body.split_once("\n\n").unwrap();
    let seconds = time / 1_000;
    let validator = key(VALIDATOR);
    let name = validator.public_key().to_multikey();
    let id = sha256(&[name.as_bytes(), b"\n", &[4], validator.public_key().raw()]);
    let text = format!("cosignature/v1\ntime {seconds}\n{body}\n");
    let signature = validator.sign(text.as_bytes()).unwrap();
    let blob = [&id[..4], &seconds.to_be_bytes(), &signature.0].concat();
    format!("{body}\n\n— {name} {}\n", BASE64.encode(&blob))
}

#[tokio::test]
async fn a_head_of_a_later_version() {
    let case = Case::new().await;
    let signed = later_note(&case.world, case.world.time + 1_000);
    let (body, _) = signed.split_once("\n\n").unwrap();
    // Anybody could have written it: the other node is followed.
    let unsigned = format!("{body}\n\n— a AAAAAAAA\n");
    case.liar.change(|book| {
        book.note = unsigned;
        book.time = case.world.time + 1_000;
    });
    let refused = |g: &Gateway| g.status().nodes[0].faults.contains_key("unsigned");
    eventually(&case.gateway, refused).await;
    assert_eq!(case.gateway.status().stopped, None);
    // The validator wrote it.
    for node in [&case.liar, &case.honest] {
        node.change(|book| {
            book.note = signed.clone();
            book.time = case.world.time + 2_000;
        });
    }
    stopped(case, "upgrade-needed", "later protocol version").await;
}
