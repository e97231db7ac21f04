use crate::Verified;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use std::ops::Deref;

/// The device that sent a request, for an axum handler behind a [`crate::MusterLayer`].
///
/// A handler that takes it never runs for anybody else: without the layer the request is answered
/// with 500, so a route that was forgotten fails at its first call and lets nobody in.
#[derive(Debug, Clone)]
pub struct AuthenticatedDevice(Verified);

impl AuthenticatedDevice {
    /// The verdict itself.
    pub fn into_inner(self) -> Verified {
        self.0
    }
}

impl Deref for AuthenticatedDevice {
    type Target = Verified;

    fn deref(&self) -> &Verified {
        &self.0
    }
}

/// The handler stands behind no [`crate::MusterLayer`]: the service's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoLayer;

impl IntoResponse for NoLayer {
    fn into_response(self) -> Response {
        tracing::error!("a route takes AuthenticatedDevice and stands behind no MusterLayer");
        let words = "this route takes AuthenticatedDevice and stands behind no MusterLayer; \
                     add the layer to its router\n";
        (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedDevice {
    type Rejection = NoLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoLayer> {
        parts.extensions.get::<Verified>().cloned().map(Self).ok_or(NoLayer)
    }
}
