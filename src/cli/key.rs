//! `muster key`.

use super::AlgorithmArg;
use crate::keys::KeyPlace;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a key for the organisation: in a new file, or in a token, which it never leaves.
    New(KeyNew),
    /// Show the public part of a private key, and whether its file is sealed.
    Show(KeyShow),
    /// Seal the key in a file by a passphrase.
    Seal(KeyFile),
    /// Take the passphrase off a key file: whoever reads it has the key then.
    Unseal(KeyFile),
}

#[derive(Args)]
pub(crate) struct KeyNew {
    /// Where: a file that is not there yet, or pkcs11:... with a label for the key.
    pub(crate) key: KeyPlace,
    /// Kind of key.
    #[arg(long, value_enum, default_value = "ed25519")]
    pub(crate) algorithm: AlgorithmArg,
    /// Leave the file unsealed without asking.
    #[arg(long)]
    pub(crate) unsealed: bool,
}

#[derive(Args)]
pub(crate) struct KeyShow {
    /// A file (PKCS#8 PEM), or pkcs11:...
    pub(crate) key: KeyPlace,
}

#[derive(Args)]
pub(crate) struct KeyFile {
    /// The file (PKCS#8 PEM).
    pub(crate) file: PathBuf,
}
