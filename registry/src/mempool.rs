use crate::Error;
use crate::claims::Claim;
use crate::store::Flip;
use muster_api::{Problem, limits};
use muster_ledger::{EntryProof, SignedOperation, VerifiedOperation};
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

/// An operation that waits for its block, and who waits for it.
pub(crate) struct Waiting {
    pub(crate) signed: SignedOperation,
    pub(crate) verified: VerifiedOperation,
    /// The upload that it turns into a batch, kept as it is until then.
    pub(crate) flip: Option<(Flip, Reserved)>,
    pub(crate) answer: oneshot::Sender<Result<EntryProof, Problem>>,
}

impl Waiting {
    /// Answers; whoever asked may have gone, which is no fault.
    pub(crate) fn answer(self, answer: Result<EntryProof, Problem>) {
        let _ = self.answer.send(answer);
    }
}

/// Operations in their order of arrival, bounded.
pub(crate) struct Mempool {
    /// None once it is closed.
    sender: Mutex<Option<mpsc::Sender<Waiting>>>,
    queue: AsyncMutex<Queue>,
}

struct Queue {
    receiver: mpsc::Receiver<Waiting>,
    /// Taken out of the channel and not yet used.
    front: VecDeque<Waiting>,
}

impl Default for Mempool {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(limits::WAITING_OPERATIONS);
        let queue = Queue { receiver, front: VecDeque::new() };
        Self { sender: Mutex::new(Some(sender)), queue: AsyncMutex::new(queue) }
    }
}

impl Mempool {
    /// Adds an operation, unless as many wait as may.
    pub(crate) fn add(&self, waiting: Waiting) -> Result<(), Problem> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().ok_or(Error::Closing)?.try_send(waiting).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => {
                Problem::new(503, "busy", "4,096 operations wait already").cure("try again later")
            }
            mpsc::error::TrySendError::Closed(_) => Error::Closing.into(),
        })
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().map_or(0, |s| s.max_capacity() - s.capacity())
    }

    /// Resolves as soon as one waits; never after it was closed and emptied.
    pub(crate) async fn any(&self) {
        let mut queue = self.queue.lock().await;
        if queue.front.is_empty() {
            match queue.receiver.recv().await {
                Some(waiting) => queue.front.push_back(waiting),
                None => std::future::pending().await,
            }
        }
    }

    /// Takes what fits in one block.
    pub(crate) async fn take(&self, operations: usize, bytes: usize) -> Vec<Waiting> {
        let mut queue = self.queue.lock().await;
        let (mut taken, mut size) = (Vec::new(), 0);
        while taken.len() < operations {
            let Some(next) = queue.front.pop_front().or_else(|| queue.receiver.try_recv().ok())
            else {
                break;
            };
            size += next.signed.0.len();
            if size > bytes {
                queue.front.push_front(next);
                break;
            }
            taken.push(next);
        }
        taken
    }

    /// Takes no more; what waits stays.
    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What an operation on its way into a block holds on to: uploads that nobody may change, keys
/// that nobody else may bring.
#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<Sets>);

#[derive(Debug, Default)]
struct Sets {
    uploads: BTreeSet<u64>,
    keys: BTreeSet<Claim>,
}

/// Holds a reservation until it is dropped.
pub(crate) struct Reserved {
    all: Arc<Reservations>,
    upload: Option<u64>,
    keys: Vec<Claim>,
}

impl Reservations {
    fn with<T>(&self, f: impl FnOnce(&mut Sets) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reserves an upload; `None`: another operation holds it.
    pub(crate) fn upload(self: &Arc<Self>, number: u64) -> Option<Reserved> {
        self.with(|sets| sets.uploads.insert(number)).then(|| Reserved {
            all: self.clone(),
            upload: Some(number),
            keys: Vec::new(),
        })
    }

    /// Reserves keys that an operation brings. Two operations of one block never bring the same:
    /// the state refuses the second.
    pub(crate) fn keys(self: &Arc<Self>, keys: &[Claim]) -> Reserved {
        self.with(|sets| sets.keys.extend(keys));
        Reserved { all: self.clone(), upload: None, keys: keys.to_vec() }
    }

    /// Whether an upload is on its way into a block.
    pub(crate) fn has_upload(&self, number: u64) -> bool {
        self.with(|sets| sets.uploads.contains(&number))
    }

    /// Whether any key is.
    pub(crate) fn any_key(&self) -> bool {
        self.with(|sets| !sets.keys.is_empty())
    }

    /// Whether this key is.
    pub(crate) fn has_key(&self, claim: &Claim) -> bool {
        self.with(|sets| sets.keys.contains(claim))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let (upload, keys) = (self.upload, std::mem::take(&mut self.keys));
        self.all.with(|sets| {
            if let Some(number) = upload {
                sets.uploads.remove(&number);
            }
            for key in &keys {
                sets.keys.remove(key);
            }
        });
    }
}
