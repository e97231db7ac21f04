//! What the page of imports asks by its script.

use super::files::Kind;
use super::job::{Job, Options, Stage};
use super::{Imports, hindrance, limits, run};
use crate::session::{Visitor, encoded};
use crate::sign_in::bytes;
use crate::{Console, Failure, people};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use muster_api::Problem;
use muster_identity::Signature;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// Bytes of a file that is fetched, at once.
const FETCHED: usize = 64 << 10;

type Answer = Result<Response, Failure>;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/import/jobs", post(begin))
        .route("/import/{id}/files", post(announce))
        .route("/import/{id}/files/{number}", post(piece))
        .route("/import/{id}/rehearse", post(rehearse))
        .route("/import/{id}/run", post(go))
        .route("/import/{id}/answer", post(answer))
        .route("/import/{id}/cancel", post(cancel))
        .route("/import/{id}/forget", post(forget))
        .route("/import/{id}/state", get(state))
        .route("/import/{id}/events", get(events))
        .route("/import/{id}/results/{name}", get(fetch))
}

fn not_found() -> Problem {
    Problem::new(404, "no-such-import", "there is no such import any more")
        .cure("imports are kept for a day, and not over a restart of the node: begin another")
}

fn imports(console: &Console) -> Result<&Arc<Imports>, Problem> {
    console.imports().ok_or_else(not_found)
}

/// An import of the visitor's organisation.
fn found(console: &Console, who: &Visitor, id: &str) -> Result<Arc<Job>, Problem> {
    who.must(people::acts, "import devices")?;
    imports(console)?.find(&who.session.organisation, id).ok_or_else(not_found)
}

/// One's own: what it signs is signed by the key that began it.
fn own(console: &Console, who: &Visitor, id: &str) -> Result<Arc<Job>, Problem> {
    let job = found(console, who, id)?;
    if job.key != who.session.key {
        let title = "the import was begun with another key than the one of this browser";
        return Err(Problem::new(403, "other-key", title).cure("go on in that browser"));
    }
    let now = console.now();
    job.change(|state| state.used = now);
    Ok(job)
}

async fn begin(State(console): State<Console>, who: Visitor) -> Answer {
    who.must(people::acts, "import devices")?;
    if !who.settled {
        let title = "joining is not finished: there is no second way in yet";
        return Err(Problem::new(403, "unsettled", title).into());
    }
    if hindrance(&console, &who).is_some() {
        let title = "nothing can be imported at this console";
        return Err(Problem::new(409, "no-directory-secret", title)
            .cure("use muster enrol")
            .into());
    }
    let job = imports(&console)?.begin(console.id(), &who, console.now())?;
    Ok(Json(json!({ "id": job.id, "piece": limits::PIECE })).into_response())
}

#[derive(Deserialize)]
struct Announced {
    kind: Kind,
    name: String,
    bytes: u64,
}

async fn announce(
    State(console): State<Console>,
    who: Visitor,
    Path(id): Path<String>,
    Json(Announced { kind, name, bytes }): Json<Announced>,
) -> Answer {
    let job = own(&console, &who, &id)?;
    if imports(&console)?.bytes().saturating_add(bytes) > limits::ALL_BYTES {
        let title = "all imports together have too many bytes for this node";
        return Err(Problem::new(413, "bytes", title).cure("remove imports that are over").into());
    }
    Ok(Json(json!({ "file": job.announce(kind, &name, bytes)? })).into_response())
}

#[derive(Deserialize)]
struct Place {
    at: u64,
}

async fn piece(
    State(console): State<Console>,
    who: Visitor,
    Path((id, number)): Path<(String, usize)>,
    Query(Place { at }): Query<Place>,
    request: Request,
) -> Answer {
    let job = own(&console, &who, &id)?;
    let imports = imports(&console)?.clone();
    let turn = imports.pieces.acquire().await;
    let _turn = turn.map_err(|e| Problem::new(500, "internal", e.to_string()))?;
    let slow =
        |_| Problem::new(408, "slow", "the piece of the file came too slowly").cure("try it again");
    let time = Duration::from_secs(limits::PIECE_SECONDS);
    let whole = timeout(time, to_bytes(request.into_body(), limits::PIECE)).await.map_err(slow)?;
    let whole =
        whole.map_err(|_| Problem::new(413, "bytes", "the piece is too large, or was cut"))?;
    let written = tokio::task::spawn_blocking(move || job.add(number, at, &whole)).await;
    let bytes = written.map_err(|e| Problem::new(500, "internal", e.to_string()))??;
    Ok(Json(json!({ "bytes": bytes })).into_response())
}

