use crate::consensus::{Consensus, Deciding};
use crate::console;
use crate::coverage::Covered;
use crate::folder::{self, Folder};
use crate::foreign::{Foreign, Promises};
use crate::lost::Lost;
use crate::metrics::Gauges;
use crate::node::{Kept, Node};
use crate::readers::Reader;
use crate::signed_head::SignedHead;
use crate::solo::Solo;
use crate::store::{self, Act, StoreUrl};
use crate::succession;
use crate::{Error, lost, recovery};
use muster_api::{
    BatchView, BoxFuture, ChangeView, CoverageView, DeviceView, Exposition, Feed, GatewayView,
    GatewaysView, Host, Leaves, LineNoted, LineRecords, LotDevicesView, LotQuery, LotsView,
    NetworkView, Problem, ProposalsView, Resolution, Resolve, Rows, Sealed, Submit, UploadOpened,
    Verdicts,
};
use muster_identity::Did;
use muster_ledger::{
    BatchId, Chain, ConsistencyProof, DevicePart, EntryProof, Genesis, QuorumCheckpoint, Receipt,
    SignedOperation, Time, limits,
};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a node needs to run.
pub struct Config {
    /// Its folder; nobody else may use it.
    pub dir: PathBuf,
    /// Where ledger and directory are kept.
    pub store: StoreUrl,
    /// The network.
    pub genesis: Genesis,
    /// Who decides.
    pub deciding: Deciding,
    /// Wall clock and randomness.
    pub host: Arc<dyn Host>,
    /// Size and log root of the newest head that anybody has of this network: what a ledger put
    /// back from a backup must contain. Only looked at when the folder has no `signed-head`.
    pub restored: Option<(u64, [u8; 32])>,
    /// Whether batches are enrolled though leaves of others were lost with a disk: a device or
    /// key may then enter the ledger twice.
    pub accept_lost_leaves: bool,
}

/// A running ledger. Clones are the same one; when the last is dropped without
/// [`Registry::close`], it stops as a power failure would stop it.
#[derive(Clone)]
pub struct Registry(Arc<Running>);

