//! What the user names beside the manifests: signer certificates, the line's keys, the slot.

use crate::formats::{Mapping, Signers, Trust, search_secrets};
use crate::keys::LineKeys;
use crate::x509::{
    CERTIFICATES, CRL_BYTES, Certificate, Crl, X509Fault, bundle, private_key, revocations,
};
use crate::{Error, Unit};
use muster_ledger::Time;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes of one file of certificates.
const FILE_BYTES: u64 = 1 << 20;

/// Bytes of one file of issuers or revocation lists, which may be in PEM.
const TRUST_BYTES: u64 = 2 * CRL_BYTES as u64;

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
    /// Folders (or files) of the issuers of device certificates, and their revocation lists.
    pub trust: Vec<PathBuf>,
    /// Which columns of a foreign table the fields are.
    pub mapping: Mapping,
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
    /// Issuers of device certificates.
    pub trust: Trust,
    /// Which columns of a foreign table the fields are.
    pub mapping: Mapping,
    /// The moment of the command: device certificates and their issuers are judged at it.
    pub now: Time,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl SourceOptions {
    /// Loads the files.
    pub fn load(&self, now: Time) -> Result<Sources, Error> {
        let mapping = self.mapping.clone();
        let mut sources = Sources { slot: self.slot, mapping, now, ..Sources::default() };
        for path in &self.signers {
            for file in certificate_files(path, "--signer", CERTIFICATE_SUFFIXES)? {
                let name = file.display().to_string();
                if let Err(why) = sources.signers.add(&bounded(&file, FILE_BYTES)?) {
                    sources.warnings.push(format!("--signer: {name} is not used: {why}"));
                }
            }
        }
        if !self.signers.is_empty() && sources.signers.is_empty() {
            let why = "no certificate of an ES256 signer (.crt, .cer, .pem, .der) found there";
            return Err(Error::Argument { what: "--signer", why: why.into() });
        }
        self.load_trust(&mut sources)?;
        if let Some(path) = &self.keys {
            sources.keys = LineKeys::load(path, &mut sources.warnings)?;
        }
        Ok(sources)
    }

    /// Issuers that cannot be read are only less trust. A revocation list that cannot be read
    /// would be more, so it ends the command.
    fn load_trust(&self, sources: &mut Sources) -> Result<(), Error> {
        let fault = |name: &str, why: X509Fault| Error::Argument {
            what: "--trust",
            why: format!("the revocation list {name} cannot be used: {why}"),
        };
        let mut count = 0;
        for path in &self.trust {
            for file in certificate_files(path, "--trust", TRUST_SUFFIXES)? {
                let name = file.display().to_string();
                let bytes = bounded(&file, TRUST_BYTES)?;
                let (found, lists) = match trusted(&bytes) {
                    Ok(found) => found,
                    Err(why) if name.to_ascii_lowercase().ends_with(".crl") => {
                        return Err(fault(&name, why));
                    }
                    Err(why) => {
                        sources.warnings.push(format!("--trust: {name} is not used: {why}"));
                        continue;
                    }
                };
                for list in lists {
                    let list = Crl::from_der(list).map_err(|why| fault(&name, why))?;
                    let late = list.next_update().filter(|next| *next < sources.now);
                    if late.is_some() {
                        let text = "is out of date; what it names stays revoked, ask for a newer";
                        sources.warnings.push(format!("--trust: {name} {text}"));
                    }
                    sources.trust.add_list(list, &name);
                }
                for certificate in found {
                    if !certificate.is_ca() {
                        let text = "is no issuer's; only that very certificate is trusted";
                        sources.warnings.push(format!("--trust: a certificate of {name} {text}"));
                    }
                    count += 1;
                    sources.trust.add(certificate);
                }
                if count > CERTIFICATES {
                    let why = "more than 1,024 certificates".into();
                    return Err(Error::Argument { what: "--trust", why });
                }
            }
        }
        if !self.trust.is_empty() && sources.trust.is_empty() {
            let why = "no certificate of an issuer (.crt, .cer, .pem, .der) found there";
            return Err(Error::Argument { what: "--trust", why: why.into() });
        }
        sources.trust.check_lists(&mut sources.warnings).map_err(|(name, why)| fault(&name, why))
    }
}

/// Certificates, and revocation lists in DER, of a file in DER or PEM.
fn trusted(file: &[u8]) -> Result<(Vec<Certificate>, Vec<Vec<u8>>), X509Fault> {
    if file.first() == Some(&0x30) {
        return match Certificate::from_der(file) {
            Ok(certificate) => Ok((vec![certificate], Vec::new())),
            Err(_) if Crl::from_der(file.to_vec()).is_ok() => Ok((Vec::new(), vec![file.to_vec()])),
            Err(fault) => Err(fault),
        };
    }
    let text = str::from_utf8(file).map_err(|_| X509Fault::Pem)?;
    let lists = revocations(text)?;
    let blocks = bundle(text, "CERTIFICATE")?;
    if lists.is_empty() && blocks.is_empty() {
        return Err(X509Fault::Pem);
    }
    let found = blocks.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>()?;
    Ok((found, lists))
}

/// How files of certificates are called, and those of revocation lists.
const CERTIFICATE_SUFFIXES: &[&str] = &["crt", "cer", "pem", "der"];
const TRUST_SUFFIXES: &[&str] = &["crt", "cer", "pem", "der", "crl"];

/// The certificate files of a folder, by name; or the file itself.
fn certificate_files(
    path: &Path,
    what: &'static str,
    suffixes: &[&str],
) -> Result<Vec<PathBuf>, Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    if !fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        let suffix = file.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        if suffix.as_deref().is_some_and(|suffix| suffixes.contains(&suffix)) {
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
fn bounded(path: &Path, bound: u64) -> Result<Vec<u8>, Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(fault)?.take(bound).read_to_end(&mut bytes).map_err(fault)?;
    let file = path.display().to_string();
    // An issuer's private key is worth more than all of its devices'.
    if private_key(&bytes).is_some() {
        return Err(Error::PrivateKey { file, line: 1, unit: Unit::Line, field: "row".into() });
    }
    search_secrets(&file, &mut &bytes[..])?;
    Ok(bytes)
}
