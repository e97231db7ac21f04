use crate::action::UNKNOWN_ACTION;
use crate::{Action, Error, Network, OperationHash, ProposalId, Time, cose};
use alloc::vec::Vec;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, PublicKey, Signer, SignerError, sha256};

/// The `typ` of a signed operation.
const TYP: &str = "muster-op+cose";

/// The protocol version this code speaks.
pub const PROTOCOL: u64 = 1;

/// The protocol version that networks begin with.
pub(crate) const FIRST_PROTOCOL: u64 = 1;

/// One change of the ledger, as its author means it.
///
/// CBOR map: 1 protocol version, 2 network, 3 author (digest of its DID), 4 valid until (ms),
/// 5 action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The network it is meant for.
    pub network: Network,
    /// Who answers for it: an organisation, or the device itself.
    pub author: Did,
    /// After this time it may not enter a block.
    pub valid_until: Time,
    /// What it does.
    pub action: Action,
}

impl Operation {
    /// Signs it (COSE_Sign1).
    pub fn sign(&self, signer: &dyn Signer) -> Result<SignedOperation, SignerError> {
        Ok(SignedOperation(cose::sign(TYP, &self.to_cbor(), signer)?))
    }
}

impl Encode for Operation {
    fn encode(&self, w: &mut Writer) {
        w.map(5).uint(1).uint(PROTOCOL).uint(2).value(&self.network);
        w.uint(3).value(&self.author).uint(4).value(&self.valid_until);
        w.uint(5).value(&self.action);
    }
}

impl Decode for Operation {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let version = m.required(1)?;
        if version.uint()? != PROTOCOL {
            return Err(version.fault(UNKNOWN_VERSION));
        }
        let operation = Self {
            network: m.required(2)?.value()?,
            author: m.required(3)?.value()?,
            valid_until: m.required(4)?.value()?,
            action: m.required(5)?.value()?,
        };
        m.end()?;
        Ok(operation)
    }
}

const UNKNOWN_VERSION: &str = "another protocol version";

/// The bytes of a signed operation, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOperation(pub Vec<u8>);

impl SignedOperation {
    /// The SHA-256 of the bytes.
    pub fn hash(&self) -> OperationHash {
        OperationHash(sha256(&[&self.0]))
    }

    /// Checks everything that needs no state: encoding, signature, and the proofs of new keys.
    ///
    /// What states a later protocol version is read no further: everything else may have changed.
    pub fn verify(&self) -> Result<VerifiedOperation, Error> {
        if stated_version(&self.0).is_some_and(|version| version > PROTOCOL) {
            return Err(Error::Upgrade(UNKNOWN_VERSION));
        }
        let checked = cose::verify(TYP, &self.0).map_err(later_version)?;
        let verified = self.read(checked)?;
        let operation = &verified.operation;
        let (network, author) = (&operation.network, &operation.author);
        let action = match &operation.action {
            Action::Propose(a) => &*a.action,
            action => action,
        };
        action.verify_new_keys(network, author)?;
        Ok(verified)
    }

    /// As [`Self::verify`], without looking at signatures. Only for [`Chain::replay`], whose caller
    /// verified these very bytes before.
    ///
    /// [`Chain::replay`]: crate::Chain::replay
    pub(crate) fn verified_before(&self) -> Result<VerifiedOperation, Error> {
        self.read(cose::verified_before(TYP, &self.0).map_err(later_version)?)
    }

    fn read(&self, checked: cose::Checked<'_>) -> Result<VerifiedOperation, Error> {
        let operation =
            Operation::from_cbor(checked.payload).map_err(|e| later_version(e.into()))?;
        let proposal = ProposalId(checked.statement);
        Ok(VerifiedOperation { key: checked.key, hash: self.hash(), proposal, operation })
    }
}

/// The protocol version that an operation states, if it is a COSE_Sign1 with a map as its payload
/// whose first key is 1. Every version keeps that much (`docs/formats/operations.md`).
fn stated_version(bytes: &[u8]) -> Option<u64> {
    let mut r = Reader::new(bytes);
    r.tuple(4).ok()?;
    r.bytes(bytes.len()).ok()?;
    r.map().ok()?.end().ok()?;
    let mut payload = Reader::new(r.bytes(bytes.len()).ok()?);
    payload.map().ok()?.required(1).ok()?.uint().ok()
}

/// Tells what a later version may have written from what no version would.
fn later_version(error: Error) -> Error {
    use muster_identity::{Error as Ground, KeyFault};
    match error {
        Error::Identity(Ground::Cbor { reason: UNKNOWN_ACTION, .. }) => {
            Error::Upgrade(UNKNOWN_ACTION)
        }
        Error::Identity(Ground::Cbor { reason: UNKNOWN_VERSION, .. }) => {
            Error::Upgrade(UNKNOWN_VERSION)
        }
        Error::Identity(Ground::Key(KeyFault::UnsupportedType)) => {
            Error::Upgrade("an unknown kind of key")
        }
        other => other,
    }
}

/// An operation whose signatures were checked. Only [`SignedOperation::verify`] makes it, and the
/// replay of what was checked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedOperation {
    key: PublicKey,
    hash: OperationHash,
    proposal: ProposalId,
    operation: Operation,
}

impl VerifiedOperation {
    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The SHA-256 of the signed bytes.
    pub fn hash(&self) -> OperationHash {
        self.hash
    }

    /// The id of the proposal, if it is one: the SHA-256 of what the signature covers, and not of
    /// the signature. An ECDSA signature has a twin that verifies too, and whoever signs can sign
    /// again: the same words by the same key stay the same proposal.
    pub fn proposal(&self) -> ProposalId {
        self.proposal
    }

    /// What was signed.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }
}
