//! What to send for which `Accept` header (RFC 9110 §12.5.1; DID Resolution 1.0, HTTP binding).

use crate::Error;
use crate::limits::ACCEPT_CHARS;
use muster_api::Resolution;

/// A media type of a DID document. The JSON is the same for all: it has an `@context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/did` (DID Core 1.1).
    Did,
    /// `application/did+json` (DID Core 1.0).
    DidJson,
    /// `application/did+ld+json` (DID Core 1.0).
    DidLdJson,
    /// `application/ld+json`.
    LdJson,
}

impl MediaType {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Did => "application/did",
            Self::DidJson => "application/did+json",
            Self::DidLdJson => "application/did+ld+json",
            Self::LdJson => "application/ld+json",
        }
    }
}

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// The document alone.
    Document(MediaType),
    /// The whole resolution result, as this media type.
    Result(&'static str),
}

const RESULT: &str = "application/did-resolution";

/// The profile by which older clients ask for the whole result.
const PROFILE: &str = "https://w3id.org/did-resolution";
const PROFILED: &str = "application/ld+json;profile=\"https://w3id.org/did-resolution\"";

/// Chooses by an `Accept` header. Of media types with equal weight the first counts; no header,
/// or `*/*`, gets the whole result.
pub fn negotiate(accept: Option<&str>) -> Result<Representation, Error> {
    let Some(header) = accept.filter(|header| !header.trim().is_empty()) else {
        return Ok(Representation::Result(RESULT));
    };
    if header.len() > ACCEPT_CHARS {
        return Err(Error::RepresentationNotSupported);
    }
    let mut best: Option<(u16, Representation)> = None;
    for range in header.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut profiled) = (1_000, false);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => weight = thousandths(value.trim()),
                "profile" => profiled = value.trim().trim_matches('"') == PROFILE,
                _ => {}
            }
        }
        let Some(representation) = representation(&name, profiled) else { continue };
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, representation));
        }
    }
    best.map(|(_, representation)| representation).ok_or(Error::RepresentationNotSupported)
}

fn representation(name: &str, profiled: bool) -> Option<Representation> {
    Some(match name {
        "application/ld+json" if profiled => Representation::Result(PROFILED),
        "application/did" => Representation::Document(MediaType::Did),
        "application/did+json" => Representation::Document(MediaType::DidJson),
        "application/did+ld+json" => Representation::Document(MediaType::DidLdJson),
        "application/ld+json" => Representation::Document(MediaType::LdJson),
        RESULT | "application/*" | "*/*" => Representation::Result(RESULT),
        "application/json" => Representation::Result("application/json"),
        _ => return None,
    })
}

/// A weight in thousandths: `1`, `0.8`, `0.125` (RFC 9110 §12.4.2); anything else is zero.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "1" if digits && fraction.bytes().all(|b| b == b'0') => 1_000,
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer that carries a resolution. A failure is always the whole result: that is where
    /// the error stands.
    pub fn new(mut resolution: Resolution, representation: Representation) -> Self {
        let status = resolution.http_status();
        let (content_type, body) = match representation {
            Representation::Document(media) if resolution.did_document.is_some() => {
                (media.name(), serde_json::to_vec(&resolution.did_document.take()))
            }
            Representation::Document(_) => (RESULT, serde_json::to_vec(&resolution)),
            Representation::Result(name) => (name, serde_json::to_vec(&resolution)),
        };
        // JSON values with text keys always serialize.
        Self { status, content_type, body: body.unwrap_or_default() }
    }

    /// The answer to a request whose `Accept` header cannot be met.
    pub fn failed(error: Error) -> Self {
        Self::new(error.into(), Representation::Result(RESULT))
    }
}
