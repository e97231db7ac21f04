use crate::limits;
use crate::tls::{self, Reach};
use crate::{
    ConsensusView,    BatchView, BoxFuture, ChangeView, CoverageView, DeviceView, Feed, GatewayView, GatewaysView,
    Leaves, LimitsView, LineNoted, LotDevicesView, LotQuery, LotsView, NetworkView, Problem,
    ProposalsView, Resolution, Resolve, Sealed, Submit, UploadOpened, Verdicts,
};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{ConsistencyProof, DevicePart, EntryProof, Genesis, Receipt, SignedOperation};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Talks to one node.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// Signs questions, where the node asks for it.
    signer: Option<Arc<dyn SignsReads>>,
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
        Ok(Self { base: url.trim_end_matches('/').into(), http, signer: None })
    }

    /// Signs questions, where the node asks for it.
    pub fn signing(self, signer: Arc<dyn SignsReads>) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// The node's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The genesis the node serves; compare its hash with the one you know.
    pub async fn genesis(&self) -> Result<Genesis> {
        self.get_cbor("/v1/genesis").await
    }

    /// The network as the node sees it.
    pub async fn network(&self) -> Result<NetworkView> {
        self.get_json("/v1/network").await
    }

    /// How the node decides, and with whom.
    pub async fn consensus(&self) -> Result<ConsensusView> {
        self.get_json("/v1/consensus").await
    }

    /// What waits for approval.
    pub async fn proposals(&self) -> Result<ProposalsView> {
        self.get_json("/v1/proposals").await
    }

    /// The head's note.
    pub async fn checkpoint(&self) -> Result<String> {
        let path = "/v1/checkpoint";
        let bytes = self.send(self.request(Method::GET, path), path).await?;
        String::from_utf8(bytes).map_err(|e| self.malformed(path, e))
    }

    /// Entries from a place on; waits up to `wait` seconds for a head newer than `time`.
    pub async fn feed(&self, from: u64, time: u64, wait: u64) -> Result<Feed> {
        self.get_cbor(&format!("/v1/feed?from={from}&time={time}&wait={wait}")).await
    }

    /// The ledger under a recent head in one piece, as bytes that nobody has looked at.
    pub async fn snapshot(&self) -> Result<Vec<u8>> {
        let path = "/v1/snapshot";
        let request = self.request(Method::GET, path);
        self.send_bounded(request, path, limits::SNAPSHOT_BYTES).await
    }

    /// Proof that the log of `to` entries begins with that of `from`.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof> {
        self.get_cbor(&format!("/v1/consistency?from={from}&to={to}")).await
    }

    /// Opens an upload with a signed request.
    pub async fn open_upload(&self, request: Vec<u8>) -> Result<UploadOpened> {
        self.post_json("/v1/uploads", request).await
    }

    /// Streams some rows: the body that [`crate::Rows::join`] makes.
    pub async fn upload_rows(&self, upload: &str, rows: Vec<u8>) -> Result<Verdicts> {
        self.post_json(&format!("/v1/uploads/{upload}/rows"), rows).await
    }

    /// Sends what the line says of devices: the body that [`crate::Rows::join`] makes of records.
    pub async fn note_line(&self, upload: &str, records: Vec<u8>) -> Result<LineNoted> {
        self.post_json(&format!("/v1/uploads/{upload}/line"), records).await
    }

    /// Balances of lots.
    pub async fn lots(&self, query: &LotQuery) -> Result<LotsView> {
        self.get_query("/v1/lots", query).await
    }

    /// Devices of lots.
    pub async fn lot_devices(&self, query: &LotQuery) -> Result<LotDevicesView> {
        self.get_query("/v1/lots/devices", query).await
    }

    /// Ends the rows: the node computes the root.
    pub async fn seal_upload(&self, upload: &str) -> Result<Sealed> {
        self.post_json(&format!("/v1/uploads/{upload}/seal"), Vec::new()).await
    }

    /// Throws an upload away.
    pub async fn drop_upload(&self, upload: &str) -> Result<()> {
        let path = format!("/v1/uploads/{upload}");
        self.send(self.request(Method::DELETE, &path), &path).await.map(drop)
    }

    /// Submits the operation that makes a sealed upload live.
    pub async fn submit_upload(&self, upload: &str, op: &SignedOperation) -> Result<EntryProof> {
        self.post_cbor(&format!("/v1/operations?upload={upload}"), op.0.clone()).await
    }

    /// Submits an operation and waits for its acknowledgement. The caller checks the proof.
    pub async fn submit_operation(&self, op: &SignedOperation) -> Result<EntryProof> {
        self.post_cbor("/v1/operations", op.0.clone()).await
    }

    /// Registers a gateway, or ends its registration: a `muster-registration+jwt`.
    pub async fn register_gateway(&self, token: String) -> Result<GatewayView> {
        self.post_json("/v1/gateways", token.into_bytes()).await
    }

    /// Tells a node by which head a gateway decides: a `muster-ack+jwt`.
    pub async fn acknowledge(&self, token: String) -> Result<()> {
        let path = "/v1/acknowledgements";
        let request = self.request(Method::POST, path).body(token);
        self.send(request, path).await.map(drop)
    }

    /// The registered gateways.
    pub async fn gateways(&self) -> Result<GatewaysView> {
        self.get_private("/v1/gateways").await
    }

    /// Which gateways go by an entry of the log (its place), or by the last restriction of a
    /// device (DID) or batch (id).
    pub async fn coverage(&self, target: &str) -> Result<CoverageView> {
        self.get_private(&format!("/v1/coverage/{target}")).await
    }

    /// Resolves any DID the node knows the method of.
    pub async fn resolve_did(&self, did: &str) -> Result<Resolution> {
        let path = format!("/1.0/identifiers/{did}");
        let response = self.answer(self.request(Method::GET, &path), &path).await?;
        let bytes = self.body(response, &path, ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|e| self.malformed(&path, e))
    }

    /// The bounds of the node's code.
    pub async fn limits(&self) -> Result<LimitsView> {
        self.get_json("/v1/limits").await
    }

    /// A device with its private parts, if the questions can be signed where the node asks for it;
    /// else as [`Self::device`] shows it.
    pub async fn device_in_full(&self, did: &Did) -> Result<DeviceView> {
        let view = self.device(did).await?;
        let path = format!("/v1/devices/{did}");
        if !view.withheld || self.signer.is_none() {
            return Ok(view);
        }
        match self.signed(&path) {
            Ok(request) => self.read_json(self.send(request, &path).await?, &path),
            Err(_) => Ok(view),
        }
    }

    /// A device.
    pub async fn device(&self, did: &Did) -> Result<DeviceView> {
        self.get_json(&format!("/v1/devices/{did}")).await
    }

    /// The device part of a device's receipt.
    pub async fn device_part(&self, did: &Did) -> Result<DevicePart> {
        self.get_cbor(&format!("/v1/devices/{did}/part")).await
    }

    /// A device's receipt.
    pub async fn receipt(&self, did: &Did) -> Result<Receipt> {
        self.get_cbor(&format!("/v1/devices/{did}/receipt")).await
    }

    /// A batch.
    pub async fn batch(&self, batch: &str) -> Result<BatchView> {
        self.get_json(&format!("/v1/batches/{batch}")).await
    }

    /// All batches, newest first.
    pub async fn batches(&self) -> Result<Vec<BatchView>> {
        self.get_json("/v1/batches").await
    }

    /// A page of a batch's leaves, in their order, behind a device's.
    pub async fn leaves(&self, batch: &str, after: Option<&Did>) -> Result<Vec<Vec<u8>>> {
        let after = after.map(|did| format!("?after={did}")).unwrap_or_default();
        Ok(self.get_cbor::<Leaves>(&format!("/v1/batches/{batch}/leaves{after}")).await?.0)
    }

    /// What happened to a device (DID) or batch (id), newest last.
    pub async fn history(&self, subject: &str) -> Result<Vec<ChangeView>> {
        self.get_json(&format!("/v1/history/{subject}")).await
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

    /// What is asked for stands in the query: a lot may be called anything, and is private.
    async fn get_query<T: DeserializeOwned>(&self, path: &str, query: &LotQuery) -> Result<T> {
        let asked = [
            ("organisation", &query.organisation),
            ("lot", &query.lot),
            ("order", &query.order),
            ("state", &query.state),
            ("after", &query.after),
            ("after_lot", &query.after_lot),
            ("after_order", &query.after_order),
        ];
        let pairs = asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), pairs);
        let url = url.map_err(|e| self.malformed(path, e))?;
        let query = url.query().filter(|query| !query.is_empty());
        let path = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
        self.get_private(&path).await
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

impl Submit for Client {
    fn submit(
        &self,
        operation: SignedOperation,
    ) -> BoxFuture<'_, std::result::Result<EntryProof, Problem>> {
        Box::pin(async move { Ok(self.submit_operation(&operation).await?) })
    }
}

impl Resolve for Client {
    fn resolve<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Resolution> {
        Box::pin(async move {
            self.resolve_did(&did.to_string())
                .await
                .unwrap_or_else(|e| Resolution::failed("INTERNAL_ERROR", e.to_string()))
        })
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
