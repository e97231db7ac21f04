//! A node in this process: real ledger types, one signer, everything in memory. It can be told
//! to misbehave.

use crate::made::{NOW, key};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use muster_api::{
    Client, GrantView, LineNoted, LineRecord, LineRecords, LineResult, NetworkView, Problem, Row,
    RowVerdict, Rows, Sealed, UploadOpened, Verdict, Verdicts,
};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{Did, SecretKey};
use muster_ledger::{
    Action, Block, Chain, EntryProof, Genesis, GrantRecord, Leaf, LeafTree, SignedOperation,
    StateKey, Time, UploadRequest, View, cosign, merkle,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// How the node misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Says another root.
    Root,
    /// Says another number of leaves.
    Count,
    /// Hangs up when the second request with rows arrives.
    HangUp,
    /// Leaves out a verdict.
    Verdicts,
    /// Refuses every second row.
    Rows,
    /// Lets another key sign the checkpoint.
    Signer,
    /// Acknowledges the first operation for every one.
    Acknowledgement,
    /// Counts every row of a request against the grant.
    Grant,
    /// Refuses what was sealed.
    Submit,
}

pub(crate) struct Inner {
    pub(crate) fault: Fault,
    pub(crate) chain: Chain,
    pub(crate) log: merkle::Tree,
    entries: Vec<Vec<u8>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) enrolled: BTreeMap<Did, String>,
    batches: BTreeSet<String>,
    pub(crate) opened: u64,
    /// What the line said, in its order, and before how many operations.
    pub(crate) told: Vec<(LineRecord, usize)>,
    requests: u64,
    rows_per_request: usize,
}

#[derive(Default)]
pub(crate) struct Upload {
    request: Option<UploadRequest>,
    staged: BTreeMap<Did, (Vec<u8>, String)>,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) inner: Arc<Mutex<Inner>>,
    pub(crate) url: String,
}

impl Node {
    pub(crate) async fn start(genesis: &Genesis, fault: Fault, rows_per_request: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inner = Inner {
            fault,
            chain: Chain::new(genesis),
            log: merkle::Tree::default(),
            entries: Vec::new(),
            uploads: BTreeMap::new(),
            enrolled: BTreeMap::new(),
            batches: BTreeSet::new(),
            opened: 0,
            told: Vec::new(),
            requests: 0,
            rows_per_request,
        };
        let node =
            Self { genesis: Arc::new(genesis.clone()), inner: Arc::new(Mutex::new(inner)), url };
        let router = Router::new()
            .route("/v1/network", get(network))
            .route("/v1/uploads", post(open))
            .route("/v1/uploads/{upload}/rows", post(rows))
            .route("/v1/uploads/{upload}/line", post(line))
            .route("/v1/uploads/{upload}/seal", post(seal))
            .route("/v1/uploads/{upload}", delete(discard))
            .route("/v1/operations", post(submit))
            .route("/v1/batches/{batch}", get(batch))
            .route("/v1/devices/{did}/receipt", get(receipt))
            .layer(DefaultBodyLimit::max(muster_api::limits::UPLOAD_BYTES))
            .with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        node
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url).expect("an address")
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&mut Inner) -> T) -> T {
        at(&mut self.inner.lock().expect("no panic under the lock"))
    }

    pub(crate) fn grant(&self) -> GrantRecord {
        let id = StateKey::Grant(self.genesis.grant_id());
        self.look(|inner| View::read::<GrantRecord>(inner.chain.state(), id))
            .expect("a record")
            .expect("the grant of the genesis")
    }
}

fn refuse(status: u16, code: &str) -> Response {
    let status_code = StatusCode::from_u16(status).expect("a status");
    (status_code, Json(Problem::new(status, code, "refused by the test's node"))).into_response()
}

