use crate::Authorization;
use alloc::{string::String, vec::Vec};
use muster_identity::{
    Audience, Did, Freshness, Inception, PossessionTerms, Signature, Signer, SignerError, present,
};

/// A device: its key, its identity, and the receipt it was given.
#[derive(Debug)]
pub struct Device<S> {
    signer: S,
    inception: Inception,
    did: Did,
    receipt: Vec<u8>,
}

impl<S: Signer> Device<S> {
    /// A device whose identity is its bare key. It knows its DID without asking anybody, and it
    /// is the DID that an importer computes from the chip vendor's manifest.
    pub fn new(signer: S) -> Self {
        let inception = Inception::from_key(signer.public_key());
        Self::with_inception(signer, inception)
    }

    /// A device with a declared inception: one with further fields, or one whose key was rotated
    /// since, so that it signs with another key than its first.
    pub fn with_inception(signer: S, inception: Inception) -> Self {
        let did = Did::of(&inception);
        Self { signer, inception, did, receipt: Vec::new() }
    }

    /// Its DID.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// What the DID is the hash of; the factory sends it to the enroller.
    pub fn inception(&self) -> &Inception {
        &self.inception
    }

    /// The slot it signs with.
    pub fn signer(&self) -> &S {
        &self.signer
    }

    /// Keeps the device part of its receipt. To a device these are opaque bytes; a gateway that
    /// never heard of it checks them.
    pub fn set_receipt(&mut self, device_part: Vec<u8>) {
        self.receipt = device_part;
    }

    /// The device part of its receipt; empty if it has none.
    pub fn receipt(&self) -> &[u8] {
        &self.receipt
    }

    /// Shows at the factory that it holds its key and agrees to be enrolled by this
    /// manufacturer, on this network, under this order. It does not let the owner recover it:
    /// that is declared by [`Self::agree`].
    pub fn prove_possession(
        &self,
        network: &[u8; 32],
        manufacturer: &Did,
        challenge: &[u8],
    ) -> Result<Signature, SignerError> {
        self.agree(&PossessionTerms { network, manufacturer, challenge, owner_recovery: false })
    }

    /// Signs possession terms as they stand, a declared recovery by the owner included.
    pub fn agree(&self, terms: &PossessionTerms<'_>) -> Result<Signature, SignerError> {
        terms.sign(&self.did, &self.signer)
    }

    /// A presentation for one audience. `jti` is 16 random bytes, new each time.
    pub fn present(
        &self,
        audience: &Audience,
        freshness: &Freshness,
        jti: &[u8; 16],
    ) -> Result<String, SignerError> {
        present(&self.did, audience, freshness, jti, &self.signer)
    }

