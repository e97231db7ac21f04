//! Certificates in PEM (RFC 7468) or DER.

use super::{CERTIFICATE_BYTES, CERTIFICATES, CRL_BYTES, Certificate, X509Fault};
use crate::formats::base64;

const BEGIN: &str = "-----BEGIN ";
const CERTIFICATE: &str = "CERTIFICATE";

/// The DER of every PEM block with this label, in order. Other blocks and text between blocks do
/// not count; line ends may be the two characters `\n`, as in cells and JSON of other tools.
pub fn bundle(text: &str, label: &str) -> Result<Vec<Vec<u8>>, X509Fault> {
    blocks(text, label, CERTIFICATE_BYTES * 2)
}

/// The DER of every revocation list in PEM (RFC 7468 §6).
pub fn revocations(text: &str) -> Result<Vec<Vec<u8>>, X509Fault> {
    blocks(text, "X509 CRL", CRL_BYTES * 2)
}

fn blocks(text: &str, label: &str, bound: usize) -> Result<Vec<Vec<u8>>, X509Fault> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (name, block) = block.split_once("-----").ok_or(X509Fault::Pem)?;
        if name.len() > 64 {
            return Err(X509Fault::Pem);
        }
        let end = format!("-----END {name}-----");
        let (body, after) = block.split_once(&end).ok_or(X509Fault::Pem)?;
        rest = after;
        if name != label {
            continue;
        }
        if found.len() == CERTIFICATES {
            return Err(X509Fault::TooMany);
        }
        if body.len() > bound {
            return Err(X509Fault::TooLong);
        }
        let body = body.replace("\\r", "").replace("\\n", "");
        let body: String = body.split_whitespace().collect();
        found.push(base64(&body).ok_or(X509Fault::Pem)?);
    }
    Ok(found)
}

/// All certificates of a file: one in DER, or any number in PEM.
pub fn certificates(file: &[u8]) -> Result<Vec<Certificate>, X509Fault> {
    // DER of a certificate begins with a SEQUENCE.
    if file.first() == Some(&0x30) {
        return Ok(vec![Certificate::from_der(file)?]);
    }
    let text = str::from_utf8(file).map_err(|_| X509Fault::Pem)?;
    let blocks = bundle(text, CERTIFICATE)?;
    if blocks.is_empty() {
        return Err(X509Fault::Pem);
    }
    blocks.iter().map(|der| Certificate::from_der(der)).collect()
}
