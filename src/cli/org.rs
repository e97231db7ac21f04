//! `muster org`.

use crate::keys::KeyPlace;

use super::approve::ProposeArg;
use super::rules::{OrgProtocol, OrgRules};
use super::{EvidenceArg, NodeArg, SignArg};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Org {
    /// Show organisations, keys and grants.
    Show(NodeArg),
    /// Its keys: add, remove, list, rotate.
    #[command(subcommand)]
    Key(OrgKey),
    /// Invite somebody to the console, by a link that works once.
    Invite(OrgInvite),
    /// Replace the root key and the daily keys, signed by the recovery key.
    Recover(Box<OrgRecover>),
    /// Take another organisation into the network, by the request that it made
    /// (`muster init --genesis FILE --org NAME`).
    Admit(OrgAdmit),
    /// Put an organisation out of the network: its keys and grants end, its devices stay.
    Expel(OrgExpel),
    /// The validators: list them, add and remove keys that organisations have for it.
    Validators(OrgValidators),
    /// Sign that another key takes the validator's place, for `muster serve --succeed`.
    Validator(OrgValidator),
    /// Let an organisation enrol devices.
    Grant(OrgGrant),
    /// End a grant.
    Withdraw(OrgWithdraw),
    /// The network's rules: show them, change them.
    Rules(OrgRules),
    /// Announce the next protocol version and the block that it begins with, or take it back.
    Protocol(OrgProtocol),
}

#[derive(Subcommand)]
pub(crate) enum OrgKey {
    /// Add a key: its private part proves that somebody holds it.
    Add(OrgKeyAdd),
    /// Remove a key. What it signed stays; it signs nothing more.
    Remove(OrgKeyRemove),
    /// List the present keys and what each may do.
    List(NodeArg),
    /// Replace a key by another with the same capabilities.
    Rotate(OrgKeyRotate),
}

#[derive(Args)]
pub(crate) struct OrgInvite {
    /// What the person is called: at most 64 bytes.
    #[arg(long)]
    pub(crate) name: String,
    /// What the person is for: viewer, auditor, operator or admin.
    #[arg(long, default_value = "admin", value_parser = ["viewer", "auditor", "operator", "admin"])]
    pub(crate) role: String,
    /// Hours for which the link works.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=168))]
    pub(crate) hours: u64,
    /// Where the person reaches the console, if not where this command reaches the node.
    #[arg(long, value_name = "URL")]
    pub(crate) console: Option<String>,
    /// Do not wait for the person; an admin admits the key in the console.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Admit the first key that comes, without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Signs: by default keys/root.pem of the home folder.
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgRecover {
    /// The recovery key, or another with the capability root: a file, or pkcs11:...
    #[arg(long, value_name = "KEY")]
    pub(crate) with: KeyPlace,
    /// The new root key; made if the file does not exist.
    #[arg(long, value_name = "KEY")]
    pub(crate) new_root: KeyPlace,
    /// The new daily key (enrol, operate, gateway); made if the file does not exist.
    #[arg(long, value_name = "KEY")]
    pub(crate) new_admin: Option<KeyPlace>,
    /// A new recovery key in place of the one that signs this; made if the file does not exist.
    #[arg(long, value_name = "KEY")]
    pub(crate) new_recovery: Option<KeyPlace>,
    /// A key that stays (Multikey); may be repeated. Without it all go but the recovery key and
    /// those that only sign checkpoints.
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) keep: Vec<String>,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Args)]
pub(crate) struct OrgAdmit {
    /// The request: admission.cbor of the organisation's folder.
    pub(crate) request: PathBuf,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    /// Signs: by default keys/root.pem of the home folder.
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgExpel {
    /// The organisation (DID).
    pub(crate) organisation: String,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgValidators {
    /// A key (Multikey) that votes from the next block on; its organisation has it with the
    /// capability validator. May be repeated.
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) add: Vec<String>,
    /// A key that votes no more. May be repeated.
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) remove: Vec<String>,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgValidator {
    /// The new key (Multikey), which the node shall sign with.
    pub(crate) key: String,
    /// The organisation's change counter, as the node says it; without it a node is asked.
    #[arg(long, value_name = "N")]
    pub(crate) seq: Option<u64>,
    /// Where the signed operation goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyAdd {
    /// Private key to add: a file (PKCS#8 PEM), made if it does not exist, or pkcs11:...
    pub(crate) key: KeyPlace,
    /// What it may do: root, enrol, operate, approve, gateway, validator.
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) can: Vec<String>,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRemove {
    /// The key (Multikey).
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRotate {
    /// The key that ends (Multikey).
    pub(crate) old: String,
    /// Private key that takes its place: a file (PKCS#8 PEM), made if it does not exist, or
    /// pkcs11:...
    pub(crate) new: KeyPlace,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgGrant {
    /// Who may enrol (DID); by default this organisation.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Devices in all.
    #[arg(long)]
    pub(crate) devices: u64,
    /// Models; without it, every model.
    #[arg(long)]
    pub(crate) model: Vec<String>,
    /// Days until it ends.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u64,
    /// Least evidence.
    #[arg(long, value_enum, default_value = "enroller")]
    pub(crate) evidence: EvidenceArg,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgWithdraw {
    /// The grant's id.
    pub(crate) grant: String,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
