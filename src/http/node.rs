//! The node's routes. They only translate: what they say is decided in the registry.

use super::answers::{Answer, Failure, cbor, json, json_bytes, not_found, private, typed};
use super::reader::{Anybody, Who};
use super::{Face, Origin, bounds, consensus, gateways, guarded};
use crate::consortium::Seen;
use crate::listen::whole_body;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use muster_api::{LineRecords, LotQuery, Problem, Rows, limits};
use muster_did_methods::{
    Answer as Resolved, Jwk, Key, Muster, Options, Representation, Resolver, negotiate,
};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{BatchId, SignedOperation};
use muster_registry::Registry;
use muster_web::{Console, Origins};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;

#[derive(Clone)]
pub(super) struct Node {
    pub(super) registry: Registry,
    pub(super) seen: Seen,
    resolver: Arc<Resolver>,
    /// Room for followers that wait.
    waiting: Arc<Semaphore>,
}

async fn rows_body(request: Request, next: Next) -> Response {
    whole_body(limits::UPLOAD_BYTES, request, next).await
}

async fn line_body(request: Request, next: Next) -> Response {
    whole_body(limits::LINE_BYTES, request, next).await
}

pub(super) async fn small_body(request: Request, next: Next) -> Response {
    whole_body(muster_ledger::limits::OPERATION_BYTES, request, next).await
}

/// The node's routes and its console's, behind the rules of its face.
pub(crate) fn routes(registry: Registry, seen: Seen, face: Face, console: &Console) -> Router {
    // The console answers what is at no path, to people as a page.
    let routes = node_routes(registry, seen).merge(console.api_routes()).merge(console.routes());
    guarded(routes, face)
}

/// Under which origins the console is reached: what the node calls itself, and where it listens.
/// This machine has more than one name.
pub(crate) fn origins(public: Option<&Origin>, address: &str) -> Origins {
    let local = address.replace("127.0.0.1", "localhost");
    Origins::new(public.map(ToString::to_string).into_iter().chain([address.to_owned(), local]))
}

/// The node's routes alone.
fn node_routes(registry: Registry, seen: Seen) -> Router {
    let muster = Muster::new(Arc::new(registry.clone()));
    let resolver = Arc::new(Resolver::new(vec![Box::new(muster), Box::new(Key), Box::new(Jwk)]));
    let waiting = Arc::new(Semaphore::new(limits::WAITING_FOLLOWERS));
    let few_lots = GlobalConcurrencyLimitLayer::new(limits::LOT_REQUESTS);
    let few_histories = GlobalConcurrencyLimitLayer::new(limits::HISTORY_REQUESTS);
    Router::new()
        .route("/v1/genesis", get(genesis))
        .route("/v1/limits", get(async || json(&bounds::all_limits())))
        .route("/v1/network", get(network))
        .route("/v1/proposals", get(proposals))
        .route("/v1/checkpoint", get(checkpoint))
        .route("/v1/feed", get(feed))
        .route("/v1/snapshot", get(snapshot))
        .route("/v1/consistency", get(consistency))
        .route("/v1/operations", post(submit).layer(from_fn(small_body)))
        .merge(gateways::routes())
        .merge(consensus::routes())
        .route("/v1/uploads", post(open_upload).layer(from_fn(small_body)))
        .route(
            "/v1/uploads/{upload}/rows",
            post(upload_rows)
                .layer(DefaultBodyLimit::max(limits::UPLOAD_BYTES))
                .layer::<_, Infallible>(from_fn(rows_body))
                .layer::<_, Infallible>(GlobalConcurrencyLimitLayer::new(limits::UPLOAD_REQUESTS)),
        )
        .route(
            "/v1/uploads/{upload}/line",
            post(note_line)
                .layer(DefaultBodyLimit::max(limits::LINE_BYTES))
                .layer::<_, Infallible>(from_fn(line_body))
                .layer::<_, Infallible>(GlobalConcurrencyLimitLayer::new(limits::UPLOAD_REQUESTS)),
        )
        .route("/v1/uploads/{upload}/seal", post(seal_upload))
        .route("/v1/uploads/{upload}", delete(drop_upload))
        .route("/v1/devices/{did}", get(device))
        .route("/v1/devices/{did}/part", get(device_part))
        .route("/v1/devices/{did}/receipt", get(receipt))
        .route("/v1/lots", get(lots).layer::<_, Infallible>(few_lots.clone()))
        .route("/v1/lots/devices", get(lot_devices).layer::<_, Infallible>(few_lots))
        .route("/v1/batches", get(batches))
        .route("/v1/batches/{batch}", get(batch))
        .route("/v1/batches/{batch}/leaves", get(leaves))
        .route("/v1/history/{subject}", get(history).layer::<_, Infallible>(few_histories))
        .route("/1.0/identifiers/{did}", get(resolve))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(muster_ledger::limits::OPERATION_BYTES))
        .with_state(Node { registry, seen, resolver, waiting })
}

