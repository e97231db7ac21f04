//! Our own files for the browser: one style sheet, a few modules, a picture. They are part of the
//! binary, and their path names what they are, so that a browser may keep them for ever.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::HEXLOWER;
use muster_identity::sha256;
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, body: include_bytes!(concat!("../assets/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "console.css",
    "icon.svg",
    "js/action.js",
    "js/app.js",
    "js/approvals.js",
    "js/base58.js",
    "js/bytes.js",
    "js/cbor.js",
    "js/cose.js",
    "js/curve.js",
    "js/device.js",
    "js/devices.js",
    "js/did.js",
    "js/fields.js",
    "js/genesis.js",
    "js/import.js",
    "js/import_signs.js",
    "js/join.js",
    "js/keys.js",
    "js/leaf.js",
    "js/merkle.js",
    "js/note.js",
    "js/operation.js",
    "js/pem.js",
    "js/people.js",
    "js/proof.js",
    "js/public_key.js",
    "js/receipt.js",
    "js/renew.js",
    "js/revoke.js",
    "js/sign.js",
    "js/sign_in.js",
    "js/state_proof.js",
    "js/talk.js",
    "js/token.js",
    "js/upload.js",
    "js/words.js",
];

/// Names all of them in every path: modules find each other by relative paths.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let parts: Vec<&[u8]> = ASSETS.iter().flat_map(|a| [a.name.as_bytes(), a.body]).collect();
    HEXLOWER.encode(&sha256(&parts)[..6])
});

/// Where they are, such as `/assets/0123456789ab`.
pub(crate) fn base() -> String {
    format!("/assets/{}", *VERSION)
}

pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|a| a.name == name).filter(|_| version == *VERSION);
    let Some(asset) = found else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut found = Vec::new();
        for dir in ["", "js/"] {
            for file in std::fs::read_dir(root.join(dir)).expect("a folder").flatten() {
                if file.path().is_file() {
                    found.push(format!("{dir}{}", file.file_name().to_string_lossy()));
                }
            }
        }
        found.sort();
        let mut served: Vec<_> = ASSETS.iter().map(|a| a.name.to_owned()).collect();
        served.sort();
        assert_eq!(found, served);
    }
}
