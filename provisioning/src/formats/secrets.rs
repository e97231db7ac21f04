//! The guard against private keys: by the form of values and by the names of fields. It says
//! where, never what.

use super::json::Json;
use super::key_text::{base64, hex_der};
use super::lines::OVERLAP;
use crate::x509::private_key;
use crate::{Error, Unit};
use std::io::{BufRead, ErrorKind};

/// How the labels of PEM end (RFC 7468 §10, §11, older ones), and those of OpenPGP (RFC 9580 §6.2).
const PEM_ENDS: [&[u8]; 2] = [b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----"];

/// What a connection string of Azure has before its key.
const SHARED_ACCESS_KEY: &str = "SharedAccessKey=";

/// Names that hold a secret whatever the value looks like, without case and separators. The last
/// two lines are those of LoRaWAN 1.0 and 1.1.
const NAMES: [&str; 20] = [
    "seed",
    "secret",
    "mnemonic",
    "passphrase",
    "symmetrickey",
    "sharedsecret",
    "devicesecret",
    "sharedaccesskey",
    "dackey",
    "psk",
    "presharedkey",
    "appkey",
    "nwkkey",
    "genappkey",
    "appskey",
    "nwkskey",
    "fnwksintkey",
    "snwksintkey",
    "nwksenckey",
    "rootkey",
];

/// How those end.
const KEY: &str = "key";

/// Parts of names that say the same.
const PARTS: [&str; 4] = ["privatekey", "privkey", "secretkey", "saskey"];

/// A name without case and separators.
pub(crate) fn bare(name: &str) -> String {
    if name.is_ascii() {
        // Nearly all names are, and each row has them all.
        let mut bare = name.to_ascii_lowercase();
        bare.retain(|c| c.is_ascii_alphanumeric());
        return bare;
    }
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a field of this name holds a secret. `encryptedSecretKeySet` of chip vendors does
/// not: only its addressee can read it.
pub(super) fn in_name(name: &str) -> bool {
    let name = bare(name);
    NAMES.contains(&name.as_str())
        || (!name.contains("encrypted") && PARTS.iter().any(|part| name.contains(part)))
}

/// Whether the text is a private key in PEM.
pub(super) fn in_pem(bytes: &[u8]) -> bool {
    // Looked for by a rare letter, since whole files pass here: PRI`V`ATE.
    bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'V'
            && at
                .checked_sub(3)
                .is_some_and(|from| PEM_ENDS.iter().any(|end| bytes[from..].starts_with(end)))
    })
}

/// Whether the text is a private key: PEM, a secret Multikey (Controlled Identifiers 1.0 §2.2.2:
/// `z3u2` for Ed25519, `z42t` for P-256), or JSON text with one inside.
pub(super) fn in_text(text: &str) -> bool {
    let text = text.trim();
    in_pem(text.as_bytes())
        || ((text.starts_with("z3u2") || text.starts_with("z42t"))
            && (45..=52).contains(&text.len()))
        || in_text_der(text)
        || text.contains(SHARED_ACCESS_KEY)
        || (text.starts_with(['{', '['])
            && Json::parse(text).is_ok_and(|json| in_json(&json).is_some()))
}

/// Whether the text is base64 or hexadecimal of a private key in DER: no PEM without its first and
/// last line is let through. Such a SEQUENCE begins with `M` or `30`, and these have fewer than
/// 8 KiB.
fn in_text_der(text: &str) -> bool {
    if text.len() < 48 || text.len() > 16 << 10 {
        return false;
    }
    let der = match text.as_bytes() {
        [b'M', ..] => base64(&text.split_whitespace().collect::<String>()),
        _ => hex_der(text),
    };
    der.is_some_and(|der| in_der(&der))
}

/// Whether bytes are a private key in DER.
pub(super) fn in_der(bytes: &[u8]) -> bool {
    private_key(bytes).is_some()
}

/// The name of the field that holds a private key, anywhere in a JSON value. `d` and `k` are
/// private only in a JWK (RFC 7518 §6.2.2, §6.4).
pub(super) fn in_json(json: &Json) -> Option<String> {
    match json {
        Json::Text(text) => in_text(text).then(|| "row".into()),
        Json::Array(items) => items.iter().find_map(in_json),
        Json::Object(members) => {
            let is_jwk = members.iter().any(|(name, _)| name == "kty");
            members.iter().find_map(|(name, value)| {
                let named = in_name(name) || (is_jwk && matches!(name.as_str(), "d" | "k"));
                let inside =
                    || in_json(value).map(|inner| if inner == "row" { shown(name) } else { inner });
                if named && holds(value) { Some(shown(name)) } else { inside() }
            })
        }
        Json::Null | Json::Bool | Json::Integer(_) | Json::Fraction => None,
    }
}

/// Whether a value is something. Exports of device hubs name the secrets of all kinds of
/// authentication, and leave empty what a device does not have.
fn holds(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool => false,
        Json::Integer(_) | Json::Fraction => true,
        Json::Text(text) => !text.trim().is_empty(),
        Json::Array(items) => items.iter().any(holds),
        Json::Object(members) => members.iter().any(|(_, value)| holds(value)),
    }
}

/// Whether bytes that no format can read mention a private key.
pub(super) fn in_unreadable(bytes: &[u8]) -> bool {
    if in_pem(bytes) {
        return true;
    }
    let letters = bytes.iter().filter(|b| b.is_ascii_alphanumeric());
    let bare: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    bare.iter().enumerate().any(|(at, byte)| {
        let (before, after) = bare.split_at(at);
        *byte == b'k'
            && after.starts_with(KEY.as_bytes())
            && !before.ends_with(b"encryptedsecret")
            && PARTS.iter().any(|part| {
                part.strip_suffix(KEY).is_some_and(|part| before.ends_with(part.as_bytes()))
            })
    })
}

/// A foreign name, fit for a message: short and printable.
pub(super) fn shown(name: &str) -> String {
    let printable = name.chars().map(|c| if c.is_control() { '?' } else { c });
    printable.take(crate::limits::NAME_CHARS).collect()
}

/// Whether a piece of any file shows a private key in PEM, whatever else the file is: for those who
/// must know before they keep it. Other forms of keys are known when rows are read.
pub fn mentions_private_key(piece: &[u8]) -> bool {
    in_pem(piece)
}

/// Looks for private keys in a file that is not read, piece by piece: PEM anywhere, and their
/// names in JSON.
pub(crate) fn search(file: &str, input: &mut dyn BufRead) -> Result<(), Error> {
    let (mut kept, mut json, mut line) = (Vec::new(), None, 1);
    loop {
        let piece = match input.fill_buf() {
            Ok(piece) => piece,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::File { file: file.into(), error }),
        };
        if piece.is_empty() {
            return Ok(());
        }
        let begins = || matches!(piece.trim_ascii_start().first(), Some(b'{' | b'['));
        let json = *json.get_or_insert_with(begins);
        kept.extend_from_slice(piece);
        let used = piece.len();
        input.consume(used);
        if in_pem(&kept) || (json && in_unreadable(&kept)) {
            return Err(Error::PrivateKey {
                file: file.into(),
                line,
                unit: Unit::Line,
                field: "row".into(),
            });
        }
        line += kept.iter().filter(|b| **b == b'\n').count() as u64;
        kept.drain(..kept.len().saturating_sub(OVERLAP));
    }
}