pub(super) fn did(text: &str) -> Result<Did, Failure> {
    text.parse()
        .map_err(|e: muster_identity::Error| Failure(Problem::new(400, "did", e.to_string())))
}

pub(super) fn batch_id(text: &str) -> Result<BatchId, Failure> {
    text.parse()
        .map_err(|e: muster_identity::Error| Failure(Problem::new(400, "batch", e.to_string())))
}

async fn genesis(State(node): State<Node>) -> Response {
    cbor(node.registry.genesis())
}

async fn proposals(State(node): State<Node>) -> Answer {
    Ok(json(&node.registry.proposals().await?))
}

async fn network(State(node): State<Node>) -> Answer {
    Ok(json(&node.registry.network().await?))
}

async fn checkpoint(State(node): State<Node>) -> Answer {
    let note = node.registry.head()?.to_note().into_bytes();
    Ok(typed(StatusCode::OK, "text/plain; charset=utf-8", note))
}

#[derive(Deserialize)]
struct FeedQuery {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    time: u64,
    #[serde(default)]
    wait: u64,
}

async fn feed(State(node): State<Node>, Query(query): Query<FeedQuery>) -> Answer {
    let turn = node.waiting.try_acquire();
    let wait = match turn {
        Ok(_) => Duration::from_secs(query.wait.min(limits::FEED_WAIT_SECONDS)),
        Err(_) => Duration::ZERO,
    };
    Ok(cbor(&node.registry.feed(query.from, query.time, wait).await?))
}

/// Bytes that many answers share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

