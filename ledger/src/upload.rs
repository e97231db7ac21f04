use crate::operation::PROTOCOL;
use crate::{Error, GrantId, Network, Time, action, cose, limits};
use alloc::{string::String, vec::Vec};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, PublicKey, Signer, SignerError};

const TYP: &str = "muster-upload+cose";

/// The signed request that opens an upload: who wants to stage how many rows under which grant.
///
/// CBOR map: 1 protocol version, 2 network, 3 organisation, 4 valid until (ms), 5 grant,
/// 6 model, 7 number of rows, 8 whether it is a rehearsal (`true`: nothing will be enrolled),
/// 9 a value chosen at random, so that two requests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRequest {
    /// The network it is meant for.
    pub network: Network,
    /// The organisation that will enrol.
    pub organisation: Did,
    /// After this time the request is void.
    pub valid_until: Time,
    /// Under this grant.
    pub grant: GrantId,
    /// Model of the batch.
    pub model: String,
    /// How many rows at most.
    pub rows: u64,
    /// Whether the rows are only looked at.
    pub rehearsal: bool,
    /// Makes the request unique.
    pub nonce: [u8; 16],
}

impl UploadRequest {
    /// Signs it (COSE_Sign1).
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignerError> {
        cose::sign(TYP, &self.to_cbor(), signer)
    }

    /// Checks encoding and signature; whether the key may enrol is for the state to say.
    pub fn verify(bytes: &[u8]) -> Result<VerifiedUpload, Error> {
        let checked = cose::verify(TYP, bytes)?;
        Ok(VerifiedUpload { key: checked.key, request: Self::from_cbor(checked.payload)? })
    }
}

/// An upload request whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedUpload {
    key: PublicKey,
    request: UploadRequest,
}

impl VerifiedUpload {
    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What was signed.
    pub fn request(&self) -> &UploadRequest {
        &self.request
    }
}

impl Encode for UploadRequest {
    fn encode(&self, w: &mut Writer) {
        w.map(9).uint(1).uint(PROTOCOL).uint(2).value(&self.network);
        w.uint(3).value(&self.organisation).uint(4).value(&self.valid_until);
        w.uint(5).value(&self.grant).uint(6).text(&self.model).uint(7).uint(self.rows);
        w.uint(8).bool(self.rehearsal).uint(9).bytes(&self.nonce);
    }
}

impl Decode for UploadRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let version = m.required(1)?;
        if version.uint()? != PROTOCOL {
            return Err(version.fault("another protocol version"));
        }
        let request = Self {
            network: m.required(2)?.value()?,
            organisation: m.required(3)?.value()?,
            valid_until: m.required(4)?.value()?,
            grant: m.required(5)?.value()?,
            model: action::model(m.required(6)?)?,
            rows: m.required(7)?.uint_max(limits::BATCH_DEVICES)?,
            rehearsal: m.required(8)?.bool()?,
            nonce: m.required(9)?.array_of()?,
        };
        m.end()?;
        Ok(request)
    }
}
