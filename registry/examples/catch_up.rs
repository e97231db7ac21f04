//! How fast a node takes blocks that it missed: 10,000 of one operation each, checked and written
//! by one transaction, beside the same blocks only checked.
//!
//! `cargo run --release -p muster-registry --example catch_up`

use muster_api::{BoxFuture, Host};
use muster_identity::{Algorithm, Inception, SecretKey, Signer as _};
use muster_ledger::{
    Action, Block, Capabilities, Capability, Chain, EvidencePolicy, FirstOrganisation, Genesis,
    GenesisGrant, Grant, Operation, OrgKey, Rules, Time, ValidatorSet, cosign,
};
use muster_registry::{Application, Config, Consensus, Deciding, Registry, StoreUrl};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::watch;

const BLOCKS: u64 = 10_000;

struct Still;

impl Host for Still {
    fn now(&self) -> Time {
        Time(BLOCKS + 1)
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

struct Handed(Arc<OnceLock<Arc<dyn Application>>>);

impl Consensus for Handed {
    fn run(
        self: Box<Self>,
        application: Arc<dyn Application>,
        mut closing: watch::Receiver<bool>,
    ) -> BoxFuture<'static, ()> {
        let _ = self.0.set(application);
        Box::pin(async move {
            let _ = closing.wait_for(|closing| *closing).await;
        })
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &zeroize::Zeroizing::new([byte; 32])).expect("a key")
}

fn genesis() -> Genesis {
    let root = key(1).public_key();
    let capabilities = Capabilities::of(&[Capability::Root, Capability::Approve]);
    Genesis {
        nonce: [0; 16],
        time: Time(0),
        organisation: FirstOrganisation {
            inception: Inception::from_key(root),
            label: String::new(),
            keys: vec![OrgKey { key: root, capabilities }],
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: vec![],
            count: 1,
            expires: Time(1_000_000),
            evidence: EvidencePolicy::Enroller,
        },
        validators: ValidatorSet(vec![key(2).public_key()]),
    }
}

fn blocks(genesis: &Genesis) -> Vec<Block> {
    let organisation = genesis.organisation_did();
    let block = |height: u64| {
        let action = Action::Grant(Grant {
            seq: height,
            organisation,
            models: vec!["m".into()],
            count: 1,
            expires: Time(1_000_000),
            evidence: EvidencePolicy::Enroller,
        });
        let (network, valid_until) = (genesis.network(), Time(1_000_000));
        let operation = Operation { network, author: organisation, valid_until, action };
        let operations = vec![operation.sign(&key(1)).expect("signed")];
        Block { height, time: Time(height), operations }
    };
    (1..=BLOCKS).map(block).collect()
}

#[tokio::main]
async fn main() {
    let (genesis, dir) = (genesis(), tempfile::tempdir().expect("a folder"));
    let blocks = blocks(&genesis);
    let started = Instant::now();
    let mut chain = Chain::new(&genesis);
    for block in &blocks {
        chain = chain.extend(block).expect("a good block").0;
    }
    let limit = started.elapsed();
    let head = chain.head(Time(BLOCKS)).expect("a head");
    let note = cosign(&head, &key(2)).expect("signed");
    let place = Arc::new(OnceLock::new());
    let config = Config {
        dir: dir.path().into(),
        store: StoreUrl::Folder,
        genesis,
        deciding: Deciding::Together(Box::new(Handed(place.clone()))),
        host: Arc::new(Still),
        restored: None,
        accept_lost_leaves: false,
    };
    let registry = Registry::open(config).await.expect("a node");
    while place.get().is_none() {
        tokio::task::yield_now().await;
    }
    let application = place.get().expect("an application").clone();
    let started = Instant::now();
    application.catch_up(blocks, &note).await.expect("caught up");
    let ours = started.elapsed();
    assert!(registry.head().expect("a head").head().same_ledger(&head));
    registry.close().await;
    let rate = |took: std::time::Duration| BLOCKS as f64 / took.as_secs_f64();
    println!(
        "{:.0} blocks/s taken and written, {:.0} blocks/s only checked: {:.2} of it",
        rate(ours),
        rate(limit),
        limit.as_secs_f64() / ours.as_secs_f64()
    );
}
