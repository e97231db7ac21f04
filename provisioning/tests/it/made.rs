//! Made-up keys, people and files.

use muster_api::Host;
use muster_identity::{Algorithm, SecretKey, sha256};
use muster_identity::{Inception, Signer};
use muster_ledger::{
    Capabilities, Capability, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, OrgKey,
    Rules, Time, ValidatorSet,
};
use muster_provisioning::sample::{Order, row};
use muster_provisioning::{Enrolment, Finished, RowOutcome, SourceOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

pub(crate) const NOW: Time = Time(1_790_000_000_000);
pub(crate) const CHALLENGE: &str = "order-4711";

/// A key that is the same every time.
pub(crate) fn key(name: &str) -> SecretKey {
    let secret = Zeroizing::new(sha256(&[b"muster test key ", name.as_bytes()]));
    SecretKey::from_bytes(Algorithm::Ed25519, &secret).expect("a key")
}

pub(crate) fn p256(name: &str) -> SecretKey {
    let secret = Zeroizing::new(sha256(&[b"muster test p256 ", name.as_bytes()]));
    SecretKey::from_bytes(Algorithm::P256, &secret).expect("a key")
}

pub(crate) fn genesis(models: &[&str], count: u64) -> Genesis {
    let root = key("root").public_key();
    let org_key = |name, list: &[Capability]| OrgKey {
        key: key(name).public_key(),
        capabilities: Capabilities::of(list),
    };
    Genesis {
        nonce: [7; 16],
        time: Time(NOW.0 - 1_000),
        organisation: FirstOrganisation {
            inception: Inception::from_key(root),
            label: "Example".into(),
            keys: vec![org_key("root", &[Capability::Root]), org_key("line", &[Capability::Enrol])],
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: models.iter().map(|m| (*m).into()).collect(),
            count,
            expires: Time(NOW.0 + 1_000_000),
            evidence: EvidencePolicy::Enroller,
        },
        validators: ValidatorSet(vec![key("validator").public_key()]),
    }
}

/// A clock that stands, and numbers that are all different.
#[derive(Default)]
pub(crate) struct Still(AtomicU64);

impl Host for Still {
    fn now(&self) -> Time {
        NOW
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

/// Rows with possession for devices `from..to`.
pub(crate) fn manifest(genesis: &Genesis, from: u32, to: u32, model: Option<&str>) -> String {
    let (network, manufacturer) = (genesis.network(), genesis.organisation_did());
    let order = Order {
        network: &network,
        manufacturer: &manufacturer,
        challenge: CHALLENGE,
        model,
        lot: Some("lot 1"),
    };
    let line = |i| row(&key(&format!("device {i}")), &format!("SN-{i:06}"), &order).expect("a row");
    (from..to).map(|i| line(i) + "\n").collect()
}

pub(crate) fn file(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file in the test's folder");
    path
}

/// An enrolment through a node, with the defaults of these tests.
pub(crate) fn enrolment(node: &crate::node::Node) -> Enrolment {
    Enrolment {
        client: std::sync::Arc::new(node.client()),
        genesis: (*node.genesis).clone(),
        validators: node.genesis.validators.clone(),
        organisation: node.genesis.organisation_did(),
        signer: Arc::new(key("line")),
        directory_secret: Zeroizing::new([9; 32]),
        grant: None,
        model: None,
        challenge: CHALLENGE.into(),
        sources: SourceOptions::default(),
        dry_run: false,
        journal: None,
        resume: false,
        spool: std::env::temp_dir(),
        patience: Duration::ZERO,
        host: Arc::new(Still::default()),
    }
}

/// What became of each row.
pub(crate) fn outcomes(finished: &Finished) -> Vec<RowOutcome<'_>> {
    finished.outcomes().map(|row| row.expect("readable")).collect()
}
