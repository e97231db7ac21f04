//! A network of four validators in one process: real nodes with real sockets.

use crate::bft::{Bft, Settings};
use crate::exchange::PeerAddress;
use muster_api::{ConsensusView, Host, Problem};
use muster_identity::{Algorithm, Inception, PublicKey, SecretKey, Signer as _, sha256};
use muster_ledger::{
    Action, Capabilities, Capability, ChangeKeys, EntryProof, EvidencePolicy, FirstOrganisation,
    Genesis, GenesisGrant, NewKey, Operation, OrgKey, Rules, SignedOperation, Time, ValidatorSet,
};
use muster_registry::{Config, Deciding, Registry, StoreUrl};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

/// Validators; the last of them lies.
pub(super) const VALIDATORS: usize = 4;
pub(super) const LIAR: usize = VALIDATORS - 1;

/// How long anything may take that must come about, on a machine that has other things to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The machine that tests run on.
pub(super) struct Machine;

impl Host for Machine {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Time(since.as_millis() as u64)
    }

    fn since_start(&self) -> Option<Duration> {
        None
    }

    fn random(&self) -> [u8; 16] {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let hash = sha256(&[&drawn, &self.now().0.to_be_bytes()]);
        hash[..16].try_into().unwrap()
    }
}

/// A key that everybody here knows.
pub(super) fn secret(name: &str) -> SecretKey {
    let bytes = Zeroizing::new(sha256(&[b"liars", name.as_bytes()]));
    SecretKey::from_bytes(Algorithm::Ed25519, &bytes).unwrap()
}

/// The key by which a validator votes.
pub(super) fn validator(number: usize) -> SecretKey {
    secret(&format!("validator {number}"))
}

/// The key by which libp2p knows a node.
pub(super) fn node_key(name: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(sha256(&[b"node", name.as_bytes()]))
}

pub(super) fn genesis() -> Genesis {
    let can = |name: &str, can: &[Capability]| OrgKey {
        key: secret(name).public_key(),
        capabilities: Capabilities::of(can),
    };
    use Capability as C;
    let mut keys = vec![can("root", &[C::Root, C::Approve]), can("admin", &[C::Enrol, C::Operate])];
    let mut validators: Vec<PublicKey> =
        (0..VALIDATORS).map(|number| validator(number).public_key()).collect();
    let validates = Capabilities::of(&[C::Validator]);
    keys.extend(validators.iter().map(|key| OrgKey { key: *key, capabilities: validates }));
    validators.sort();
    let now = Machine.now();
    Genesis {
        nonce: Machine.random(),
        time: now,
        organisation: FirstOrganisation {
            inception: Inception::from_key(secret("root").public_key()),
            label: "Test".into(),
            keys,
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: Vec::new(),
            count: 100_000,
            expires: now.plus_ms(86_400_000),
            evidence: EvidencePolicy::Enroller,
        },
        validators: ValidatorSet(validators),
    }
}

/// A port of this machine that is free, and so is the one behind it.
pub(super) fn free_place() -> SocketAddr {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let place = first.local_addr().unwrap();
        let next = place.port().checked_add(1);
        if next.is_some_and(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()) {
            return place;
        }
    }
}

/// An honest node.
pub(super) struct Honest {
    pub(super) registry: Registry,
    pub(super) view: watch::Receiver<ConsensusView>,
}

impl Honest {
    /// Starts one that votes by this key, or follows if the key is no validator's.
    pub(super) async fn start(
        genesis: &Genesis,
        dir: &Path,
        name: &str,
        signer: SecretKey,
        listen: SocketAddr,
        peers: &[SocketAddr],
    ) -> Self {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let bft = Bft::new(Settings {
            listen,
            peers: peers.iter().map(address).collect(),
            node_key: node_key(name),
            signer: Arc::new(signer),
            dir: dir.join("consensus"),
            host: Arc::new(Machine),
        });
        let view = bft.view();
        let registry = Registry::open(Config {
            dir,
            store: StoreUrl::Folder,
            genesis: genesis.clone(),
            deciding: Deciding::Together(Box::new(bft)),
            host: Arc::new(Machine),
            restored: None,
            accept_lost_leaves: false,
        });
        Self { registry: registry.await.unwrap(), view }
    }

    pub(super) fn size(&self) -> u64 {
        self.registry.head().map(|head| head.head().size).unwrap_or_default()
    }
}

/// As the exchange writes it.
pub(super) fn address(place: &SocketAddr) -> PeerAddress {
    place.to_string().parse().unwrap()
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        sleep(Duration::from_millis(50)).await;
    }
}

/// The three honest nodes, and where the liar may listen.
pub(super) struct Network {
    pub(super) genesis: Genesis,
    pub(super) dir: tempfile::TempDir,
    pub(super) places: Vec<SocketAddr>,
    pub(super) honest: Vec<Honest>,
    /// Changes of the organisation's keys so far, and of its counter.
    changes: u64,
}

