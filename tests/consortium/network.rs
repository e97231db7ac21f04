//! A network whose genesis names four validators, and the folders of their nodes.

use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Did, Inception, SecretKey, Signer as _, sha256};
use muster_ledger::{
    Capabilities, Capability, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, OrgKey,
    Rules, Time, ValidatorSet,
};
use muster_provisioning::sample::{Order, row};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Nodes of a network here: the smallest number of which one may fail.
pub(crate) const NODES: usize = 4;

/// The model of all devices.
pub(crate) const MODEL: &str = "pump";

/// What the owner of the network's devices has.
pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    seed: [u8; 32],
}

/// The wall clock of this machine.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Time(since.as_millis() as u64)
}

impl Network {
    /// A network that no other test has.
    pub(crate) fn new() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the system gives random bytes");
        let key = |name: &str| key_of(&seed, name);
        let can = |name: &str, can: &[Capability]| OrgKey {
            key: key(name).public_key(),
            capabilities: Capabilities::of(can),
        };
        use Capability as C;
        let mut keys = vec![
            can("root", &[C::Root, C::Approve]),
            can("admin", &[C::Enrol, C::Operate, C::Gateway]),
        ];
        let nodes: Vec<String> = (0..NODES).map(node_key).collect();
        keys.extend(nodes.iter().map(|name| can(name, &[C::Validator])));
        let mut validators: Vec<_> = nodes.iter().map(|name| key(name).public_key()).collect();
        validators.sort();
        let begun = now();
        let genesis = Genesis {
            nonce: sha256(&[&seed, b"nonce"])[..16].try_into().expect("16 bytes"),
            time: begun,
            organisation: FirstOrganisation {
                inception: Inception::from_key(key("root").public_key()),
                label: "Test Devices".into(),
                keys,
            },
            rules: Rules::DEFAULT,
            grant: GenesisGrant {
                models: Vec::new(),
                count: 1_000_000,
                expires: begun.plus_ms(86_400_000),
                evidence: EvidencePolicy::Possession,
            },
            validators: ValidatorSet(validators),
        };
        Self { genesis, seed }
    }

    /// The key that enrols, holds and revokes.
    pub(crate) fn admin(&self) -> SecretKey {
        key_of(&self.seed, "admin")
    }

    /// The key that invites people.
    pub(crate) fn root(&self) -> SecretKey {
        key_of(&self.seed, "root")
    }

    /// The secret under which a node commits to serial numbers.
    pub(crate) fn directory_secret(&self, node: usize) -> [u8; 32] {
        sha256(&[&self.seed, b"directory", &[node as u8]])
    }

    /// The key by which a node votes.
    pub(crate) fn validator(&self, node: usize) -> SecretKey {
        key_of(&self.seed, &node_key(node))
    }

    /// The key of a device.
    pub(crate) fn device(&self, serial: &str) -> SecretKey {
        key_of(&self.seed, serial)
    }

    /// Its DID.
    pub(crate) fn did(&self, serial: &str) -> Did {
        Did::of(&Inception::from_key(self.device(serial).public_key()))
    }

    /// Makes the folder of a node, with the owner's keys in it.
    pub(crate) fn write(&self, home: &Path, node: usize) {
        for dir in ["", "keys", "node", "gateway"] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(home.join(dir));
            made.expect("a folder is made");
        }
        let secret = |name: &str, text: &str| {
            let path = home.join(name);
            fs::write(&path, text).expect("a file is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
        };
        secret("node/node.pem", &self.validator(node).to_pem().expect("a key"));
        secret("keys/admin.pem", &self.admin().to_pem().expect("a key"));
        let directory = data_encoding::HEXLOWER.encode(&self.directory_secret(node));
        secret("keys/directory.key", &directory);
        secret("node/new", "No ledger was begun in this folder yet.\n");
        fs::write(home.join("genesis.cbor"), self.genesis.to_cbor()).expect("written");
        fs::write(home.join("FORMAT"), "muster home 1\n").expect("written");
    }

    /// A manifest of so many devices; their serials begin so.
    pub(crate) fn manifest(&self, to: &Path, serials: &[String]) {
        let (network, manufacturer) = (self.genesis.network(), self.genesis.organisation_did());
        let order = Order {
            network: &network,
            manufacturer: &manufacturer,
            challenge: "order-1",
            model: Some(MODEL),
            lot: None,
        };
        let row =
            |serial: &String| row(&self.device(serial), serial, &order).expect("a row") + "\n";
        let rows: String = serials.iter().map(row).collect();
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
        std::io::Write::write_all(&mut file.expect("a new file"), rows.as_bytes())
            .expect("written");
    }
}

fn node_key(node: usize) -> String {
    format!("node {node}")
}

fn key_of(seed: &[u8; 32], name: &str) -> SecretKey {
    let secret = Zeroizing::new(sha256(&[seed, b"key", name.as_bytes()]));
    SecretKey::from_bytes(Algorithm::Ed25519, &secret).expect("any 32 bytes are a key of Ed25519")
}
