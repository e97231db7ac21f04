use crate::accept::MediaType;
use crate::{DidText, Error};
use muster_api::{BoxFuture, Resolution};

/// One DID method.
pub trait Method: Send + Sync {
    /// Its name: what stands between the colons.
    fn name(&self) -> &str;

    /// Resolves a DID of this method; failures are part of the answer.
    fn resolve<'a>(&'a self, did: &'a DidText, options: &'a Options) -> BoxFuture<'a, Resolution>;
}

/// The options of DID Resolution 1.0 §4.1 that are understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// In which media type the document is wanted, such as `application/did`.
    pub accept: Option<MediaType>,
}

impl Options {
    /// Asks for a media type.
    pub fn accepting(accept: MediaType) -> Self {
        Self { accept: Some(accept) }
    }
}

/// Resolves DIDs of several methods.
pub struct Resolver {
    methods: Vec<Box<dyn Method>>,
}

impl Resolver {
    /// A resolver of these methods; of two with one name the first counts.
    pub fn new(methods: Vec<Box<dyn Method>>) -> Self {
        Self { methods }
    }

    /// The names of the methods.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| method.name())
    }

    /// Resolves a DID; failures are part of the answer.
    pub async fn resolve(&self, did: &str, options: &Options) -> Resolution {
        match self.try_resolve(did, options).await {
            Ok(resolution) => resolution,
            Err(error) => error.into(),
        }
    }

    async fn try_resolve(&self, did: &str, options: &Options) -> Result<Resolution, Error> {
        let did: DidText = did.parse()?;
        let method = self.methods.iter().find(|method| method.name() == did.method());
        let method = method.ok_or_else(|| Error::MethodNotSupported(did.method().into()))?;
        let mut resolution = method.resolve(&did, options).await;
        if resolution.did_document.is_some() {
            let accept = options.accept.unwrap_or(MediaType::Did);
            resolution.did_resolution_metadata.content_type = Some(accept.name().into());
        }
        Ok(resolution)
    }
}