impl Network {
    pub(super) async fn start() -> Self {
        let (genesis, dir) = (genesis(), tempfile::tempdir().unwrap());
        // The last two places are a liar's, who may be there twice.
        let places: Vec<_> = (0..=VALIDATORS).map(|_| free_place()).collect();
        let mut honest = Vec::new();
        for number in 0..LIAR {
            let (name, signer) = (format!("honest {number}"), validator(number));
            let mut peers = places.clone();
            let listen = peers.remove(number);
            honest.push(Honest::start(&genesis, dir.path(), &name, signer, listen, &peers).await);
        }
        Self { genesis, dir, places, honest, changes: 1 }
    }

    /// Waits until the honest nodes have a signed head.
    pub(super) async fn begun(&self) {
        until("a first head", || self.honest.iter().all(|node| node.registry.head().is_ok())).await;
    }

    /// Where the honest nodes listen.
    pub(super) fn honest_places(&self) -> &[SocketAddr] {
        &self.places[..LIAR]
    }

    /// An operation that goes on from the last one of its kind: a key comes to the organisation.
    pub(super) fn next_change(&mut self) -> SignedOperation {
        let (author, network) = (self.genesis.organisation_did(), self.genesis.network());
        let (seq, key) = (self.changes, secret(&format!("change {}", self.changes)));
        self.changes += 1;
        let public = key.public_key();
        let proof = key.sign(&NewKey::message(&network, &author, seq, &public)).unwrap();
        // The one before goes, so that there is always room.
        let remove = match seq {
            1 => Vec::new(),
            _ => vec![secret(&format!("change {}", seq - 1)).public_key()],
        };
        let add = vec![(NewKey { key: public, proof }, Capabilities::of(&[Capability::Gateway]))];
        self.sign("root", Action::ChangeKeys(ChangeKeys { seq, add, remove }))
    }

    pub(super) fn sign(&self, key: &str, action: Action) -> SignedOperation {
        let (author, network) = (self.genesis.organisation_did(), self.genesis.network());
        let valid_until = Machine.now().plus_ms(3_600_000);
        Operation { network, author, valid_until, action }.sign(&secret(key)).unwrap()
    }

    /// Brings an operation to an honest node, and checks that it was acknowledged by a quorum.
    pub(super) async fn submit(
        &self,
        node: usize,
        operation: SignedOperation,
    ) -> Result<EntryProof, Problem> {
        let hash = operation.hash();
        let asked = self.honest[node].registry.submit(operation, None);
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time");
        answer.inspect(|proof| {
            let proved = proof.verify(&self.genesis.network(), &self.genesis.validators).unwrap();
            assert_eq!(proved.operation.hash(), hash);
        })
    }

    /// So many operations, one after the other, through the honest nodes in turn.
    pub(super) async fn goes_on(&mut self, operations: usize) {
        for number in 0..operations {
            let change = self.next_change();
            self.submit(number % LIAR, change).await.unwrap();
        }
    }

    /// Waits until the honest nodes have the same ledger, which has so many entries.
    pub(super) async fn agree(&self, size: u64) {
        until("the same size everywhere", || self.honest.iter().all(|n| n.size() == size)).await;
        let heads: Vec<_> =
            self.honest.iter().map(|node| *node.registry.head().unwrap().head()).collect();
        assert!(heads.windows(2).all(|pair| pair[0].same_ledger(&pair[1])), "{heads:?}");
    }

    /// Waits until every honest node keeps evidence of this kind against the liar, and shows it.
    pub(super) async fn accuse(&self, what: &str) {
        let liar = validator(LIAR).public_key().to_multikey();
        until(&format!("evidence of a {what}"), || {
            self.honest.iter().all(|node| {
                let view = node.view.borrow();
                view.evidence.iter().any(|e| e.what == what && e.validator == liar)
            })
        })
        .await;
        for (number, node) in self.honest.iter().enumerate() {
            let evidence = node.view.borrow().evidence.clone();
            assert!(evidence.iter().all(|e| e.validator == liar), "{evidence:?}");
            for one in evidence {
                let folder = self.dir.path().join(format!("honest {number}/consensus"));
                let file = std::fs::metadata(folder.join(&one.file)).unwrap();
                assert!(file.len() > 100, "{}", one.file);
            }
        }
    }

    /// Nobody has anything against anybody.
    pub(super) fn accuses_nobody(&self) {
        for node in &self.honest {
            assert_eq!(node.view.borrow().evidence, []);
        }
    }

    pub(super) async fn close(self) {
        for node in self.honest {
            node.registry.close().await;
        }
    }
}
