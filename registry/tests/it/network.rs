use data_encoding::HEXLOWER;
use muster_api::{Host, Problem, Row, RowVerdict, Rows, Verdict, Verdicts};
use muster_identity::cbor::Encode as _;
use muster_identity::{
    Algorithm, Did, Inception, PossessionTerms, PublicKey, SecretKey, Signature, Signer,
    SignerError, sha256,
};
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, DeviceRef, Enrol, EntryProof, Evidence,
    EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, Leaf, LeafTree, Operation, OrgKey,
    Rules, SerialCommitment, SignedOperation, Target, Time, UploadRequest, ValidatorSet, VouchedBy,
};
use muster_registry::{AuditReport, Config, Deciding, Error, Registry, StoreUrl};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

pub(crate) const START: u64 = 1_700_000_000_000;

/// A clock that only moves when told to, and counted randomness.
pub(crate) struct TestHost {
    now: AtomicU64,
    slept: AtomicU64,
    drawn: AtomicU64,
}

impl TestHost {
    pub(crate) fn new() -> Self {
        let (slept, drawn) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { now: AtomicU64::new(START), slept, drawn }
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.now.fetch_add(ms, SeqCst);
    }

    pub(crate) fn set_back(&self, ms: u64) {
        self.now.fetch_sub(ms, SeqCst);
    }

    /// The machine is suspended: the clock goes on, what the runtime measures does not.
    pub(crate) fn sleep(&self, ms: u64) {
        self.slept.fetch_add(ms, SeqCst);
        self.advance(ms);
    }
}

impl Host for TestHost {
    fn now(&self) -> Time {
        Time(self.now.load(SeqCst))
    }

    fn since_start(&self) -> Option<std::time::Duration> {
        Some(std::time::Duration::from_millis(self.slept.load(SeqCst)))
    }

    fn random(&self) -> [u8; 16] {
        let n = self.drawn.fetch_add(1, SeqCst);
        sha256(&[&n.to_be_bytes()])[..16].try_into().unwrap()
    }
}

/// A validator's key that can be taken away.
pub(crate) struct TestSigner {
    key: SecretKey,
    pub(crate) gone: AtomicBool,
    /// It ends whatever task asks it to sign.
    pub(crate) deadly: AtomicBool,
}

impl TestSigner {
    pub(crate) fn new(key: SecretKey) -> Self {
        Self { key, gone: false.into(), deadly: false.into() }
    }
}

impl Signer for TestSigner {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        assert!(!self.deadly.load(SeqCst), "as told");
        if self.gone.load(SeqCst) {
            return Err(SignerError("unplugged".into()));
        }
        self.key.sign(message)
    }
}

pub(crate) fn secret(name: &str) -> SecretKey {
    secret_of(Algorithm::Ed25519, name)
}

pub(crate) fn secret_of(algorithm: Algorithm, name: &str) -> SecretKey {
    let seed = sha256(&[name.as_bytes()]);
    SecretKey::from_bytes(algorithm, &zeroizing(seed)).unwrap()
}

fn zeroizing(seed: [u8; 32]) -> zeroize::Zeroizing<[u8; 32]> {
    zeroize::Zeroizing::new(seed)
}

/// A network of one organisation on one node.
pub(crate) struct Network {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) genesis: Genesis,
    pub(crate) host: Arc<TestHost>,
    pub(crate) signer: Arc<TestSigner>,
    pub(crate) registry: Registry,
}

/// The organisation's key.
pub(crate) fn admin() -> SecretKey {
    secret("admin")
}

pub(crate) fn genesis(devices: u64, evidence: EvidencePolicy) -> Genesis {
    let key = admin().public_key();
    let all = [
        Capability::Root,
        Capability::Enrol,
        Capability::Operate,
        Capability::Approve,
        Capability::Gateway,
    ];
    let gateway = OrgKey {
        key: secret("gateway").public_key(),
        capabilities: Capabilities::of(&[Capability::Gateway]),
    };
    Genesis {
        nonce: [7; 16],
        time: Time(START),
        organisation: FirstOrganisation {
            inception: Inception::from_key(key),
            label: "Acme".into(),
            keys: vec![OrgKey { key, capabilities: Capabilities::of(&all) }, gateway],
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: vec!["T-1".into()],
            count: devices,
            expires: Time(START + 365 * 86_400_000),
            evidence,
        },
        validators: ValidatorSet(vec![secret("validator").public_key()]),
    }
}

/// Where the node of a folder keeps its ledger: in the folder, or, when `on_postgres` runs these
/// tests once more, in a database that is made for the folder and noted in it.
#[cfg(feature = "postgres")]
pub(crate) async fn store_of(dir: &Path) -> StoreUrl {
    if std::env::var_os(crate::on_postgres::ASKED).is_none() {
        return StoreUrl::Folder;
    }
    let noted = dir.join("database");
    if !noted.exists() {
        std::fs::write(&noted, crate::server::shared().database()).unwrap();
    }
    std::fs::read_to_string(noted).unwrap().parse().unwrap()
}

