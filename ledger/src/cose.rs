//! COSE_Sign1 (RFC 9052 §4.2) as the ledger uses it: untagged, an empty unprotected header, and
//! a protected header of exactly `alg` (1), `kid` (4, the signer's public key in multicodec form)
//! and `typ` (16, RFC 9596). With the key in the header a signature can be checked before, and
//! apart from, every question of state.

use crate::{Error, limits};
use alloc::vec::Vec;
use muster_identity::cbor::{Decode, Reader, Writer};
use muster_identity::{PublicKey, Signature, Signer, SignerError, sha256};

/// A signature that was checked, and what it covers.
pub(crate) struct Checked<'b> {
    pub(crate) key: PublicKey,
    pub(crate) payload: &'b [u8],
    /// The SHA-256 of the bytes that are signed, which say all but the signature.
    pub(crate) statement: [u8; 32],
}

pub(crate) fn sign(
    typ: &'static str,
    payload: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, SignerError> {
    let key = signer.public_key();
    let protected = protected_header(typ, &key);
    let signature = signer.sign(&to_be_signed(&protected, payload))?;
    let mut w = Writer::default();
    w.array(4).bytes(&protected).map(0).bytes(payload).value(&signature);
    Ok(w.into_bytes())
}

pub(crate) fn verify<'b>(typ: &'static str, bytes: &'b [u8]) -> Result<Checked<'b>, Error> {
    let (checked, signed, signature) = read(typ, bytes)?;
    if let Err(error) = checked.key.verify(&signed, &signature) {
        // A key that is none is the better reason.
        PublicKey::from_multicodec(&checked.key.to_multicodec())
            .map_err(muster_identity::Error::from)?;
        return Err(error.into());
    }
    Ok(checked)
}

/// As [`verify`], for bytes whose signature was verified before.
pub(crate) fn verified_before<'b>(
    typ: &'static str,
    bytes: &'b [u8],
) -> Result<Checked<'b>, Error> {
    read(typ, bytes).map(|(checked, ..)| checked)
}

/// With the bytes that are signed.
fn read<'b>(
    typ: &'static str,
    bytes: &'b [u8],
) -> Result<(Checked<'b>, Vec<u8>, Signature), Error> {
    if bytes.len() > limits::OPERATION_BYTES {
        return Err(Error::Bound("a signed object above 16,384 bytes"));
    }
    let mut r = Reader::new(bytes);
    r.tuple(4)?;
    let protected = r.bytes(128)?;
    r.map()?.end()?;
    let payload = r.bytes(limits::OPERATION_BYTES)?;
    let signature: Signature = r.value()?;
    r.end()?;
    let key = read_protected(typ, protected)?;
    let signed = to_be_signed(protected, payload);
    Ok((Checked { key, payload, statement: sha256(&[&signed]) }, signed, signature))
}

fn protected_header(typ: &str, key: &PublicKey) -> Vec<u8> {
    let mut w = Writer::default();
    w.map(3).uint(1).int(key.algorithm().cose()).uint(4).value(key).uint(16).text(typ);
    w.into_bytes()
}

fn read_protected(typ: &'static str, bytes: &[u8]) -> Result<PublicKey, Error> {
    // Whether the key is a point is asked where the signature is verified by it, not twice.
    let mut r = Reader::again(bytes);
    let mut m = r.map()?;
    let alg = m.required(1)?.int()?;
    let key = PublicKey::decode(m.required(4)?)?;
    let named = m.required(16)?.text(64)?;
    m.end()?;
    r.end()?;
    if alg != key.algorithm().cose() {
        return Err(r.fault("alg does not fit the key").into());
    }
    if named != typ {
        return Err(r.fault("typ names another kind of object").into());
    }
    Ok(key)
}

/// Sig_structure of RFC 9052 §4.4 with empty external data.
fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("Signature1").bytes(protected).bytes(&[]).bytes(payload);
    w.into_bytes()
}
