use crate::keys::{self, Keys, Sealing};
use anyhow::{Context as _, Result, bail};
use muster_identity::cbor::{Decode as _, Encode};
use muster_identity::{Did, SecretKey};
use muster_ledger::{Genesis, ValidatorSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The folder of an organisation on this machine.
///
/// ```text
/// FORMAT              version of this layout
/// genesis.cbor        the network's beginning; public, give it to everybody
/// organisation        the DID of this organisation, where it is not the one that began the network
/// validators          the present ones, once they are not those of the genesis
/// keys/               the organisation's private keys; never on a node's machine in earnest
///   root.pem recovery.pem admin.pem admin2.pem node-copy.pem directory.key
/// node/               what `muster serve` keeps
/// gateway/            what `muster gateway` keeps
/// ```
#[derive(Clone)]
pub(crate) struct Home {
    dir: PathBuf,
    keys: Arc<Keys>,
}

const ORGANISATION: &str = "organisation";

const FORMAT: &str = "muster home 1\n";

impl Home {
    /// The folder, which need not exist.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), keys: Arc::default() }
    }

    /// The same, with what the command line says of passphrases.
    pub(crate) fn with_keys(self, keys: Keys) -> Self {
        Self { keys: Arc::new(keys), ..self }
    }

    /// What opens private keys.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether a network was begun here; refuses a folder of another version.
    pub(crate) fn exists(&self) -> Result<bool> {
        let file = self.path("FORMAT");
        match fs::read_to_string(&file) {
            Ok(text) if text == FORMAT => Ok(true),
            Ok(text) => bail!(
                "{} was written by another version ({:?}, this one writes {:?}): \
                 use that version or a newer one, or choose another folder with --home",
                self.dir.display(),
                text.trim(),
                FORMAT.trim()
            ),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e).context(format!("cannot read {}", file.display())),
        }
    }

    /// Makes the folder and its parts.
    pub(crate) fn create(&self) -> Result<()> {
        for dir in ["", "keys", "node", "gateway"] {
            let path = self.path(dir);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(())
    }

    /// Marks the folder as complete; the last step of `init`.
    pub(crate) fn seal(&self) -> Result<()> {
        write(&self.path("FORMAT"), FORMAT.as_bytes(), 0o644)
    }

    /// The network's genesis.
    pub(crate) fn genesis(&self) -> Result<Genesis> {
        if !self.exists()? {
            bail!(
                "there is no network in {}: run `muster init`, or name the folder with --home",
                self.dir.display()
            );
        }
        read_genesis(&self.path("genesis.cbor"))
    }

    /// The organisation of this folder: the one that joined the network, else the one that began it.
    pub(crate) fn organisation(&self) -> Result<Did> {
        let genesis = self.genesis()?;
        let file = self.path(ORGANISATION);
        match fs::read_to_string(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(genesis.organisation_did()),
            Err(e) => Err(e).with_context(|| format!("cannot read {}", file.display())),
            Ok(text) => text.trim().parse().with_context(|| format!("{}: no DID", file.display())),
        }
    }

    pub(crate) fn write_organisation(&self, organisation: &Did) -> Result<()> {
        write(&self.path(ORGANISATION), format!("{organisation}\n").as_bytes(), 0o644)
    }

    /// Writes what this organisation asks of the others, such as to be admitted.
    pub(crate) fn write_request(&self, name: &str, request: &impl Encode) -> Result<()> {
        write(&self.path(name), &request.to_cbor(), 0o644)
    }

    pub(crate) fn write_genesis(&self, genesis: &Genesis) -> Result<()> {
        write(&self.path("genesis.cbor"), &genesis.to_cbor(), 0o644)
    }

    /// The present validators: those of the genesis, or those that [`Home::learn`] wrote down.
    pub(crate) fn validators(&self) -> Result<ValidatorSet> {
        Ok(match self.learned()? {
            Some((_, validators)) => validators,
            None => self.genesis()?.validators,
        })
    }

    /// Remembers the validators that every entry of a ledger of this size gave, checked here.
    pub(crate) fn learn(&self, size: u64, validators: &ValidatorSet) -> Result<()> {
        let known = self.learned()?;
        // A node that is behind, or wound back, does not bring old validators back.
        let new = known.as_ref().map_or(0, |(size, _)| *size) < size;
        if !new || self.validators()? == *validators {
            return Ok(());
        }
        let record = [&size.to_be_bytes()[..], &validators.to_cbor()].concat();
        // A name of its own: two commands may learn it at once.
        let beside = self.path(&format!("validators.{}.new", std::process::id()));
        let file = self.path("validators");
        let _ = fs::remove_file(&beside);
        write(&beside, &record, 0o644)?;
        fs::rename(&beside, &file).with_context(|| format!("cannot write {}", file.display()))
    }

    fn learned(&self) -> Result<Option<(u64, ValidatorSet)>> {
        let file = self.path("validators");
        let bytes = match fs::read(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read {}", file.display()))?,
        };
        let damaged = || format!("{} is damaged: remove it, and ask again", file.display());
        let (size, set) = bytes.split_first_chunk().with_context(damaged)?;
        let set = ValidatorSet::from_cbor(set).with_context(damaged)?;
        Ok(Some((u64::from_be_bytes(*size), set)))
    }

    /// The secret under which serial numbers are committed to.
    #[cfg(feature = "node")]
    pub(crate) fn directory_secret(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.secret("keys/directory.key")
    }

    /// The same, where a node may use it: a copy of its own, or that of the folder. A node without
    /// any imports nothing at its console.
    #[cfg(feature = "node")]
    pub(crate) fn node_directory_secret(&self) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let places = ["node/directory.key", "keys/directory.key"];
        let found = places.into_iter().find(|place| self.path(place).exists());
        found.map(|place| self.secret(place)).transpose()
    }

    pub(crate) fn write_directory_secret(&self, secret: &Zeroizing<[u8; 32]>) -> Result<()> {
        self.write_secret("keys/directory.key", secret)
    }

    /// A secret of 32 bytes in a file of the folder, in hexadecimal.
    pub(crate) fn secret(&self, name: &str) -> Result<Zeroizing<[u8; 32]>> {
        let file = self.path(name);
        let text = Zeroizing::new(
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?,
        );
        let bytes = Zeroizing::new(
            data_encoding::HEXLOWER
                .decode(text.trim().as_bytes())
                .with_context(|| format!("{} is not hexadecimal", file.display()))?,
        );
        let mut secret = Zeroizing::new([0; 32]);
        if bytes.len() != secret.len() {
            bail!("{} does not hold 32 bytes", file.display());
        }
        secret.copy_from_slice(&bytes);
        Ok(secret)
    }

    /// Writes one, for the owner of the folder alone.
    pub(crate) fn write_secret(&self, name: &str, secret: &Zeroizing<[u8; 32]>) -> Result<()> {
        let text = Zeroizing::new(format!("{}\n", data_encoding::HEXLOWER.encode(&secret[..])));
        write(&self.path(name), text.as_bytes(), 0o600)
    }

    /// A private key of the folder, such as `keys/admin.pem`.
    pub(crate) fn key(&self, name: &str) -> Result<SecretKey> {
        self.keys.read(&self.path(name))
    }

    /// Writes a key of the folder.
    pub(crate) fn write_key(
        &self,
        name: &str,
        key: &SecretKey,
        sealing: Sealing<'_>,
    ) -> Result<()> {
        keys::write(&self.path(name), key, sealing)
    }
}

/// Reads a genesis file.
pub(crate) fn read_genesis(file: &Path) -> Result<Genesis> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Genesis::from_cbor(&bytes).with_context(|| format!("{} is not a genesis", file.display()))
}

/// Writes a new file durably; refuses to overwrite.
fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fault = || format!("cannot write {}", file.display());
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .with_context(fault)?;
    out.write_all(bytes).with_context(fault)?;
    out.sync_all().with_context(fault)
}