#[cfg(not(feature = "postgres"))]
pub(crate) async fn store_of(_: &Path) -> StoreUrl {
    StoreUrl::Folder
}

pub(crate) async fn open(
    dir: &Path,
    genesis: &Genesis,
    host: &Arc<TestHost>,
    signer: &Arc<TestSigner>,
) -> Result<Registry, Error> {
    open_restored(dir, genesis, host, signer, None).await
}

/// Audits the ledger of a folder's node.
pub(crate) async fn audit(dir: &Path, genesis: &Genesis) -> Result<AuditReport, Error> {
    muster_registry::audit_store(dir, &store_of(dir).await, genesis).await
}

/// Another node of the network: in this folder, on this store.
pub(crate) async fn open_at(
    dir: &Path,
    store: &StoreUrl,
    network: &Network,
    restored: Option<(u64, [u8; 32])>,
) -> Result<Registry, Error> {
    let config = Config {
        dir: dir.into(),
        store: store.clone(),
        genesis: network.genesis.clone(),
        deciding: Deciding::Solo { signer: network.signer.clone(), succession: None },
        host: network.host.clone(),
        restored,
        accept_lost_leaves: false,
    };
    Registry::open(config).await
}

async fn open_restored(
    dir: &Path,
    genesis: &Genesis,
    host: &Arc<TestHost>,
    signer: &Arc<TestSigner>,
    restored: Option<(u64, [u8; 32])>,
) -> Result<Registry, Error> {
    let config = Config {
        dir: dir.into(),
        store: store_of(dir).await,
        genesis: genesis.clone(),
        deciding: Deciding::Solo { signer: signer.clone(), succession: None },
        host: host.clone(),
        restored,
        accept_lost_leaves: false,
    };
    Registry::open(config).await
}

impl Network {
    pub(crate) async fn new() -> Self {
        Self::with(2_000_000, EvidencePolicy::Possession).await
    }

    pub(crate) async fn with(devices: u64, evidence: EvidencePolicy) -> Self {
        Self::of(genesis(devices, evidence)).await
    }

    pub(crate) async fn of(genesis: Genesis) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Arc::new(TestHost::new());
        let signer = Arc::new(TestSigner::new(secret("validator")));
        let registry = open(dir.path(), &genesis, &host, &signer).await.unwrap();
        Self { dir, genesis, host, signer, registry }
    }

    /// Opens the folder again, after the registry was closed or dropped.
    pub(crate) async fn reopen(&mut self) -> Result<(), Error> {
        self.registry = open(self.dir.path(), &self.genesis, &self.host, &self.signer).await?;
        Ok(())
    }

    /// Opens it as a restored backup that must contain this head.
    pub(crate) async fn reopen_restored(&mut self, head: (u64, [u8; 32])) -> Result<(), Error> {
        let (dir, genesis) = (self.dir.path(), &self.genesis);
        self.registry = open_restored(dir, genesis, &self.host, &self.signer, Some(head)).await?;
        Ok(())
    }

    /// Time passes, for the wall clock and for everything that waits.
    pub(crate) async fn pass(&self, ms: u64) {
        self.host.advance(ms);
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_millis(ms)).await;
        tokio::time::resume();
    }

    pub(crate) fn host_now(&self) -> u64 {
        self.host.now().0
    }

    pub(crate) fn random(&self) -> [u8; 16] {
        self.host.random()
    }

    /// An organisation that the network does not know.
    pub(crate) fn owner_of_nobody() -> Did {
        Did::from_digest([0xee; 32])
    }

    pub(crate) fn owner(&self) -> Did {
        self.genesis.organisation_did()
    }

    pub(crate) fn operation(
        &self,
        author: Did,
        action: Action,
        key: &SecretKey,
    ) -> SignedOperation {
        let valid_until = self.host.now().plus_ms(3_600_000);
        let network = self.genesis.network();
        Operation { network, author, valid_until, action }.sign(key).unwrap()
    }

    /// Submits an action of the organisation and checks the acknowledgement.
    pub(crate) async fn act(&self, action: Action) -> Result<EntryProof, Problem> {
        self.act_by(action, &admin()).await
    }

    pub(crate) async fn act_by(
        &self,
        action: Action,
        key: &SecretKey,
    ) -> Result<EntryProof, Problem> {
        let signed = self.operation(self.owner(), action, key);
        let proof = self.registry.submit(signed.clone(), None).await?;
        let verified =
            proof.verify(&self.genesis.network(), &self.genesis.validators).expect("a good proof");
        assert_eq!(verified.entry.operation, signed);
        Ok(proof)
    }

    pub(crate) fn request(&self, rows: u64, rehearsal: bool) -> Vec<u8> {
        let request = UploadRequest {
            network: self.genesis.network(),
            organisation: self.owner(),
            valid_until: self.host.now().plus_ms(3_600_000),
            grant: self.genesis.grant_id(),
            model: "T-1".into(),
            rows,
            rehearsal,
            nonce: self.host.random(),
        };
        request.sign(&admin()).unwrap()
    }

    pub(crate) async fn upload(&self, rows: u64) -> String {
        self.registry.open_upload(&self.request(rows, false)).await.unwrap().upload
    }

    pub(crate) fn device(&self, n: u64) -> Device {
        Device::new(self, n, Algorithm::Ed25519)
    }

    pub(crate) fn devices(&self, range: std::ops::Range<u64>) -> Vec<Device> {
        range.map(|n| self.device(n)).collect()
    }

    /// Signs the enrolment of these leaves, and hands it in with the upload.
    pub(crate) async fn submit_batch(
        &self,
        upload: &str,
        devices: &[Device],
    ) -> Result<BatchId, Problem> {
        let enrol = self.enrolment(devices);
        let signed = self.operation(self.owner(), Action::Enrol(enrol.clone()), &admin());
        let proof = self.registry.submit(signed, Some(upload)).await?;
        proof.verify(&self.genesis.network(), &self.genesis.validators).expect("a good proof");
        Ok(enrol.batch(&self.genesis.network()))
    }

    pub(crate) fn enrolment(&self, devices: &[Device]) -> Enrol {
        let mut leaves: Vec<_> = devices.iter().map(|d| (d.did, &d.leaf)).collect();
        leaves.sort();
        let mut tree = LeafTree::default();
        leaves.iter().for_each(|(did, leaf)| tree.push(did, leaf).unwrap());
        let (count, root) = (tree.count(), tree.root());
        Enrol { grant: self.genesis.grant_id(), model: "T-1".into(), count, root }
    }

    /// The whole way: open, stage, seal, compare, submit.
    pub(crate) async fn enrol(&self, devices: &[Device]) -> BatchId {
        let upload = self.upload(devices.len() as u64).await;
        for part in devices.chunks(4_096) {
            let verdicts = self.registry.stage(&upload, rows(part)).await.unwrap();
            assert_eq!(codes(&verdicts), vec!["staged"; part.len()]);
        }
        let sealed = self.registry.seal(&upload).await.unwrap();
        let enrol = self.enrolment(devices);
        assert_eq!((sealed.count, sealed.root), (enrol.count, HEXLOWER.encode(&enrol.root)));
        self.submit_batch(&upload, devices).await.unwrap()
    }

    /// A device as an operation names it, with its part the first time.
    pub(crate) async fn target(&self, device: &Device) -> Target {
        Target::Device(self.reference(device).await)
    }

    pub(crate) async fn reference(&self, device: &Device) -> DeviceRef {
        let part = self.registry.device_part(&device.did).await.unwrap().map(Box::new);
        DeviceRef { did: device.did, part }
    }
}