fn start(console: &Console, job: &Arc<Job>, options: Option<Options>) -> Result<(), Problem> {
    let imports = imports(console)?;
    let secret = imports.secret.as_ref().ok_or_else(not_found)?;
    run::start(console, imports, secret, job, options)
}

async fn rehearse(
    State(console): State<Console>,
    who: Visitor,
    Path(id): Path<String>,
    Json(options): Json<Options>,
) -> Answer {
    start(&console, &own(&console, &who, &id)?, Some(options))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn go(State(console): State<Console>, who: Visitor, Path(id): Path<String>) -> Answer {
    let job = own(&console, &who, &id)?;
    start(&console, &job, None)?;
    let devices = job.look(|state| {
        let plan = state.report.iter().flat_map(|report| &report.plan);
        plan.map(|batch| batch.count).sum::<u64>()
    });
    console.note_act(&who.session, "import", format!("{devices} devices")).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Signed {
    number: u64,
    signature: Option<String>,
    /// Why the page does not sign.
    refused: Option<String>,
}

async fn answer(
    State(console): State<Console>,
    who: Visitor,
    Path(id): Path<String>,
    Json(Signed { number, signature, refused }): Json<Signed>,
) -> Answer {
    let job = own(&console, &who, &id)?;
    let answer = match signature {
        Some(text) => {
            let signature = bytes(&text)?.try_into();
            let malformed = |_| Problem::new(400, "signature", "a signature has 64 bytes");
            Ok(Signature(signature.map_err(malformed)?))
        }
        None => {
            let why = refused.unwrap_or_default();
            let why: String = why.chars().filter(|c| !c.is_control()).take(limits::TEXT).collect();
            Err(if why.is_empty() { "the page did not sign".into() } else { why })
        }
    };
    job.answer(number, answer)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn cancel(State(console): State<Console>, who: Visitor, Path(id): Path<String>) -> Answer {
    let job = found(&console, &who, &id)?;
    Ok(Json(json!({ "cancelling": job.cancel() })).into_response())
}

async fn forget(State(console): State<Console>, who: Visitor, Path(id): Path<String>) -> Answer {
    let job = found(&console, &who, &id)?;
    if job.stage().is_busy() {
        let title = "the import is under way";
        return Err(Problem::new(409, "stage", title).cure("cancel it first").into());
    }
    imports(&console)?.forget(&job);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn state(State(console): State<Console>, who: Visitor, Path(id): Path<String>) -> Answer {
    Ok(Json(found(&console, &who, &id)?.news()).into_response())
}

/// `import` whenever something changed, not too often.
async fn events(State(console): State<Console>, who: Visitor, Path(id): Path<String>) -> Answer {
    let job = found(&console, &who, &id)?;
    let turn = imports(&console)?.listeners.clone().try_acquire_owned();
    let Ok(turn) = turn else {
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    };
    let silence = Duration::from_secs(limits::SILENCE_SECONDS);
    let begin = (job.watch(), turn, false);
    let events = stream::unfold(begin, move |(mut watch, turn, later)| {
        let (console, who, job) = (console.clone(), who.clone(), job.clone());
        async move {
            if later {
                tokio::time::sleep(Duration::from_millis(limits::NEWS_MS)).await;
                let _ = timeout(silence, watch.changed()).await;
                // Who is signed out, or whose access ended, hears no more.
                if !console.still(&who).await {
                    return None;
                }
            }
            watch.mark_unchanged();
            let event = Event::default().event("import").json_data(job.news());
            let event = event.unwrap_or_default();
            Some((Ok::<_, Infallible>(event), (watch, turn, true)))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(silence)).into_response())
}

/// A file that a run left behind, as it is.
async fn fetch(
    State(console): State<Console>,
    who: Visitor,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    let job = found(&console, &who, &id)?;
    let known = job.look(|state| {
        let written = state.report.iter().flat_map(|report| &report.written);
        written.filter(|file| file.name == name).map(|file| file.bytes).next()
    });
    let bytes = known.filter(|_| job.stage() != Stage::Running).ok_or_else(not_found)?;
    let file = tokio::fs::File::open(job.out(&name)).await;
    let file = file.map_err(|_| not_found())?;
    let body = Body::from_stream(stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; FETCHED];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        std::io::Result::Ok((read > 0).then_some((piece, file)))
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        // RFC 6266 §4.3.
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", encoded(&name))),
    ];
    Ok((headers, body).into_response())
}
