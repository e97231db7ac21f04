//! Private keys of this machine: in files, sealed by a passphrase or not, and in security tokens.

mod passphrase;
mod place;
mod sealed;
#[cfg(feature = "pkcs11")]
mod token;
mod uri;

pub(crate) use passphrase::{Given, Passphrase, Passphrases, first_line};
pub(crate) use place::KeyPlace;

use crate::host::new_key;
use anyhow::{Context as _, Result, bail};
use muster_identity::{Algorithm, SecretKey, Signer};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Opens and makes private keys, with the passphrases that the command was given.
#[derive(Default)]
pub(crate) struct Keys {
    passphrases: Passphrases,
    /// Keys of tokens that are open: a command that signs twice logs in once.
    tokens: Mutex<BTreeMap<String, Arc<dyn Signer>>>,
}

/// How a key file is written.
#[derive(Clone, Copy)]
pub(crate) enum Sealing<'a> {
    /// By a passphrase.
    By(&'a Passphrase),
    /// Not at all: whoever reads the file has the key.
    None,
}

impl Keys {
    pub(crate) fn new(passphrases: Passphrases) -> Self {
        Self { passphrases, tokens: Mutex::default() }
    }

    /// Where passphrases come from.
    pub(crate) fn passphrases(&self) -> &Passphrases {
        &self.passphrases
    }

    /// Reads a private key in PKCS#8 PEM, sealed or not.
    pub(crate) fn read(&self, file: &Path) -> Result<SecretKey> {
        let pem = read_pem(file)?;
        if !sealed::is_sealed(&pem) {
            return SecretKey::from_pem(&pem).with_context(|| file.display().to_string());
        }
        self.passphrases.open(file, |passphrase| sealed::open(&pem, passphrase))
    }

    /// The key at a place, ready to sign.
    pub(crate) fn open(&self, place: &KeyPlace) -> Result<Arc<dyn Signer>> {
        let uri = match place {
            KeyPlace::File(file) => return Ok(Arc::new(self.read(file)?)),
            KeyPlace::Token(uri) => uri,
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = tokens.get(uri.text()) {
            return Ok(open.clone());
        }
        let key = self.open_token(uri).with_context(|| uri.text().to_owned())?;
        tokens.insert(uri.text().to_owned(), key.clone());
        Ok(key)
    }

    #[cfg(feature = "pkcs11")]
    fn open_token(&self, uri: &uri::TokenUri) -> Result<Arc<dyn Signer>> {
        Ok(Arc::new(token::open(uri, &self.passphrases)?))
    }

    #[cfg(not(feature = "pkcs11"))]
    fn open_token(&self, _: &uri::TokenUri) -> Result<Arc<dyn Signer>> {
        bail!(NEEDS_FEATURE)
    }

    /// Makes a key where there is none: in a new file, or in a token, which it never leaves.
    pub(crate) fn make(
        &self,
        place: &KeyPlace,
        algorithm: Algorithm,
        sealing: Sealing<'_>,
    ) -> Result<Arc<dyn Signer>> {
        match place {
            KeyPlace::File(file) => {
                let key = new_key(algorithm);
                write(file, &key, sealing)?;
                Ok(Arc::new(key))
            }
            KeyPlace::Token(uri) => self.make_in_token(uri, algorithm, place),
        }
    }

    #[cfg(feature = "pkcs11")]
    fn make_in_token(
        &self,
        uri: &uri::TokenUri,
        algorithm: Algorithm,
        place: &KeyPlace,
    ) -> Result<Arc<dyn Signer>> {
        token::make(uri, algorithm, &self.passphrases).with_context(|| uri.text().to_owned())?;
        self.open(place)
    }

    #[cfg(not(feature = "pkcs11"))]
    fn make_in_token(
        &self,
        _: &uri::TokenUri,
        _: Algorithm,
        _: &KeyPlace,
    ) -> Result<Arc<dyn Signer>> {
        bail!(NEEDS_FEATURE)
    }

    /// The key at a place; a file that is not there is made, sealed if the command was given a
    /// passphrase.
    pub(crate) fn open_or_make(&self, place: &KeyPlace) -> Result<Arc<dyn Signer>> {
        match place {
            KeyPlace::File(file) if !file.exists() => {
                let given = self.passphrases.given()?;
                let sealing = given.as_ref().map_or(Sealing::None, Sealing::By);
                self.make(place, Algorithm::Ed25519, sealing)
            }
            _ => self.open(place),
        }
    }
}

#[cfg(not(feature = "pkcs11"))]
const NEEDS_FEATURE: &str = "this muster was built without security tokens; build it with: \
                             cargo build --release --features pkcs11";

/// Longest key file. A sealed P-256 key has 500 bytes; the rest is for comments around it.
const PEM_BYTES: u64 = 16 * 1_024;

fn read_pem(file: &Path) -> Result<Zeroizing<String>> {
    let fault = || format!("cannot read {}", file.display());
    let length = fs::metadata(file).with_context(fault)?.len();
    if length > PEM_BYTES {
        bail!("{} has {length} bytes; a key file has at most {PEM_BYTES}", file.display());
    }
    Ok(Zeroizing::new(fs::read_to_string(file).with_context(fault)?))
}

/// Whether a key file is sealed.
pub(crate) fn is_sealed(file: &Path) -> Result<bool> {
    Ok(sealed::is_sealed(&read_pem(file)?))
}

/// Writes a private key, readable by its owner alone; never over another file.
pub(crate) fn write(file: &Path, key: &SecretKey, sealing: Sealing<'_>) -> Result<()> {
    put(file, &pem(key, sealing)?)
}

/// Writes a key over the file it stands in, in one step: the old file or the new one is there,
/// whatever happens.
pub(crate) fn rewrite(file: &Path, key: &SecretKey, sealing: Sealing<'_>) -> Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    put(&beside, &pem(key, sealing)?)?;
    let fault = || format!("cannot write {}", file.display());
    let moved = fs::rename(&beside, file);
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved.with_context(fault)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).with_context(fault)?;
    folder.sync_all().with_context(fault)
}

fn pem(key: &SecretKey, sealing: Sealing<'_>) -> Result<Zeroizing<String>> {
    match sealing {
        Sealing::By(passphrase) => sealed::seal(key, passphrase),
        Sealing::None => Ok(key.to_pem()?),
    }
}

fn put(file: &Path, pem: &str) -> Result<()> {
    let fault = || format!("cannot write {}", file.display());
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut out = match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already, and a key is never written over another", file.display())
        }
        made => made.with_context(fault)?,
    };
    out.write_all(pem.as_bytes()).with_context(fault)?;
    out.sync_all().with_context(fault)
}
