//! The ledger at work: it turns waiting operations into blocks, commits them, and shows readers
//! the newest head that is signed.

use crate::changes;
use crate::claims::Claim;
use crate::consensus::Application;
use crate::console::Console;
use crate::coverage::Coverage;
use crate::folder::Folder;
use crate::lost::Lost;
use crate::lots::LineRows;
use crate::mempool::{Mempool, Reservations, Reserved, Waiting};
use crate::metrics::Metrics;
use crate::overview::Overview;
use crate::pace::Pace;
use crate::readers::AskedOnce;
use crate::snapshots::Snapshots;
use crate::store::{Commit, Flip, Store};
use crate::upload::Warm;
use crate::{Error, recovery};
use muster_api::{BoxFuture, Host, Problem};
use muster_identity::cbor::Encode as _;
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{
    Action, Block, Chain, Changes, Checkpoint, Entry, EntryProof, Genesis, Head, Network,
    OpenProposal, OperationHash, QuorumCheckpoint, Refusal, SignedOperation, Time, UpgradeAhead,
    VerifiedOperation, View as _, carried_out, limits,
};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};

/// The newest head that a quorum signed, and the ledger under it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) chain: Chain,
    pub(crate) overview: Arc<Overview>,
    pub(crate) checkpoint: QuorumCheckpoint,
}

/// A running ledger.
pub(crate) struct Node {
    pub(crate) genesis: Genesis,
    pub(crate) network: Network,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) mempool: Mempool,
    pub(crate) reserved: Arc<Reservations>,
    pub(crate) metrics: Metrics,
    /// None before the first head is signed, which is before anybody else sees the node.
    pub(crate) published: watch::Sender<Option<Arc<Published>>>,
    /// One request at a time stages rows, so that a commit waits for one at most.
    pub(crate) staging: Semaphore,
    /// What is kept of uploads under way.
    pub(crate) warm: Warm,
    /// One upload at a time is sealed.
    pub(crate) sealing: AsyncMutex<()>,
    /// What was decided; it may be ahead of what is signed.
    decided: Mutex<Decided>,
    /// Hashes of all entries decided.
    pub(crate) log: RwLock<Tree>,
    /// Operations of blocks that are not signed yet.
    in_flight: Mutex<Vec<InFlight>>,
    pub(crate) folder: Folder,
    pub(crate) coverage: Coverage,
    /// Batches whose leaves are not here.
    pub(crate) lost: Lost,
    pub(crate) snapshots: Snapshots,
    pub(crate) console: Console,
    /// What was said last of a protocol version to come.
    pub(crate) said_upgrade: Mutex<Option<UpgradeAhead>>,
    pub(crate) asked_once: AskedOnce,
    pub(crate) line_rows: LineRows,
}

/// A ledger, and what it has besides devices.
#[derive(Clone)]
struct Decided {
    chain: Chain,
    overview: Arc<Overview>,
}

/// An operation in a block under way.
struct InFlight {
    waiting: Waiting,
    /// Place in the log and bytes of its entry.
    index: u64,
    entry: Vec<u8>,
    /// Whether its block is decided.
    decided: bool,
    _keys: Reserved,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves whole values behind: they are replaced, never edited.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is on disk, and not under a signed head yet.
pub(crate) fn unsigned() -> Problem {
    Problem::new(503, "unsigned", "committed, but the head cannot be signed")
        .cure("ask for it again once the node signs; do not sign it anew")
}

impl Node {
    pub(crate) fn new(
        genesis: Genesis,
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        folder: Folder,
        recovered: recovery::Recovered,
        lost: Lost,
    ) -> Result<Self, Error> {
        let overview = Arc::new(Overview::of(&recovered.chain)?);
        let decided = Decided { chain: recovered.chain, overview };
        Ok(Self {
            network: genesis.network(),
            genesis,
            store,
            pace: Arc::new(Pace::new(host.clone())),
            host,
            mempool: Mempool::default(),
            reserved: Arc::default(),
            metrics: Metrics::default(),
            published: watch::Sender::new(None),
            staging: Semaphore::new(1),
            warm: Warm::default(),
            sealing: AsyncMutex::new(()),
            decided: Mutex::new(decided),
            log: RwLock::new(recovered.log),
            in_flight: Mutex::default(),
            folder,
            coverage: Coverage::default(),
            lost,
            snapshots: Snapshots::default(),
            console: Console::default(),
            said_upgrade: Mutex::default(),
            asked_once: AskedOnce::default(),
            line_rows: LineRows::default(),
        })
    }

    /// The newest signed head.
    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.borrow().clone().expect("a node signs its head before anybody sees it")
    }

