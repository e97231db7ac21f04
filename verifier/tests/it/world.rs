//! A small network made of real parts: a genesis, a chain, devices with keys. The gateway's
//! tests use it too.

#![allow(dead_code, unreachable_pub)]

use muster_identity::cbor::Encode;
use muster_identity::{
    Algorithm, Audience, Did, Freshness, Inception, PossessionTerms, SecretKey, Signer, present,
};
use muster_ledger::{
    Action, BatchId, Block, Capabilities, Capability, Chain, DevicePart, DeviceRef, Enrol,
    Evidence, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, Head, Hold, HoldId, Leaf,
    LeafTree, NewKey, Operation, OrgKey, Power, Revoke, RevokeKey, Rotate, Rules, SerialCommitment,
    SignedOperation, State, Target, Time, ValidatorSet, cosign,
};
use zeroize::Zeroizing;

/// When the network begins: a Sunday in 2027.
pub const START: u64 = 1_800_000_000_000;

/// The name that devices dial.
pub const AUDIENCE: &str = "gateway.example";

pub fn audience() -> Audience {
    AUDIENCE.parse().unwrap()
}

pub fn key_of(algorithm: Algorithm, seed: u64) -> SecretKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&seed.to_be_bytes());
    SecretKey::from_bytes(algorithm, &Zeroizing::new(secret)).unwrap()
}

pub fn key(seed: u64) -> SecretKey {
    key_of(Algorithm::Ed25519, seed)
}

/// A device: its key and the DID that follows from it.
pub struct Device {
    pub key: SecretKey,
    pub did: Did,
}

impl Device {
    pub fn new(seed: u64) -> Self {
        Self::with(key(seed))
    }

    pub fn with(key: SecretKey) -> Self {
        let did = Did::of(&Inception::from_key(key.public_key()));
        Self { key, did }
    }

    /// A presentation made at a second, valid for 60.
    pub fn presents(&self, iat: u64, jti: u8) -> String {
        self.presents_with(&self.key, iat, jti)
    }

    pub fn presents_with(&self, key: &SecretKey, iat: u64, jti: u8) -> String {
        let window = Freshness::Window { iat, exp: iat + 60 };
        present(&self.did, &audience(), &window, &[jti; 16], key).unwrap()
    }

    pub fn as_ref(&self, part: Option<&DevicePart>) -> DeviceRef {
        DeviceRef { did: self.did, part: part.cloned().map(Box::new) }
    }
}

/// A network and its one organisation, which is also its one validator.
#[derive(Clone)]
pub struct World {
    pub genesis: Genesis,
    pub chain: Chain,
    /// The log, as bytes.
    pub entries: Vec<Vec<u8>>,
    pub time: u64,
}

const ADMIN: u64 = 1;
pub const VALIDATOR: u64 = 2;

impl World {
    pub fn new() -> Self {
        Self::starting(START)
    }

    pub fn starting(time: u64) -> Self {
        let admin = key(ADMIN).public_key();
        let all = [
            Capability::Root,
            Capability::Enrol,
            Capability::Operate,
            Capability::Approve,
            Capability::Gateway,
        ];
        let genesis = Genesis {
            nonce: [3; 16],
            time: Time(time),
            organisation: FirstOrganisation {
                inception: Inception::from_key(admin),
                label: "Example Works".into(),
                keys: vec![OrgKey { key: admin, capabilities: Capabilities::of(&all) }],
            },
            rules: Rules::DEFAULT,
            grant: GenesisGrant {
                models: Vec::new(),
                count: 1_000,
                expires: Time(time + 1_000_000_000_000),
                evidence: EvidencePolicy::Enroller,
            },
            validators: ValidatorSet(vec![key(VALIDATOR).public_key()]),
        };
        let chain = Chain::new(&genesis);
        Self { genesis, chain, entries: Vec::new(), time }
    }

    pub fn state(&self) -> &State {
        self.chain.state()
    }

    pub fn sign(&self, author: Did, signer: &SecretKey, action: Action) -> SignedOperation {
        let (network, valid_until) = (self.genesis.network(), Time(self.time + 3_600_000));
        Operation { network, author, valid_until, action }.sign(signer).unwrap()
    }

