//! The ground every other crate stands on: self-certifying DIDs, keys and the one
//! signature rule, inceptions, possession proofs, presentations, DID documents and
//! deterministic CBOR. `no_std` with `alloc`; no input or output, no clock, no randomness.

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod acknowledgement;
mod audience;
mod base58;
pub mod cbor;
mod did;
mod document;
mod error;
mod inception;
mod invite;
mod jws;
mod key;
mod login;
mod possession;
mod presentation;
mod proof;
mod reading;
mod registration;
mod secret;

pub use acknowledgement::{
    Acknowledgement, MAX_ACKNOWLEDGEMENT, Mode, REPORTED_REASONS, Report, SEEN_DEVICES, Statement,
    acknowledge,
};
pub use audience::Audience;
pub use did::{Did, DidUrl};
pub use document::{Document, Relationships};
pub use error::{Error, KeyFault, PresentationFault};
pub use inception::{Inception, Recovery};
pub use invite::{INVITE_LIFETIME, Invite, InviteTerms, MAX_PERSON, Role, invite};
pub use key::{AgreementKey, Algorithm, PublicKey, Signature};
pub use login::{Login, LoginTerms, MAX_LOGIN, log_in};
pub use possession::{Possession, PossessionTerms};
pub use presentation::{Freshness, MAX_LIFETIME, MAX_TOKEN, Presentation, present};
pub use proof::{GatewayProof, prove_gateway};
pub use reading::{Asked, MAX_READ, MAX_TARGET, SignedRead, sign_read};
pub use registration::{Holder, MAX_SITE, Registered, Registration, register};
pub use secret::{SecretKey, Signer, SignerError};

use sha2::{Digest as _, Sha256};

/// SHA-256 of the concatenated parts (FIPS 180-4).
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
