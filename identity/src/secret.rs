use crate::{Algorithm, Error, PublicKey, Signature};
use alloc::string::{String, ToString};
use core::fmt;
use ed25519_dalek::pkcs8::KeypairBytes;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use zeroize::Zeroizing;

/// Something that signs with one key: software, a secure element, an HSM.
pub trait Signer: Send + Sync {
    /// The key its signatures verify under.
    fn public_key(&self) -> PublicKey;

    /// Signs a message.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError>;
}

/// The key could not be used: the element is locked, unplugged or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SignerError(pub String);

/// A private key held in memory; erased when dropped, never shown by `Debug`.
pub struct SecretKey(Secret);

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl SecretKey {
    /// From 32 secret bytes of a cryptographic random source. For P-256 about one in 2^32
    /// values is out of range and refused: draw again.
    pub fn from_bytes(algorithm: Algorithm, secret: &Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        Ok(Self(match algorithm {
            Algorithm::Ed25519 => Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(secret)),
            Algorithm::P256 => Secret::P256(
                p256::ecdsa::SigningKey::from_slice(&secret[..])
                    .map_err(|_| Error::Secret("not a scalar of P-256".to_string()))?,
            ),
        }))
    }

    /// From PKCS#8 PEM (RFC 5958, RFC 8410), as `openssl genpkey` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self(Secret::Ed25519(key)));
        }
        p256::ecdsa::SigningKey::from_pkcs8_pem(pem).map(|key| Self(Secret::P256(key))).map_err(
            |_| {
                Error::Secret(
                    "expected an unencrypted PKCS#8 PEM block with an Ed25519 or P-256 key"
                        .to_string(),
                )
            },
        )
    }

    /// PKCS#8 PEM, version 1 of RFC 5958: what OpenSSL 3.0 reads, which knows no version 2.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        match &self.0 {
            Secret::Ed25519(key) => {
                let alone = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                alone.to_pkcs8_pem(LineEnding::LF)
            }
            Secret::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        }
        .map_err(|e| Error::Secret(e.to_string()))
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        let key = match &self.0 {
            Secret::Ed25519(key) => PublicKey::ed25519(key.verifying_key().to_bytes()),
            Secret::P256(key) => PublicKey::p256(&key.verifying_key().to_sec1_bytes()),
        };
        key.expect("the public key of a private key is a canonical point of large order")
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        Ok(Signature(match &self.0 {
            Secret::Ed25519(key) => {
                let signature: ed25519_dalek::Signature = key.sign(message);
                signature.to_bytes()
            }
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().into()
            }
        }))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public_key())
    }
}
