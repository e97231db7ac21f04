//! A bare server: it reads a token and a key from the head of a request, verifies one signature
//! and answers in two words; or it answers so many bytes.

use anyhow::Result;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use tokio::net::TcpListener;

/// Serves until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let routes = Router::new()
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/v1/authenticate", get(authenticate))
        .route("/bytes/{number}", get(bytes));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stop).await?)
}

async fn authenticate(head: HeaderMap) -> (StatusCode, &'static str) {
    match verify(&head) {
        Some(()) => (StatusCode::OK, "let through\n"),
        None => (StatusCode::UNAUTHORIZED, "refused\n"),
    }
}

/// As many as are asked for, up to a mebibyte.
async fn bytes(Path(number): Path<usize>) -> Vec<u8> {
    vec![b'x'; number.min(1 << 20)]
}

fn verify(head: &HeaderMap) -> Option<()> {
    let token = head.get("authorization")?.to_str().ok()?.split_once(' ')?.1;
    let (message, signature) = token.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    let key = BASE64URL_NOPAD.decode(head.get("x-key")?.as_bytes()).ok()?;
    let key = VerifyingKey::from_bytes(&key.try_into().ok()?).ok()?;
    let signature = Signature::from_bytes(&signature.try_into().ok()?);
    key.verify_strict(message.as_bytes(), &signature).ok()
}
