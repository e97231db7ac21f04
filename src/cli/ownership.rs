//! `muster transfer` and `muster recover`.

use super::approve::ProposeArg;
use super::{NodeArg, SignArg};
use crate::keys::KeyPlace;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Transfer {
    /// Offer a device or batch to another organisation.
    Offer(TransferOffer),
    /// Take over what was offered to this organisation. The old owner is out from then on.
    Accept(TransferOpen),
    /// End an offer: one's own, or one made to this organisation.
    Cancel(TransferOpen),
}

#[derive(Args)]
pub(crate) struct TransferOffer {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// The organisation that may accept it (DID).
    #[arg(long, value_name = "DID")]
    pub(crate) to: String,
    /// Days until nobody can accept it.
    #[arg(long, value_name = "DAYS", default_value_t = 14,
          value_parser = clap::value_parser!(u64).range(1..=30))]
    pub(crate) days: u64,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct TransferOpen {
    /// The device (DID) or batch (id) that is offered.
    pub(crate) target: String,
    /// The offer; by default the one that is open.
    #[arg(long, value_name = "ID")]
    pub(crate) offer: Option<String>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct RecoverArg {
    /// The device (DID).
    pub(crate) device: String,
    /// Its new private key (PKCS#8 PEM).
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// The recovery key that the device's inception names: a file, or pkcs11:... Without it the
    /// owner signs, if the device declared that its owner may.
    #[arg(long, value_name = "KEY", conflicts_with = "sign_with")]
    pub(crate) with: Option<KeyPlace>,
    /// The owner's key: by default keys/admin.pem of the home folder.
    #[arg(long, value_name = "KEY")]
    pub(crate) sign_with: Option<KeyPlace>,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}
