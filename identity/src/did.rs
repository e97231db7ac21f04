use crate::cbor::{Decode, Encode, Reader, Writer};
use crate::{Error, Inception, PublicKey, base58, sha256};
use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};

/// Multihash head of a SHA-256 digest: function 0x12, length 0x20.
const MULTIHASH_SHA256: [u8; 2] = [0x12, 0x20];
const PREFIX: &str = "did:muster:";

/// A `did:muster` identifier: the SHA-256 of its inception. Whoever has the inception computes
/// it alone; nobody can hand it out twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did([u8; 32]);

impl Did {
    /// The DID of an inception.
    pub fn of(inception: &Inception) -> Self {
        Self(sha256(&[&inception.to_cbor()]))
    }

    /// The DID of a bare key in multicodec form, whether or not it is a key: as [`Self::of`]
    /// [`Inception::from_key`].
    pub(crate) fn of_bare(multicodec: &[u8]) -> Self {
        // A map of one: 1, a byte string, of 34 bytes or 35 and so with one byte of length.
        Self(sha256(&[&[0xa1, 0x01, 0x58, multicodec.len() as u8], multicodec]))
    }

    /// From its digest, the form the ledger uses.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest, which orders the leaves of a batch.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// The DID URL of one of its keys.
    pub fn url(&self, key: &PublicKey) -> DidUrl {
        DidUrl { did: *self, fragment: key.to_multikey() }
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut multihash = [0; 34];
        multihash[..2].copy_from_slice(&MULTIHASH_SHA256);
        multihash[2..].copy_from_slice(&self.0);
        f.write_str(PREFIX)?;
        f.write_str(&base58::encode(&multihash))
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Did {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let id = text.strip_prefix(PREFIX).ok_or(Error::Did("it must begin with did:muster:"))?;
        // 34 bytes are at most 47 base58 characters; bound the text before decoding it.
        if !id.starts_with('z') || id.len() > 48 {
            return Err(Error::Did("expected `z` and a base58btc multihash"));
        }
        let bytes = base58::decode(id).ok_or(Error::Did("a character outside base58btc"))?;
        match bytes.split_first_chunk::<2>() {
            Some((&MULTIHASH_SHA256, digest)) => digest
                .try_into()
                .map(Self)
                .map_err(|_| Error::Did("the digest is not 32 bytes long")),
            _ => Err(Error::Did("the multihash is not sha2-256")),
        }
    }
}

impl Encode for Did {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Did {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.array_of()?))
    }
}

/// A `did:muster` DID with a fragment that names one of its keys by its Multikey.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DidUrl {
    did: Did,
    fragment: String,
}

impl DidUrl {
    /// The DID before the `#`.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The text after the `#`.
    pub fn fragment(&self) -> &str {
        &self.fragment
    }
}

impl fmt::Display for DidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.did, self.fragment)
    }
}

impl DidUrl {
    /// The text of its DID, and its fragment, which has the shape of a Multikey.
    pub(crate) fn split(text: &str) -> Result<(&str, &str), Error> {
        let (did, fragment) =
            text.split_once('#').ok_or(Error::Did("a DID URL needs a #fragment"))?;
        let multikey = fragment.starts_with('z') && fragment.len() <= 64;
        if !multikey || !fragment.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::Did("the fragment is not a Multikey"));
        }
        Ok((did, fragment))
    }
}

impl FromStr for DidUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (did, fragment) = Self::split(text)?;
        Ok(Self { did: did.parse()?, fragment: fragment.to_string() })
    }
}
