//! A network made from fixed seeds: every run of every test signs the same bytes.

use muster_identity::cbor::Encode;
use muster_identity::{
    Algorithm, Did, Inception, PossessionTerms, PublicKey, SecretKey, Signature, Signer, sha256,
};
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, Changes, Checkpoint, Context, DevicePart, DeviceRef,
    Enrol, Evidence, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, GrantId, Head, Leaf,
    LeafTree, Network, NewKey, Operation, OrgKey, OrganisationRecord, Refusal, Rules,
    SerialCommitment, SignedOperation, State, StateKey, Target, Time, ValidatorSet, View, apply,
    cosign,
};
use zeroize::Zeroizing;

/// When the network begins.
pub(crate) const START: Time = Time(1_790_000_000_000);
pub(crate) const HOUR: u64 = 3_600_000;

/// The key of a seed.
pub(crate) fn secret(algorithm: Algorithm, seed: &str) -> SecretKey {
    SecretKey::from_bytes(algorithm, &Zeroizing::new(sha256(&[seed.as_bytes()])))
        .expect("a scalar, but for one seed in 2^32")
}

pub(crate) fn ed25519(seed: &str) -> SecretKey {
    secret(Algorithm::Ed25519, seed)
}

pub(crate) fn p256(seed: &str) -> SecretKey {
    secret(Algorithm::P256, seed)
}

/// An organisation with one key for each capability.
pub(crate) struct Org {
    pub(crate) did: Did,
    pub(crate) root: SecretKey,
    pub(crate) enrol: SecretKey,
    pub(crate) operate: SecretKey,
    pub(crate) approve: SecretKey,
    pub(crate) gateway: SecretKey,
}

impl Org {
    pub(crate) fn new(name: &str) -> Self {
        let key = |what: &str| ed25519(&format!("{name} {what}"));
        let root = key("root");
        let did = Did::of(&Inception::from_key(root.public_key()));
        let (enrol, operate) = (key("enrol"), p256(&format!("{name} operate")));
        Self { did, root, enrol, operate, approve: key("approve"), gateway: key("gateway") }
    }

    pub(crate) fn keys(&self) -> Vec<OrgKey> {
        [
            (&self.root, Capability::Root),
            (&self.enrol, Capability::Enrol),
            (&self.operate, Capability::Operate),
            (&self.approve, Capability::Approve),
            (&self.gateway, Capability::Gateway),
        ]
        .map(|(key, may)| OrgKey { key: key.public_key(), capabilities: Capabilities::of(&[may]) })
        .to_vec()
    }
}

/// Validator keys, in the order of the set.
pub(crate) fn validators(n: usize) -> Vec<SecretKey> {
    let mut keys: Vec<_> = (0..n).map(|i| ed25519(&format!("validator {i}"))).collect();
    keys.sort_by_key(|key| key.public_key());
    keys
}

pub(crate) fn validator_set(keys: &[SecretKey]) -> ValidatorSet {
    ValidatorSet(keys.iter().map(|key| key.public_key()).collect())
}

/// A genesis with so many validators.
pub(crate) fn genesis(validator_count: usize) -> Genesis {
    let org = Org::new("maker");
    Genesis {
        nonce: *b"fixed test nonce",
        time: START,
        organisation: FirstOrganisation {
            inception: Inception::from_key(org.root.public_key()),
            label: "Maker".into(),
            keys: org.keys(),
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: vec![],
            count: 1_000,
            expires: START.plus_ms(1_000 * HOUR),
            evidence: EvidencePolicy::Enroller,
        },
        validators: validator_set(&validators(validator_count)),
    }
}

/// A checkpoint of a head with a line of each signer.
pub(crate) fn checkpoint(head: &Head, signers: &[SecretKey]) -> Checkpoint {
    let mut note = format!("{}\n", head.body());
    for signer in signers {
        let one = cosign(head, signer).unwrap().to_note();
        note.push_str(&one[head.body().len() + 1..]);
    }
    Checkpoint::parse(&note).unwrap()
}

/// A device and all it needs to act.
pub(crate) struct Device {
    pub(crate) did: Did,
    pub(crate) key: SecretKey,
    pub(crate) part: DevicePart,
}

impl Device {
    /// Named with its device part.
    pub(crate) fn with_part(&self) -> DeviceRef {
        DeviceRef { did: self.did, part: Some(Box::new(self.part.clone())) }
    }

    /// Named alone.
    pub(crate) fn alone(&self) -> DeviceRef {
        DeviceRef { did: self.did, part: None }
    }

    pub(crate) fn target(&self) -> Target {
        Target::Device(self.with_part())
    }
}

/// A batch that is not enrolled yet.
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) enrol: Enrol,
    pub(crate) devices: Vec<Device>,
}

/// The leaf of a device that signed for the manufacturer.
pub(crate) fn possession_leaf(
    network: &Network,
    manufacturer: &Did,
    inception: Inception,
    key: &SecretKey,
    owner_recovery: bool,
) -> Leaf {
    let did = Did::of(&inception);
    let challenge = b"order 4711".to_vec();
    let terms = PossessionTerms {
        network: &network.0,
        manufacturer,
        challenge: &challenge,
        owner_recovery,
    };
    let signature = terms.sign(&did, key).unwrap();
    Leaf {
        inception,
        evidence: Evidence::Possession { challenge, signature },
        serial: SerialCommitment::new(&[7; 32], &did, "SN-1"),
        owner_recovery,
    }
}

