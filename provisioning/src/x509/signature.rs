use super::X509Fault;
use muster_identity::{Algorithm, PublicKey, Signature};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// id-ecPublicKey, secp256r1 (RFC 5480 §2.1.1), ecdsa-with-SHA256 (RFC 5758 §3.2).
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// Ed25519, as key and as signature (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption and id-RSASSA-PSS (RFC 8017 appendix A).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

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

/// Checks a signature as X.509 and PKCS#10 carry it.
pub fn verify_signed(
    key: &PublicKey,
    algorithm: &ObjectIdentifier,
    message: &[u8],
    signature: &[u8],
) -> Result<(), X509Fault> {
    let signature = match (key.algorithm(), *algorithm) {
        (Algorithm::P256, ECDSA_SHA256) => fixed_signature(signature)?,
        (Algorithm::Ed25519, ED25519) => {
            Signature(signature.try_into().map_err(|_| X509Fault::Signature)?)
        }
        _ => return Err(X509Fault::SignatureAlgorithm),
    };
    key.verify(message, &signature).map_err(|_| X509Fault::Signature)
}

/// From `SEQUENCE { r, s }` (RFC 3279 §2.2.3) to r‖s of 32 bytes each.
pub fn fixed_signature(der: &[u8]) -> Result<Signature, X509Fault> {
    let parts = || -> x509_cert::der::Result<[u8; 64]> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|r| {
            let mut both = [0; 64];
            for half in both.chunks_mut(32) {
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
    parts().map(Signature).map_err(|_| X509Fault::Signature)
}
