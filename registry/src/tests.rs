//! What needs a look inside: a disk that is full, an upload that ends while it is thrown away, an
//! operation that waits while the clock jumps.

use crate::consensus::{Application as _, Consensus as _};
use crate::folder::Folder;
use crate::foreign::{Foreign, Promises};
use crate::lost::Lost;
use crate::mempool::Waiting;
use crate::node::{Kept, Node};
use crate::recovery::recover;
use crate::signed_head::SignedHead;
use crate::solo::Solo;
use crate::store::sqlite::Sqlite;
use crate::store::{BlockRow, CheckedRow, Commit, Flip, NewUpload, Opened, Plan, Store};
use crate::tiles::Tile;
use muster_api::{Host, Problem, Row};
use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Inception, SecretKey, Signer};
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, EntryProof, Evidence, EvidencePolicy,
    FirstOrganisation, Genesis, GenesisGrant, Grant, Leaf, Operation, OrgKey, Rules,
    SerialCommitment, Time, ValidatorSet, VouchedBy,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::sync::{oneshot, watch};

struct Still;

impl Host for Still {
    fn now(&self) -> Time {
        Time(1_000)
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

pub(crate) fn secret(byte: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &zeroize::Zeroizing::new([byte; 32])).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    let key = secret(1).public_key();
    let capabilities = Capabilities::of(&[Capability::Root, Capability::Approve]);
    Genesis {
        nonce: [0; 16],
        time: Time(0),
        organisation: FirstOrganisation {
            inception: Inception::from_key(key),
            label: String::new(),
            keys: vec![OrgKey { key, capabilities }],
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: vec![],
            count: 1,
            expires: Time(2_000),
            evidence: EvidencePolicy::Enroller,
        },
        validators: ValidatorSet(vec![secret(2).public_key()]),
    }
}

type Answer = oneshot::Receiver<Result<EntryProof, Problem>>;

fn give(node: &Node, seq: u64) -> Answer {
    let models = (0..64).map(|n| format!("{n:064}")).collect();
    let organisation = node.genesis.organisation_did();
    let (count, expires, evidence) = (1, Time(5_000), EvidencePolicy::Enroller);
    let action = Action::Grant(Grant { seq, organisation, models, count, expires, evidence });
    let (network, valid_until) = (node.network, Time(2_000));
    let operation = Operation { network, author: organisation, valid_until, action };
    let signed = operation.sign(&secret(1)).unwrap();
    let verified = signed.verify().unwrap();
    let (answer, answered) = oneshot::channel();
    let waiting = Waiting { signed, verified, since: Time(1_000) };
    node.mempool.add(waiting, Some(answer), None).unwrap();
    answered
}

#[tokio::test]
async fn a_full_disk_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::take(dir.path()).await.unwrap();
    let (ledger, directory) = (folder.file("ledger.db"), folder.file("directory.db"));
    let store = Arc::new(Sqlite::open(&ledger, &directory, &genesis()).await.unwrap());
    let recovered = recover(&*store, &genesis()).await.unwrap();
    let kept = kept(&folder);
    let node =
        Node::new(genesis(), store.clone(), Arc::new(Still), folder, recovered, kept).unwrap();
    let solo = Solo { signer: Arc::new(secret(2)), pace: node.pace.clone() };
    solo.sign(&node).unwrap();
    let before = *node.published().unwrap().checkpoint.head();

    store.limit_pages(1).await;
    let refused = give(&node, 1);
    let block = node.propose(Time(1_000), &|_| true).await.unwrap();
    let error = node.decide(block).await.unwrap_err();
    assert!(matches!(error, crate::Error::Full(_)), "{error}");
    let problem = refused.await.unwrap().unwrap_err();
    assert_eq!((problem.status, problem.code()), (507, "disk-full"));
    assert!(node.head(before.time).unwrap().same_ledger(&before));
    assert_eq!(store.entries(0, 9).await.unwrap(), Vec::<Vec<u8>>::new());

    store.limit_pages(u32::MAX).await;
    let accepted = give(&node, 1);
    let block = node.propose(Time(1_000), &|_| true).await.unwrap();
    node.decide(block).await.unwrap();
    solo.sign(&node).unwrap();
    assert_eq!(accepted.await.unwrap().unwrap().index, 0);
    assert_eq!(node.published().unwrap().chain.size(), 1);
}

