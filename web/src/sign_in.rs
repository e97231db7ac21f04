//! Signing in: the browser signs a challenge with the person's key.

use crate::frame::Frame;
use crate::session::{Session, Visitor};
use crate::{Console, Failure, failure};
use askama::Template;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::BASE64URL_NOPAD;
use muster_api::Problem;
use muster_identity::{Login, PublicKey};
use serde::Deserialize;
use serde_json::json;

/// Bytes of a request of somebody whom nobody knows yet: a signed token, and what stands around it.
pub(crate) const BODY: usize = 4_096;

/// How far a browser's clock may be off, in seconds, as with devices.
const SKEW: u64 = 30;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/sign-in", get(page))
        .route("/console/organisation", get(organisation))
        .route("/console/challenge", post(challenge))
        .route("/console/session", post(open))
        .route("/console/sign-out", post(sign_out))
        .layer(DefaultBodyLimit::max(BODY))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
}

async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Option<Visitor>,
) -> Response {
    let frame = Frame::new(&console, &headers, "", "Sign in", who.as_ref());
    failure::rendered(&SignIn { frame })
}

/// The organisation that runs this node, for a key file that says none.
async fn organisation(State(console): State<Console>) -> Response {
    let organisation = console.organisation().to_string();
    Json(json!({ "organisation": organisation })).into_response()
}

async fn challenge(State(console): State<Console>) -> Response {
    let nonce = console.id();
    let now = console.now();
    console.sessions().challenge(nonce.clone(), now);
    Json(json!({ "nonce": nonce, "time": now })).into_response()
}

#[derive(Deserialize)]
struct SignedIn {
    login: String,
}

async fn open(
    State(console): State<Console>,
    headers: HeaderMap,
    Json(SignedIn { login }): Json<SignedIn>,
) -> Result<Response, Failure> {
    let refused = |why: &str| {
        let title = format!("the login is refused: {why}");
        Problem::new(401, "login", title).cure("reload the page, and try again")
    };
    let login = Login::parse(&login).map_err(|e| refused(&e.to_string()))?;
    let key = PublicKey::from_multicodec(login.key()).map_err(|e| refused(&e.to_string()))?;
    login.verify_signature(&key).map_err(|e| refused(&e.to_string()))?;
    let terms = login.terms();
    if terms.network != console.network().0 {
        return Err(refused("this key was made for another network").into());
    }
    if !console.origins().has(terms.audience.as_str()) {
        return Err(refused("it is for another console").into());
    }
    let now = console.now();
    let seconds = now / 1_000;
    if terms.iat > seconds + SKEW || terms.exp + SKEW < seconds {
        let title = "the login is refused: your clock and the server's differ";
        return Err(Problem::new(401, "clock", title).cure("set your clock, and try again").into());
    }
    if !console.sessions().answer(&terms.nonce, now) {
        return Err(refused("its challenge is over").into());
    }
    let Some(known) = console.known(login.organisation(), &key).await? else {
        let title = "this key is nobody's here: not admitted yet, or its access was ended";
        let cure = "ask an admin of your organisation for an invitation";
        return Err(Problem::new(403, "unknown-key", title).cure(cure).into());
    };
    let browser = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let secret = console.secret();
    let session = Session {
        id: console.id(),
        key,
        organisation: *login.organisation(),
        csrf: console.id(),
        made: now,
        used: now,
        browser: crate::session::browser(browser),
    };
    console.note_act(&session, "sign-in", known.name).await;
    console.sessions().open(&secret, session, now);
    let cookie = console.cookie(Some(&secret));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[derive(Deserialize)]
struct SignOut {
    /// One session by its id, `all` of the person, or none: this one.
    which: Option<String>,
}

async fn sign_out(
    State(console): State<Console>,
    who: Visitor,
    Json(SignOut { which }): Json<SignOut>,
) -> Response {
    let ours = |s: &Session| who.keys.contains(&s.key.to_multikey());
    let ended = match which.as_deref() {
        Some("all") => console.sessions().end(ours),
        Some(id) => console.sessions().end(|s| ours(s) && s.id == id),
        None => console.sessions().end(|s| s.id == who.session.id),
    };
    console.note_act(&who.session, "sign-out", format!("{ended} sessions")).await;
    let own = which.as_deref().is_none_or(|id| id == "all" || id == who.session.id);
    let answer = Json(json!({ "ended": ended, "own": own }));
    match own {
        true => ([(header::SET_COOKIE, console.cookie(None))], answer).into_response(),
        false => answer.into_response(),
    }
}

/// Text in base64url without padding, of any length a body may have.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, Problem> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| Problem::new(400, "malformed", "expected base64url without padding"))
}
