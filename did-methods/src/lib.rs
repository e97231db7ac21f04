//! DID resolution of every method behind one interface (DID Core 1.0, DID Resolution 1.0):
//! `muster` through a node, `key` and `jwk` natively.

mod accept;
mod document;
mod error;
mod jwk;
mod key;
pub mod limits;
mod muster;
mod resolver;
mod syntax;

pub use accept::{Answer, MediaType, Representation, negotiate};
pub use error::{Error, Fault};
pub use jwk::Jwk;
pub use key::Key;
pub use muster::Muster;
pub use resolver::{Method, Options, Resolver};
pub use syntax::DidText;
