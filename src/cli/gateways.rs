//! `muster gateways` and `muster coverage`.

use super::{ReadArg, SignArg};
use clap::{Args, Subcommand};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Gateways {
    #[command(subcommand)]
    pub(crate) command: Option<GatewaysCommand>,
    #[command(flatten)]
    pub(crate) read: ReadArg,
}

#[derive(Subcommand)]
pub(crate) enum GatewaysCommand {
    /// Register a gateway with the node, so that its acknowledgements count.
    Add(GatewaysAdd),
    /// End a gateway's registration.
    Remove(GatewaysRemove),
}

#[derive(Args)]
pub(crate) struct GatewaysAdd {
    /// Its name: 1 to 64 letters, digits, dots, underscores and hyphens.
    pub(crate) name: String,
    /// Its key, as `muster gateway --key` prints it (Multikey), or the file with its private key
    /// (PKCS#8 PEM); made if the file does not exist.
    pub(crate) key: String,
    /// Where it stands.
    #[arg(long, default_value = "")]
    pub(crate) site: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct GatewaysRemove {
    /// Its name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct Coverage {
    /// A device (DID) or batch (id), for what last held or ended it; or a place in the log.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) watch: WatchArg,
    #[command(flatten)]
    pub(crate) read: ReadArg,
}

/// Whether to wait for the gateways.
#[derive(Args, Clone, Copy)]
pub(crate) struct WatchArg {
    /// Wait until every registered gateway that is not silent goes by it; exit status 1 if one
    /// does not in time.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds to wait at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "watch")]
    pub(crate) within: u64,
}
