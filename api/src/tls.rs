//! The client's side of TLS: which roots are believed.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// What the operator says of the way to a server.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Plain HTTP beyond this machine is meant: something else hides it.
    pub without_tls: bool,
    /// Certificates (PEM) of the authorities that are believed instead of the Web's.
    pub ca: Option<String>,
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
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "this build knows no version of TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy())
}
