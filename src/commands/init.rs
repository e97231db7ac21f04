mod join;
mod keys;

use keys::OrganisationKeys;

use super::Session;
use crate::cli::{EvidenceArg, Init};
use crate::consortium::{peer_id, peer_key};
use crate::home::Home;
use crate::host::{Machine, random};
use crate::keys::{Passphrase, Sealing, first_line};
use anyhow::{Result, bail};
use muster_api::Host as _;
use muster_identity::Signer as _;
use muster_ledger::{
    EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, OrgKey, Rules, ValidatorSet, limits,
};
use serde_json::json;
use std::process::ExitCode;

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
    if let Some(file) = &arg.genesis {
        return join::run(session, arg, file);
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
    let passes = Passes::ask(session, arg)?;
    let genesis = begin(home, beginning, passes.seals())?;
    let sealed = passes.organisation.is_some();
    passes.warn(session, arg);
    let peer = peer_id(&peer_key(home)?)?;
    let dir = home.dir().display();
    Ok(session.output.result(
        &json!({
            "network": genesis.network().to_string(),
            "organisation": genesis.organisation_did().to_string(),
            "grant": genesis.grant_id().to_string(),
            "home": dir.to_string(),
            "sealed": sealed,
            "node_sealed": passes.node.is_some(),
            "peer": peer,
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
             node/peer.key       by it other nodes know this one, as {peer}\n\
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

/// The passphrases that new keys are sealed by.
struct Passes {
    organisation: Option<Passphrase>,
    node: Option<Passphrase>,
}

impl Passes {
    fn ask(session: &Session, arg: &Init) -> Result<Self> {
        let organisation = match arg.unsealed {
            true => None,
            false => session.home.keys().passphrases().to_seal("the organisation's keys")?,
        };
        if arg.seal && organisation.is_none() {
            bail!(
                "--seal needs a passphrase: give it by --passphrase-file FILE, --passphrase-fd N \
                 or MUSTER_PASSPHRASE, or run this on a terminal"
            );
        }
        Ok(Self { organisation, node: Self::of_node(arg)? })
    }

    fn of_node(arg: &Init) -> Result<Option<Passphrase>> {
        arg.node_passphrase_file.as_deref().map(first_line).transpose()
    }

    fn seals(&self) -> Seals<'_> {
        Seals {
            organisation: self.organisation.as_ref().map_or(Sealing::None, Sealing::By),
            node: self.node.as_ref().map_or(Sealing::None, Sealing::By),
        }
    }

    fn warn(&self, session: &Session, arg: &Init) {
        if self.organisation.is_none() && !arg.unsealed {
            session.output.warn(
                "the organisation's keys are UNSEALED: whoever reads their files has them. Before \
                 anybody relies on this network: muster key seal FILE (docs/keys.md)",
            );
        }
    }
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
    let keys = OrganisationKeys::make();
    let now = Machine.now();
    let genesis = Genesis {
        nonce: random(),
        time: now,
        organisation: FirstOrganisation {
            inception: keys.inception(),
            label: beginning.label,
            keys: keys
                .0
                .iter()
                .map(|made| OrgKey { key: made.key.public_key(), capabilities: made.can })
                .collect(),
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: beginning.models,
            count: beginning.devices,
            expires: now.plus_ms(beginning.days.saturating_mul(86_400_000)),
            evidence: beginning.evidence,
        },
        validators: ValidatorSet(vec![keys.node().public_key()]),
    };
    home.create()?;
    keys.write(home, sealed)?;
    peer_key(home)?;
    home.write_genesis(&genesis)?;
    crate::begun::mark_new(home)?;
    home.seal()?;
    Ok(genesis)
}

fn check(beginning: &Beginning) -> Result<()> {
    check_label("--label", &beginning.label)?;
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

/// The ledger's rule for names of organisations.
fn check_label(option: &str, label: &str) -> Result<()> {
    if label.len() > limits::LABEL_BYTES {
        bail!("{option} has more than {} bytes", limits::LABEL_BYTES);
    }
    if label.chars().any(char::is_control) {
        bail!("{option} has control characters");
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
