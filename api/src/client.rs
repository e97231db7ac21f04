mod questions;

use crate::tls::{self, Reach};
use crate::{Problem, limits};
use muster_identity::cbor::Decode;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Talks to one node.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// Signs questions, where the node asks for it.
    signer: Option<Arc<dyn SignsReads>>,
    /// How long a node may say that it has no signed head yet.
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Signs questions to nodes for an organisation. Asked only where a node wants it, since a key may
/// ask for its passphrase.
pub trait SignsReads: Send + Sync {
    /// A `muster-read+jwt` for a node's origin and a target.
    fn sign(&self, origin: &str, target: &str) -> std::result::Result<String, String>;
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used.
    #[error("{url}: {why}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Nobody answered, or the connection broke.
    #[error("{url}: {error}")]
    Transport {
        /// What was asked.
        url: String,
        /// What happened.
        error: String,
    },
    /// The node wants the question signed, and it cannot be.
    #[error(
        "{url}: the node shows this to the organisation that it belongs to, and the question \
        cannot be signed: {why}"
    )]
    NotSigned {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// The node refused.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The node answered something that is not what it should be.
    #[error("{url}: the answer is malformed: {why}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What is wrong.
        why: String,
    },
}

type Result<T> = std::result::Result<T, ClientError>;

/// Longest answer read: a full feed with room to spare.
const ANSWER_BYTES: usize = 32 << 20;

/// Between two questions to a node that is starting.
const AGAIN: Duration = Duration::from_millis(200);

impl Client {
    /// A client of the node at this address, such as `http://127.0.0.1:7700` or
    /// `https://node.example`. Plain HTTP beyond this machine is refused.
    pub fn new(url: &str) -> Result<Self> {
        Self::reach(url, &Reach::default())
    }