async fn network(Shared(node): Shared<Node>) -> Json<NetworkView> {
    let grant = node.grant();
    Json(NetworkView {
        network: node.genesis.network().to_string(),
        size: node.look(|inner| inner.chain.size()),
        height: node.look(|inner| inner.chain.height()),
        time: NOW.0,
        checkpoint_time: NOW.0,
        log_root: String::new(),
        state_root: String::new(),
        devices: node.look(|inner| inner.enrolled.len() as u64),
        organisations: Vec::new(),
        grants: vec![GrantView {
            grant: node.genesis.grant_id().to_string(),
            organisation: grant.organisation.to_string(),
            models: grant.models,
            count: grant.count,
            used: grant.used,
            expires: grant.expires.0,
            evidence: grant.evidence.word().into(),
            withdrawn: grant.withdrawn,
        }],
        rules: Default::default(),
        protocol: Default::default(),
    })
}

async fn open(Shared(node): Shared<Node>, body: Bytes) -> Response {
    let Ok(verified) = UploadRequest::verify(&body) else { return refuse(400, "malformed") };
    let request = verified.request().clone();
    assert_eq!(request.network, node.genesis.network());
    assert_eq!(request.organisation, node.genesis.organisation_did());
    let grant = node.grant();
    if node.look(|n| n.fault) == Fault::Grant && request.rows > grant.count - grant.used {
        return refuse(409, "grant-exceeded");
    }
    node.look(|inner| {
        inner.opened += 1;
        let upload = format!("{:032x}", inner.opened);
        let fresh = Upload { request: Some(request), ..Upload::default() };
        inner.uploads.insert(upload.clone(), fresh);
        let expires = NOW.0 + muster_api::limits::UPLOAD_LIFETIME_MS;
        Json(UploadOpened { upload, expires, rows_per_request: inner.rows_per_request })
            .into_response()
    })
}

async fn rows(Shared(node): Shared<Node>, Path(upload): Path<String>, body: Bytes) -> Response {
    let Ok(Rows(rows)) = Rows::from_cbor(&body) else { return refuse(400, "malformed") };
    let hang_up = node.look(|inner| {
        inner.requests += 1;
        inner.fault == Fault::HangUp && inner.requests == 2
    });
    assert!(!hang_up, "the test's node hangs up, as it was told");
    let (network, manufacturer) = (node.genesis.network(), node.genesis.organisation_did());
    node.look(|inner| {
        let Inner { fault, uploads, enrolled, .. } = inner;
        let Some(open) = uploads.get_mut(&upload) else { return refuse(404, "unknown-upload") };
        let mut verdicts = Vec::new();
        for Row { number, leaf: bytes, serial, .. } in rows {
            let refused = |code: &str| (Verdict::Refused, Some(code.to_owned()));
            let Ok(leaf) = Leaf::read_checked(&bytes, &network, &manufacturer) else {
                let (verdict, code) = refused("bad-possession");
                verdicts.push(RowVerdict { row: number, verdict, code, detail: None });
                continue;
            };
            let did = leaf.did();
            let (verdict, code) = if *fault == Fault::Rows && number % 2 == 1 {
                refused("evidence")
            } else if enrolled.get(&did).is_some_and(|known| *known == serial) {
                (Verdict::Already, None)
            } else if enrolled.contains_key(&did) {
                refused("duplicate-key")
            } else if enrolled.values().any(|known| *known == serial) {
                refused("duplicate-serial")
            } else {
                open.staged.insert(did, (bytes, serial));
                (Verdict::Staged, None)
            };
            verdicts.push(RowVerdict { row: number, verdict, code, detail: None });
        }
        if *fault == Fault::Verdicts {
            verdicts.pop();
        }
        Json(Verdicts { verdicts }).into_response()
    })
}

async fn line(Shared(node): Shared<Node>, Path(upload): Path<String>, body: Bytes) -> Response {
    let Ok(LineRecords(records)) = LineRecords::from_cbor(&body) else {
        return refuse(400, "malformed");
    };
    node.look(|inner| {
        let Some(open) = inner.uploads.get(&upload) else { return refuse(404, "unknown-upload") };
        assert!(open.request.as_ref().is_some_and(|r| !r.rehearsal), "a rehearsal tells nothing");
        let entries = inner.entries.len();
        // This node knows of everything named so that it was scrapped before.
        let stays = |record: &LineRecord| {
            record.serial.starts_with("dead") && record.result != LineResult::Scrap
        };
        let scrapped = (0..records.len()).filter(|place| stays(&records[*place])).collect();
        inner.told.extend(records.into_iter().map(|record| (record, entries)));
        Json(LineNoted { scrapped }).into_response()
    })
}

