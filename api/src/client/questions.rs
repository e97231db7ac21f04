//! What a node is asked, by name.

use super::{ANSWER_BYTES, Client, Result};
use crate::{
    BatchView, BoxFuture, ChangeView, ConsensusView, CoverageView, DeviceView, Feed, GatewayView,
    GatewaysView, Leaves, LimitsView, LineNoted, LotDevicesView, LotQuery, LotsView, NetworkView,
    Problem, ProposalsView, Resolution, Resolve, Sealed, Submit, UploadOpened, Verdicts, limits,
};
use muster_identity::Did;
use muster_ledger::{ConsistencyProof, DevicePart, EntryProof, Genesis, Receipt, SignedOperation};
use reqwest::Method;
use serde::de::DeserializeOwned;

impl Client {
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
