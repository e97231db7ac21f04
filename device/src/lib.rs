//! The device side: key slots, the inception and the DID that follows from it, possession at
//! the factory, presentation at the gateway. `no_std` with `alloc`; no clock, no randomness, no
//! input or output. Time, nonces and random identifiers are parameters.
//!
//! A [`Device`] works with any [`Signer`](muster_identity::Signer): a key in memory
//! ([`SoftwareSlot`]) or one that never leaves its chip ([`ElementSlot`]).

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod authorization;
mod device;
mod slot;

pub use authorization::Authorization;
pub use device::Device;
pub use slot::{Element, ElementSlot, KeySlot, Protection, SoftwareSlot};
