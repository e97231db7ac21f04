use super::Session;
use crate::cli::{EvidenceArg, Init};
use crate::home::Home;
use crate::host::{Machine, new_key, random};
use crate::keys::{Sealing, first_line};
use anyhow::{Result, bail};
use muster_api::Host as _;
use muster_identity::{Algorithm, Inception, Signer as _};
use muster_ledger::{
    Capabilities, Capability, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, OrgKey,
    Rules, ValidatorSet, limits,
};
use serde_json::json;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// How a network begins.
pub(crate) struct Beginning {
    pub(crate) label: String,
    pub(crate) devices: u64,
    pub(crate) models: Vec<String>,
    pub(crate) days: u64,
    pub(crate) evidence: EvidencePolicy,
}

impl From<EvidenceArg> for EvidencePolicy {
    fn from(arg: EvidenceArg) -> Self {
        match arg {
            EvidenceArg::Enroller => Self::Enroller,
            EvidenceArg::Document => Self::Document,
            EvidenceArg::Possession => Self::Possession,
        }
    }
}

pub(super) fn run(session: &Session, arg: &Init) -> Result<ExitCode> {
    let home = &session.home;
    if home.exists()? {
        bail!(
            "{} already holds a network: start it with `muster serve`, or choose another \
             folder with --home",
            home.dir().display()
        );
    }
    let beginning = Beginning {
        label: arg.label.clone(),
        devices: arg.devices,
        models: arg.model.clone(),
        days: arg.days,
        evidence: arg.evidence.into(),
    };
    // Before anybody types a passphrase.
    check(&beginning)?;
    let passphrase = match arg.unsealed {
        true => None,
        false => home.keys().passphrases().to_seal("the organisation's keys")?,
    };
    if arg.seal && passphrase.is_none() {
        bail!(
            "--seal needs a passphrase: give it by --passphrase-file FILE, --passphrase-fd N or \
             MUSTER_PASSPHRASE, or run this on a terminal"
        );
    }
    let of_node = arg.node_passphrase_file.as_deref().map(first_line).transpose()?;
    let sealing = Seals {
        organisation: passphrase.as_ref().map_or(Sealing::None, Sealing::By),
        node: of_node.as_ref().map_or(Sealing::None, Sealing::By),
    };
    let genesis = begin(home, beginning, sealing)?;
    let sealed = passphrase.is_some();
    if !sealed && !arg.unsealed {
        session.output.warn(
            "the organisation's keys are UNSEALED: whoever reads their files has them. Before \
             anybody relies on this network: muster key seal FILE (docs/keys.md)",
        );
    }
    let dir = home.dir().display();
    Ok(session.output.result(
        &json!({
            "network": genesis.network().to_string(),
            "organisation": genesis.organisation_did().to_string(),
            "grant": genesis.grant_id().to_string(),
            "home": dir.to_string(),
            "sealed": sealed,
            "node_sealed": of_node.is_some(),
        }),
        format!(
            "A network begins in {dir}/\n\
             network       {}\n\
             organisation  {}  ({})\n\
             \n\
             genesis.cbor        give it to everybody who shall check this network\n\
             keys/root.pem       changes the organisation's keys; keep it offline\n\
             keys/recovery.pem   a second root key; keep it offline in another place\n\
             keys/admin.pem      enrols, holds, revokes; daily work\n\
             keys/admin2.pem     holds, revokes, withdraws grants; another person's, if the first fails\n\
             keys/directory.key  under which serial numbers are committed to\n\
             keys/node-copy.pem  a copy of node/node.pem, in case that is lost; keep it offline\n\
             node/node.pem       signs checkpoints; stays with the node\n\
             \n\
             keys/*.pem are {}.\n\
             Next: muster serve",
            genesis.network(),
            genesis.organisation_did(),
            arg.label,
            if sealed { "sealed by your passphrase" } else { "not sealed" },
        ),
    ))
}

/// How the files of keys are sealed.
pub(crate) struct Seals<'a> {
    pub(crate) organisation: Sealing<'a>,
    /// A node starts with nobody near, so its key has a passphrase of its own, or none.
    pub(crate) node: Sealing<'a>,
}

impl Seals<'_> {
    /// Not at all: for demonstrations and measurements.
    #[cfg(feature = "node")]
    pub(crate) const NONE: Self = Self { organisation: Sealing::None, node: Sealing::None };
}

/// Makes folder, keys and genesis.
pub(crate) fn begin(home: &Home, beginning: Beginning, sealed: Seals<'_>) -> Result<Genesis> {
    check(&beginning)?;
    let root = new_key(Algorithm::Ed25519);
    let recovery = new_key(Algorithm::Ed25519);
    let admin = new_key(Algorithm::Ed25519);
    let second = new_key(Algorithm::Ed25519);
    let node = new_key(Algorithm::Ed25519);
    let now = Machine.now();
    let key = |key: &muster_identity::SecretKey, can: &[Capability]| OrgKey {
        key: key.public_key(),
        capabilities: Capabilities::of(can),
    };
    use Capability as C;
    let genesis = Genesis {
        nonce: random(),
        time: now,
        organisation: FirstOrganisation {
            inception: Inception::from_key(root.public_key()),
            label: beginning.label,
            keys: vec![
                key(&root, &[C::Root, C::Approve]),
                key(&recovery, &[C::Root]),
                key(&admin, &[C::Enrol, C::Operate, C::Gateway]),
                // Enough to stop what a stolen admin key does, and not to do it again.
                key(&second, &[C::Operate, C::Approve]),
                key(&node, &[C::Validator]),
            ],
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: beginning.models,
            count: beginning.devices,
            expires: now.plus_ms(beginning.days.saturating_mul(86_400_000)),
            evidence: beginning.evidence,
        },
        validators: ValidatorSet(vec![node.public_key()]),
    };
    home.create()?;
    home.write_key("keys/root.pem", &root, sealed.organisation)?;
    home.write_key("keys/recovery.pem", &recovery, sealed.organisation)?;
    home.write_key("keys/admin.pem", &admin, sealed.organisation)?;
    home.write_key("keys/admin2.pem", &second, sealed.organisation)?;
    home.write_key("keys/node-copy.pem", &node, sealed.organisation)?;
    home.write_key("node/node.pem", &node, sealed.node)?;
    home.write_directory_secret(&Zeroizing::new(random()))?;
    home.write_genesis(&genesis)?;
    crate::begun::mark_new(home)?;
    home.seal()?;
    Ok(genesis)
}

fn check(beginning: &Beginning) -> Result<()> {
    if beginning.label.len() > limits::LABEL_BYTES {
        bail!("--label has more than {} bytes", limits::LABEL_BYTES);
    }
    if beginning.label.chars().any(char::is_control) {
        bail!("--label has control characters");
    }
    if beginning.models.len() > limits::GRANT_MODELS {
        bail!("a grant names at most {} models", limits::GRANT_MODELS);
    }
    for model in &beginning.models {
        check_model(model)?;
    }
    if beginning.devices == 0 {
        bail!("--devices must be at least 1");
    }
    if beginning.days == 0 || beginning.days > 366_000 {
        bail!("--days must be between 1 and 366,000");
    }
    Ok(())
}

/// The ledger's rule for model ids, said before anything is signed.
pub(crate) fn check_model(model: &str) -> Result<()> {
    let printable = model.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if model.is_empty() || model.len() > limits::MODEL_BYTES || !printable {
        bail!("model {model:?}: a model id is 1 to 64 characters of printable ASCII");
    }
    Ok(())
}