    /// As [`Self::new`], with what the operator says of the way there.
    pub fn reach(url: &str, reach: &Reach) -> Result<Self> {
        let fault = |why| ClientError::Address { url: url.into(), why };
        let secret = url.starts_with("https://");
        if !secret && !url.starts_with("http://") {
            return Err(fault("expected an address such as http://127.0.0.1:7700"));
        }
        if !secret && !reach.pins.is_empty() {
            return Err(fault("a pinned key is that of a node that speaks TLS: use https://"));
        }
        if !secret && !reach.without_tls && !is_loopback(url) {
            return Err(fault(
                "plain HTTP beyond this machine shows everything to the network; \
                 use https://, a tunnel to a loopback address, or say --without-tls",
            ));
        }
        let http = tls::http_client(reach)
            .map_err(fault)?
            // A redirect to plain HTTP is not followed, nor is any other.
            .https_only(secret)
            .connect_timeout(Duration::from_secs(5))
            // Sooner than a node closes an idle connection, or a request could meet the closing.
            .pool_idle_timeout(Duration::from_secs(limits::IDLE_SECONDS / 2))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| fault("no HTTP client can be made"))?;
        let base = url.trim_end_matches('/').into();
        Ok(Self { base, http, signer: None, patience: Duration::ZERO })
    }

    /// Asks again for so long where a node says that it has no signed head yet: it has just started
    /// and waits for the others. Whatever it was asked, it has done nothing of it.
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Signs questions, where the node asks for it.
    pub fn signing(self, signer: Arc<dyn SignsReads>) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// The node's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn answer(&self, request: RequestBuilder, path: &str) -> Result<Response> {
        // A long poll or a large batch may take its time, a dead node may not.
        request.timeout(Duration::from_secs(600)).send().await.map_err(|e| ClientError::Transport {
            url: format!("{}{path}", self.base),
            error: root_cause(&e),
        })
    }

    async fn body(&self, mut response: Response, path: &str, most: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| ClientError::Transport {
            url: format!("{}{path}", self.base),
            error: root_cause(&e),
        })? {
            if bytes.len() + chunk.len() > most {
                return Err(self.malformed(path, format!("longer than {} MiB", most >> 20)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn send(&self, request: RequestBuilder, path: &str) -> Result<Vec<u8>> {
        self.send_bounded(request, path, ANSWER_BYTES).await
    }

    async fn send_bounded(
        &self,
        request: RequestBuilder,
        path: &str,
        most: usize,
    ) -> Result<Vec<u8>> {
        let until = Instant::now() + self.patience;
        let mut request = request;
        loop {
            let again = request.try_clone().filter(|_| Instant::now() < until);
            match (self.send_once(request, path, most).await, again) {
                (Err(ClientError::Refused(problem)), Some(again))
                    if problem.code() == Problem::STARTING =>
                {
                    tokio::time::sleep(AGAIN).await;
                    request = again;
                }
                (sent, _) => return sent,
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder, path: &str, most: usize) -> Result<Vec<u8>> {
        let response = self.answer(request, path).await?;
        let status = response.status();
        let bytes = self.body(response, path, most).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => problem.into(),
            Err(_) => self.malformed(path, format!("status {status} without a problem document")),
        })
    }

    pub(crate) async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let bytes = self.send(self.request(Method::GET, path), path).await?;
        serde_json::from_slice(&bytes).map_err(|e| self.malformed(path, e))
    }

    /// What belongs to an organisation: asked as anybody, and signed if the node wants that.
    async fn get_private<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let bytes = match self.send(self.request(Method::GET, path), path).await {
            Err(ClientError::Refused(problem))
                if problem.code() == "reader" && self.signer.is_some() =>
            {
                let why = |why| ClientError::NotSigned { url: format!("{}{path}", self.base), why };
                self.send(self.signed(path).map_err(why)?, path).await?
            }
            sent => sent?,
        };
        self.read_json(bytes, path)
    }

    fn signed(&self, path: &str) -> std::result::Result<RequestBuilder, String> {
        let signer = self.signer.as_ref().ok_or("no key is given")?;
        let url = reqwest::Url::parse(&self.base).map_err(|e| e.to_string())?;
        let token = signer.sign(&url.origin().ascii_serialization(), path)?;
        Ok(self.request(Method::GET, path).header("authorization", format!("Muster {token}")))
    }

    fn read_json<T: DeserializeOwned>(&self, bytes: Vec<u8>, path: &str) -> Result<T> {
        serde_json::from_slice(&bytes).map_err(|e| self.malformed(path, e))
    }

    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T> {
        let bytes = self.send(self.request(Method::POST, path).body(body), path).await?;
        serde_json::from_slice(&bytes).map_err(|e| self.malformed(path, e))
    }

    async fn get_cbor<T: Decode>(&self, path: &str) -> Result<T> {
        let bytes = self.send(self.request(Method::GET, path), path).await?;
        T::from_cbor(&bytes).map_err(|e| self.malformed(path, e))
    }

    async fn post_cbor<T: Decode>(&self, path: &str, body: Vec<u8>) -> Result<T> {
        let bytes = self.send(self.request(Method::POST, path).body(body), path).await?;
        T::from_cbor(&bytes).map_err(|e| self.malformed(path, e))
    }

    fn malformed(&self, path: &str, why: impl ToString) -> ClientError {
        ClientError::Malformed { url: format!("{}{path}", self.base), why: why.to_string() }
    }
}

/// Whether an address leads to this machine and nowhere else.
pub fn is_loopback(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    })
}

/// The innermost message of an error: "connection refused", not "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) => problem,
            other => Self::new(502, "node", other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Reach, is_loopback};

    #[test]
    fn plain_http_stays_on_this_machine() {
        for near in ["http://127.0.0.1:7700", "http://localhost:7700/", "http://[::1]:7700"] {
            assert!(is_loopback(near), "{near}");
            assert!(Client::new(near).is_ok(), "{near}");
        }
        for far in ["http://10.0.0.1:7700", "http://node.example", "http://127.0.0.1.example"] {
            assert!(!is_loopback(far), "{far}");
            assert!(Client::new(far).is_err(), "{far}");
            let named = Reach { without_tls: true, ..Reach::default() };
            assert!(Client::reach(far, &named).is_ok(), "{far}");
        }
        for secret in ["https://node.example", "https://127.0.0.1:7700"] {
            assert!(Client::new(secret).is_ok(), "{secret}");
        }
        assert!(Client::new("127.0.0.1:7700").is_err());
    }

    #[test]
    fn a_ca_that_cannot_be_read_is_named() {
        for text in
            ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            let reach = Reach { ca: Some(text.into()), ..Reach::default() };
            assert!(Client::reach("https://node.example", &reach).is_err(), "{text:?}");
        }
    }
}
