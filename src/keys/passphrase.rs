//! Where passphrases and PINs come from: a file, a descriptor, the environment, a terminal.
//! Never an option's value: everybody on the machine may read the command lines of others.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fmt};
use zeroize::Zeroizing;

const VARIABLE: &str = "MUSTER_PASSPHRASE";
#[cfg(feature = "pkcs11")]
const PIN_VARIABLE: &str = "MUSTER_PIN";

/// Names a file whose first line it is, where nothing else was said: a service manager's word, which
/// the file of settings is stronger than.
const FILE_VARIABLE: &str = "MUSTER_PASSPHRASE_FILE";

/// Longest passphrase (bytes). A line of words is shorter; a wrong file is mostly longer.
const PASSPHRASE_BYTES: usize = 1_024;

/// How often a terminal is asked before the command gives up.
const TRIALS: usize = 3;

/// A passphrase: erased when dropped, never shown.
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    pub(super) fn new(text: &str) -> Result<Self> {
        ensure!(!text.is_empty(), "the passphrase is empty");
        ensure!(
            text.len() <= PASSPHRASE_BYTES,
            "the passphrase has more than {PASSPHRASE_BYTES} bytes: is it the right file?"
        );
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[cfg(feature = "pkcs11")]
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    fn again(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// What a trial gave.
pub(super) enum Opened<T> {
    Key(T),
    WrongPassphrase,
}

/// Which way the command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Given {
    /// None: `MUSTER_PASSPHRASE` in the environment, else the file that `MUSTER_PASSPHRASE_FILE`
    /// names, else a terminal.
    #[default]
    Environment,
    /// The first line of a file.
    File(PathBuf),
    /// The first line of an open descriptor.
    Descriptor(u32),
}

/// The passphrases of one command.
#[derive(Default)]
pub(crate) struct Passphrases {
    given: Given,
    /// Those that came, the newest last: a command that opens two files asks once if it can, and
    /// a descriptor can be read but once.
    known: Mutex<Vec<Passphrase>>,
}

impl Passphrases {
    pub(crate) fn new(given: Given) -> Self {
        Self { given, known: Mutex::default() }
    }

    /// The one that was given without asking anybody.
    pub(crate) fn given(&self) -> Result<Option<Passphrase>> {
        if let Some(first) = self.known().first() {
            return Ok(Some(first.again()));
        }
        let found = match &self.given {
            Given::File(file) => Some(first_line(file)?),
            // Every system with descriptors of its own has them as files here.
            Given::Descriptor(n) => {
                Some(first_line(Path::new(&format!("/dev/fd/{n}"))).context("--passphrase-fd")?)
            }
            Given::Environment => match from_environment(VARIABLE)? {
                None => env::var_os(FILE_VARIABLE)
                    .filter(|file| !file.is_empty())
                    .map(|file| first_line(Path::new(&file)).context(FILE_VARIABLE))
                    .transpose()?,
                found => found,
            },
        };
        if let Some(found) = &found {
            self.known().push(found.again());
        }
        Ok(found)
    }

    /// Tries to open a sealed file by what was given, else by what somebody types.
    pub(super) fn open<T>(
        &self,
        file: &Path,
        mut trial: impl FnMut(&Passphrase) -> Result<Opened<T>>,
    ) -> Result<T> {
        let name = file.display();
        let mut wrong = false;
        self.given()?;
        for passphrase in self.known().iter() {
            match trial(passphrase).with_context(|| name.to_string())? {
                Opened::Key(key) => return Ok(key),
                Opened::WrongPassphrase => wrong = true,
            }
        }
        if !can_ask() {
            ensure!(!wrong, "{name}: wrong passphrase, or the file is damaged");
            bail!(
                "{name} is sealed: give its passphrase by --passphrase-file FILE, \
                 --passphrase-fd N, {VARIABLE} or {FILE_VARIABLE}, or run this on a terminal"
            );
        }
        for _ in 0..TRIALS {
            let typed = type_in(&format!("Passphrase of {name}: "))?;
            let Ok(passphrase) = Passphrase::new(&typed) else { continue };
            match trial(&passphrase).with_context(|| name.to_string())? {
                Opened::Key(key) => {
                    self.known().push(passphrase);
                    return Ok(key);
                }
                Opened::WrongPassphrase => eprintln!("That does not open it."),
            }
        }
        bail!("{name}: wrong passphrase, or the file is damaged")
    }

    /// The one that shall seal new files: as given, or typed twice on a terminal. None if nobody
    /// can be asked, or nothing was typed.
    pub(crate) fn to_seal(&self, what: &str) -> Result<Option<Passphrase>> {
        if let Some(given) = self.given()? {
            return Ok(Some(given));
        }
        if !can_ask() {
            return Ok(None);
        }
        for _ in 0..TRIALS {
            let typed = type_in(&format!("New passphrase for {what} (empty: none): "))?;
            if typed.is_empty() {
                return Ok(None);
            }
            if *type_in("The same again: ")? == *typed {
                let passphrase = Passphrase::new(&typed)?;
                self.known().push(passphrase.again());
                return Ok(Some(passphrase));
            }
            eprintln!("They differ.");
        }
        bail!("no passphrase was set")
    }

    /// The PIN of a token: from the file its address names, the environment, or a terminal.
    #[cfg(feature = "pkcs11")]
    pub(super) fn pin(&self, token: &str, source: Option<&Path>) -> Result<Passphrase> {
        if let Some(file) = source {
            return first_line(file).context("pin-source");
        }
        if let Some(pin) = from_environment(PIN_VARIABLE)? {
            return Ok(pin);
        }
        if !can_ask() {
            bail!(
                "token {token:?} wants its PIN: name its file by pin-source=file:/PATH in the \
                 address, set {PIN_VARIABLE}, or run this on a terminal"
            );
        }
        Passphrase::new(&type_in(&format!("PIN of token {token}: "))?)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Passphrase>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a passphrase from a file that the command line names for this alone.
pub(crate) fn first_line(file: &Path) -> Result<Passphrase> {
    let name = file.display();
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES + 2));
    File::open(file)
        .and_then(|file| file.take(PASSPHRASE_BYTES as u64 + 2).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {name}"))?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = str::from_utf8(line).ok().with_context(|| format!("{name} is not text"))?;
    Passphrase::new(text).with_context(|| name.to_string())
}

fn from_environment(variable: &str) -> Result<Option<Passphrase>> {
    match env::var(variable) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Passphrase::new(&Zeroizing::new(text)).context(variable.to_owned()).map(Some),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("{variable} is not text"),
    }
}

/// Whether somebody sits at a terminal: a script that forgot the passphrase must not wait.
fn can_ask() -> bool {
    io::stdin().is_terminal()
}

fn type_in(prompt: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).context("the terminal cannot be read")
}
