//! Bounds of resolution, each with its reason.

/// Characters of a DID: a `did:jwk` with an RSA key of 4,096 bits and its `kid` has about 1,100.
pub const DID_CHARS: usize = 2_048;

/// Characters of a `did:key` identifier: one with an RSA key of 4,096 bits has about 725. Base58
/// takes quadratic time, so this stands apart from the bound of a DID.
pub const KEY_CHARS: usize = 800;

/// Characters of an `Accept` header: real ones have fewer than 300.
pub const ACCEPT_CHARS: usize = 1_024;
