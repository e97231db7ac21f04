//! A certificate that a server makes itself (RFC 5280): for itself alone, so it is no authority.
//! Its key stays when it is made anew, so whoever pinned the key goes on.

use crate::host::{new_key, random};
use anyhow::{Context as _, Result};
use muster_identity::{Algorithm, SecretKey};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder as _, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Ia5String, OctetString, UtcTime};
use x509_cert::der::{Decode as _, DecodePem as _, EncodePem as _, pem::LineEnding};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

/// How long a certificate lasts: what browsers take at most (398 days), less one.
const LIFE: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// It is made anew when so little of its life is left.
const LEFT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `id-kp-serverAuth` (RFC 5280 §4.2.1.12).
const SERVER: x509_cert::spki::ObjectIdentifier =
    x509_cert::spki::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// Where a server keeps its own certificate, and for which names it is.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    dir: PathBuf,
    names: Vec<String>,
}

impl Own {
    /// In a folder, for the hosts of these addresses and this machine.
    pub(crate) fn new(dir: PathBuf, hosts: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(Into::into).into();
        names.extend(hosts);
        names.sort();
        names.dedup();
        Self { dir, names }
    }

    /// Whether a start makes the key, since there is none.
    #[cfg(feature = "node")]
    pub(crate) fn is_without_key(&self) -> bool {
        !self.key().exists()
    }

    pub(super) fn chain(&self) -> PathBuf {
        self.dir.join("cert.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("key.pem")
    }

    /// Makes key and certificate where they are missing, and the certificate where its end is near
    /// or it is for other names. Says whether it did.
    pub(super) fn renew(&self) -> Result<bool> {
        let dir = self.dir.display();
        let mut folder = DirBuilder::new();
        let made = folder.recursive(true).mode(0o700).create(&self.dir);
        made.with_context(|| format!("cannot make {dir}"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if !self.key().exists() {
            let pem = new_key(Algorithm::P256).to_pem();
            write(&self.key(), pem.context("the key cannot be written")?.as_bytes())?;
        }
        if self.is_good(now) {
            return Ok(false);
        }
        let pem = self.certificate(now).with_context(|| format!("no certificate in {dir}"))?;
        write(&self.chain(), pem.as_bytes())?;
        Ok(true)
    }

    fn is_good(&self, now: Duration) -> bool {
        let Ok(text) = fs::read(self.chain()) else { return false };
        let Ok(certificate) = Certificate::from_pem(text) else { return false };
        let tbs = certificate.tbs_certificate();
        let begin = tbs.validity().not_before.to_unix_duration();
        let end = tbs.validity().not_after.to_unix_duration();
        // Another key may have been put there, or this one lost and made anew.
        let ours = self.signing_key().and_then(|key| public(&key));
        let names = tbs.get_extension::<SubjectAltName>().ok().flatten().map(|(_, names)| names);
        begin <= now
            && end > now + LEFT
            && ours.is_ok_and(|ours| ours == *tbs.subject_public_key_info())
            && names.is_some_and(|names| Ok(names.0) == self.general_names().map_err(drop))
    }

    fn general_names(&self) -> Result<Vec<GeneralName>> {
        let name = |name: &String| {
            Ok(match name.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) => GeneralName::IpAddress(OctetString::new(ip.octets())?),
                Ok(IpAddr::V6(ip)) => GeneralName::IpAddress(OctetString::new(ip.octets())?),
                Err(_) => GeneralName::DnsName(Ia5String::new(name)?),
            })
        };
        self.names.iter().map(name).collect()
    }

    /// Ours, or one that an operator put there: any P-256 key.
    fn signing_key(&self) -> Result<SigningKey> {
        let text = fs::read_to_string(self.key())
            .with_context(|| format!("cannot read {}", self.key().display()))?;
        SecretKey::from_pem(&text).context("key.pem")?;
        SigningKey::from_pkcs8_pem(&text).context("key.pem: expected a P-256 key")
    }

    fn certificate(&self, now: Duration) -> Result<String> {
        let key = self.signing_key()?;
        let public = public(&key)?;
        // A clock that is a little behind is no reason to refuse.
        let begin = now.saturating_sub(Duration::from_secs(60 * 60));
        let time = |at| UtcTime::from_unix_duration(at).map(Time::from);
        let validity = Validity::new(time(begin)?, time(now + LIFE)?);
        let mut serial = random::<16>();
        // Positive, and of one length (RFC 5280 §4.1.2.2).
        serial[0] = serial[0] & 0x7f | 0x40;
        let profile = Profile { names: self.general_names()? };
        let serial = SerialNumber::new(&serial)?;
        let builder = CertificateBuilder::new(profile, serial, validity, public)?;
        let certificate = builder.build::<_, DerSignature>(&key)?;
        Ok(certificate.to_pem(LineEnding::LF)?)
    }
}

fn public(key: &SigningKey) -> Result<SubjectPublicKeyInfoOwned> {
    let public = key.verifying_key().to_public_key_der()?;
    Ok(SubjectPublicKeyInfo::from_der(public.as_bytes())?)
}

struct Profile {
    names: Vec<GeneralName>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        Name::from_str("CN=muster").unwrap_or_default()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let (subject, mut all) = (tbs.subject(), Vec::new());
        let no_authority = BasicConstraints { ca: false, path_len_constraint: None };
        all.push(no_authority.to_extension(subject, &all)?);
        all.push(ExtendedKeyUsage(vec![SERVER]).to_extension(subject, &all)?);
        all.push(SubjectAltName(self.names.clone()).to_extension(subject, &all)?);
        Ok(all)
    }
}