    /// Proof of an entry under a checkpoint.
    pub(crate) fn proof(
        &self,
        index: u64,
        entry: Vec<u8>,
        checkpoint: &QuorumCheckpoint,
    ) -> Result<EntryProof, Error> {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let path = log
            .inclusion(index, checkpoint.head().size)
            .ok_or_else(|| Error::Us("an entry beyond the head".into()))?;
        Ok(EntryProof { index, entry, path, checkpoint: checkpoint.to_note() })
    }

    /// Root of the log when it had this size, if it had.
    pub(crate) fn log_root_at(&self, size: u64) -> Option<[u8; 32]> {
        self.log.read().unwrap_or_else(PoisonError::into_inner).root_at(size)
    }

    /// Whether what an enrolment enrols is decided already.
    pub(crate) fn decided_batch(&self, operation: &VerifiedOperation) -> bool {
        match &operation.operation().action {
            Action::Enrol(enrol) => {
                let batch = self.decided().state().batch(&enrol.batch(&self.network));
                matches!(batch, Ok(Some(_)))
            }
            _ => false,
        }
    }

    pub(crate) fn decided(&self) -> Chain {
        locked(&self.decided).chain.clone()
    }

    /// Refuses keys that are on the ledger or staged. The state alone does not know those that
    /// came in leaves.
    async fn reserve_keys(
        &self,
        operation: &VerifiedOperation,
        carried_out: Option<&OpenProposal>,
        changes: &Changes,
    ) -> Result<Reserved, Problem> {
        let claims = Claim::brought_by(changes);
        let reserved = self.reserved.keys(&claims);
        if claims.is_empty() {
            return Ok(reserved);
        }
        let taken = self.store.claimed(claims).await?;
        let action = carried_out.map_or(&operation.operation().action, |it| &it.action);
        let mut keys = action.new_keys().into_iter();
        match keys.find(|key| taken.contains(&Claim::of_key(key))) {
            Some(key) => Err(Refusal::KeyUsed(key).into()),
            None => Ok(reserved),
        }
    }

    fn refuse(&self, waiting: Waiting, problem: Problem) {
        Metrics::count(&self.metrics.refused);
        waiting.answer(Err(problem));
    }

    /// Answers everybody whose operation is in flight.
    fn fail(&self, decided: bool, problem: &Problem) {
        let mut in_flight = locked(&self.in_flight);
        let (failed, rest) = in_flight.drain(..).partition(|f| f.decided == decided);
        *in_flight = rest;
        let failed: Vec<InFlight> = failed;
        for one in failed {
            one.waiting.answer(Err(problem.clone()));
        }
    }

    /// What a block writes.
    fn commit_of(
        &self,
        before: &Chain,
        after: &Chain,
        block: &Block,
        changes: &Changes,
        proposals: &BTreeMap<u64, OpenProposal>,
    ) -> Result<Commit, Error> {
        let mut flips: Vec<Flip> = Vec::new();
        let mut known: BTreeMap<OperationHash, VerifiedOperation> = BTreeMap::new();
        for one in locked(&self.in_flight).iter().filter(|one| !one.decided) {
            flips.extend(one.waiting.flip.as_ref().map(|(flip, _)| *flip));
            known.insert(one.waiting.verified.hash(), one.waiting.verified.clone());
        }
        let chains = (before, after);
        Commit::of(&self.network, chains, block, changes, proposals, flips, |hash| {
            known.remove(&hash)
        })
    }

    async fn try_decide(&self, block: Block) -> Result<(), Error> {
        let before = self.decided();
        let (block, extended) = {
            let before = before.clone();
            tokio::task::spawn_blocking(move || {
                let extended = before.extend_telling(&block);
                (block, extended)
            })
            .await
            .map_err(|e| Error::Us(e.to_string()))?
        };
        let (after, changes, proposals) = extended.map_err(|e| Error::Peer(e.to_string()))?;
        let overview = locked(&self.decided).overview.after(&changes)?;
        let commit = self.commit_of(&before, &after, &block, &changes, &proposals)?;
        let hashes: Vec<_> = commit.entries.iter().map(|entry| leaf_hash(entry)).collect();
        let flips = commit.flips.clone();
        self.store.commit(commit).await?;
        self.console.decided(&changes, &flips);
        // From here on nothing can fail: memory follows the disk.
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        hashes.into_iter().for_each(|hash| log.push(hash));
        drop(log);
        *locked(&self.decided) = Decided { chain: after, overview };
        for one in locked(&self.in_flight).iter_mut().filter(|one| !one.decided) {
            one.decided = true;
            let done = proposals.get(&one.index);
            changes::told(&self.network, &one.waiting.verified, done, one.index);
        }
        Ok(())
    }
}

