//! What stands around all routes of a server: every request gets an id and is counted, and refusals
//! are told. One layer does it all, since each costs every request allocations of its own.

use crate::logs::{Asked, Log, Within, is_problem, with_instance};
use crate::metrics::{Meter, Running};
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use muster_api::{BoxFuture, TrustedProxies};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower::{Layer, Service};

/// The same routes, with an id for every request: one that a believed proxy gave, else one made
/// here. The meter counts what they answer.
pub(crate) fn observed(routes: Router, meter: Meter, believed: TrustedProxies) -> Router {
    routes.layer(Observe { log: Log::start(believed), meter })
}

#[derive(Clone)]
struct Observe {
    log: Arc<Log>,
    meter: Meter,
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { by: self.clone(), inner }
    }
}

#[derive(Clone)]
struct Observed<S> {
    by: Observe,
    inner: S,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = self.by.log.asked(&request);
        let running = Some(self.by.meter.running());
        let _within = Within::new(&asked.id);
        let step = Step::Answer(self.inner.call(request));
        Observing { log: self.by.log.clone(), asked, running, step }
    }
}

/// A request that is being answered.
struct Observing<F> {
    log: Arc<Log>,
    asked: Asked,
    /// Until the answer's head is there, however that ends.
    running: Option<Running>,
    step: Step<F>,
}

enum Step<F> {
    Answer(F),
    /// Only a refusal's body is read.
    Name(BoxFuture<'static, (Response, Option<String>)>),
}

impl<F> Future for Observing<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _within = Within::new(&this.asked.id);
        if let Step::Answer(answer) = &mut this.step {
            let Ok(mut answer) = ready!(Pin::new(answer).poll(context));
            if let Some(running) = this.running.take() {
                running.end(&this.asked, &answer);
            }
            if !is_problem(&answer) {
                this.log.answered(&this.asked, &mut answer, None);
                return Poll::Ready(Ok(answer));
            }
            this.step = Step::Name(Box::pin(with_instance(answer, this.asked.id.clone())));
        }
        match &mut this.step {
            Step::Name(named) => {
                let (mut answer, code) = ready!(named.as_mut().poll(context));
                this.log.answered(&this.asked, &mut answer, code);
                Poll::Ready(Ok(answer))
            }
            Step::Answer(_) => unreachable!("an answer that is there was returned or is named"),
        }
    }
}
