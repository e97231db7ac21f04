//! Looks at every head that any node publishes, all the time: two of one size that state different
//! ledgers are a fork, and so is a head that goes back.

use muster_api::Client;
use muster_ledger::{Checkpoint, Genesis, Head};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How often each node is asked for its head.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen so far.
#[derive(Default)]
struct Seen {
    /// By size: the ledger that was published first, and by whom.
    heads: BTreeMap<u64, (Head, usize)>,
    /// The last head of each node.
    last: BTreeMap<usize, Head>,
    wrong: Vec<String>,
}

pub(crate) struct Watch {
    genesis: Arc<Genesis>,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Watches the nodes at these addresses, whether they are up or not.
    pub(crate) fn start(genesis: &Genesis, urls: Vec<String>) -> Self {
        let (genesis, seen) = (Arc::new(genesis.clone()), Arc::new(Mutex::new(Seen::default())));
        let mut tasks = JoinSet::new();
        for (node, url) in urls.into_iter().enumerate() {
            let (genesis, seen) = (genesis.clone(), seen.clone());
            tasks.spawn(async move {
                let client = Client::new(&url).expect("an address on this machine");
                loop {
                    if let Ok(Ok(note)) = timeout(Duration::from_secs(5), client.checkpoint()).await
                    {
                        see(&genesis, &seen, node, &note);
                    }
                    sleep(LOOK).await;
                }
            });
        }
        Self { genesis, seen, _tasks: tasks }
    }

    /// A head that came another way, such as with an acknowledgement.
    pub(crate) fn saw(&self) -> impl Fn(usize, &str) + Send + Sync + Clone + use<> {
        let (genesis, seen) = (self.genesis.clone(), self.seen.clone());
        move |node, note| {
            check(&genesis, &seen, node, note);
        }
    }

    /// A node that was given an old folder may say what it said long ago.
    pub(crate) fn forget_last(&self, node: usize) {
        locked(&self.seen).last.remove(&node);
    }

    /// Panics if anything was wrong.
    pub(crate) fn check(&self) {
        let seen = locked(&self.seen);
        assert!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
    }

    /// Every head that was seen, one of each size.
    pub(crate) fn heads(&self) -> Vec<Head> {
        locked(&self.seen).heads.values().map(|(head, _)| *head).collect()
    }
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks a note by what the genesis says, and against all that were seen.
fn check(genesis: &Genesis, seen: &Mutex<Seen>, node: usize, note: &str) -> Option<Head> {
    let checked = Checkpoint::parse(note)
        .and_then(|checkpoint| checkpoint.verify(&genesis.network(), &genesis.validators));
    let mut seen = locked(seen);
    let head = match checked {
        Ok(checkpoint) => *checkpoint.head(),
        Err(why) => {
            seen.wrong.push(format!("node {} published a head that is none: {why}", node + 1));
            return None;
        }
    };
    let (first, by) = *seen.heads.entry(head.size).or_insert((head, node));
    if !first.same_ledger(&head) {
        seen.wrong.push(format!(
            "a fork at size {}: node {} published {first:?}, node {} {head:?}",
            head.size,
            by + 1,
            node + 1
        ));
    }
    Some(head)
}

fn see(genesis: &Genesis, seen: &Mutex<Seen>, node: usize, note: &str) {
    let Some(head) = check(genesis, seen, node, note) else { return };
    let mut seen = locked(seen);
    if let Some(last) = seen.last.insert(node, head)
        && (last.size, last.time) > (head.size, head.time)
    {
        let words = format!("node {} went back from {last:?} to {head:?}", node + 1);
        seen.wrong.push(words);
    }
}