struct Running {
    node: Arc<Node>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Brings further what consoles look up.
    following: Mutex<Option<JoinHandle<()>>>,
    /// Its sender goes when the task ends, however it ends.
    ended: watch::Receiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in [&self.task, &self.following] {
            if let Some(task) = locked(task).take() {
                task.abort();
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        locked(&self.task)
    }
}

impl Registry {
    /// Opens the ledger in a folder, or creates it: reads it back by the code that commits it,
    /// signs its head, and begins to decide.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let Config { dir, store, genesis, deciding, host, restored, accept_lost_leaves } = config;
        genesis.check().map_err(|e| Error::Caller(format!("the genesis: {e}")))?;
        if restored.is_none() {
            Folder::check_ledger(&dir, &store)?;
        }
        let folder = Folder::take_for(&dir, &store).await?;
        let signed = SignedHead::read(folder.file(folder::SIGNED_HEAD))?;
        let promises = Promises::read(folder.file(folder::PROMISES))?;
        let store = store::open(&store, &folder, &genesis, Some(host.now())).await?;
        let recovered = match recovery::recover(&*store, &genesis).await {
            Ok(recovered) => recovered,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let checked = match &deciding {
            Deciding::Solo { signer, succession } => {
                let key = signer.public_key();
                recovery::check_signed(&signed, &recovered, restored.as_ref()).and_then(|()| {
                    succession::needed(&recovered.chain, &genesis, &key, succession.as_ref())
                })
            }
            Deciding::Together(_) => {
                recovery::check_signed_together(&signed, &recovered).map(|()| false)
            }
        };
        let succeeds = match checked {
            Ok(succeeds) => succeeds,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        say_how_long(&signed, host.now());
        let alone = matches!(deciding, Deciding::Solo { .. });
        let lost = lost::find(&*store, &recovered.chain).await?;
        let lost = Lost::new(lost, accept_lost_leaves, alone);
        let kept = Kept { alone, lost, signed, foreign: Foreign::new(promises) };
        let node = Arc::new(Node::new(genesis, store, host, folder, recovered, kept)?);
        node.coverage.load(node.store.gateways().await?)?;
        node.begin_console().await?;
        let consensus: Box<dyn Consensus> = match deciding {
            Deciding::Together(consensus) => consensus,
            Deciding::Solo { signer, succession } => {
                if let Some(operation) = succession.filter(|_| succeeds)
                    && let Err(error) = node.succeed(&operation, &signer.public_key()).await
                {
                    node.store.close().await;
                    return Err(error);
                }
                let solo = Box::new(Solo { signer, pace: node.pace.clone() });
                solo.sign(&*node)?;
                solo
            }
        };
        node.purge_expired().await?;
        let closing = watch::Sender::new(false);
        let run = consensus.run(node.clone(), closing.subscribe());
        let (end, ended) = watch::channel(());
        let task = tokio::spawn(async move {
            let _end = end;
            run.await;
        });
        let following = tokio::spawn(console::follow(node.clone(), closing.subscribe()));
        let (task, following) = (Mutex::new(Some(task)), Mutex::new(Some(following)));
        Ok(Self(Arc::new(Running { node, closing, task, following, ended })))
    }

    /// Finishes waiting operations, stops, and lets go of the folder's files.
    pub async fn close(&self) {
        self.0.node.mempool.close();
        self.0.closing.send_replace(true);
        self.0.node.store.closing();
        let task = self.0.task().take();
        if let Some(task) = task {
            if let Err(error) = task.await {
                tracing::error!("consensus ended badly: {error}");
            }
            let following = locked(&self.0.following).take();
            if let Some(following) = following {
                // It ends by itself, between two transactions.
                let _ = following.await;
            }
            self.0.node.console.close().await;
            self.0.node.store.close().await;
            self.0.node.folder.release();
        }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0.node
    }

    pub(crate) fn shared_node(&self) -> &Arc<Node> {
        &self.0.node
    }

    /// The network's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.node().genesis
    }

    /// The newest signed head.
    pub fn head(&self) -> Result<QuorumCheckpoint, Problem> {
        Ok(self.node().published()?.checkpoint.clone())
    }

    /// The ledger under the newest signed head.
    pub fn chain(&self) -> Result<Chain, Problem> {
        Ok(self.node().published()?.chain.clone())
    }

    /// Resolves when nobody decides any more.
    pub(crate) fn ended(&self) -> watch::Receiver<()> {
        self.0.ended.clone()
    }

    /// Why nobody does.
    pub(crate) fn why_ended(&self) -> Error {
        if *self.0.closing.borrow() {
            Error::Closing
        } else {
            Error::Us("consensus ended; the node must be restarted".into())
        }
    }

