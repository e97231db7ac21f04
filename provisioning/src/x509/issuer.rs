//! Keys that sign documents. Devices have Ed25519 or P-256; those who vouch for them by a
//! certificate, request or list may have older ones, whose signatures are only ever verified.

use super::X509Fault;
use super::signature::{
    EC_KEY, P256_CURVE, P384_CURVE, RSA, RSA_PSS, fixed_signature, halves, key_of_spki,
};
use crate::limits::{RSA_BITS, RSA_LEAST_BITS};
use muster_identity::{Algorithm, PublicKey, Signature};
use p384::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::{BoxedUint, Pkcs1v15Sign};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// ecdsa-with-SHA256, -SHA384, -SHA512 (RFC 5758 §3.2).
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
/// sha256WithRSAEncryption and so on (RFC 8017 appendix A.2.4).
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
/// Ed25519 as a signature (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The key of somebody who signs documents.
#[derive(Debug, Clone)]
pub enum IssuerKey {
    /// A key that a device may have as well.
    Own(PublicKey),
    /// ECDSA on P-384.
    P384(Box<p384::ecdsa::VerifyingKey>),
    /// RSA of 2,048 to 8,192 bits, for PKCS#1 v1.5.
    Rsa(Box<rsa::PublicKey>),
}

impl IssuerKey {
    /// The key of a SubjectPublicKeyInfo in DER.
    pub fn of_spki(der: &[u8]) -> Result<Self, X509Fault> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| X509Fault::Malformed)?;
        let bytes = spki.subject_public_key.as_bytes().ok_or(X509Fault::Malformed)?;
        match spki.algorithm.oid {
            EC_KEY if spki.algorithm.parameters_oid() == Ok(P384_CURVE) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes);
                Ok(Self::P384(Box::new(key.map_err(|_| X509Fault::Malformed)?)))
            }
            EC_KEY if spki.algorithm.parameters_oid() != Ok(P256_CURVE) => {
                Err(X509Fault::IssuerKey)
            }
            RSA => rsa_key(bytes).map(|key| Self::Rsa(Box::new(key))),
            // Such a key signs by RSASSA-PSS only.
            RSA_PSS => Err(X509Fault::IssuerKey),
            _ => key_of_spki(der).map(Self::Own),
        }
    }

    /// Checks a signature as X.509 and PKCS#10 carry it.
    pub fn verify(
        &self,
        algorithm: &ObjectIdentifier,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), X509Fault> {
        let bad = X509Fault::Signature;
        match (self, *algorithm) {
            (Self::Own(key), algorithm) => verify_signed(key, &algorithm, message, signature),
            (Self::P384(key), ECDSA_SHA256 | ECDSA_SHA384 | ECDSA_SHA512) => {
                let signature = halves::<96>(signature).ok_or(bad)?;
                let signature = p384::ecdsa::Signature::from_slice(&signature).map_err(|_| bad)?;
                key.verify_prehash(&hash(*algorithm, message), &signature).map_err(|_| bad)
            }
            (Self::Rsa(key), RSA_SHA256 | RSA_SHA384 | RSA_SHA512) => {
                let (scheme, hashed) = match *algorithm {
                    RSA_SHA256 => (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(message).to_vec()),
                    RSA_SHA384 => (Pkcs1v15Sign::new::<Sha384>(), Sha384::digest(message).to_vec()),
                    _ => (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(message).to_vec()),
                };
                key.verify(scheme, &hashed, signature).map_err(|_| bad)
            }
            _ => Err(X509Fault::SignatureAlgorithm),
        }
    }
}

/// Checks a signature by a key that a device may have. A document may be signed over a longer
/// hash than the one rule for what devices sign themselves.
pub fn verify_signed(
    key: &PublicKey,
    algorithm: &ObjectIdentifier,
    message: &[u8],
    signature: &[u8],
) -> Result<(), X509Fault> {
    let bad = X509Fault::Signature;
    match (key.algorithm(), *algorithm) {
        (Algorithm::P256, ECDSA_SHA256) => {
            key.verify(message, &fixed_signature(signature)?).map_err(|_| bad)
        }
        (Algorithm::P256, ECDSA_SHA384 | ECDSA_SHA512) => {
            let signature = fixed_signature(signature)?;
            let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(|_| bad)?;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.raw()).map_err(|_| bad)?;
            key.verify_prehash(&hash(*algorithm, message), &signature).map_err(|_| bad)
        }
        (Algorithm::Ed25519, ED25519) => {
            let signature = signature.try_into().map_err(|_| bad)?;
            key.verify(message, &Signature(signature)).map_err(|_| bad)
        }
        _ => Err(X509Fault::SignatureAlgorithm),
    }
}

/// The hash of an ECDSA algorithm, which the curve cuts to its own length (FIPS 186-5 §6.4.2).
fn hash(algorithm: ObjectIdentifier, message: &[u8]) -> Vec<u8> {
    match algorithm {
        ECDSA_SHA256 => Sha256::digest(message).to_vec(),
        ECDSA_SHA384 => Sha384::digest(message).to_vec(),
        _ => Sha512::digest(message).to_vec(),
    }
}

/// `SEQUENCE { modulus, publicExponent }` (RFC 8017 appendix A.1.1).
fn rsa_key(der: &[u8]) -> Result<rsa::PublicKey, X509Fault> {
    let parts = || -> x509_cert::der::Result<(Vec<u8>, Vec<u8>)> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|r| {
            let [n, e] = [UintRef::decode(r)?, UintRef::decode(r)?];
            Ok::<_, x509_cert::der::Error>((n.as_bytes().to_vec(), e.as_bytes().to_vec()))
        })?;
        reader.finish()?;
        Ok(parts)
    };
    let (n, e) = parts().map_err(|_| X509Fault::Malformed)?;
    if n.len() > RSA_BITS / 8 || e.len() > 8 {
        return Err(X509Fault::IssuerKey);
    }
    let number = |bytes: &[u8]| {
        let bits = (bytes.len() as u32 * 8).max(64);
        BoxedUint::from_be_slice(bytes, bits).map_err(|_| X509Fault::Malformed)
    };
    let (n, e) = (number(&n)?, number(&e)?);
    rsa::PublicKey::new_with_size_limits(n, e, RSA_LEAST_BITS..=RSA_BITS)
        .map_err(|_| X509Fault::IssuerKey)
}
