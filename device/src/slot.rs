use muster_identity::{PublicKey, SecretKey, Signature, Signer, SignerError, sha256};

/// One key of a device and where it lives. Any slot signs (it is a [`Signer`]); none gives its
/// private key away.
pub trait KeySlot: Signer {
    /// What keeps the private key from being read.
    fn protection(&self) -> Protection;
}

/// What keeps a private key from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// Nothing but the firmware: whoever reads the memory has the key.
    Software,
    /// The key was made in a secure element and cannot leave it.
    SecureElement,
}

/// A key held in memory, for development, tests, and devices without a secure element.
#[derive(Debug)]
pub struct SoftwareSlot(SecretKey);

impl SoftwareSlot {
    /// Takes the key; it is erased when the slot is dropped.
    pub fn new(key: SecretKey) -> Self {
        Self(key)
    }
}

impl Signer for SoftwareSlot {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        self.0.sign(message)
    }
}

impl KeySlot for SoftwareSlot {
    fn protection(&self) -> Protection {
        Protection::Software
    }
}

/// What a driver of a P-256 secure element (ATECC608, SE050, OPTIGA Trust M) has to offer. Such
/// chips report a bare point and sign digests; [`ElementSlot`] makes a slot of that.
pub trait Element: Send + Sync {
    /// The public key as the chip reports it: X then Y, big-endian, without the SEC 1 tag.
    fn public_point(&self) -> Result<[u8; 64], SignerError>;

    /// Signs a SHA-256 digest: r then s, big-endian, 32 bytes each (FIPS 186-5 §6.4).
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<[u8; 64], SignerError>;
}

/// A slot whose key lives in a secure element.
#[derive(Debug)]
pub struct ElementSlot<E> {
    element: E,
    key: PublicKey,
}

impl<E: Element> ElementSlot<E> {
    /// Reads the public key once and keeps it: the bus is slow, and the key does not change.
    pub fn open(element: E) -> Result<Self, SignerError> {
        let mut sec1 = [4; 65];
        sec1[1..].copy_from_slice(&element.public_point()?);
        let key = PublicKey::p256(&sec1)
            .map_err(|_| SignerError("the element reports no point of P-256".into()))?;
        Ok(Self { element, key })
    }
}

impl<E: Element> Signer for ElementSlot<E> {
    fn public_key(&self) -> PublicKey {
        self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        self.element.sign_digest(&sha256(&[message])).map(Signature)
    }
}

impl<E: Element> KeySlot for ElementSlot<E> {
    fn protection(&self) -> Protection {
        Protection::SecureElement
    }
}