    /// Entries from a place on, and the newest signed head. Waits for one signed later than
    /// `time` if there is nothing to tell.
    pub async fn feed(&self, from: u64, time: u64, wait: Duration) -> Result<Feed, Problem> {
        let node = self.node();
        let news = |checkpoint: &QuorumCheckpoint| {
            let head = checkpoint.head();
            head.size != from || head.time > Time(time)
        };
        let mut heads = node.published.subscribe();
        let mut closing = self.0.closing.subscribe();
        if !news(&node.published()?.checkpoint) {
            tokio::select! {
                _ = heads.wait_for(|p| p.as_ref().is_some_and(|p| news(&p.checkpoint))) => {}
                _ = closing.wait_for(|closing| *closing) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let published = node.published()?;
        let size = published.checkpoint.head().size;
        if from > size {
            let title = format!("the log has {size} entries, you ask for what follows {from}");
            return Err(Problem::new(409, "ahead", title)
                .cure("this node is behind, or its ledger was rolled back: ask another"));
        }
        let count = (size - from).min(muster_api::limits::FEED_ENTRIES);
        let entries = match count {
            0 => Vec::new(),
            _ => node.store.entries(from, count).await?,
        };
        Ok(Feed { from, entries, checkpoint: published.checkpoint.to_note() })
    }

    /// The ledger under a recent head in one piece ([`muster_ledger::Snapshot`]).
    pub async fn snapshot(&self) -> Result<Arc<Vec<u8>>, Problem> {
        self.node().snapshot().await
    }

    /// Proof that the log of `to` entries begins with that of `from`.
    pub fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, Problem> {
        self.node().consistency(from, to)
    }

    /// Opens an upload with a signed request.
    pub async fn open_upload(&self, request: &[u8]) -> Result<UploadOpened, Problem> {
        self.node().check_protocol()?;
        self.node().open_upload(request).await
    }

    /// Checks and stages rows.
    pub async fn stage(&self, upload: &str, rows: Rows) -> Result<Verdicts, Problem> {
        self.node().stage(upload, rows).await
    }

    /// Ends the rows of an upload: its number of leaves and their root.
    pub async fn seal(&self, upload: &str) -> Result<Sealed, Problem> {
        self.node().seal(upload).await
    }

    /// Notes what the line says of devices, by the right of an upload.
    pub async fn note_line(&self, upload: &str, told: LineRecords) -> Result<LineNoted, Problem> {
        self.node().note_line(upload, told).await
    }

    /// The balances of lots, of whatever organisation.
    pub async fn lots(&self, query: &LotQuery) -> Result<LotsView, Problem> {
        self.node().lots(query).await
    }

    /// The devices of lots.
    pub async fn lot_devices(&self, query: &LotQuery) -> Result<LotDevicesView, Problem> {
        self.node().lot_devices(query).await
    }

    /// Throws an upload away.
    pub async fn drop_upload(&self, upload: &str) -> Result<(), Problem> {
        self.node().drop_upload(upload).await
    }

    /// What waits for approval.
    pub async fn proposals(&self) -> Result<ProposalsView, Problem> {
        self.node().proposals_view().await
    }

    /// The network at a glance.
    pub async fn network(&self) -> Result<NetworkView, Problem> {
        self.node().network_view().await
    }

    /// A device, with all that the node knows of it.
    pub async fn device(&self, did: &Did) -> Result<Option<DeviceView>, Problem> {
        self.read_as(Reader::Operator).device(did).await
    }

    /// The device part of a device's receipt.
    pub async fn device_part(&self, did: &Did) -> Result<Option<DevicePart>, Problem> {
        self.node().device_part(did).await
    }

    /// A device's receipt under the newest head.
    pub async fn receipt(&self, did: &Did) -> Result<Option<Receipt>, Problem> {
        self.node().receipt(did).await
    }

    /// A batch.
    pub async fn batch(&self, id: &BatchId) -> Result<Option<BatchView>, Problem> {
        self.node().batch_view(id)
    }

    /// A page of a batch's leaves in their order, behind a device's.
    pub async fn leaves(
        &self,
        id: &BatchId,
        after: Option<&Did>,
    ) -> Result<Option<Leaves>, Problem> {
        self.node().leaves(id, after).await
    }

    /// All batches, newest first.
    pub async fn batches(&self) -> Result<Vec<BatchView>, Problem> {
        self.node().batch_views().await
    }

    /// What happened to a device, batch, grant or organisation, newest last: digest of a DID, or
    /// an id. What happened to a device's batch happened to the device.
    pub async fn history(&self, subject: &[u8; 32]) -> Result<Vec<ChangeView>, Problem> {
        self.node().history(subject).await
    }

    /// Registers a gateway, or ends its registration (`muster-registration+jwt`).
    pub async fn register_gateway(&self, token: &str) -> Result<GatewayView, Problem> {
        self.node().register_gateway(token).await
    }

    /// Takes a gateway's acknowledgement (`muster-ack+jwt`).
    pub async fn acknowledge(&self, token: &str) -> Result<(), Problem> {
        self.node().acknowledge(token).await
    }

    /// The registered gateways.
    pub async fn gateways(&self) -> Result<GatewaysView, Problem> {
        self.read_as(Reader::Operator).gateways()
    }

    /// Which gateways go by an entry.
    pub async fn coverage(&self, of: Covered) -> Result<CoverageView, Problem> {
        self.read_as(Reader::Operator).coverage(of).await
    }

    /// Counters and gauges, as Prometheus reads them (text format 0.0.4). No walk through records:
    /// the overview follows the blocks.
    pub async fn metrics(&self) -> String {
        let node = self.node();
        let mut text = Exposition::default();
        // A node without a head has nothing to count yet.
        let Ok((published, overview)) = node.overview() else { return text.finish() };
        let head = published.checkpoint.head();
        let gauges = Gauges {
            size: head.size,
            height: head.height,
            devices: overview.devices,
            batches: overview.batches.len() as u64,
            records: published.chain.state().len() as u64,
            checkpoint_ms: head.time.0,
            waiting: node.mempool.len() as u64,
            lost: node.lost.count() as u64,
            uploads: node.store.uploads().await.ok().map(|open| open.len() as u64),
        };
        node.metrics.write(&mut text, &gauges);
        node.protocol_metrics(&mut text);
        node.gateways_metrics(&mut text);
        text.finish()
    }

    /// A note that belongs to this node alone, such as who may use its console.
    pub async fn note(&self, name: &'static str) -> Result<Option<Vec<u8>>, Problem> {
        Ok(self.node().store.note(name).await?)
    }

    /// Writes a note in place of what it was.
    pub async fn keep_note(&self, name: &'static str, body: Vec<u8>) -> Result<(), Problem> {
        Ok(self.node().store.keep_note(name, body).await?)
    }

    /// Writes down what a person did that is not on the ledger.
    pub async fn add_act(&self, act: Act) -> Result<(), Problem> {
        Ok(self.node().store.add_act(act).await?)
    }

    /// What people of an organisation did before an act of this number, newest first.
    pub async fn acts(
        &self,
        organisation: &Did,
        before: u64,
        count: u64,
    ) -> Result<Vec<(u64, Act)>, Problem> {
        Ok(self.node().store.acts(*organisation, before, count).await?)
    }

    /// Whether the node commits and signs: the last commit and signature succeeded, and the head
    /// was signed within three heartbeats.
    pub async fn ready(&self) -> bool {
        let node = self.node();
        let running = self.0.task().as_ref().is_some_and(|task| !task.is_finished());
        let Ok(published) = node.published() else { return false };
        let age = node.host.now().since(published.checkpoint.head().time);
        running && !node.metrics.failing.load(Relaxed) && age <= 3 * limits::HEARTBEAT_MS
    }
}

/// How long a node may have been off before it says so, in milliseconds (24 h): the life of an
/// operation. If it is the clock that is wrong, the first head signed by it makes every operation
/// of that day expired.
const OFF_MS: u64 = limits::OPERATION_LIFETIME_MS;

fn say_how_long(signed: &SignedHead, now: Time) {
    if let Some(last) = signed.last().filter(|last| now.since(last.time) > OFF_MS) {
        tracing::warn!(
            "the last head was signed at {}, the clock says {now}: was this node off for so long, \
             or is the clock wrong?",
            last.time
        );
    }
}

impl Submit for Registry {
    fn submit(&self, operation: SignedOperation) -> BoxFuture<'_, Result<EntryProof, Problem>> {
        Box::pin(Self::submit(self, operation, None))
    }
}

impl Resolve for Registry {
    fn resolve<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Resolution> {
        Box::pin(self.node().resolve(did))
    }
}