/// A device and its row.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) did: Did,
    pub(crate) leaf: Vec<u8>,
    pub(crate) serial: String,
}

impl Device {
    pub(crate) fn new(network: &Network, n: u64, algorithm: Algorithm) -> Self {
        let name = format!("device {n}");
        let serial = format!("SN-{n:07}");
        let key = secret_of(algorithm, &name);
        let inception = Inception::from_key(key.public_key());
        let did = Did::of(&inception);
        let id = network.genesis.network();
        let terms = PossessionTerms {
            network: &id.0,
            manufacturer: &network.owner(),
            challenge: b"order 1",
            owner_recovery: false,
        };
        let signature = terms.sign(&did, &key).unwrap();
        let evidence = Evidence::Possession { challenge: b"order 1".to_vec(), signature };
        let serial_commitment = SerialCommitment::new(&[9; 32], &did, &serial);
        let leaf = Leaf { inception, evidence, serial: serial_commitment, owner_recovery: false };
        Self { number: n, name, algorithm, did, leaf: leaf.to_cbor(), serial }
    }

    /// Vouched for instead of signed: quick to make.
    pub(crate) fn vouched(n: u64) -> Self {
        let name = format!("device {n}");
        let serial = format!("SN-{n:07}");
        let inception = Inception::from_key(secret(&name).public_key());
        let did = Did::of(&inception);
        let evidence = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
        let commitment = SerialCommitment::new(&[9; 32], &did, &serial);
        let leaf = Leaf { inception, evidence, serial: commitment, owner_recovery: false };
        let algorithm = Algorithm::Ed25519;
        Self { number: n, name, algorithm, did, leaf: leaf.to_cbor(), serial }
    }

    pub(crate) fn key(&self) -> SecretKey {
        secret_of(self.algorithm, &self.name)
    }

    pub(crate) fn row(&self) -> Row {
        Row {
            number: self.number,
            leaf: self.leaf.clone(),
            serial: self.serial.clone(),
            lot: Some("lot 7".into()),
        }
    }
}

pub(crate) fn rows(devices: &[Device]) -> Rows {
    Rows(devices.iter().map(Device::row).collect())
}

/// Verdicts in one word each.
pub(crate) fn codes(verdicts: &Verdicts) -> Vec<&str> {
    fn word(v: &RowVerdict) -> &str {
        match v.code.as_deref() {
            Some(code) => code,
            None if v.verdict == Verdict::Staged => "staged",
            None if v.verdict == Verdict::Already => "already",
            None => "",
        }
    }
    verdicts.verdicts.iter().map(word).collect()
}
