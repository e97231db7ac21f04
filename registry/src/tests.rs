//! What needs a look inside: a disk that is full, rows of other organisations.

use crate::consensus::Application as _;
use crate::folder::Folder;
use crate::mempool::Waiting;
use crate::node::Node;
use crate::recovery::recover;
use crate::signed_head::SignedHead;
use crate::solo::Solo;
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use muster_api::{Host, Problem};
use muster_identity::{Algorithm, Inception, SecretKey, Signer};
use muster_ledger::{
    Action, Capabilities, Capability, EntryProof, EvidencePolicy, FirstOrganisation, Genesis,
    GenesisGrant, Grant, Operation, OrgKey, Rules, Time, ValidatorSet,
};
use std::sync::Arc;
use tokio::sync::oneshot;

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
    node.mempool.add(Waiting { signed, verified, flip: None, answer }).unwrap();
    answered
}

#[tokio::test]
async fn a_full_disk_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::take(dir.path()).await.unwrap();
    let (ledger, directory) = (folder.file("ledger.db"), folder.file("directory.db"));
    let signed = SignedHead::read(folder.file("signed-head")).unwrap();
    let store = Arc::new(Sqlite::open(&ledger, &directory, &genesis()).await.unwrap());
    let recovered = recover(&*store, &genesis()).await.unwrap();
    let node = Node::new(genesis(), store.clone(), Arc::new(Still), folder, recovered);
    let mut solo = Solo { signer: Arc::new(secret(2)), host: Arc::new(Still), signed };
    solo.sign(&node).unwrap();
    let before = *node.published().checkpoint.head();

    store.limit_pages(1).await;
    let refused = give(&node, 1);
    let block = node.propose(Time(1_000)).await.unwrap();
    let error = node.decide(block).await.unwrap_err();
    assert!(matches!(error, crate::Error::Full(_)), "{error}");
    let problem = refused.await.unwrap().unwrap_err();
    assert_eq!((problem.status, problem.code()), (507, "disk-full"));
    assert!(node.head(before.time).unwrap().same_ledger(&before));
    assert_eq!(store.entries(0, 9).await.unwrap(), Vec::<Vec<u8>>::new());

    store.limit_pages(u32::MAX).await;
    let accepted = give(&node, 1);
    let block = node.propose(Time(1_000)).await.unwrap();
    node.decide(block).await.unwrap();
    solo.sign(&node).unwrap();
    assert_eq!(accepted.await.unwrap().unwrap().index, 0);
    assert_eq!(node.published().chain.size(), 1);
}