    /// A presentation with the receipt beside it, in the forms that HTTP and MQTT carry.
    pub fn authorization(
        &self,
        audience: &Audience,
        freshness: &Freshness,
        jti: &[u8; 16],
    ) -> Result<Authorization, SignerError> {
        let token = self.present(audience, freshness, jti)?;
        Ok(Authorization::new(&self.did, token, &self.receipt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Element, ElementSlot, KeySlot, Protection, SoftwareSlot};
    use alloc::string::ToString;
    use muster_identity::{Algorithm, Presentation, PublicKey, SecretKey, sha256};
    use zeroize::Zeroizing;

    fn slot(algorithm: Algorithm) -> SoftwareSlot {
        let secret = Zeroizing::new([7; 32]);
        SoftwareSlot::new(SecretKey::from_bytes(algorithm, &secret).unwrap())
    }

    /// A chip for tests: it knows a point and signs digests, as a driver does.
    struct Chip(p256::ecdsa::SigningKey);

    impl Element for Chip {
        fn public_point(&self) -> Result<[u8; 64], SignerError> {
            Ok(self.0.verifying_key().to_sec1_point(false).as_bytes()[1..].try_into().unwrap())
        }

        fn sign_digest(&self, digest: &[u8; 32]) -> Result<[u8; 64], SignerError> {
            use p256::ecdsa::signature::hazmat::PrehashSigner as _;
            let signature: p256::ecdsa::Signature = self.0.sign_prehash(digest).unwrap();
            Ok(signature.to_bytes().into())
        }
    }

    struct Mute;

    impl Element for Mute {
        fn public_point(&self) -> Result<[u8; 64], SignerError> {
            Ok([0; 64])
        }

        fn sign_digest(&self, _: &[u8; 32]) -> Result<[u8; 64], SignerError> {
            Err(SignerError("locked".into()))
        }
    }

    #[test]
    fn one_device_is_one_did_in_every_slot() {
        let chip = Chip(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap());
        let chip = Device::new(ElementSlot::open(chip).unwrap());
        let soft = Device::new(slot(Algorithm::P256));
        assert_eq!(chip.did(), soft.did());
        assert_eq!(chip.did(), &Did::of(chip.inception()));
        assert_eq!(chip.signer().protection(), Protection::SecureElement);
        assert_eq!(soft.signer().protection(), Protection::Software);
        assert!(ElementSlot::open(Mute).is_err());
    }

    #[test]
    fn a_chip_signs_what_the_one_rule_accepts() {
        let chip = Chip(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap());
        let device = Device::new(ElementSlot::open(chip).unwrap());
        let signature = device.signer().sign(b"message").unwrap();
        assert_eq!(device.inception().key.verify(b"message", &signature), Ok(()));
    }

    #[test]
    fn possession_names_network_manufacturer_and_order() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let device = Device::new(slot(algorithm));
            let maker = Did::from_digest(sha256(&[b"maker"]));
            let rival = Did::from_digest(sha256(&[b"rival"]));
            let network = [1; 32];
            let signature = device.prove_possession(&network, &maker, b"order 7").unwrap();
            let check = |network, manufacturer, challenge, owner_recovery| {
                PossessionTerms { network, manufacturer, challenge, owner_recovery }
                    .verify(device.did(), &device.inception().key, &signature)
                    .is_ok()
            };
            assert!(check(&network, &maker, b"order 7", false));
            assert!(!check(&[2; 32], &maker, b"order 7", false));
            assert!(!check(&network, &rival, b"order 7", false));
            assert!(!check(&network, &maker, b"order 8", false));
            assert!(!check(&network, &maker, b"order 7", true));
            assert!(device.prove_possession(&network, &maker, &[0; 33]).is_err());
        }
    }

    #[test]
    fn presents_by_time_and_by_nonce() {
        let audience = "gateway.example".parse().unwrap();
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let device = Device::new(slot(algorithm));
            for freshness in
                [Freshness::Window { iat: 100, exp: 160 }, Freshness::Nonce("abc".into())]
            {
                let token = device.present(&audience, &freshness, &[9; 16]).unwrap();
                let p = Presentation::parse(&token).unwrap();
                let key: PublicKey = device.signer().public_key();
                assert_eq!(p.verify_signature(&key), Ok(()));
                assert_eq!((p.did(), p.audience()), (device.did(), &audience));
                assert_eq!(p.freshness(), &freshness);
            }
            let long = Freshness::Window { iat: 100, exp: 161 };
            assert!(device.present(&audience, &long, &[9; 16]).is_err());
        }
    }

    #[test]
    fn a_rotated_device_keeps_its_did() {
        let first = Device::new(slot(Algorithm::P256));
        let rotated = Device::with_inception(slot(Algorithm::Ed25519), first.inception().clone());
        assert_eq!(first.did(), rotated.did());
        let audience = "g".parse().unwrap();
        let token =
            rotated.present(&audience, &Freshness::Nonce("n".to_string()), &[0; 16]).unwrap();
        let p = Presentation::parse(&token).unwrap();
        assert!(p.names_key(&rotated.signer().public_key()));
        assert!(!p.names_key(&first.inception().key));
    }
}
