//! Pure verification: presentation, evidence, time and policy in; [`Verified`] or [`Rejected`]
//! out. No clock, no randomness, no input or output: the same question gets the same answer.
//!
//! [`verify`] asks the whole question. A gateway that must fetch evidence, or that shares its
//! memory between threads, walks the same steps one by one, and the types keep their order:
//! [`Claim`] (readable, for us) → [`Fresh`] (its time is now) → [`Authenticated`] (the device's
//! key signed it, its standing is known) → [`Verified`] (and it was never used before).

mod claim;
mod evidence;
pub mod limits;
mod nonce;
mod path;
mod policy;
mod reason;
mod replay;
mod session;
mod standing;
mod verified;
mod verify;

pub use claim::{Authenticated, Claim, Fresh};
pub use evidence::{Enrolment, Evidence, EvidenceFault};
pub use nonce::NonceKey;
pub use path::plain_path;
pub use policy::{Class, Policy, RollView, Rules};
pub use reason::{Reason, Rejected};
pub use replay::{Recall, ReplayMemory};
pub use session::SessionKey;
pub use verified::Verified;
pub use verify::{Inquiry, verify};
