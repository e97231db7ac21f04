use super::Vector;
use crate::inputs::secret;
use muster_identity::{Algorithm, Did, Inception, PossessionTerms, Signature, Signer, sha256};

fn vector(
    vector: Vector,
    terms: &PossessionTerms<'_>,
    algorithm: Algorithm,
    signature: &Signature,
) -> Vector {
    let key = secret(algorithm).public_key();
    let device = Did::of(&Inception::from_key(key));
    vector
        .hex("network", terms.network)
        .text("manufacturer", terms.manufacturer)
        .hex("challenge", terms.challenge)
        .bool("owner_recovery", terms.owner_recovery)
        .text("multikey", key.to_multikey())
        .text("did", device)
        .hex("message", &terms.message(&device))
        .hex("signature", &signature.0)
}

pub(super) fn valid() -> Vec<Vector> {
    let (network, manufacturer) = (sha256(&[b"network"]), Did::from_digest(sha256(&[b"maker"])));
    let mut vectors = Vec::new();
    for (algorithm, name) in [(Algorithm::Ed25519, "ed25519"), (Algorithm::P256, "p256")] {
        for (owner_recovery, with) in [(false, ""), (true, "-owner-recovery")] {
            let terms = PossessionTerms {
                network: &network,
                manufacturer: &manufacturer,
                challenge: b"order 4711",
                owner_recovery,
            };
            let signer = secret(algorithm);
            let device = Did::of(&Inception::from_key(signer.public_key()));
            let signature = terms.sign(&device, &signer).unwrap();
            let name = format!("{name}{with}");
            let made = Vector::valid("possession", &name, "A device agrees to be enrolled.");
            vectors.push(vector(made, &terms, algorithm, &signature));
        }
    }
    vectors
}

pub(super) fn invalid() -> Vec<Vector> {
    let (network, other_network) = (sha256(&[b"network"]), sha256(&[b"other"]));
    let manufacturer = Did::from_digest(sha256(&[b"maker"]));
    let rival = Did::from_digest(sha256(&[b"rival"]));
    let terms = PossessionTerms {
        network: &network,
        manufacturer: &manufacturer,
        challenge: b"order 4711",
        owner_recovery: false,
    };
    let signer = secret(Algorithm::P256);
    let device = Did::of(&Inception::from_key(signer.public_key()));
    let signature = terms.sign(&device, &signer).unwrap();
    let mut altered = signature;
    altered.0[63] ^= 1;
    let made = |name, fault, terms: &PossessionTerms<'_>, signature: &Signature| {
        let made = Vector::invalid("possession", name, fault);
        vector(made, terms, Algorithm::P256, signature)
    };
    vec![
        made(
            "other-network",
            "signature",
            &PossessionTerms { network: &other_network, ..terms },
            &signature,
        ),
        made("rival", "signature", &PossessionTerms { manufacturer: &rival, ..terms }, &signature),
        made(
            "other-order",
            "signature",
            &PossessionTerms { challenge: b"order 4712", ..terms },
            &signature,
        ),
        made(
            "recovery-never-agreed",
            "signature",
            &PossessionTerms { owner_recovery: true, ..terms },
            &signature,
        ),
        made("altered-signature", "signature", &terms, &altered),
        made("zero-signature", "signature", &terms, &Signature([0; 64])),
        made(
            "long-challenge",
            "bound",
            &PossessionTerms { challenge: &[7; 33], ..terms },
            &signature,
        ),
    ]
}