impl Application for Node {
    fn waiting(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.mempool.any())
    }

    fn propose(&self, now: Time) -> BoxFuture<'_, Option<Block>> {
        Box::pin(async move {
            let mut chain = self.decided();
            // Never before a head that was signed: a hold that ran out there stays so.
            let signed = self.published().checkpoint.head().time;
            let time = now.max(chain.time().plus_ms(1)).max(signed);
            let height = chain.height() + 1;
            // Each operation has a head of at most five bytes in a block, the block of thirty.
            let bytes = limits::BLOCK_BYTES - 5 * limits::BLOCK_OPERATIONS - 30;
            let mut operations = Vec::new();
            for waiting in self.mempool.take(limits::BLOCK_OPERATIONS, bytes).await {
                let operation = waiting.verified.operation();
                let tried = chain.try_apply(&waiting.verified, time).and_then(|changes| {
                    Ok((carried_out(chain.state(), operation, &changes)?, changes))
                });
                let (done, changes) = match tried {
                    Ok(tried) => tried,
                    Err(refusal) => {
                        self.refuse(waiting, refusal.into());
                        continue;
                    }
                };
                let reserved = self.reserve_keys(&waiting.verified, done.as_ref(), &changes);
                let keys = match reserved.await {
                    Ok(keys) => keys,
                    Err(problem) => {
                        self.refuse(waiting, problem);
                        continue;
                    }
                };
                let operation = waiting.signed.clone();
                let entry = Entry { height, time, operation: operation.clone() }.to_cbor();
                let index = chain.size();
                chain = chain.push(&entry, &changes);
                operations.push(operation);
                let one = InFlight { waiting, index, entry, decided: false, _keys: keys };
                locked(&self.in_flight).push(one);
            }
            (!operations.is_empty()).then_some(Block { height, time, operations })
        })
    }

    fn validate<'a>(&'a self, block: &'a Block, now: Time) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let ahead = block.time.since(now).max(now.since(block.time));
            if ahead > limits::CLOCK_DRIFT_MS {
                return Err(Error::Peer("a block's time is more than 10 s from the clock".into()));
            }
            let peer = |e: String| Error::Peer(e);
            let (_, changes) = self.decided().extend(block).map_err(|e| peer(e.to_string()))?;
            if !self.store.claimed(Claim::brought_by(&changes)).await?.is_empty() {
                return Err(peer("a block brings a key that is on the ledger".into()));
            }
            let enrols = |signed: &SignedOperation| {
                let verified = signed.verify();
                verified.is_ok_and(|v| matches!(v.operation().action, Action::Enrol(_)))
            };
            if block.operations.iter().any(enrols) {
                return Err(peer("the leaves of a batch were not exchanged".into()));
            }
            Ok(())
        })
    }

    fn decide(&self, block: Block) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let count = block.operations.len() as u64;
            let result = self.try_decide(block).await;
            match &result {
                Ok(()) => {
                    self.metrics.committed(started.elapsed());
                    self.metrics.accepted.fetch_add(count, Relaxed);
                }
                Err(error) => {
                    Metrics::count(&self.metrics.failed_commits);
                    self.metrics.failing.store(true, Relaxed);
                    self.fail(false, &error.clone().into());
                }
            }
            result
        })
    }

    fn head(&self, time: Time) -> Result<Head, Error> {
        self.decided().head(time).map_err(Error::damaged)
    }

    fn upgrade_ahead(&self) -> Result<Option<UpgradeAhead>, Error> {
        self.decided().upgrade_ahead().map_err(Error::damaged)
    }

    fn publish(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let Decided { chain, overview } = locked(&self.decided).clone();
        self.say_upgrade(&chain);
        let checkpoint = chain.check(checkpoint).map_err(|e| {
            Error::operator(
                format!("this node's signature does not make a quorum: {e}"),
                "a node that runs alone needs the key of the network's only validator",
            )
        })?;
        let published = Arc::new(Published { chain, overview, checkpoint });
        self.console.publish(&published);
        self.published.send_replace(Some(published.clone()));
        self.metrics.failing.store(false, Relaxed);
        let mut in_flight = locked(&self.in_flight);
        let (done, rest) = in_flight.drain(..).partition(|one| one.decided);
        *in_flight = rest;
        drop(in_flight);
        let done: Vec<InFlight> = done;
        for one in done {
            let proof = self.proof(one.index, one.entry, &published.checkpoint);
            one.waiting.answer(proof.map_err(Problem::from));
        }
        Ok(())
    }

    fn halted<'a>(&'a self, error: &'a Error) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.metrics.failing.store(true, Relaxed);
            for waiting in self.mempool.take(usize::MAX, usize::MAX).await {
                self.refuse(waiting, error.clone().into());
            }
        })
    }

    fn unsigned(&self, error: &Error) {
        self.metrics.failing.store(true, Relaxed);
        let problem = unsigned();
        tracing::warn!("operations wait for a signature: {error}");
        self.fail(true, &problem);
    }
}
