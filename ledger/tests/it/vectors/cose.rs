//! COSE_Sign1 put together by hand, so that every part can be wrong.

use muster_identity::cbor::Writer;
use muster_identity::{SecretKey, Signer};

/// A protected header from its raw parts.
pub(super) fn protected(alg: i64, kid: &[u8], typ: &str) -> Vec<u8> {
    let mut w = Writer::default();
    w.map(3).uint(1).int(alg).uint(4).bytes(kid).uint(16).text(typ);
    w.into_bytes()
}

/// The protected header that the key's operations have.
pub(super) fn good(key: &SecretKey) -> Vec<u8> {
    let key = key.public_key();
    protected(key.algorithm().cose(), &key.to_multicodec(), "muster-op+cose")
}

/// The Sig_structure of RFC 9052 §4.4.
pub(super) fn to_be_signed(protected: &[u8], external: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("Signature1").bytes(protected).bytes(external).bytes(payload);
    w.into_bytes()
}

/// Signs what it is given, whatever it says.
pub(super) fn sign(protected: &[u8], payload: &[u8], key: &SecretKey) -> Vec<u8> {
    let signature = key.sign(&to_be_signed(protected, &[], payload)).unwrap();
    let mut w = Writer::default();
    w.array(4).bytes(protected).map(0).bytes(payload).value(&signature);
    w.into_bytes()
}

/// A signed payload under the right header.
pub(super) fn operation(payload: &[u8], key: &SecretKey) -> Vec<u8> {
    sign(&good(key), payload, key)
}
