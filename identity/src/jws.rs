//! JWS compact serialization (RFC 7515 §7.1) as all our tokens use it: a header of exactly
//! `alg`, `typ` and `kid`, a JSON object as payload, one signature of 64 bytes. Each message
//! has its own `typ` (RFC 8725 §3.11), so a signature made for one is worthless for another.

use crate::base58::Bytes;
use crate::key::base58btc;
use crate::{Algorithm, Did, DidUrl, Error, PresentationFault as Fault, PublicKey, Signature};
use crate::{Signer, SignerError};
use alloc::borrow::{Cow, ToOwned as _};
use alloc::{format, string::String, vec::Vec};
use core::fmt;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest token. With every member at its bound a presentation takes fewer than 950 bytes; a
/// header field of 1 KiB passes every proxy and fits a constrained device's buffer.
pub const MAX_TOKEN: usize = 1024;

/// A token as it came, whose shape holds and whose signature was not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    text: String,
    /// Length of `header.payload`, the text that is signed (RFC 7515 §5.2, step 8).
    signed: usize,
    signature: Signature,
    key: Bytes,
}

impl Signed {
    /// Checks that `key` is the key that `kid` names and that it signed the token, over the bytes
    /// as they came. Whose key it is, is for the caller to know.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        if !self.names(key) {
            return Err(Error::OtherKey);
        }
        key.verify(self.bytes(), &self.signature)
    }

    /// Whether `kid` names this key. Compares bytes, decompresses nothing.
    pub(crate) fn names(&self, key: &PublicKey) -> bool {
        key.is_multicodec(&self.key)
    }

    /// The token.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is signed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text.as_bytes()[..self.signed]
    }

    /// The signature.
    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The key that `kid` names, in multicodec form; of the algorithm that `alg` names.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// Some tokens are as good as a key for their minute: none is shown.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(..)")
    }
}

/// A token taken apart. Nothing about it has been verified.
pub(crate) struct Unverified {
    /// The DID of `kid`.
    pub(crate) did: Did,
    /// The same as text. One DID has one text, so comparing texts compares DIDs.
    did_text: String,
    /// The payload, decoded.
    payload: Vec<u8>,
    /// The token and its signature.
    pub(crate) signed: Signed,
}

impl Unverified {
    /// The claims. The first of them is who says so, and that is the DID of `kid`.
    pub(crate) fn claims(&self) -> Result<Members<'_>, Fault> {
        let mut claims = Members::read(&self.payload, "payload")?;
        if claims.text("iss")? == self.did_text { Ok(claims) } else { Err(Fault::Iss) }
    }
}

/// Takes a token apart and checks its header.
pub(crate) fn split(token: &str, typ: &str) -> Result<Unverified, Fault> {
    split_within(token, typ, MAX_TOKEN)
}

/// The same for a kind of token with a bound of its own.
pub(crate) fn split_within(token: &str, typ: &str, longest: usize) -> Result<Unverified, Fault> {
    if token.len() > longest {
        return Err(Fault::TooLong);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Compact);
    };
    let signed = header.len() + 1 + payload.len();
    let mut room = [0; MAX_TOKEN];
    let header = decode(header, "header", &mut room)?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes());
    let payload = payload.map_err(|_| Fault::Base64("payload"))?;
    let mut room = [0; MAX_TOKEN];
    let signature = decode(signature, "signature", &mut room)?;
    let signature = signature.try_into().map_err(|_| Fault::SignatureLength)?;

    let mut header = Members::read(header, "header")?;
    let alg = header.text("alg")?;
    if header.text("typ")? != typ {
        return Err(Fault::Typ);
    }
    let kid = header.text("kid")?;
    header.end()?;
    let (did_text, fragment) = DidUrl::split(&kid).map_err(|_| Fault::Kid)?;
    let did = did_text.parse().map_err(|_| Fault::Kid)?;
    let key = base58btc(fragment).map_err(|_| Fault::Kid)?;
    // The algorithm is a property of the key; `alg` may only repeat it (RFC 8725 §3.1).
    if Algorithm::of_multicodec(&key).ok_or(Fault::Kid)?.jose() != alg {
        return Err(Fault::Alg);
    }
    let (text, signature) = (token.to_owned(), Signature(signature));
    let did_text = did_text.to_owned();
    Ok(Unverified { did, did_text, payload, signed: Signed { text, signed, signature, key } })
}

