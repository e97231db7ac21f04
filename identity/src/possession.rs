use crate::cbor::Writer;
use crate::{Did, Error, PublicKey, Signature, Signer, SignerError, sha256};
use alloc::vec::Vec;

/// What a device signs at the factory to show that it holds its key and agrees to be enrolled
/// by this manufacturer, on this network, under this order.
///
/// The manufacturer chooses the challenge, so the device needs no round trip; a rival cannot
/// reuse the signature, because it names the manufacturer; a mended row can be fed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PossessionTerms<'a> {
    /// Genesis hash of the network.
    pub network: &'a [u8; 32],
    /// The manufacturer's DID.
    pub manufacturer: &'a Did,
    /// The order's challenge, at most [`Self::MAX_CHALLENGE`] bytes.
    pub challenge: &'a [u8],
    /// Whether the leaf lets the current owner recover the device (never implied).
    pub owner_recovery: bool,
}

/// The domain of possession signatures: the first item of what is signed.
const DOMAIN: &str = "muster/possession/1";

impl PossessionTerms<'_> {
    /// Longest challenge: room for an order number or 32 random bytes.
    pub const MAX_CHALLENGE: usize = 32;

    /// The bytes to sign: CBOR `[domain, network, manufacturer, SHA-256(inception), challenge,
    /// owner recovery]`. Since the DID is that SHA-256, the DID itself is named.
    pub fn message(&self, device: &Did) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(6)
            .text(DOMAIN)
            .bytes(self.network)
            .value(self.manufacturer)
            .value(device)
            .bytes(self.challenge)
            .bool(self.owner_recovery);
        w.into_bytes()
    }

    /// Signs them with the device's key.
    pub fn sign(&self, device: &Did, signer: &dyn Signer) -> Result<Signature, SignerError> {
        if self.challenge.len() > Self::MAX_CHALLENGE {
            return Err(SignerError("the challenge is longer than 32 bytes".into()));
        }
        signer.sign(&self.message(device))
    }

    /// Checks a signature; the value it returns is the proof that the check passed.
    pub fn verify(
        &self,
        device: &Did,
        key: &PublicKey,
        signature: &Signature,
    ) -> Result<Possession, Error> {
        if self.challenge.len() > Self::MAX_CHALLENGE {
            return Err(Error::Bound { what: "challenge", bound: "at most 32 bytes" });
        }
        let message = self.message(device);
        key.verify(&message, signature)?;
        Ok(Possession(sha256(&[&message])))
    }
}

/// A possession signature that was checked. Only [`PossessionTerms::verify`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Possession([u8; 32]);

impl Possession {
    /// SHA-256 of the message that was signed.
    pub fn message_hash(&self) -> &[u8; 32] {
        &self.0
    }
}
