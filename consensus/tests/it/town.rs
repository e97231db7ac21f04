use muster_api::{Host, Problem, Row, Rows};
use muster_consensus::exchange::PeerAddress;
use muster_consensus::{Bft, Settings};
use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Did, Inception, PossessionTerms, SecretKey, Signer as _, sha256};
use muster_ledger::View as _;
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, DeviceRef, Enrol, EntryProof, Evidence,
    EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, Leaf, LeafTree, Operation, OrgKey,
    Revoke, Rules, SerialCommitment, SignedOperation, Target, Time, UploadRequest, ValidatorSet,
};
use muster_registry::{Config, Deciding, Registry, StoreUrl};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The machine's clock, which a test may shift, and counted randomness.
pub(crate) struct Clock {
    pub(crate) ahead_ms: AtomicI64,
    slept_ms: AtomicU64,
    since: std::time::Instant,
    drawn: AtomicU64,
    seed: u64,
}

impl Clock {
    fn new(seed: u64) -> Self {
        let (slept_ms, since) = (AtomicU64::new(0), std::time::Instant::now());
        Self { ahead_ms: AtomicI64::new(0), slept_ms, since, drawn: AtomicU64::new(0), seed }
    }

    /// Time passes that nobody waits for, as while a machine is suspended.
    pub(crate) fn sleep(&self, ms: u64) {
        self.slept_ms.fetch_add(ms, SeqCst);
        self.ahead_ms.fetch_add(ms as i64, SeqCst);
    }
}

impl Host for Clock {
    fn now(&self) -> Time {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Time((now.as_millis() as u64).saturating_add_signed(self.ahead_ms.load(SeqCst)))
    }

    fn since_start(&self) -> Option<Duration> {
        Some(self.since.elapsed() + Duration::from_millis(self.slept_ms.load(SeqCst)))
    }

    fn random(&self) -> [u8; 16] {
        let n = self.drawn.fetch_add(1, SeqCst);
        sha256(&[&self.seed.to_be_bytes(), &n.to_be_bytes()])[..16].try_into().unwrap()
    }
}

pub(crate) fn secret(name: &str) -> SecretKey {
    let seed = Zeroizing::new(sha256(&[name.as_bytes()]));
    SecretKey::from_bytes(Algorithm::Ed25519, &seed).unwrap()
}

/// Two neighbouring ports that nobody has at this moment.
fn port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<Clock>,
    pub(crate) place: SocketAddr,
    pub(crate) registry: Option<Registry>,
    /// All its tasks, those of the engine too, so that it can be killed.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.registry.take());
        // Dropping it would wait, which a test's own runtime does not allow.
        self.runtime.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}

impl Node {
    pub(crate) fn up(&self) -> &Registry {
        self.registry.as_ref().expect("a node that is up")
    }
}

/// A network of some validators.
pub(crate) struct Town {
    pub(crate) genesis: Genesis,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) fn validator(n: usize) -> SecretKey {
    secret(&format!("validator {n}"))
}

pub(crate) fn validator_set(of: std::ops::Range<usize>) -> ValidatorSet {
    let mut keys: Vec<_> = of.map(|n| validator(n).public_key()).collect();
    keys.sort();
    ValidatorSet(keys)
}

impl Town {
    /// So many nodes, all of them validators.
    pub(crate) async fn new(count: usize) -> Self {
        Self::with(count, count).await
    }

    /// So many nodes, the first of them validators.
    pub(crate) async fn with(count: usize, validators: usize) -> Self {
        let validators = validator_set(0..validators);
        let now = Clock::new(0).now();
        let key = secret("admin").public_key();
        let all = [Capability::Root, Capability::Enrol, Capability::Operate, Capability::Approve];
        let capabilities = Capabilities::of(&all);
        let validates = Capabilities::of(&[Capability::Validator]);
        let theirs = validators.0.iter().map(|key| OrgKey { key: *key, capabilities: validates });
        let genesis = Genesis {
            nonce: Clock::new(u64::from(port())).random(),
            time: now,
            organisation: FirstOrganisation {
                inception: Inception::from_key(key),
                label: "Acme".into(),
                keys: [OrgKey { key, capabilities }].into_iter().chain(theirs).collect(),
            },
            rules: Rules::DEFAULT,
            grant: GenesisGrant {
                models: vec!["T-1".into()],
                count: 2_000_000,
                expires: now.plus_ms(365 * 86_400_000),
                evidence: EvidencePolicy::Possession,
            },
            validators,
        };
        let node = |n: usize| Node {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(Clock::new(n as u64)),
            place: SocketAddr::from(([127, 0, 0, 1], port())),
            registry: None,
            runtime: None,
        };
        let mut town = Self { genesis, nodes: (0..count).map(node).collect() };
        for n in 0..count {
            town.start(n).await;
        }
        town
    }

