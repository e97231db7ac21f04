//! `muster org`.

use super::{EvidenceArg, NodeArg, SignArg};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Org {
    /// Show organisations, keys and grants.
    Show(NodeArg),
    /// Add a key: its private part proves that somebody holds it.
    KeyAdd(OrgKeyAdd),
    /// Remove a key.
    KeyRemove(OrgKeyRemove),
    /// Replace a key by another with the same capabilities.
    KeyRotate(OrgKeyRotate),
    /// Let an organisation enrol devices.
    Grant(OrgGrant),
    /// End a grant.
    Withdraw(OrgWithdraw),
}

#[derive(Args)]
pub(crate) struct OrgKeyAdd {
    /// Private key (PKCS#8 PEM) to add; made if the file does not exist.
    pub(crate) file: PathBuf,
    /// What it may do: root, enrol, operate, approve, gateway, validator.
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) can: Vec<String>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRemove {
    /// The key (Multikey).
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRotate {
    /// The key that ends (Multikey).
    pub(crate) old: String,
    /// Private key (PKCS#8 PEM) that takes its place; made if the file does not exist.
    pub(crate) new: PathBuf,
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
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgWithdraw {
    /// The grant's id.
    pub(crate) grant: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
