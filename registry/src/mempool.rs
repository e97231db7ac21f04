//! Operations on their way into a block, and the batches that they announce.

use crate::Error;
use crate::limits::{REMEMBERED, TOLD_AT_ONCE, TOLD_WAITING};
use crate::reserved::Reserved;
use crate::store::Flip;
use muster_api::{Problem, limits};
use muster_identity::Did;
use muster_ledger::{
    Action, BatchId, Enrol, EntryProof, Network, OperationHash, SignedOperation, Time,
    VerifiedOperation,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Where the answer goes.
pub(crate) type Answer = oneshot::Sender<Result<EntryProof, Problem>>;

/// An operation that waits for its block.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) signed: SignedOperation,
    pub(crate) verified: VerifiedOperation,
    /// When it came.
    pub(crate) since: Time,
}

impl Waiting {
    /// What it enrols, and as which batch.
    pub(crate) fn enrols(&self, network: &Network) -> Option<(BatchId, &Enrol)> {
        match &self.verified.operation().action {
            Action::Enrol(enrol) => Some((enrol.batch(network), enrol)),
            _ => None,
        }
    }
}

/// An operation, and who waits for it: nobody here if a peer brought it.
struct Pending {
    waiting: Arc<Waiting>,
    answers: Vec<Answer>,
}

/// A batch that waiting operations would enrol.
pub(crate) struct Announced {
    pub(crate) author: Did,
    pub(crate) enrol: Enrol,
    /// The upload that holds its leaves, kept as it is until then; none if they are not here.
    leaves: Option<(Flip, Reserved)>,
    /// It can never be ready here.
    refused: bool,
    /// Announced batches that took some of its leaves: once one of them is decided, this one
    /// never is.
    yielded_to: BTreeSet<BatchId>,
    /// Arrivals of its operations.
    operations: BTreeSet<u64>,
}

impl Announced {
    /// The upload that holds its leaves.
    pub(crate) fn flip(&self) -> Option<Flip> {
        self.leaves.as_ref().map(|(flip, _)| *flip)
    }

    /// Whether it can never be ready here.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }
}

/// What came of adding an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is new.
    New,
    /// It waits already, or was decided just before.
    Known,
}

/// Operations in their order of arrival, bounded.
pub(crate) struct Mempool {
    network: Network,
    /// Somebody asks for what clients bring.
    tells: bool,
    pool: Mutex<Pool>,
    /// An operation came, or a block was decided.
    pub(crate) changed: Notify,
    /// A client brought one.
    pub(crate) brought: Notify,
}

#[derive(Default)]
struct Pool {
    closed: bool,
    arrivals: u64,
    queue: BTreeMap<u64, Pending>,
    places: BTreeMap<OperationHash, u64>,
    batches: BTreeMap<BatchId, Announced>,
    /// Arrivals that peers brought.
    told: BTreeSet<u64>,
    /// What clients brought and nobody was told of yet.
    fresh: VecDeque<OperationHash>,
    /// Decided just before, oldest first.
    decided: (VecDeque<OperationHash>, BTreeSet<OperationHash>),
}

impl Pool {
    fn remove(&mut self, network: &Network, hash: &OperationHash) -> Option<Pending> {
        let arrival = self.places.remove(hash)?;
        self.told.remove(&arrival);
        let pending = self.queue.remove(&arrival)?;
        if let Some((id, _)) = pending.waiting.enrols(network)
            && let Some(batch) = self.batches.get_mut(&id)
        {
            batch.operations.remove(&arrival);
            if batch.operations.is_empty() {
                self.batches.remove(&id);
            }
        }
        Some(pending)
    }
}

