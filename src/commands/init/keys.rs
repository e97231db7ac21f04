//! The keys of an organisation, as they are made once.

use super::Seals;
use crate::home::Home;
use crate::host::{new_key, random};
use anyhow::Result;
use muster_identity::{Algorithm, Inception, SecretKey, Signer as _};
use muster_ledger::{Capabilities, Capability};
use zeroize::Zeroizing;

/// A key, the file it goes to and what it may do.
pub(super) struct Made {
    pub(super) key: SecretKey,
    file: &'static str,
    pub(super) can: Capabilities,
}

/// All keys of an organisation that begins, the node's last.
pub(super) struct OrganisationKeys(pub(super) Vec<Made>);

const NODE: &str = "node/node.pem";

impl OrganisationKeys {
    pub(super) fn make() -> Self {
        use Capability as C;
        let made = |file, can: &[Capability]| Made {
            key: new_key(Algorithm::Ed25519),
            file,
            can: Capabilities::of(can),
        };
        Self(vec![
            made("keys/root.pem", &[C::Root, C::Approve]),
            made("keys/recovery.pem", &[C::Root]),
            made("keys/admin.pem", &[C::Enrol, C::Operate, C::Gateway]),
            // Enough to stop what a stolen admin key does, and not to do it again.
            made("keys/admin2.pem", &[C::Operate, C::Approve]),
            made(NODE, &[C::Validator]),
        ])
    }

    /// The key that the organisation's DID comes from.
    pub(super) fn root(&self) -> &SecretKey {
        &self.0[0].key
    }

    pub(super) fn inception(&self) -> Inception {
        Inception::from_key(self.root().public_key())
    }

    pub(super) fn node(&self) -> &SecretKey {
        &self.0[self.0.len() - 1].key
    }

    /// Writes all of them, and the secret under which serial numbers are committed to.
    pub(super) fn write(&self, home: &Home, sealing: Seals<'_>) -> Result<()> {
        for made in self.0.iter().filter(|made| made.file != NODE) {
            home.write_key(made.file, &made.key, sealing.organisation)?;
        }
        home.write_key("keys/node-copy.pem", self.node(), sealing.organisation)?;
        home.write_key(NODE, self.node(), sealing.node)?;
        home.write_directory_secret(&Zeroizing::new(random()))
    }
}
