//! The HTTP face in headers: what a request brings, and what an answer says.

use crate::{AuthRequest, Reason, Rejected, Verified, original};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use muster_api::Problem;
use muster_identity::PresentationFault;
use std::net::IpAddr;

const RECEIPT: HeaderName = HeaderName::from_static("muster-receipt");
const REASON: HeaderName = HeaderName::from_static("muster-reason");

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

/// The answer that lets a request through.
pub(crate) fn accepted(verified: &Verified) -> Response<Vec<u8>> {
    let age = verified.roll_age_ms() / 1_000;
    let body = serde_json::json!({
        "did": verified.did().to_string(),
        "owner": verified.owner().to_string(),
        "model": verified.model(),
        "batch": verified.batch().to_string(),
        "key": verified.key().to_multikey(),
        "roll_age": age,
        "status": verified.status().word(),
    });
    let mut response = Response::new(body.to_string().into_bytes());
    let headers = response.headers_mut();
    let mut set = |name: &'static str, text: String| {
        headers.insert(HeaderName::from_static(name), value(&text));
    };
    set("muster-did", verified.did().to_string());
    set("muster-owner", verified.owner().to_string());
    set("muster-model", verified.model().to_owned());
    set("muster-batch", verified.batch().to_string());
    set("muster-roll-age", age.to_string());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer that refuses one.
pub(crate) fn rejected(rejected: &Rejected) -> Response<Vec<u8>> {
    let (code, words) = (rejected.code(), rejected.to_string());
    let (title, cure) = words.split_once("; ").unwrap_or((&words, ""));
    let mut problem = Problem::new(rejected.http_status(), code, title);
    if !cure.is_empty() {
        problem = problem.cure(cure);
    }
    let body = serde_json::to_vec(&problem).expect("a problem has string keys and serialises");
    let mut response = Response::new(body);
    let status = StatusCode::from_u16(rejected.http_status());
    *response.status_mut() = status.expect("401 and 403 are status codes");
    let headers = response.headers_mut();
    if rejected.http_status() == 401 {
        let challenge = format!(r#"Muster error="{code}", error_description="{}""#, quoted(&words));
        headers.insert(WWW_AUTHENTICATE, value(&challenge));
    }
    headers.insert(REASON, HeaderValue::from_static(code));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Words for a quoted string (RFC 9110 §5.6.4): none of ours holds a quote or backslash.
fn quoted(words: &str) -> String {
    words.replace(['"', '\\'], "'")
}

/// DIDs, models and our words are printable ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unprintable"))
}
