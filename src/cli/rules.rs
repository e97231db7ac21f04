//! `muster org rules` and `muster org protocol`.

use super::approve::ProposeArg;
use super::{EvidenceArg, NodeArg, SignArg};
use clap::{Args, Subcommand};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct OrgRules {
    #[command(subcommand)]
    pub(crate) command: Option<OrgRulesCommand>,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Subcommand)]
pub(crate) enum OrgRulesCommand {
    /// Change rules; what is not said stays as it is.
    Set(OrgRulesSet),
}

#[derive(Args)]
pub(crate) struct OrgRulesSet {
    /// End at most this many devices a day (UTC) without approval.
    #[arg(long, value_name = "DEVICES")]
    pub(crate) approve_above: Option<u64>,
    /// End any number of devices without approval.
    #[arg(long, conflicts_with = "approve_above")]
    pub(crate) approve_no_devices: bool,
    /// How many others must approve.
    #[arg(long, value_name = "PEOPLE")]
    pub(crate) approvals: Option<u64>,
    /// Whether changes of keys, rules and protocol version need approval.
    #[arg(long, value_name = "BOOL")]
    pub(crate) approve_governance: Option<bool>,
    /// How many organisations decide a kind of act that concerns all, as MATTER=HOW: the matter admit,
    /// expel, grant, validators, rules, protocol or hold; how a number, half (more than half),
    /// two-thirds (more than two thirds) or all. May be repeated.
    #[arg(long, value_name = "MATTER=HOW")]
    pub(crate) decide: Vec<String>,
    /// Days after which a follower that heard nothing needs a pinned head.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_600))]
    pub(crate) trust_days: Option<u64>,
    /// Least evidence of grants from now on.
    #[arg(long, value_enum)]
    pub(crate) evidence: Option<EvidenceArg>,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgProtocol {
    /// The version: one above the present one.
    #[arg(required_unless_present = "cancel")]
    pub(crate) version: Option<u64>,
    /// Height of the first block of that version.
    #[arg(long, value_name = "N", required_unless_present = "cancel")]
    pub(crate) height: Option<u64>,
    /// Take back what was announced.
    #[arg(long, conflicts_with_all = ["version", "height"])]
    pub(crate) cancel: bool,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