async fn seal(Shared(node): Shared<Node>, Path(upload): Path<String>) -> Response {
    node.look(|inner| {
        let Some(open) = inner.uploads.get(&upload) else { return refuse(404, "unknown-upload") };
        let mut tree = LeafTree::default();
        for (did, (leaf, _)) in &open.staged {
            tree.push(did, leaf).expect("ascending");
        }
        let mut root = tree.root();
        root[0] ^= u8::from(inner.fault == Fault::Root);
        let root = root.iter().map(|b| format!("{b:02x}")).collect();
        let count = tree.count() + u64::from(inner.fault == Fault::Count);
        Json(Sealed { count, root, refused: Vec::new() }).into_response()
    })
}

async fn discard(Shared(node): Shared<Node>, Path(upload): Path<String>) -> StatusCode {
    node.look(|inner| inner.uploads.remove(&upload));
    StatusCode::NO_CONTENT
}

async fn submit(
    Shared(node): Shared<Node>,
    Query(query): Query<BTreeMap<String, String>>,
    body: Bytes,
) -> Response {
    let signed = SignedOperation(body.to_vec());
    let operation = signed.verify().expect("a good signature");
    node.look(|inner| {
        if inner.fault == Fault::Submit {
            return refuse(409, "clash");
        }
        let Action::Enrol(enrol) = &operation.operation().action else {
            return refuse(400, "malformed");
        };
        let Some(upload) = inner.uploads.remove(&query["upload"]) else {
            return refuse(404, "unknown-upload");
        };
        let request = upload.request.expect("a request");
        assert!(!request.rehearsal, "a rehearsal is never submitted");
        assert_eq!((request.grant, &request.model), (enrol.grant, &enrol.model));
        assert_eq!(enrol.count, upload.staged.len() as u64);
        let (height, time) = (inner.chain.height() + 1, Time(inner.chain.time().0 + 1));
        let block = Block { height, time, operations: vec![signed] };
        inner.chain = match inner.chain.extend(&block) {
            Ok((chain, _)) => chain,
            Err(_) => return refuse(409, "refused"),
        };
        for entry in block.entries() {
            inner.log.push(merkle::leaf_hash(&entry.to_cbor()));
            inner.entries.push(entry.to_cbor());
        }
        let staged = upload.staged.into_iter().map(|(did, (_, serial))| (did, serial));
        inner.enrolled.extend(staged);
        inner.batches.insert(enrol.batch(&node.genesis.network()).to_string());
        inner.acknowledge().to_cbor().into_response()
    })
}

async fn batch(Shared(node): Shared<Node>, Path(batch): Path<String>) -> Response {
    if !node.look(|inner| inner.batches.contains(&batch)) {
        return refuse(404, "not-found");
    }
    Json(muster_api::BatchView {
        batch,
        owner: String::new(),
        grant: String::new(),
        model: String::new(),
        count: 0,
        entry: 0,
        seq: 0,
        standing: String::new(),
        holds: Vec::new(),
        offer: None,
    })
    .into_response()
}

/// Of the last batch: the batch part alone is of use.
async fn receipt(Shared(node): Shared<Node>) -> Response {
    node.look(|inner| {
        let device = muster_ledger::DevicePart {
            batch: muster_ledger::BatchId([0; 32]),
            index: 0,
            leaf: Vec::new(),
            path: Vec::new(),
        };
        muster_ledger::Receipt { device, batch: inner.acknowledge() }.to_cbor().into_response()
    })
}

impl Inner {
    fn acknowledge(&self) -> EntryProof {
        let size = self.log.size();
        let index = if self.fault == Fault::Acknowledgement { 0 } else { size - 1 };
        let signer: SecretKey =
            key(if self.fault == Fault::Signer { "stranger" } else { "validator" });
        let head = self.chain.head(NOW).expect("a head");
        EntryProof {
            index,
            entry: self.entries[index as usize].clone(),
            path: self.log.inclusion(index, size).expect("an entry"),
            checkpoint: cosign(&head, &signer).expect("a signature").to_note(),
        }
    }
}