/// Makes a token. `claims` is a JSON object; `did` and the signer's key make `kid`.
pub(crate) fn sign(
    typ: &str,
    did: &Did,
    claims: &str,
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    let key: PublicKey = signer.public_key();
    let header = format!(
        r#"{{"alg":"{}","typ":"{typ}","kid":"{}"}}"#,
        key.algorithm().jose(),
        did.url(&key)
    );
    let mut token = BASE64URL_NOPAD.encode(header.as_bytes());
    token.push('.');
    BASE64URL_NOPAD.encode_append(claims.as_bytes(), &mut token);
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature.0, &mut token);
    Ok(token)
}

/// Refuses padding and stray trailing bits, so one value has one text. In place: a header and a
/// signature are shorter than a token of the common length.
fn decode<'r>(
    part: &str,
    name: &'static str,
    room: &'r mut [u8; MAX_TOKEN],
) -> Result<&'r [u8], Fault> {
    let fault = |_| Fault::Base64(name);
    let length = BASE64URL_NOPAD.decode_len(part.len()).map_err(fault)?;
    let room = room.get_mut(..length).ok_or(Fault::TooLong)?;
    BASE64URL_NOPAD.decode_mut(part.as_bytes(), room).map_err(|_| Fault::Base64(name))?;
    Ok(room)
}

/// A network as tokens name it: 64 hexadecimal digits in lower case.
pub(crate) fn network(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Any script, but nothing that could rewrite a terminal or that JSON escapes.
pub(crate) fn is_label(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'))
}

/// The members of one JSON object, each to be taken once. Keeping them as a list (and not
/// deriving a struct) is what lets a repeated member be told from an unknown one.
pub(crate) struct Members<'a> {
    list: Vec<(Cow<'a, str>, Scalar<'a>)>,
    part: &'static str,
}

/// The value of a member: all our tokens are flat.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Uint(u64),
    Other,
}

impl<'a> Members<'a> {
    /// Reads an object; `part` names it in faults.
    pub(crate) fn read(json: &'a [u8], part: &'static str) -> Result<Self, Fault> {
        let Object(list) = serde_json::from_slice(json).map_err(|_| Fault::Json(part))?;
        let repeated =
            |(i, (name, _)): (usize, &(Cow<'_, str>, _))| list[..i].iter().any(|(n, _)| n == name);
        if list.iter().enumerate().any(repeated) {
            return Err(Fault::Duplicate(part));
        }
        Ok(Self { list, part })
    }

    /// Whether a member of this name is left.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(n, _)| n == name)
    }

    /// Takes a string.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Cow<'a, str>, Fault> {
        match self.take(name)? {
            Scalar::Text(text) => Ok(text),
            _ => Err(Fault::WrongType(name)),
        }
    }

    /// Takes an unsigned integer.
    pub(crate) fn uint(&mut self, name: &'static str) -> Result<u64, Fault> {
        match self.take(name)? {
            Scalar::Uint(n) => Ok(n),
            _ => Err(Fault::WrongType(name)),
        }
    }

    fn take(&mut self, name: &'static str) -> Result<Scalar<'a>, Fault> {
        let at = self.list.iter().position(|(n, _)| n == name).ok_or(Fault::Missing(name))?;
        Ok(self.list.swap_remove(at).1)
    }

    /// Refuses members that were not taken.
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.list.is_empty() { Ok(()) } else { Err(Fault::Unknown(self.part)) }
    }
}

struct Object<'a>(Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut list = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry()? {
                    let Scalar::Text(name) = name else {
                        return Err(serde::de::Error::custom("a name is a string"));
                    };
                    list.push((name, value));
                }
                Ok(Object(list))
            }
        }
        d.deserialize_map(V)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(s)))
            }
            fn visit_str<E>(self, s: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(s.into())))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Uint(n))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
                while a.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<M: MapAccess<'de>>(self, mut m: M) -> Result<Self::Value, M::Error> {
                while m.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        d.deserialize_any(V)
    }
}
