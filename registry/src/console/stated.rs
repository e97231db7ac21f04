//! What entries and leaves state, read without looking at signatures: the ledger verified these
//! very bytes when it took them and when it started.

use crate::Error;
use muster_identity::cbor::{Decode as _, Reader};
use muster_identity::{Did, PublicKey};
use muster_ledger::{Action, Entry, Grant, Network, Operation, Target, limits};

/// An entry of the log.
pub(crate) struct Stated {
    pub(crate) entry: Entry,
    pub(crate) operation: Operation,
    /// The key that signed, in multicodec form.
    pub(crate) key: Vec<u8>,
}

/// Longest multicodec form of a key.
const KEY_BYTES: usize = 64;

impl Stated {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let entry = Entry::from_cbor(bytes).map_err(Error::damaged)?;
        let (operation, key) = parts(&entry.operation.0).map_err(Error::damaged)?;
        Ok(Self { entry, operation, key })
    }

    /// The key that signed.
    pub(crate) fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_multicodec(&self.key).map_err(Error::damaged)
    }
}

/// Payload and `kid` of a COSE_Sign1 (RFC 9052 §4.2).
fn parts(signed: &[u8]) -> Result<(Operation, Vec<u8>), muster_identity::Error> {
    let mut r = Reader::new(signed);
    r.tuple(4)?;
    let mut protected = Reader::new(r.bytes(limits::OPERATION_BYTES)?);
    r.map()?.end()?;
    let operation = Operation::from_cbor(r.bytes(limits::OPERATION_BYTES)?)?;
    let mut header = protected.map()?;
    header.required(1)?.int()?;
    let key = header.required(4)?.bytes(KEY_BYTES)?.to_vec();
    Ok((operation, key))
}

/// The first key of a leaf's device, in multicodec form.
pub(super) fn key_of(leaf: &[u8]) -> Result<Vec<u8>, Error> {
    let read = || {
        let mut leaf = Reader::new(leaf);
        let mut inception = Reader::new(leaf.map()?.required(1)?.bytes(limits::LEAF_BYTES)?);
        Ok::<_, muster_identity::Error>(inception.map()?.required(1)?.bytes(KEY_BYTES)?.to_vec())
    };
    read().map_err(Error::damaged)
}

/// What an operation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concerns {
    Device(Did),
    Batch(muster_ledger::BatchId),
    Grant(muster_ledger::GrantId),
    Organisation(Did),
    Network,
}

impl Concerns {
    pub(super) fn of(network: &Network, operation: &Operation) -> Self {
        // A proposal is about what it proposes.
        let action = match &operation.action {
            Action::Propose(a) => &*a.action,
            action => action,
        };
        Self::of_action(network, operation.author, action)
    }

    /// What an action of an author changes.
    pub(super) fn of_action(network: &Network, author: Did, action: &Action) -> Self {
        match action.target() {
            Some(Target::Device(device)) => return Self::Device(device.did),
            Some(Target::Batch(batch)) => return Self::Batch(batch),
            None => {}
        }
        match action {
            Action::Enrol(a) => Self::Batch(a.batch(network)),
            Action::Grant(a) => Self::Grant(Grant::id(network, &author, a.seq)),
            Action::WithdrawGrant(a) => Self::Grant(a.grant),
            Action::ChangeKeys(_) => Self::Organisation(author),
            Action::Admit(a) => Self::Organisation(a.admission.did()),
            Action::Expel(a) => Self::Organisation(a.organisation),
            _ => Self::Network,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Batch(_) => "batch",
            Self::Grant(_) => "grant",
            Self::Organisation(_) => "organisation",
            Self::Network => "network",
        }
    }

    /// Its DID or id.
    pub(super) fn text(&self, network: &Network) -> String {
        match self {
            Self::Device(did) | Self::Organisation(did) => did.to_string(),
            Self::Batch(id) => id.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Network => network.to_string(),
        }
    }
}
