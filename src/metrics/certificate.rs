use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// When a certificate ends (Unix seconds), if it can be read.
pub(super) fn end(certificate: &[u8]) -> Option<u64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let end = certificate.tbs_certificate().validity().not_after;
    Some(end.to_unix_duration().as_secs())
}
