//! Serves the console's modules, the suite and the vectors under the policy that holds for every
//! page of the console.

use axum::extract::Path as Route;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing::get};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// As on every page of the console.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const PLAIN: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Modules</title>\
    <main><h1>Modules</h1><p id=out>ready</p></main></html>";

const UNREADABLE: &str = "<!doctype html><html><meta charset=utf-8><title>Unreadable</title>\
    <body bgcolor=white><main><h1>Unreadable</h1><p><font color='#cccccc'>pale on white</font></p>\
    <button></button><img src=/none></main></html>";

const INLINE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Inline</title>\
    <main><h1>Inline</h1></main><script>document.title = 'it ran'</script></html>";

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    // Not env!: two checkouts may share a target directory.
    std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is").into()
}

/// A server that ends with the test.
pub(crate) struct Site {
    runtime: Option<Runtime>,
    address: String,
}

impl Site {
    /// On a free port of this machine.
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        runtime.spawn(async move { axum::serve(listener, routes()).await });
        Self { runtime: Some(runtime), address }
    }

    /// An address on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Its origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn routes() -> Router {
    let page = |text: &'static str| get(move || async move { guarded(Html(text)) });
    Router::new()
        .route("/plain", page(PLAIN))
        .route("/unreadable", page(UNREADABLE))
        .route("/inline", page(INLINE))
        .route("/vectors.json", get(|| async { guarded(axum::Json(vectors())) }))
        .route("/js/{name}", get(|Route(name): Route<String>| module("web/assets/js", name)))
        .route(
            "/suite/{name}",
            get(|Route(name): Route<String>| module("tests/console/suite", name)),
        )
}

fn guarded(body: impl IntoResponse) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], body).into_response()
}

async fn module(folder: &'static str, name: String) -> Response {
    match std::fs::read(root().join(folder).join(name)) {
        Ok(text) => guarded(([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text)),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `[folder, name, file]` of each vector of the project.
pub(crate) fn vectors() -> Vec<Value> {
    let read = |folder: &'static str| {
        let files = std::fs::read_dir(root().join("tests/vectors").join(folder)).expect("vectors");
        files.map(move |entry| {
            let path = entry.expect("a vector").path();
            json!([folder, name_of(&path), parsed(&path)])
        })
    };
    ["valid", "invalid"].into_iter().flat_map(read).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn parsed(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a readable vector")).expect("JSON")
}
