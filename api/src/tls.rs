//! The client's side of TLS: which roots are believed.

use data_encoding::BASE64;
use muster_identity::sha256;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What the operator says of the way to a server.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Plain HTTP beyond this machine is meant: something else hides it.
    pub without_tls: bool,
    /// Certificates (PEM) of the authorities that are believed instead of the Web's.
    pub ca: Option<String>,
    /// Public keys of servers that are believed instead of any authority's word; none: that counts.
    pub pins: Vec<KeyPin>,
}

/// SHA-256 of a server's public key (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7): a certificate that
/// is made anew with the same key keeps it. Written as curl writes it, `sha256//` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPin(pub [u8; 32]);

const PIN: &str = "sha256//";

impl KeyPin {
    /// That of a certificate (DER), if it can be read.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        Some(Self(sha256(&[parsed.subject_public_key_info().as_ref()])))
    }
}

impl FromStr for KeyPin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.strip_prefix(PIN).and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let digest = digest.and_then(|digest| digest.try_into().ok());
        digest.map(Self).ok_or("expected sha256// and 32 bytes in base64, as the server prints it")
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PIN}{}", BASE64.encode(&self.0))
    }
}

/// Believes servers by their keys. Name and dates of the certificate are nobody's word then.
#[derive(Debug)]
struct Pinned {
    pins: Vec<KeyPin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match KeyPin::of_certificate(certificate).filter(|pin| self.pins.contains(pin)) {
            Some(_) => Ok(ServerCertVerified::assertion()),
            None => Err(rustls::Error::General(
                "the server shows another key than the pinned one".into(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// An HTTP client that speaks TLS 1.3 and 1.2, for nodes and for services behind a gateway.
///
/// # Errors
/// Says what is wrong with the authorities' certificates.
pub fn http_client(reach: &Reach) -> Result<reqwest::ClientBuilder, &'static str> {
    let mut roots = RootCertStore::empty();
    match &reach.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| "the file of authorities is not PEM")?;
                roots.add(certificate).map_err(|_| "a certificate of an authority is damaged")?;
            }
            if roots.is_empty() {
                return Err("the file of authorities holds no certificate (PEM)");
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "this build knows no version of TLS")?;
    let config = match reach.pins.as_slice() {
        [] => config.with_root_certificates(roots).with_no_client_auth(),
        pins => {
            let pinned = Arc::new(Pinned { pins: pins.to_vec(), algorithms });
            config.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()
        }
    };
    Ok(reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy())
}