/// A batch of devices with these inceptions, in the order of their DIDs.
pub(crate) fn batch_of(
    network: &Network,
    manufacturer: &Did,
    grant: GrantId,
    mut rows: Vec<(Inception, SecretKey)>,
) -> Batch {
    rows.sort_by_key(|(inception, _)| Did::of(inception));
    let mut tree = LeafTree::default();
    let mut leaves = Vec::new();
    for (inception, key) in &rows {
        let leaf = possession_leaf(network, manufacturer, inception.clone(), key, false).to_cbor();
        tree.push(&Did::of(inception), &leaf).unwrap();
        leaves.push(leaf);
    }
    let enrol = Enrol { grant, model: "sensor-1".into(), count: tree.count(), root: tree.root() };
    let id = enrol.batch(network);
    let devices = rows.into_iter().zip(leaves).enumerate().map(|(i, ((inception, key), leaf))| {
        let part = tree.device_part(id, i as u64, leaf).unwrap();
        Device { did: Did::of(&inception), key, part }
    });
    let devices = devices.collect();
    Batch { id, enrol, devices }
}

/// A batch of `count` devices named after a seed, every other one with a P-256 key.
pub(crate) fn batch(
    network: &Network,
    manufacturer: &Did,
    grant: GrantId,
    seed: &str,
    count: usize,
) -> Batch {
    let rows = (0..count).map(|i| {
        let algorithm = if i % 2 == 0 { Algorithm::Ed25519 } else { Algorithm::P256 };
        let key = secret(algorithm, &format!("{seed} device {i}"));
        (Inception::from_key(key.public_key()), key)
    });
    batch_of(network, manufacturer, grant, rows.collect())
}

/// A key with its proof that it wants to join.
pub(crate) fn new_key(network: &Network, joins: &Did, seq: u64, key: &SecretKey) -> NewKey {
    let public: PublicKey = key.public_key();
    let proof: Signature = key.sign(&NewKey::message(network, joins, seq, &public)).unwrap();
    NewKey { key: public, proof }
}

/// A state under test, with two organisations: `maker` of the genesis and its rival.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) maker: Org,
    pub(crate) rival: Org,
    pub(crate) grant: GrantId,
    pub(crate) state: State,
    pub(crate) index: u64,
    pub(crate) height: u64,
    pub(crate) time: Time,
}

impl World {
    pub(crate) fn new() -> Self {
        let genesis = genesis(1);
        let (maker, rival) = (Org::new("maker"), Org::new("rival"));
        let record = OrganisationRecord { label: "Rival".into(), keys: rival.keys(), seq: 0 };
        let mut changes = Changes::default();
        changes.0.insert(StateKey::Organisation(rival.did), record.to_cbor().into());
        for key in rival.keys() {
            changes.0.insert(StateKey::of_key(&key.key), rival.did.to_cbor().into());
        }
        Self {
            network: genesis.network(),
            grant: genesis.grant_id(),
            state: genesis.state().with(&changes),
            maker,
            rival,
            index: 0,
            height: 1,
            time: START.plus_ms(1_000),
        }
    }

    /// A world with an enrolled batch of the maker's.
    pub(crate) fn with_batch(count: usize) -> (Self, Batch) {
        let mut world = Self::new();
        let batch = batch(&world.network, &world.maker.did, world.grant, "first", count);
        world.enrol(&batch);
        (world, batch)
    }

    pub(crate) fn enrol(&mut self, batch: &Batch) {
        let key = ed25519("maker enrol");
        self.does(self.maker.did, &key, Action::Enrol(batch.enrol.clone())).unwrap();
    }

    pub(crate) fn at(&self) -> Context {
        let (network, index, time) = (self.network, self.index, self.time);
        Context { network, index, height: self.height, time }
    }

    pub(crate) fn sign(&self, author: Did, key: &SecretKey, action: Action) -> SignedOperation {
        let valid_until = self.time.plus_ms(HOUR);
        let operation = Operation { network: self.network, author, valid_until, action };
        operation.sign(key).unwrap()
    }

    /// Applies an operation: the state after it, or the refusal and the state as it was.
    pub(crate) fn does(
        &mut self,
        author: Did,
        key: &SecretKey,
        action: Action,
    ) -> Result<Changes, Refusal> {
        let signed = self.sign(author, key, action);
        self.applies(&signed)
    }

    pub(crate) fn applies(&mut self, signed: &SignedOperation) -> Result<Changes, Refusal> {
        let before = self.state.root();
        let verified = signed.verify().expect("a well-formed, well-signed operation");
        let result = apply(&self.state, &verified, &self.at());
        assert_eq!(self.state.root(), before, "apply changed the state by itself");
        if let Ok(changes) = &result {
            self.state = self.state.with(changes);
            assert_ne!(self.state.root(), before, "an accepted operation changes the state");
            self.index += 1;
        }
        result
    }

    /// As the maker, with the key for it.
    pub(crate) fn maker_does(&mut self, action: Action) -> Result<Changes, Refusal> {
        let key = Org::new("maker");
        let key = match &action {
            Action::Enrol(_) => key.enrol,
            Action::ChangeKeys(_)
            | Action::ChangeValidators(_)
            | Action::Admit(_)
            | Action::Expel(_)
            | Action::ChangeRules(_)
            | Action::UpgradeProtocol(_) => key.root,
            Action::Grant(_) | Action::WithdrawGrant(_) | Action::Approve(_) => key.approve,
            _ => key.operate,
        };
        self.does(self.maker.did, &key, action)
    }

    pub(crate) fn device_seq(&self, did: &Did) -> u64 {
        self.state.device(did).unwrap().map_or(0, |record| record.seq)
    }

    pub(crate) fn status(&self, device: &Device) -> muster_ledger::Status {
        let record = self.state.device(&device.did).unwrap();
        let batch = self.state.batch(&device.part.batch).unwrap().unwrap();
        muster_ledger::status(record.as_ref(), &batch, self.time)
    }
}