    pub fn admin_signs(&self, action: Action) -> SignedOperation {
        self.sign(self.genesis.organisation_did(), &key(ADMIN), action)
    }

    /// One more block, a second later.
    pub fn commit(&mut self, operation: SignedOperation) {
        self.commit_all(vec![operation]);
    }

    pub fn commit_all(&mut self, operations: Vec<SignedOperation>) {
        self.time += 1_000;
        let height = self.chain.height() + 1;
        let block = Block { height, time: Time(self.time), operations };
        self.entries.extend(block.entries().map(|entry| entry.to_cbor()));
        self.chain = self.chain.extend(&block).unwrap().0;
    }

    /// Enrols devices; their device parts come back in the order given.
    pub fn enrol(&mut self, devices: &[&Device]) -> (BatchId, Vec<DevicePart>) {
        let manufacturer = self.genesis.organisation_did();
        let terms = PossessionTerms {
            network: &self.genesis.network().0,
            manufacturer: &manufacturer,
            challenge: b"order 7",
            owner_recovery: false,
        };
        let mut leaves: Vec<(Did, Vec<u8>)> = devices
            .iter()
            .map(|device| {
                let signature = terms.sign(&device.did, &device.key).unwrap();
                let leaf = Leaf {
                    inception: Inception::from_key(device.key.public_key()),
                    evidence: Evidence::Possession { challenge: b"order 7".to_vec(), signature },
                    serial: SerialCommitment([9; 32]),
                    owner_recovery: false,
                };
                (device.did, leaf.to_cbor())
            })
            .collect();
        leaves.sort();
        let mut tree = LeafTree::default();
        for (did, leaf) in &leaves {
            tree.push(did, leaf).unwrap();
        }
        let (grant, count, root) = (self.genesis.grant_id(), tree.count(), tree.root());
        let enrol = Enrol { grant, model: "Probe 3".into(), count, root };
        let batch = enrol.batch(&self.genesis.network());
        self.commit(self.admin_signs(Action::Enrol(enrol)));
        let part = |device: &&Device| {
            let index = leaves.iter().position(|(did, _)| *did == device.did).unwrap();
            tree.device_part(batch, index as u64, leaves[index].1.clone()).unwrap()
        };
        (batch, devices.iter().map(part).collect())
    }

    pub fn hold(&mut self, target: Target, until: Option<u64>) {
        let hold = Hold {
            target,
            id: HoldId([self.entries.len() as u8; 16]),
            power: Power::Owner,
            until: until.map(Time),
            seen: self.chain.size(),
            reason: String::new(),
        };
        self.commit(self.admin_signs(Action::Hold(hold)));
    }

    pub fn revoke(&mut self, target: Target) {
        let revoke = Revoke { target, reason: "lost".into() };
        self.commit(self.admin_signs(Action::Revoke(revoke)));
    }

    pub fn revoke_key(&mut self, device: DeviceRef, key: &SecretKey) {
        let revoke = RevokeKey { device, key: key.public_key() };
        self.commit(self.admin_signs(Action::RevokeKey(revoke)));
    }

    pub fn rotate(&mut self, device: &Device, part: &DevicePart, new: &SecretKey) {
        let public = new.public_key();
        let message = NewKey::message(&self.genesis.network(), &device.did, 0, &public);
        let key = NewKey { key: public, proof: new.sign(&message).unwrap() };
        let rotate = Rotate { device: device.as_ref(Some(part)), seq: 0, key, next_key: None };
        self.commit(self.sign(device.did, &device.key, Action::Rotate(rotate)));
    }

    pub fn head(&self, time: u64) -> Head {
        self.chain.head(Time(time)).unwrap()
    }

    /// The head's note, signed at a time.
    pub fn note(&self, time: u64) -> String {
        note(&self.head(time))
    }
}

/// Any head, signed by the validator.
pub fn note(head: &Head) -> String {
    cosign(head, &key(VALIDATOR)).unwrap().to_note()
}
