use crate::{DidText, Error, Method, Options};
use muster_api::{BoxFuture, Resolution, Resolve};
use std::sync::Arc;

/// `did:muster`, through whatever knows the ledger: a node in this process, or one reached by
/// HTTP.
pub struct Muster(Arc<dyn Resolve>);

impl Muster {
    /// The method, resolved by this.
    pub fn new(resolve: Arc<dyn Resolve>) -> Self {
        Self(resolve)
    }
}

impl Method for Muster {
    fn name(&self) -> &str {
        "muster"
    }

    fn resolve<'a>(&'a self, did: &'a DidText, _: &'a Options) -> BoxFuture<'a, Resolution> {
        Box::pin(async move {
            match did.as_str().parse() {
                Ok(did) => self.0.resolve(&did).await,
                Err(fault) => {
                    let fault: muster_identity::Error = fault;
                    Error::InvalidDid(fault.to_string()).into()
                }
            }
        })
    }
}