/// Whoever asks by a list that is no longer true: the upload became a batch meanwhile.
#[tokio::test]
async fn what_became_a_batch_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, directory) = (dir.path().join("l"), dir.path().join("d"));
    let store = Sqlite::open(&ledger, &directory, &genesis()).await.unwrap();
    let new = NewUpload {
        token: [1; 32],
        request: [2; 32],
        valid_until: Time(9),
        organisation: genesis().organisation_did(),
        grant: genesis().grant_id(),
        model: "m".into(),
        rows: 1,
        rehearsal: false,
        opened: Time(1),
        expires: Time(5),
    };
    assert_eq!(store.open_upload(new, 9).await, Ok(Opened::Yes));
    let listed = store.uploads().await.unwrap().remove(0).number;
    let leaf = Leaf {
        inception: Inception::from_key(secret(9).public_key()),
        evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
        serial: SerialCommitment([0; 32]),
        owner_recovery: false,
    };
    let row = Row { number: 1, leaf: leaf.to_cbor(), serial: "s".into(), lot: None };
    let judge = Box::new(|_: &_| Ok(Plan { write: vec![0], added: 1, ..Plan::default() }));
    store.stage(listed, Arc::new([CheckedRow::new(row, &leaf)]), judge).await.unwrap();
    let tile = |level| Tile { level, index: 0, first: leaf.did(), hashes: vec![0; 32] };
    assert_eq!(store.write_tiles(listed, vec![tile(0)], true).await, Ok(true));
    let (count, root) = (1, [4; 32]);
    assert_eq!(store.seal(listed, 1, count, root).await, Ok(true));
    let roots = ([0; 32], [0; 32]);
    let block =
        BlockRow { height: 1, time: Time(2), size: 1, log_root: roots.0, state_root: roots.1 };
    let flips = vec![Flip { upload: listed, batch: BatchId([3; 32]), count, root }];
    let (state, keys, touched, evict) = (vec![], vec![], vec![], vec![]);
    let entries = vec![vec![0]];
    let commit = Commit { first: 0, entries, block, state, evict, keys, flips, touched };
    store.commit(vec![commit]).await.unwrap();
    store.drop_upload(listed).await.unwrap();
    assert_eq!(store.leaf(leaf.did()).await.unwrap().map(|l| l.number), Some(listed));
    assert_eq!(store.tile_of(listed, leaf.did()).await, Ok(Some(tile(0))));
    let known = store.directory(leaf.did()).await.unwrap().map(|(_, d)| d.serial);
    assert_eq!(known.as_deref(), Some("s"));
    // Nor do tiles come without an upload.
    assert_eq!(store.write_tiles(listed, vec![tile(1)], true).await, Ok(false));
    assert_eq!(store.tile(listed, 1, 0).await, Ok(None));
}

fn kept(folder: &Folder) -> Kept {
    Kept {
        alone: true,
        lost: Lost::new(std::collections::BTreeSet::new(), false, true),
        signed: SignedHead::read(folder.file("signed-head")).unwrap(),
        foreign: Foreign::new(Promises::read(folder.file("promises")).unwrap()),
    }
}

struct Jumping(AtomicU64);

impl Host for Jumping {
    fn now(&self) -> Time {
        Time(self.0.load(SeqCst))
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

/// A node that signed its first head, and its clock.
async fn begun(dir: &Path) -> (Arc<Node>, Box<Solo>, Arc<Jumping>) {
    let folder = Folder::take(dir).await.unwrap();
    let (ledger, directory) = (folder.file("ledger.db"), folder.file("directory.db"));
    let store = Arc::new(Sqlite::open(&ledger, &directory, &genesis()).await.unwrap());
    let recovered = recover(&*store, &genesis()).await.unwrap();
    let host = Arc::new(Jumping(AtomicU64::new(1_000)));
    let kept = kept(&folder);
    let node =
        Arc::new(Node::new(genesis(), store, host.clone(), folder, recovered, kept).unwrap());
    node.begin_console().await.unwrap();
    let pace = node.pace.clone();
    let solo = Box::new(Solo { signer: Arc::new(secret(2)), pace });
    solo.sign(&*node).unwrap();
    (node, solo, host)
}

/// Its author asked in time; by the clock it has expired.
#[tokio::test]
async fn what_waits_while_the_clock_jumps_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (node, solo, host) = begun(dir.path()).await;
    let waits = give(&node, 1);
    host.0.store(86_400_000, SeqCst);
    let (_open, closing) = watch::channel(false);
    let running = tokio::spawn(solo.run(node.clone(), closing));
    let problem = waits.await.unwrap().unwrap_err();
    assert_eq!((problem.status, problem.code()), (503, "clock"));
    assert_eq!(node.published().unwrap().checkpoint.head().time, Time(1_000));
    host.0.store(1_000, SeqCst);
    assert_eq!(give(&node, 1).await.unwrap().unwrap().index, 0);
    running.abort();
}

/// The overview follows the blocks, without a walk through the records.
#[tokio::test]
async fn an_overview_is_what_a_walk_would_give() {
    let dir = tempfile::tempdir().unwrap();
    let (node, solo, host) = begun(dir.path()).await;
    let first = node.overview().unwrap();
    assert_eq!((first.1.organisations.len(), first.1.grants.len()), (1, 1));

    // A quiet head: the same overview, under the newer checkpoint.
    host.0.store(1_500, SeqCst);
    solo.sign(&*node).unwrap();
    let quiet = node.overview().unwrap();
    assert!(Arc::ptr_eq(&first.1, &quiet.1));
    assert_eq!(quiet.0.checkpoint.head().time, Time(1_500));

    let accepted = give(&node, 1);
    let block = node.propose(Time(1_500), &|_| true).await.unwrap();
    node.decide(block).await.unwrap();
    solo.sign(&*node).unwrap();
    accepted.await.unwrap().unwrap();
    let (published, overview) = node.overview().unwrap();
    assert_eq!(overview.grants.len(), 2);
    assert_eq!(*overview, crate::overview::Overview::of(&published.chain).unwrap());
}