/// Writes beside, then puts it in place: whoever reads finds the old or the new one.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let beside = file.with_extension("new");
    let fault = || format!("cannot write {}", file.display());
    let _ = fs::remove_file(&beside);
    let mut out = OpenOptions::new();
    let mut out = out.write(true).create_new(true).mode(0o600).open(&beside).with_context(fault)?;
    out.write_all(bytes).and_then(|()| out.sync_all()).with_context(fault)?;
    fs::rename(&beside, file).with_context(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_made_once_and_anew_when_it_must_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let own = Own::new(dir.path().join("tls"), ["node.example".into()]);
        assert!(own.renew().expect("made"));
        let (key, first) = (fs::read(own.key()), fs::read(own.chain()));
        let (key, first) = (key.expect("a key"), first.expect("a certificate"));
        for file in [own.key(), own.chain()] {
            let mode = fs::metadata(file).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!own.renew().expect("good"));
        assert_eq!(fs::read(own.chain()).expect("a certificate"), first);
        // Its end is near, or it has another name: the key stays.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        assert!(own.is_good(now + LIFE - LEFT - Duration::from_secs(60)));
        assert!(!own.is_good(now + LIFE - LEFT + Duration::from_secs(60)));
        let other = Own::new(dir.path().join("tls"), ["10.0.0.5".into(), "::2".into()]);
        assert!(other.renew().expect("made anew"));
        assert_ne!(fs::read(own.chain()).expect("a certificate"), first);
        assert_eq!(fs::read(own.key()).expect("a key"), key);
        fs::write(own.chain(), "nonsense").expect("written");
        assert!(other.renew().expect("made anew"));
        // The clock was ahead when it was made.
        assert!(!other.is_good(now - Duration::from_secs(2 * 60 * 60)));
        // The key is lost: both are made anew, and are a pair.
        fs::remove_file(other.key()).expect("removed");
        assert!(other.renew().expect("made anew"));
        assert_ne!(fs::read(other.key()).expect("a key"), key);
        assert!(other.is_good(now) && !other.renew().expect("good"));
        fs::write(own.key(), "nonsense").expect("written");
        fs::remove_file(own.chain()).expect("removed");
        assert!(other.renew().is_err(), "the key is not replaced");
    }
}