impl Mempool {
    pub(crate) fn new(network: Network, tells: bool) -> Self {
        let (pool, changed, brought) = (Mutex::default(), Notify::new(), Notify::new());
        Self { network, tells, pool, changed, brought }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client wait for an operation that waits already; gives the answer's place back if it
    /// does not.
    pub(crate) fn attach(&self, hash: &OperationHash, answer: Answer) -> Result<(), Answer> {
        let mut pool = self.pool();
        let Some(arrival) = pool.places.get(hash).copied() else { return Err(answer) };
        let Some(pending) = pool.queue.get_mut(&arrival) else { return Err(answer) };
        pending.answers.push(answer);
        pool.told.remove(&arrival);
        Ok(())
    }

    /// Adds an operation, unless as many wait as may. A client's takes the place of one from a
    /// peer. `leaves`: the upload that it makes a batch.
    pub(crate) fn add(
        &self,
        waiting: Waiting,
        answer: Option<Answer>,
        leaves: Option<(Flip, Reserved)>,
    ) -> Result<Added, Problem> {
        let mut pool = self.pool();
        if pool.closed {
            return Err(Error::Closing.into());
        }
        let hash = waiting.verified.hash();
        if let Some(arrival) = pool.places.get(&hash).copied() {
            if let Some(pending) = pool.queue.get_mut(&arrival) {
                pending.answers.extend(answer);
            }
            return Ok(Added::Known);
        }
        if answer.is_none() && pool.decided.1.contains(&hash) {
            return Ok(Added::Known);
        }
        let busy =
            || Problem::new(503, "busy", "4,096 operations wait already").cure("try again later");
        if answer.is_none() && pool.told.len() >= TOLD_WAITING {
            return Err(busy());
        }
        if pool.queue.len() >= limits::WAITING_OPERATIONS {
            let newest = pool.told.last().filter(|_| answer.is_some()).copied();
            let newest = newest.and_then(|at| pool.queue.get(&at)).ok_or_else(busy)?;
            let out = newest.waiting.verified.hash();
            pool.remove(&self.network, &out);
        }
        pool.arrivals += 1;
        let arrival = pool.arrivals;
        if let Some((id, enrol)) = waiting.enrols(&self.network) {
            let batch = pool.batches.entry(id).or_insert_with(|| Announced {
                author: waiting.verified.operation().author,
                enrol: enrol.clone(),
                leaves: None,
                refused: false,
                yielded_to: BTreeSet::new(),
                operations: BTreeSet::new(),
            });
            batch.operations.insert(arrival);
            if batch.leaves.is_none() {
                batch.leaves = leaves;
            }
        }
        match answer {
            Some(_) if self.tells => {
                pool.fresh.push_back(hash);
                if pool.fresh.len() > limits::WAITING_OPERATIONS {
                    pool.fresh.pop_front();
                }
            }
            Some(_) => {}
            None => {
                pool.told.insert(arrival);
            }
        }
        pool.places.insert(hash, arrival);
        let answers = answer.into_iter().collect();
        pool.queue.insert(arrival, Pending { waiting: Arc::new(waiting), answers });
        drop(pool);
        self.changed.notify_one();
        self.brought.notify_one();
        Ok(Added::New)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.pool().queue.len()
    }

    /// All of them in their order.
    pub(crate) fn all(&self) -> Vec<Arc<Waiting>> {
        self.pool().queue.values().map(|pending| pending.waiting.clone()).collect()
    }

    /// One of them.
    pub(crate) fn get(&self, hash: &OperationHash) -> Option<Arc<Waiting>> {
        let pool = self.pool();
        let pending = pool.queue.get(pool.places.get(hash)?)?;
        Some(pending.waiting.clone())
    }

    /// Whether it waits, or was decided just before.
    pub(crate) fn knows(&self, hash: &OperationHash) -> bool {
        let pool = self.pool();
        pool.places.contains_key(hash) || pool.decided.1.contains(hash)
    }

    /// Whether somebody here waits for it.
    pub(crate) fn is_ours(&self, hash: &OperationHash) -> bool {
        let pool = self.pool();
        pool.places.get(hash).is_some_and(|arrival| !pool.told.contains(arrival))
    }

    /// What clients brought since this was asked last, so many at most.
    pub(crate) fn fresh(&self) -> Vec<SignedOperation> {
        let mut pool = self.pool();
        let mut given = Vec::new();
        while given.len() < TOLD_AT_ONCE
            && let Some(hash) = pool.fresh.pop_front()
        {
            let pending = pool.places.get(&hash).and_then(|arrival| pool.queue.get(arrival));
            given.extend(pending.map(|pending| pending.waiting.signed.clone()));
        }
        given
    }

    /// Takes an operation out, with those who wait for it.
    pub(crate) fn take(&self, hash: &OperationHash) -> Vec<Answer> {
        let pending = self.pool().remove(&self.network, hash);
        pending.map(|pending| pending.answers).unwrap_or_default()
    }

    /// Takes an operation out that is decided, and remembers it.
    pub(crate) fn take_decided(&self, hash: &OperationHash) -> Vec<Answer> {
        let mut pool = self.pool();
        let (order, known) = &mut pool.decided;
        if known.insert(*hash) {
            order.push_back(*hash);
        }
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        let pending = pool.remove(&self.network, hash);
        pending.map(|pending| pending.answers).unwrap_or_default()
    }

    /// Takes an operation out and answers whoever waits for it.
    pub(crate) fn refuse(&self, hash: &OperationHash, problem: &Problem) {
        for answer in self.take(hash) {
            // Whoever asked may have gone, which is no fault.
            let _ = answer.send(Err(problem.clone()));
        }
    }

    /// Looks at the announced batches, by their ids.
    pub(crate) fn batches<T>(&self, look: impl FnOnce(&BTreeMap<BatchId, Announced>) -> T) -> T {
        look(&self.pool().batches)
    }

    /// An operation that would enrol a batch.
    pub(crate) fn announces(&self, id: &BatchId) -> Option<Arc<Waiting>> {
        let pool = self.pool();
        let arrival = pool.batches.get(id)?.operations.first()?;
        pool.queue.get(arrival).map(|pending| pending.waiting.clone())
    }

    /// The upload that holds the leaves of an announced batch.
    pub(crate) fn flip(&self, id: &BatchId) -> Option<Flip> {
        self.pool().batches.get(id)?.flip()
    }

    /// The leaves of an announced batch are here; gives them back if it is not announced.
    pub(crate) fn leaves_here(&self, leaves: (Flip, Reserved)) -> Result<(), Reserved> {
        match self.pool().batches.get_mut(&leaves.0.batch) {
            Some(batch) => {
                batch.leaves.get_or_insert(leaves);
                Ok(())
            }
            None => Err(leaves.1),
        }
    }

    /// The leaves of a batch are here no longer: another announced batch took some of them, or
    /// what is decided did.
    pub(crate) fn leaves_gone(&self, upload: u64, to: Option<&BatchId>) {
        let mut pool = self.pool();
        let gone = |batch: &Announced| batch.flip().is_some_and(|flip| flip.upload == upload);
        let Some((id, batch)) = pool.batches.iter_mut().find(|(_, batch)| gone(batch)) else {
            return;
        };
        batch.leaves = None;
        batch.yielded_to.extend(to);
        let id = *id;
        drop(pool);
        if to.is_none() {
            self.refuse_batch(&id, "the ledger has a key of it");
        }
    }

    /// A batch was decided: those that it took leaves from never are.
    pub(crate) fn refuse_rivals(&self, decided: &BatchId) {
        let rivals: Vec<BatchId> = {
            let pool = self.pool();
            let rivals = pool.batches.iter().filter(|(_, b)| b.yielded_to.contains(decided));
            rivals.map(|(id, _)| *id).collect()
        };
        for id in rivals {
            self.refuse_batch(&id, &format!("batch {decided} has a key of it"));
        }
    }

    /// An announced batch can never be ready here. Clients who wait for it are told; the operation
    /// stays known until its time is over.
    pub(crate) fn refuse_batch(&self, id: &BatchId, why: &str) {
        let mut pool = self.pool();
        let Some(batch) = pool.batches.get_mut(id) else { return };
        batch.refused = true;
        batch.leaves = None;
        let arrivals = batch.operations.clone();
        let mut answers = Vec::new();
        for arrival in arrivals {
            if let Some(pending) = pool.queue.get_mut(&arrival) {
                answers.append(&mut pending.answers);
                pool.told.insert(arrival);
            }
        }
        drop(pool);
        let problem = Problem::new(409, "leaves", format!("leaves: {why}"))
            .cure("find the device by its row, leave it out and enrol the rest anew");
        for answer in answers {
            let _ = answer.send(Err(problem.clone()));
        }
    }

    /// Takes no more; what waits stays.
    pub(crate) fn close(&self) {
        self.pool().closed = true;
    }
}
