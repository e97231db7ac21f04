//! What the user names beside the manifests: signer certificates, the line's keys, the slot.

use crate::Error;
use crate::formats::Signers;
use crate::keys::LineKeys;
use crate::x509::CERTIFICATES;
use muster_ledger::Time;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes of one file of certificates.
const FILE_BYTES: u64 = 1 << 20;

/// The options that name them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceOptions {
    /// Folders (or files) of the certificates of manifest signers.
    pub signers: Vec<PathBuf>,
    /// Public keys that the line read, for rows without one.
    pub keys: Option<PathBuf>,
    /// The slot whose key is enrolled, where a manifest has several; by default the vendor's
    /// signing slot.
    pub slot: Option<u8>,
}

/// The same, loaded. Nothing here is ever changed by a row.
#[derive(Debug, Default)]
pub struct Sources {
    /// Certificates of manifest signers.
    pub signers: Signers,
    /// The line's keys.
    pub keys: LineKeys,
    /// The slot to enrol.
    pub slot: Option<u8>,
    /// The moment of the command: only notes depend on it.
    pub now: Time,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl SourceOptions {
    /// Loads the files.
    pub fn load(&self, now: Time) -> Result<Sources, Error> {
        let mut sources = Sources { slot: self.slot, now, ..Sources::default() };
        for path in &self.signers {
            for file in certificate_files(path, "--signer")? {
                let name = file.display().to_string();
                if let Err(why) = sources.signers.add(&bounded(&file)?) {
                    sources.warnings.push(format!("--signer: {name} is not used: {why}"));
                }
            }
        }
        if !self.signers.is_empty() && sources.signers.is_empty() {
            let why = "no certificate of an ES256 signer (.crt, .cer, .pem, .der) found there";
            return Err(Error::Argument { what: "--signer", why: why.into() });
        }
        if let Some(path) = &self.keys {
            sources.keys = LineKeys::load(path, &mut sources.warnings)?;
        }
        Ok(sources)
    }
}

/// The certificate files of a folder, by name; or the file itself.
pub(crate) fn certificate_files(path: &Path, what: &'static str) -> Result<Vec<PathBuf>, Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    if !fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        let suffix = file.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        if matches!(suffix.as_deref(), Some("crt" | "cer" | "pem" | "der")) {
            files.push(file);
        }
        if files.len() > CERTIFICATES {
            return Err(Error::Argument { what, why: "more than 1,024 certificates".into() });
        }
    }
    files.sort();
    Ok(files)
}

/// A small file. What is above the bound is cut, and then cannot be read as a certificate.
pub(crate) fn bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(fault)?.take(FILE_BYTES).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}
