//! A device without the standard library, an operating system's allocator or a start file: it
//! makes its key, its DID, a possession signature and a presentation, checks them, and leaves
//! with exit status 0. If any crate below it reached `std`, this would not link: the panic
//! handler and the allocator would each exist twice.

#![no_std]
#![no_main]

extern crate alloc;

mod bare;

use alloc::string::ToString;
use muster_device::{Device, SoftwareSlot};
use muster_identity::{
    Algorithm, Did, Freshness, Inception, PossessionTerms, Presentation, SecretKey, sha256,
};
use zeroize::Zeroizing;

/// What went wrong, as an exit status.
pub(crate) fn run() -> u8 {
    for (algorithm, status) in [(Algorithm::Ed25519, 10), (Algorithm::P256, 20)] {
        if let Err(step) = device(algorithm) {
            return status + step;
        }
    }
    0
}

fn device(algorithm: Algorithm) -> Result<(), u8> {
    // A real device draws these bytes from its random source.
    let secret = Zeroizing::new([7; 32]);
    let key = SecretKey::from_bytes(algorithm, &secret).map_err(|_| 1)?;
    let mut device = Device::new(SoftwareSlot::new(key));
    let key = device.inception().key;
    if device.did().to_string().parse() != Ok(Did::of(&Inception::from_key(key))) {
        return Err(2);
    }

    let (network, manufacturer) = ([1; 32], Did::from_digest(sha256(&[b"maker"])));
    let signature = device.prove_possession(&network, &manufacturer, b"order 1").map_err(|_| 3)?;
    PossessionTerms {
        network: &network,
        manufacturer: &manufacturer,
        challenge: b"order 1",
        owner_recovery: false,
    }
    .verify(device.did(), &key, &signature)
    .map_err(|_| 4)?;

    device.set_receipt([5; 8].to_vec());
    let audience = "gateway.example".parse().map_err(|_| 5)?;
    let fresh = Freshness::Nonce("nonce".to_string());
    let authorization = device.authorization(&audience, &fresh, &[9; 16]).map_err(|_| 6)?;
    let presentation = Presentation::parse(authorization.token()).map_err(|_| 7)?;
    presentation.verify_signature(&key).map_err(|_| 8)
}
