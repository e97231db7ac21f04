use super::X509Fault;
use muster_identity::{PublicKey, Signature};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// id-ecPublicKey, secp256r1 and secp384r1 (RFC 5480 §2.1.1).
pub(super) const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// Ed25519 as a key (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption and id-RSASSA-PSS (RFC 8017 appendix A).
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// The key of a SubjectPublicKeyInfo in DER.
pub fn key_of_spki(spki: &[u8]) -> Result<PublicKey, X509Fault> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| X509Fault::Malformed)?;
    let bytes = spki.subject_public_key.as_bytes().ok_or(X509Fault::Malformed)?;
    match spki.algorithm.oid {
        // RFC 8410 §3: the parameters are absent.
        ED25519 if spki.algorithm.parameters.is_none() => {
            let raw = bytes.try_into().map_err(|_| X509Fault::Malformed)?;
            PublicKey::ed25519(raw).map_err(X509Fault::Key)
        }
        EC_KEY => {
            let curve = spki.algorithm.parameters_oid().map_err(|_| X509Fault::KeyType)?;
            if curve != P256_CURVE {
                return Err(X509Fault::KeyType);
            }
            PublicKey::p256(bytes).map_err(X509Fault::Key)
        }
        RSA | RSA_PSS => Err(X509Fault::Rsa),
        _ => Err(X509Fault::KeyType),
    }
}

/// From `SEQUENCE { r, s }` (RFC 3279 §2.2.3) to r‖s of 32 bytes each.
pub fn fixed_signature(der: &[u8]) -> Result<Signature, X509Fault> {
    halves(der).map(Signature).ok_or(X509Fault::Signature)
}

/// The same for any curve: r and s, each a half of `N` bytes.
pub(super) fn halves<const N: usize>(der: &[u8]) -> Option<[u8; N]> {
    let parts = || -> x509_cert::der::Result<[u8; N]> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|r| {
            let mut both = [0; N];
            for half in both.chunks_mut(N / 2) {
                let number = UintRef::decode(r)?;
                let number = number.as_bytes();
                let free = half.len().checked_sub(number.len());
                let free = free.ok_or_else(|| r.error(x509_cert::der::ErrorKind::Overlength))?;
                half[free..].copy_from_slice(number);
            }
            Ok::<_, x509_cert::der::Error>(both)
        })?;
        reader.finish()?;
        Ok(parts)
    };
    parts().ok()
}
