use crate::headers::{self, Sender};
use crate::{AuthRequest, Gateway};
use axum::extract::{ConnectInfo, OriginalUri};
use http::{Request, Response};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Lets only verified devices through to a service, which finds the [`crate::Verified`] among
/// the request's extensions and no `Muster-*` header that a client could have set.
#[derive(Debug, Clone)]
pub struct MusterLayer {
    gateway: Gateway,
    trust_proxy: bool,
}

impl MusterLayer {
    /// A layer by this gateway.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, trust_proxy: false }
    }

    /// Believes `X-Request-Id`, `X-Real-IP` and `X-Forwarded-For`. Only behind a proxy that sets
    /// them and that clients cannot bypass.
    pub fn trust_proxy(self) -> Self {
        Self { trust_proxy: true, ..self }
    }
}

impl<S> Layer<S> for MusterLayer {
    type Service = MusterService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MusterService { layer: self.clone(), inner }
    }
}

/// A service behind a [`MusterLayer`].
#[derive(Debug, Clone)]
pub struct MusterService<S> {
    layer: MusterLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for MusterService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Vec<u8>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone is not ready; the one that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let brought = std::mem::take(request.headers_mut());
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
            let peer = peer.map(|peer| peer.0.ip());
            let from = if layer.trust_proxy { Sender::Proxy(peer) } else { Sender::Peer(peer) };
            // The request itself is here, whatever a header says of another one.
            // A nested router has cut its prefix from the target; axum keeps the whole.
            let whole = request.extensions().get::<OriginalUri>().map(|uri| uri.0.clone());
            let uri = whole.unwrap_or_else(|| request.uri().clone());
            let method = request.method().clone();
            let verdict = match headers::read(&brought, from) {
                Ok(brought) => {
                    let path = Some(uri.path());
                    let method = Some(method.as_str());
                    layer.gateway.authenticate(AuthRequest { path, method, ..brought }).await
                }
                Err(rejected) => layer.gateway.refuse(rejected),
            };
            match verdict {
                Ok(verified) => {
                    let extras = headers::extras(&brought, &layer.gateway, &verified);
                    *request.headers_mut() = brought;
                    headers::strip(request.headers_mut());
                    request.extensions_mut().insert(verified);
                    let mut answer = inner.call(request).await?;
                    extras.put(answer.headers_mut());
                    Ok(answer)
                }
                Err(rejected) => Ok(headers::rejected(&rejected, &layer.gateway).map(R::from)),
            }
        })
    }
}
