//! The HTTP face in headers: what a request brings, and what an answer says.

use crate::{AuthRequest, Gateway, Reason, Rejected, Verified, original};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use muster_api::Problem;
use muster_identity::{Did, PresentationFault};
use serde::Serialize;
use std::net::IpAddr;

const DID: HeaderName = HeaderName::from_static("muster-did");
const OWNER: HeaderName = HeaderName::from_static("muster-owner");
const MODEL: HeaderName = HeaderName::from_static("muster-model");
const BATCH: HeaderName = HeaderName::from_static("muster-batch");
const STALE: HeaderName = HeaderName::from_static("muster-stale");
const RECEIPT: HeaderName = HeaderName::from_static("muster-receipt");
const SESSION: HeaderName = HeaderName::from_static("muster-session");
const SESSION_SECONDS: HeaderName = HeaderName::from_static("muster-session-seconds");
const PROVE: HeaderName = HeaderName::from_static("muster-prove");
const PROOF: HeaderName = HeaderName::from_static("muster-proof");
const NONCE: HeaderName = HeaderName::from_static("muster-nonce");
const ROLL_AGE: HeaderName = HeaderName::from_static("muster-roll-age");
const REASON: HeaderName = HeaderName::from_static("muster-reason");

/// Room for the headers of an answer, so that they need not move while they are written.
const HEADERS: usize = 14;

/// Who sent the headers, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender {
    /// Anybody: only what proves itself counts.
    Peer(Option<IpAddr>),
    /// A proxy that is believed about the request it asks for.
    Proxy(Option<IpAddr>),
}

/// Reads what a request brings. A header that stands twice is nobody's word.
pub(crate) fn read(headers: &HeaderMap, from: Sender) -> Result<AuthRequest<'_>, Rejected> {
    let malformed = Rejected::new(Reason::Malformed(PresentationFault::Compact));
    let bad_part = Rejected::new(Reason::BadDevicePart);
    let authorization = one(headers, &AUTHORIZATION).map_err(|()| malformed)?;
    let authorization = authorization.ok_or(Rejected::new(Reason::Missing))?;
    let receipt = one(headers, &RECEIPT).map_err(|()| bad_part)?;
    let request = AuthRequest { receipt, ..AuthRequest::from_authorization(authorization)? };
    Ok(match from {
        Sender::Peer(source) => AuthRequest { source, ..request },
        Sender::Proxy(peer) => original::read(headers, peer, request),
    })
}

pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Removes every header that only we may set, and the device part, which is ours to read.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| name.as_str().starts_with("muster-");
    let names: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// What a device that was let through by a presentation asked for besides: a session, the
/// gateway's proof of itself. A session opens none, and proves nothing that was just received.
pub(crate) fn extras(request: &HeaderMap, gateway: &Gateway, verified: &Verified) -> Extras {
    let asks = |name, word| one(request, name).ok().flatten() == Some(word);
    let (session, proof) = (asks(&SESSION, "open"), asks(&PROVE, "gateway"));
    if !session && !proof {
        return Extras::default();
    }
    let authorization = one(request, &AUTHORIZATION).ok().flatten();
    let brought = authorization.and_then(|value| AuthRequest::from_authorization(value).ok());
    if brought.is_none_or(|brought| brought.presentation.is_none()) {
        return Extras::default();
    }
    Extras {
        session: if session { gateway.open_session(verified) } else { None },
        proof: if proof { gateway.prove(verified) } else { None },
    }
}

/// What an answer says to the device besides.
#[derive(Default)]
pub(crate) struct Extras {
    session: Option<(String, u64)>,
    proof: Option<String>,
}

impl Extras {
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        if let Some((token, seconds)) = self.session {
            headers.insert(SESSION, value(&token));
            headers.insert(SESSION_SECONDS, HeaderValue::from(seconds));
        }
        if let Some(proof) = self.proof {
            headers.insert(PROOF, value(&proof));
        }
    }
}

#[derive(Serialize)]
struct Accepted<'a> {
    did: String,
    owner: String,
    model: &'a str,
    batch: String,
    key: String,
    roll_age: u64,
    stale: bool,
    status: &'static str,
}

/// The answer that lets a request through.
pub(crate) fn accepted(verified: &Verified) -> Response<Vec<u8>> {
    let roll_age = verified.roll_age_ms() / 1_000;
    let body = Accepted {
        did: verified.did().to_string(),
        owner: verified.owner().to_string(),
        model: verified.model(),
        batch: verified.batch().to_string(),
        key: verified.key().to_multikey(),
        roll_age,
        stale: verified.stale(),
        status: verified.status().word(),
    };
    let mut response = Response::new(json(&body));
    let headers = response.headers_mut();
    // These, what a device asks for besides, and what stands around adds.
    headers.reserve(HEADERS);
    headers.insert(DID, value(&body.did));
    headers.insert(OWNER, value(&body.owner));
    headers.insert(MODEL, value(body.model));
    headers.insert(BATCH, value(&body.batch));
    headers.insert(ROLL_AGE, HeaderValue::from(roll_age));
    if verified.stale() {
        headers.insert(STALE, HeaderValue::from_static("true"));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// That an answer refuses a device: among the extensions of the answer, for whoever keeps a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason's code.
    pub code: &'static str,
    /// Who it is about, if it is known; only a claim, unless the answer is 403.
    pub did: Option<Did>,
}

/// The answer that refuses one, with what helps the device to do better.
pub(crate) fn rejected(rejected: &Rejected, gateway: &Gateway) -> Response<Vec<u8>> {
    let (code, words) = (rejected.code(), rejected.to_string());
    let (title, cure) = words.split_once("; ").unwrap_or((&words, ""));
    let mut problem = Problem::new(rejected.http_status(), code, title);
    if !cure.is_empty() {
        problem = problem.cure(cure);
    }
    let mut response = Response::new(json(&problem));
    let status = StatusCode::from_u16(rejected.http_status());
    *response.status_mut() = status.expect("401 and 403 are status codes");
    response.extensions_mut().insert(Refused { code, did: rejected.did });
    let headers = response.headers_mut();
    if rejected.http_status() == 401 {
        let challenge = format!(r#"Muster error="{code}", error_description="{}""#, quoted(&words));
        headers.insert(WWW_AUTHENTICATE, value(&challenge));
    }
    if calls_for_nonce(rejected.reason) {
        headers.insert(NONCE, value(&gateway.nonce()));
    }
    if let Some(age) = gateway.roll_age_ms() {
        headers.insert(ROLL_AGE, HeaderValue::from(age / 1_000));
    }
    headers.insert(REASON, HeaderValue::from_static(code));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a nonce lets the device do better at once: it has none, or its clock is off.
fn calls_for_nonce(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Missing
            | Reason::NonceUnknown
            | Reason::NonceRequired
            | Reason::Expired
            | Reason::NotYetValid
    )
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("our own types have string keys and serialise")
}

/// Words for a quoted string (RFC 9110 §5.6.4): none of ours holds a quote or backslash.
fn quoted(words: &str) -> String {
    words.replace(['"', '\\'], "'")
}

/// DIDs, models and our words are printable ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unprintable"))
}
