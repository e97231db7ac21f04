//! The pure core of the ledger: operations and the one function that applies them, the state
//! and its tree, the log, blocks, checkpoints and receipts. No input or output, no clock, no
//! randomness, no hash-map order, no floating point: the same operations give the same roots
//! on every machine.

extern crate alloc;

mod action;
mod apply;
mod block;
mod bounds;
mod bundle;
mod chain;
mod checkpoint;
mod cose;
mod device_key;
mod error;
mod filter;
mod genesis;
mod governance;
mod ids;
mod leaf;
pub mod limits;
mod members;
pub mod merkle;
mod operation;
mod organisation;
mod receipt;
mod records;
mod rules;
mod snapshot;
mod state;
mod state_proof;
mod target;
mod time;
mod tree;
mod upload;

pub use action::{
    AcceptTransfer, Action, Admission, Admit, CancelTransfer, ChangeKeys, ChangeValidators,
    Deactivate, Enrol, Expel, Grant, Hold, NewKey, OfferTransfer, Recover, Release, Revoke,
    RevokeKey, Rotate, WithdrawGrant,
};
pub use apply::{Changes, Context, View, apply, approvals_needed, carried_out};
pub use block::{Block, Entry};
pub use bounds::{Bound, Number};
pub use bundle::Bundle;
pub use chain::{Chain, ChainFault};
pub use checkpoint::{Checkpoint, Head, NoteFault, QuorumCheckpoint, cosign};
pub use device_key::DeviceKey;
pub use error::{Error, Refusal};
pub use genesis::{FirstOrganisation, Genesis, GenesisGrant};
pub use governance::{
    Approve, Approved, ChangeRules, NextProtocol, OpenProposal, Outcome, OversightRecord,
    ProposalRecord, Propose, ProtocolRecord, UpgradeAhead, UpgradeProtocol, WithdrawProposal,
};
pub use ids::{BatchId, GrantId, HoldId, Network, OfferId, OperationHash, ProposalId};
pub use leaf::{
    Evidence, EvidencePolicy, Leaf, LeafFrontier, LeafTree, SerialCommitment, VouchedBy,
};
pub use members::{Matter, Members, Table, Threshold};
pub use operation::{Operation, PROTOCOL, SignedOperation, VerifiedOperation};
pub use organisation::{Capabilities, Capability, OrgKey};
pub use receipt::{
    DevicePart, EnrolledDevice, EntryProof, Receipt, ReceiptFault, VerifiedEntry, VerifiedReceipt,
};
pub use records::{
    BatchRecord, DeviceRecord, GrantRecord, HoldRecord, Left, Offer, OrganisationRecord, Retired,
    RetiredKey, Standing, Status, ValidatorSet, owner_of, status,
};
pub use rules::{Approval, Rules};
pub use snapshot::{ConsistencyProof, Snapshot, SnapshotFault};
pub use state::{State, StateKey};
pub use state_proof::StateProof;
pub use target::{DeviceRef, Power, Target};
pub use time::Time;
pub use tree::{Alone, Join};
pub use upload::{UploadRequest, VerifiedUpload};
