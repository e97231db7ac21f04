//! Resolution of every method, against the vectors of others where they are at hand.

mod accept;
mod methods;
mod property;
mod shared;

use muster_api::{BoxFuture, DocumentMetadata, Resolution, Resolve};
use muster_did_methods::{Jwk, Key, Muster, Options, Resolver};
use muster_identity::Did;
use serde_json::json;
use std::sync::Arc;

/// A ledger that knows every DID but one.
struct Ledger;

impl Resolve for Ledger {
    fn resolve<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Resolution> {
        Box::pin(async move {
            if did.digest() == &[0; 32] {
                return Resolution::failed("NOT_FOUND", "unknown");
            }
            Resolution::found(json!({ "id": did.to_string() }), DocumentMetadata::default())
        })
    }
}

fn resolver() -> Resolver {
    Resolver::new(vec![Box::new(Muster::new(Arc::new(Ledger))), Box::new(Key), Box::new(Jwk)])
}

async fn resolve(did: &str) -> Resolution {
    resolver().resolve(did, &Options::default()).await
}

/// The last part of the error's type URL.
fn error(resolution: &Resolution) -> Option<&str> {
    let error = resolution.did_resolution_metadata.error.as_ref()?;
    error.kind.strip_prefix("https://www.w3.org/ns/did#")
}
