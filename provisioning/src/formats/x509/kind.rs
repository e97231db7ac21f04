//! What a document is, told by its first bytes; whoever judges it reads it fully.

use super::super::key_text::{base64, hex_der};
use super::BEGIN;
use super::other::{Other, is_voucher};
use crate::x509::private_key;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Request,
}

/// What a text in a cell is, if it is a certificate or request in PEM or base64.
pub(crate) fn kind_of_text(text: &str) -> Option<Kind> {
    match text.strip_prefix(BEGIN) {
        Some(rest) => kind_of_label(rest.split_once("-----")?.0),
        None if is_base64_line(text) => kind_of_der(&base64(text)?),
        None => kind_of_der(&hex_der(text)?),
    }
}

/// RFC 7468 §5, §7, and what older tools write.
pub(super) fn kind_of_label(label: &str) -> Option<Kind> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Some(Kind::Certificate),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(Kind::Request),
        _ => None,
    }
}

/// Both are a SEQUENCE in a SEQUENCE. A certificate goes on with `[0]`, a request with its
/// version, which is 0.
pub(super) fn kind_of_der(der: &[u8]) -> Option<Kind> {
    let inner = enter(enter(der)?)?;
    match inner {
        [0xa0, 3, 2, 1, ..] => Some(Kind::Certificate),
        [2, 1, 0, 0x30, ..] => Some(Kind::Request),
        // Version 1 has no version.
        [2, ..] => Some(Kind::Certificate),
        _ => None,
    }
}

/// What a SEQUENCE holds, though the end may be missing.
pub(super) fn enter(der: &[u8]) -> Option<&[u8]> {
    match der {
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => Some(rest),
        [0x30, 0x83, _, _, _, rest @ ..] => Some(rest),
        [0x30, 0..=0x7f, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Whether a line is base64 of DER that is long enough for a certificate or request.
pub(super) fn is_base64_line(line: &str) -> bool {
    line.len() >= 128
        && line.starts_with("MI")
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))
}

/// Whether a line is the first of base64 of such DER that is broken into lines (RFC 4648 §3.1), 64
/// or 76 long.
pub(super) fn is_wrapped(line: &str) -> bool {
    matches!(line.len(), 64 | 76)
        && line.starts_with("MI")
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
}

/// How long a SEQUENCE is with its head, by its first bytes.
pub(super) fn whole_length(der: &[u8]) -> Option<usize> {
    match *der {
        [0x30, short @ 0..=0x7f, ..] => Some(2 + usize::from(short)),
        [0x30, 0x81, long, ..] => Some(3 + usize::from(long)),
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Whether a file begins like one of these. `head` is without byte order mark and blanks.
pub(crate) fn is_x509(head: &[u8]) -> bool {
    if head.starts_with(BEGIN.as_bytes()) {
        return true;
    }
    // What tools print before the PEM block.
    let words: [&[u8]; 3] = [b"Certificate:", b"Certificate Request:", b"Bag Attributes"];
    if words.iter().any(|word| head.starts_with(word)) || is_voucher(head) {
        return true;
    }
    // Other text before it. A block within a cell stands behind a quote that is open.
    let block =
        head.windows(BEGIN.len() + 1).position(|w| w[0] == b'\n' && w[1..] == *BEGIN.as_bytes());
    if let Some(at) = block {
        let quotes = head[..at].iter().filter(|b| **b == b'"').count();
        return quotes % 2 == 0 && !head.starts_with(b"{") && !head.starts_with(b"[");
    }
    let line = head.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let is_text = |line: &str| is_base64_line(line) || is_wrapped(line);
    is_der(head) || str::from_utf8(line).is_ok_and(is_text)
}

/// DER of anything that may be a document or a private key.
pub(super) fn is_der(head: &[u8]) -> bool {
    matches!(head, [0x30, 0x81..=0x84, ..])
        || private_key(head).is_some()
        || Other::of_der(head).is_some()
}

/// Whether a certificate says that it is an issuer's: `cA` in its basicConstraints (RFC 5280
/// §4.2.1.9). Only to tell the chain of a device from the next device; the judge reads it fully.
pub(super) fn seems_ca(der: &[u8]) -> bool {
    let oid = b"\x06\x03\x55\x1d\x13";
    let Some(at) = der.windows(oid.len()).position(|window| window == oid) else { return false };
    let after = &der[at + oid.len()..];
    after.iter().take(16).collect::<Vec<_>>().windows(4).any(|w| {
        matches!(w, [0x30, _, 1, 1]) // BOOLEAN: in DER it is there only if it is true
    })
}
