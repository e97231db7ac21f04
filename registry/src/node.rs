//! The ledger at work: what was decided, what is published of it, and whatever belongs to both.

use crate::console::Console;
use crate::coverage::Coverage;
use crate::deciding::{Step, Undelivered};
use crate::folder::Folder;
use crate::foreign::Foreign;
use crate::lost::Lost;
use crate::lots::LineRows;
use crate::mempool::Mempool;
use crate::metrics::Metrics;
use crate::overview::Overview;
use crate::pace::Pace;
use crate::readers::AskedOnce;
use crate::reserved::{Reservations, Reserved};
use crate::signed_head::SignedHead;
use crate::snapshots::Snapshots;
use crate::store::Store;
use crate::upload::Warm;
use crate::{Error, recovery};
use muster_api::{Host, Problem};
use muster_ledger::merkle::Tree;
use muster_ledger::{
    Action, Chain, EntryProof, Genesis, Network, QuorumCheckpoint, UpgradeAhead, VerifiedOperation,
    View as _,
};
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
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
    /// None before the first head is signed. Alone a node signs one before anybody sees it; together
    /// it waits for the others.
    pub(crate) published: watch::Sender<Option<Arc<Published>>>,
    /// One request at a time stages rows, so that a commit waits for one at most.
    pub(crate) staging: Semaphore,
    /// What is kept of uploads under way.
    pub(crate) warm: Warm,
    /// One upload at a time is sealed.
    pub(crate) sealing: AsyncMutex<()>,
    /// Whether this node decides alone.
    pub(crate) alone: bool,
    /// The highest block that is decided elsewhere for sure.
    pub(crate) peers_height: AtomicU64,
    /// What was decided, the newest last; it may be ahead of what is signed. Never empty.
    pub(crate) decided: Mutex<VecDeque<Decided>>,
    /// What this node signed last.
    pub(crate) signed: Mutex<SignedHead>,
    /// Hashes of all entries decided.
    pub(crate) log: RwLock<Tree>,
    /// The block that was voted for last, and what it makes of the ledger: as a rule it is decided.
    pub(crate) checked: Mutex<Option<Step>>,
    /// Keys that the block under way brings.
    pub(crate) proposed: Mutex<Vec<Reserved>>,
    /// Operations of blocks that are not signed yet.
    pub(crate) undelivered: Mutex<Vec<Undelivered>>,
    /// What is known of leaves that other nodes bring.
    pub(crate) foreign: Foreign,
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
pub(crate) struct Decided {
    pub(crate) chain: Chain,
    pub(crate) overview: Arc<Overview>,
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

/// What a node begins with besides its ledger.
pub(crate) struct Kept {
    pub(crate) alone: bool,
    pub(crate) lost: Lost,
    pub(crate) signed: SignedHead,
    pub(crate) foreign: Foreign,
}

impl Node {
    pub(crate) fn new(
        genesis: Genesis,
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        folder: Folder,
        recovered: recovery::Recovered,
        kept: Kept,
    ) -> Result<Self, Error> {
        let overview = Arc::new(Overview::of(&recovered.chain)?);
        let decided = Decided { chain: recovered.chain, overview };
        let network = genesis.network();
        let Kept { alone, lost, signed, foreign } = kept;
        Ok(Self {
            network,
            genesis,
            store,
            pace: Arc::new(Pace::new(host.clone())),
            host,
            mempool: Mempool::new(network, !alone),
            reserved: Arc::default(),
            metrics: Metrics::default(),
            published: watch::Sender::new(None),
            staging: Semaphore::new(1),
            warm: Warm::default(),
            sealing: AsyncMutex::new(()),
            alone,
            peers_height: AtomicU64::new(0),
            decided: Mutex::new(VecDeque::from([decided])),
            signed: Mutex::new(signed),
            log: RwLock::new(recovered.log),
            checked: Mutex::default(),
            proposed: Mutex::default(),
            undelivered: Mutex::default(),
            foreign,
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
    pub(crate) fn published(&self) -> Result<Arc<Published>, Error> {
        self.published.borrow().clone().ok_or(Error::Starting)
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
        self.newest().chain
    }

    /// What was decided last.
    pub(crate) fn newest(&self) -> Decided {
        locked(&self.decided).back().cloned().expect("the ledger before its first block at least")
    }
}