async fn snapshot(State(node): State<Node>) -> Answer {
    let bytes = Bytes::from_owner(Shared(node.registry.snapshot().await?));
    Ok(([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response())
}

#[derive(Deserialize)]
struct ConsistencyQuery {
    from: u64,
    to: u64,
}

async fn consistency(State(node): State<Node>, Query(query): Query<ConsistencyQuery>) -> Answer {
    Ok(cbor(&node.registry.consistency(query.from, query.to)?))
}

#[derive(Deserialize)]
struct SubmitQuery {
    upload: Option<String>,
}

async fn submit(State(node): State<Node>, Query(query): Query<SubmitQuery>, body: Bytes) -> Answer {
    let operation = SignedOperation(body.to_vec());
    Ok(cbor(&node.registry.submit(operation, query.upload.as_deref()).await?))
}

async fn open_upload(State(node): State<Node>, body: Bytes) -> Answer {
    let opened = node.registry.open_upload(&body).await?;
    Ok(typed(StatusCode::CREATED, "application/json", json_bytes(&opened)))
}

async fn upload_rows(State(node): State<Node>, Path(upload): Path<String>, body: Bytes) -> Answer {
    let rows = Rows::from_cbor(&body)
        .map_err(|e| Problem::new(400, "malformed", format!("the rows cannot be read: {e}")))?;
    Ok(json(&node.registry.stage(&upload, rows).await?))
}

async fn note_line(State(node): State<Node>, Path(upload): Path<String>, body: Bytes) -> Answer {
    let told = LineRecords::from_cbor(&body)
        .map_err(|e| Problem::new(400, "malformed", format!("the records cannot be read: {e}")))?;
    Ok(json(&node.registry.note_line(&upload, told).await?))
}

async fn lots(State(node): State<Node>, Who(reader): Who, Query(query): Query<LotQuery>) -> Answer {
    Ok(private(&node.registry.read_as(reader).lots(&query).await?))
}

async fn lot_devices(
    State(node): State<Node>,
    Who(reader): Who,
    Query(query): Query<LotQuery>,
) -> Answer {
    Ok(private(&node.registry.read_as(reader).lot_devices(&query).await?))
}

async fn seal_upload(State(node): State<Node>, Path(upload): Path<String>) -> Answer {
    Ok(json(&node.registry.seal(&upload).await?))
}

async fn drop_upload(State(node): State<Node>, Path(upload): Path<String>) -> Answer {
    node.registry.drop_upload(&upload).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn device(
    State(node): State<Node>,
    Anybody(reader): Anybody,
    Path(text): Path<String>,
) -> Answer {
    let device = node.registry.read_as(reader).device(&did(&text)?).await?;
    Ok(private(&device.ok_or_else(|| not_found(&text))?))
}

async fn device_part(State(node): State<Node>, Path(text): Path<String>) -> Answer {
    let part = node.registry.device_part(&did(&text)?).await?;
    Ok(cbor(&part.ok_or_else(|| not_found(&text))?))
}

async fn receipt(State(node): State<Node>, Path(text): Path<String>) -> Answer {
    let receipt = node.registry.receipt(&did(&text)?).await?;
    Ok(cbor(&receipt.ok_or_else(|| not_found(&text))?))
}

async fn batches(State(node): State<Node>) -> Answer {
    Ok(json(&node.registry.batches().await?))
}

async fn batch(State(node): State<Node>, Path(text): Path<String>) -> Answer {
    let batch = node.registry.batch(&batch_id(&text)?).await?;
    Ok(json(&batch.ok_or_else(|| not_found(&text))?))
}

#[derive(Deserialize)]
struct LeavesQuery {
    after: Option<String>,
}

async fn leaves(
    State(node): State<Node>,
    Path(text): Path<String>,
    Query(query): Query<LeavesQuery>,
) -> Answer {
    let after = query.after.as_deref().map(did).transpose()?;
    let page = node.registry.leaves(&batch_id(&text)?, after.as_ref()).await?;
    Ok(cbor(&page.ok_or_else(|| not_found(&text))?))
}

async fn history(State(node): State<Node>, Path(text): Path<String>) -> Answer {
    let subject = match text.strip_prefix("did:") {
        Some(_) => *did(&text)?.digest(),
        None => batch_id(&text)?.0,
    };
    Ok(json(&node.registry.history(&subject).await?))
}

/// DID Resolution 1.0, HTTP binding.
async fn resolve(
    State(node): State<Node>,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let answer = match negotiate(accept) {
        Err(error) => Resolved::failed(error),
        Ok(representation) => {
            let options = match representation {
                Representation::Document(media) => Options::accepting(media),
                Representation::Result(_) => Options::default(),
            };
            Resolved::new(node.resolver.resolve(&text, &options).await, representation)
        }
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    typed(status, answer.content_type, answer.body)
}

async fn ready(State(node): State<Node>) -> Answer {
    let problem = |why| Err(Failure(Problem::new(503, "not-ready", why)));
    match (node.registry.ready().await, node.seen.ready()) {
        (true, true) => Ok("ready\n".into_response()),
        (false, _) => problem("the node cannot commit at present"),
        (true, false) => problem("the node does not know yet from which height on it votes"),
    }
}