    /// Starts a node, with whatever its folder has.
    pub(crate) async fn start(&mut self, n: usize) {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != n);
        let peers = others
            .map(|(_, node)| PeerAddress {
                host: node.place.ip().to_string(),
                port: node.place.port(),
                id: None,
            })
            .collect();
        let node = &mut self.nodes[n];
        let consensus = node.dir.path().join("consensus");
        std::fs::create_dir_all(&consensus).unwrap();
        let bft = Bft::new(Settings {
            listen: node.place,
            peers,
            node_key: Zeroizing::new(sha256(&[format!("node {n}").as_bytes()])),
            signer: Arc::new(validator(n)),
            dir: consensus,
            host: node.clock.clone(),
        });
        let config = Config {
            dir: node.dir.path().join("node"),
            store: StoreUrl::Folder,
            genesis: self.genesis.clone(),
            deciding: Deciding::Together(Box::new(bft)),
            host: node.clock.clone(),
            restored: None,
            accept_lost_leaves: false,
        };
        std::fs::create_dir_all(&config.dir).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let opened = runtime.spawn(Registry::open(config)).await.unwrap();
        (node.registry, node.runtime) = (Some(opened.unwrap()), Some(runtime));
    }

    /// Stops a node as a power failure would.
    pub(crate) fn kill(&mut self, n: usize) {
        drop(self.nodes[n].registry.take());
        self.nodes[n].runtime.take().expect("a node that is up").shutdown_background();
    }

    /// Waits until something holds, for half a minute at most.
    pub(crate) async fn wait(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !holds(self).await {
            assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all nodes that are up show the same head of at least a size.
    pub(crate) async fn agree(&self, size: u64) {
        self.wait(&format!("one head of {size} entries"), async |town| {
            let heads: Vec<_> = town
                .nodes
                .iter()
                .filter_map(|node| node.registry.as_ref())
                .map(|registry| registry.head().ok().map(|head| *head.head()))
                .collect();
            heads.iter().all(|head| {
                head.is_some_and(|h| h.size >= size && h.same_ledger(&heads[0].unwrap()))
            })
        })
        .await;
    }

    pub(crate) fn owner(&self) -> Did {
        self.genesis.organisation_did()
    }

    pub(crate) fn operation(&self, action: Action) -> SignedOperation {
        let valid_until = self.nodes[0].clock.now().plus_ms(3_600_000);
        let network = self.genesis.network();
        let author = self.owner();
        Operation { network, author, valid_until, action }.sign(&secret("admin")).unwrap()
    }

    /// Submits through a node and checks the acknowledgement.
    pub(crate) async fn act(&self, n: usize, action: Action) -> Result<EntryProof, Problem> {
        let signed = self.operation(action);
        let proof = self.nodes[n].up().submit(signed.clone(), None).await?;
        let network = self.genesis.network();
        let chain = self.nodes[n].up().chain().unwrap();
        let validators = chain.state().validators().unwrap();
        let verified = proof.verify(&network, &validators).expect("a good proof");
        assert_eq!(verified.entry.operation, signed);
        Ok(proof)
    }

    pub(crate) fn devices(&self, range: std::ops::Range<u64>) -> Vec<Device> {
        range.map(|n| Device::new(self, n)).collect()
    }

    /// Enrols devices through a node.
    pub(crate) async fn enrol(&self, n: usize, devices: &[Device]) -> Result<BatchId, Problem> {
        let registry = self.nodes[n].up();
        let request = UploadRequest {
            network: self.genesis.network(),
            organisation: self.owner(),
            valid_until: self.nodes[n].clock.now().plus_ms(3_600_000),
            grant: self.genesis.grant_id(),
            model: "T-1".into(),
            rows: devices.len() as u64,
            rehearsal: false,
            nonce: self.nodes[n].clock.random(),
        };
        let upload = registry.open_upload(&request.sign(&secret("admin")).unwrap()).await?.upload;
        for part in devices.chunks(4_096) {
            registry.stage(&upload, Rows(part.iter().map(Device::row).collect())).await?;
        }
        registry.seal(&upload).await?;
        let mut leaves: Vec<_> = devices.iter().map(|d| (d.did, &d.leaf)).collect();
        leaves.sort();
        let mut tree = LeafTree::default();
        leaves.iter().for_each(|(did, leaf)| tree.push(did, leaf).unwrap());
        let (count, root) = (tree.count(), tree.root());
        let enrol = Enrol { grant: self.genesis.grant_id(), model: "T-1".into(), count, root };
        let batch = enrol.batch(&self.genesis.network());
        registry.submit(self.operation(Action::Enrol(enrol)), Some(&upload)).await?;
        Ok(batch)
    }

    /// Revokes a device through a node; its part is taken from there.
    pub(crate) async fn revoke(&self, n: usize, device: &Device) -> Result<EntryProof, Problem> {
        let part = self.nodes[n].up().device_part(&device.did).await?.map(Box::new);
        let target = Target::Device(DeviceRef { did: device.did, part });
        self.act(n, Action::Revoke(Revoke { target, reason: String::new() })).await
    }
}

/// A device and its row.
pub(crate) struct Device {
    pub(crate) number: u64,
    pub(crate) did: Did,
    pub(crate) leaf: Vec<u8>,
    pub(crate) serial: String,
}

impl Device {
    fn new(town: &Town, number: u64) -> Self {
        let key = secret(&format!("device {number}"));
        let inception = Inception::from_key(key.public_key());
        let (did, serial) = (Did::of(&inception), format!("PRIVATE-SN-{number:07}"));
        let network = town.genesis.network();
        let owner = town.owner();
        let terms = PossessionTerms {
            network: &network.0,
            manufacturer: &owner,
            challenge: b"order 1",
            owner_recovery: false,
        };
        let signature = terms.sign(&did, &key).unwrap();
        let evidence = Evidence::Possession { challenge: b"order 1".to_vec(), signature };
        let commitment = SerialCommitment::new(&[9; 32], &did, &serial);
        let leaf = Leaf { inception, evidence, serial: commitment, owner_recovery: false };
        Self { number, did, leaf: leaf.to_cbor(), serial }
    }

    fn row(&self) -> Row {
        let (leaf, serial) = (self.leaf.clone(), self.serial.clone());
        Row { number: self.number, leaf, serial, lot: Some("PRIVATE-LOT".into()) }
    }
}

/// Whether any file of a folder contains a text.
pub(crate) fn folder_has(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return folder_has(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
