//! The guard against private keys in DER. It looks at the first elements only, and keeps nothing.

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Header, SliceReader, Tag, Tagged as _};

/// What kind of private key begins here, if it is one: PKCS#8 (RFC 5958) clear or encrypted, SEC 1
/// (RFC 5915), PKCS#1 (RFC 8017 appendix A.1.2), or a PKCS#12 store (RFC 7292).
pub(crate) fn private_key(der: &[u8]) -> Option<&'static str> {
    let mut reader = SliceReader::new(der).ok()?;
    let outer = Header::decode(&mut reader).ok()?;
    if outer.tag() != Tag::Sequence {
        return None;
    }
    let first = AnyRef::decode(&mut reader).ok()?;
    // What follows may be cut off; its tag is enough.
    let after = Header::decode(&mut reader).ok()?.tag();
    match (first.tag(), first.value(), after) {
        (Tag::Integer, [0 | 1], Tag::Sequence) => {
            // A version, an algorithm, then the key; in a signing request a name and the public
            // key, which begin with SET and SEQUENCE.
            let mut reader = SliceReader::new(der).ok()?;
            Header::decode(&mut reader).ok()?;
            AnyRef::decode(&mut reader).ok()?;
            let algorithm = AnyRef::decode(&mut reader).ok()?;
            let oid = algorithm.value().first() == Some(&0x06);
            let key = Header::decode(&mut reader).ok()?.tag() == Tag::OctetString;
            (oid && key).then_some("PKCS#8")
        }
        (Tag::Integer, [1], Tag::OctetString) => Some("SEC 1"),
        (Tag::Integer, [0 | 1], Tag::Integer) => Some("PKCS#1"),
        (Tag::Integer, [3], Tag::Sequence) => Some("PKCS#12"),
        (Tag::Sequence, [0x06, ..], Tag::OctetString) => Some("encrypted PKCS#8"),
        _ => None,
    }
}
