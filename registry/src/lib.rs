//! The running ledger: store, consensus, commit, projections, queries.
#![allow(missing_docs, unused_variables)]
use muster_api::*;
use muster_identity::{Did, Signer};
use muster_ledger::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
pub struct Config { pub dir: PathBuf, pub genesis: Genesis, pub signer: Arc<dyn Signer>, pub host: Arc<dyn Host> }
#[derive(Clone)]
pub struct Registry;
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);
fn no<T>() -> Result<T, Problem> { Err(Problem::new(501, "coming", "coming")) }
impl Registry {
    pub async fn open(config: Config) -> Result<Self, Error> { Err(Error("coming".into())) }
    pub async fn close(&self) {}
    pub fn genesis(&self) -> &Genesis { unreachable!() }
    pub fn head(&self) -> QuorumCheckpoint { unreachable!() }
    pub fn chain(&self) -> Chain { unreachable!() }
    pub async fn submit(&self, op: SignedOperation, upload: Option<&str>) -> Result<EntryProof, Problem> { no() }
    pub async fn feed(&self, from: u64, time: u64, wait: Duration) -> Result<Feed, Problem> { no() }
    pub async fn open_upload(&self, request: &[u8]) -> Result<UploadOpened, Problem> { no() }
    pub async fn stage(&self, upload: &str, rows: Rows) -> Result<Verdicts, Problem> { no() }
    pub async fn seal(&self, upload: &str) -> Result<Sealed, Problem> { no() }
    pub async fn drop_upload(&self, upload: &str) -> Result<(), Problem> { no() }
    pub async fn network(&self) -> Result<NetworkView, Problem> { no() }
    pub async fn device(&self, did: &Did) -> Result<Option<DeviceView>, Problem> { no() }
    pub async fn device_part(&self, did: &Did) -> Result<Option<DevicePart>, Problem> { no() }
    pub async fn receipt(&self, did: &Did) -> Result<Option<Receipt>, Problem> { no() }
    pub async fn batch(&self, id: &BatchId) -> Result<Option<BatchView>, Problem> { no() }
    pub async fn batches(&self) -> Result<Vec<BatchView>, Problem> { no() }
    pub async fn history(&self, subject: &[u8; 32]) -> Result<Vec<ChangeView>, Problem> { no() }
    pub fn metrics(&self) -> String { String::new() }
    pub async fn ready(&self) -> bool { false }
}
impl Resolve for Registry {
    fn resolve<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Resolution> { unreachable!() }
}
impl Submit for Registry {
    fn submit(&self, operation: SignedOperation) -> BoxFuture<'_, Result<EntryProof, Problem>> { unreachable!() }
}
pub async fn audit(dir: &Path, genesis: &Genesis) -> Result<AuditReport, Error> { Err(Error("coming".into())) }
pub struct AuditReport { pub entries: u64, pub blocks: u64, pub devices: u64, pub log_root: [u8; 32], pub state_root: [u8; 32], pub findings: Vec<Finding> }
pub struct Finding { pub table: &'static str, pub row: String, pub what: String }
