//! How organisations come and go.

use super::{NewKey, printable};
use crate::{Capabilities, Network, limits};
use alloc::{string::String, vec::Vec};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, Inception, Signature, Signer, SignerError};

/// Takes an organisation into the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admit {
    /// The author's change counter.
    pub seq: u64,
    /// What the new organisation signed.
    pub admission: Admission,
}

/// An organisation's request to be taken in. Only whoever has its keys makes one, so nobody admits
/// a stranger, or gives him keys that he did not ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Its DID is the hash of this inception.
    pub inception: Inception,
    /// A name to show; public.
    pub label: String,
    /// Its first keys, each with its own signature.
    pub keys: Vec<(NewKey, Capabilities)>,
    /// By the inception's key, over [`Self::message`].
    pub signature: Signature,
}

impl Admission {
    /// The change counter that the first keys of an organisation are signed for.
    pub const SEQ: u64 = 0;

    /// The organisation's DID.
    pub fn did(&self) -> Did {
        Did::of(&self.inception)
    }

    /// A request that the inception's key signs.
    pub fn sign(
        network: &Network,
        inception: Inception,
        label: String,
        keys: Vec<(NewKey, Capabilities)>,
        signer: &dyn Signer,
    ) -> Result<Self, SignerError> {
        let signature = signer.sign(&Self::message(network, &inception, &label, &keys))?;
        Ok(Self { inception, label, keys, signature })
    }

    /// What is signed: CBOR `["muster/admission/1", network, inception (its bytes), label, keys]`.
    pub fn message(
        network: &Network,
        inception: &Inception,
        label: &str,
        keys: &[(NewKey, Capabilities)],
    ) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(5).text("muster/admission/1").value(network);
        w.bytes(&inception.to_cbor()).text(label);
        write_keys(&mut w, keys);
        w.into_bytes()
    }

    /// Checks every signature of it.
    pub fn verify(&self, network: &Network) -> Result<(), Error> {
        let message = Self::message(network, &self.inception, &self.label, &self.keys);
        self.inception.key.verify(&message, &self.signature)?;
        self.keys.iter().try_for_each(|(key, _)| key.verify(network, &self.did(), Self::SEQ))
    }
}

/// Puts an organisation out of the network. Its devices stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expel {
    /// The author's change counter.
    pub seq: u64,
    /// Which one.
    pub organisation: Did,
}

pub(super) fn write_keys(w: &mut Writer, keys: &[(NewKey, Capabilities)]) {
    w.array(keys.len());
    for (key, capabilities) in keys {
        w.array(2).value(key).value(capabilities);
    }
}

pub(super) fn read_keys(r: &mut Reader<'_>) -> Result<Vec<(NewKey, Capabilities)>, Error> {
    let n = r.array(limits::ORGANISATION_KEYS)?;
    let key = |_| {
        r.tuple(2)?;
        Ok((r.value()?, r.value()?))
    };
    (0..n).map(key).collect()
}

/// CBOR map: 1 inception (its bytes), 2 label, 3 keys with what they may do, 4 signature.
impl Encode for Admission {
    fn encode(&self, w: &mut Writer) {
        w.map(4).uint(1).bytes(&self.inception.to_cbor()).uint(2).text(&self.label).uint(3);
        write_keys(w, &self.keys);
        w.uint(4).value(&self.signature);
    }
}

impl Decode for Admission {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let admission = Self {
            inception: Inception::from_cbor(m.required(1)?.bytes(limits::LEAF_BYTES)?)?,
            label: printable(m.required(2)?, limits::LABEL_BYTES)?,
            keys: read_keys(m.required(3)?)?,
            signature: m.required(4)?.value()?,
        };
        m.end()?;
        Ok(admission)
    }
}
