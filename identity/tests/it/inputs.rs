//! Keys that everybody can check, and files that may be absent.

use data_encoding::HEXLOWER_PERMISSIVE;
use muster_identity::{Algorithm, SecretKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The secret key of RFC 8032 §7.1, TEST 1.
pub(crate) const ED25519_SECRET: &str =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The private key x of RFC 6979 §A.2.5.
pub(crate) const P256_SECRET: &str =
    "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
/// Its public key U, as a chip reports it: SEC 1, not compressed.
pub(crate) const P256_POINT: &str = "04\
    60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

pub(crate) fn hex(text: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).expect("hexadecimal")
}

pub(crate) fn secret(algorithm: Algorithm) -> SecretKey {
    let bytes = match algorithm {
        Algorithm::Ed25519 => ED25519_SECRET,
        _ => P256_SECRET,
    };
    let bytes = Zeroizing::new(hex(bytes).try_into().unwrap());
    SecretKey::from_bytes(algorithm, &bytes).unwrap()
}

/// A file of the shared collection of public vectors, or `None` after saying which suite is
/// not run. The collection is large and has its own licences, so it is not in this repository.
pub(crate) fn shared(file: &str) -> Option<String> {
    let base = std::env::var_os("MUSTER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let path = base.join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!("NOT RUN: {file}: {} ({error}); set MUSTER_VECTORS", path.display());
            None
        }
    }
}
