use crate::book::{Book, Progress};
use crate::config::PinnedHead;
use crate::fault::Fault;
use crate::status::Counts;
use crate::{Roll, limits};
use muster_api::{Client, ClientError, Feed, Host, limits as api};
use muster_ledger::{Checkpoint, ConsistencyProof, Snapshot, UpgradeAhead};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Follows the nodes, one at a time: asks for what comes next, lets the book check it, publishes
/// what was verified. A node that fails or lies is left for the next one.
pub(crate) struct Follower {
    pub(crate) book: Book,
    pub(crate) nodes: Arc<[Client]>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) rolls: watch::Sender<Option<Arc<Roll>>>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Follower {
    /// Runs until it is told to stop, or until nobody can be followed any further.
    pub(crate) async fn run(self) {
        let book = self.follow().await;
        // It may still have a snapshot to write.
        let _ = tokio::task::spawn_blocking(move || drop(book)).await;
    }

    async fn follow(mut self) -> Option<Book> {
        // How often each node's snapshot was fetched.
        let mut tries = vec![0; self.nodes.len()];
        let (shortest, longest) = limits::BACKOFF;
        let (mut node, mut pause) = (0, shortest);
        // Whether the last verified head is too old by the clock.
        let mut waits = false;
        // What was said of a protocol version to come.
        let mut said = None;
        self.say_upgrade(&mut said);
        self.counts.follows(node);
        while !*self.stop.borrow() {
            if self.book.out_of_trust(self.host.now()) {
                // Perhaps it is the clock that is ahead: nobody is asked, until it says otherwise.
                if !std::mem::replace(&mut waits, true) {
                    self.report(node, &Fault::TrustPeriod);
                }
                tokio::select! {
                    () = tokio::time::sleep(longest) => continue,
                    _ = self.stop.changed() => break,
                }
            }
            if std::mem::take(&mut waits) {
                tracing::warn!("the clock was ahead; following goes on");
                self.counts.resumes();
            }
            let client = self.nodes[node].clone();
            let (from, time) = (self.book.next(), self.book.time().0);
            let pinned = self.book.pinned();
            let whole = self.book.wants_snapshot().then_some(&mut tries[node]);
            let answer = ask_either(&client, whole, pinned, from, time);
            let answer = tokio::select! {
                answer = answer => answer,
                _ = self.stop.changed() => break,
            };
            // Whether a head that it brings is the newest that the node has; a snapshot's is not.
            let mut live = false;
            let progress = match answer {
                Ok(answer) => {
                    // Signatures and disk: not on a thread that answers requests.
                    let mut book = self.book;
                    let now = self.host.now();
                    live = matches!(answer, Answer::Feed(_));
                    let checked = tokio::task::spawn_blocking(move || {
                        let progress = match &answer {
                            Answer::Feed(feed) => book.absorb(feed, client.base()),
                            Answer::Snapshot(bytes, proof) => {
                                book.begin_with(bytes, proof.as_ref(), now)
                            }
                        };
                        (book, progress)
                    });
                    let Ok((book, progress)) = checked.await else {
                        self.counts.error("the follower was interrupted".into());
                        return None;
                    };
                    self.book = book;
                    progress
                }
                Err(fault) => Err(fault),
            };
            match progress {
                Ok(Progress::More) => pause = shortest,
                Ok(Progress::News(roll, unwritten)) => {
                    if let Some(fault) = unwritten.map(Fault::Disk) {
                        self.counts.fault(node, &fault);
                        tracing::error!(%fault, "verified, and forgotten at a restart");
                    }
                    let (size, height) = (roll.size(), roll.checkpoint().head().height);
                    let time = roll.checkpoint().head().time;
                    tracing::debug!(size, height, "verified head");
                    self.rolls.send_replace(Some(roll));
                    self.say_upgrade(&mut said);
                    pause = shortest;
                    // It counts all the same; but another node may have a younger one.
                    let age = self.host.now().since(time);
                    if live && self.nodes.len() > 1 && age > limits::LATE_HEAD_MS {
                        self.report(node, &Fault::Late(age));
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            _ = self.stop.changed() => break,
                        }
                        node = self.next_node(node);
                    }
                }
                other => {
                    // A long poll that brings nothing lasted longer than a heartbeat.
                    let fault = other.err().unwrap_or(Fault::Stalled("no newer head"));
                    self.report(node, &fault);
                    if fault.halts() {
                        break;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = self.stop.changed() => break,
                    }
                    pause = (pause * 2).min(longest);
                    if self.nodes.len() > 1 {
                        node = self.next_node(node);
                    }
                }
            }
        }
        Some(self.book)
    }

    /// Leaves a node for the next one, and what it has not proved yet with it.
    fn next_node(&mut self, node: usize) -> usize {
        let node = (node + 1) % self.nodes.len();
        self.counts.follows(node);
        self.book.abandon();
        node
    }

    /// Says once what is ahead, and once that it is there. Following goes on: the head before that
    /// height may be signed anew, and one behind it stops this program by itself.
    fn say_upgrade(&self, said: &mut Option<UpgradeAhead>) {
        let ahead = self.book.upgrade_ahead();
        match &ahead {
            same if *same == *said => {}
            Some(ahead) if ahead.due => {
                tracing::error!("{ahead}; deciding until the roll is stale");
            }
            Some(ahead) => tracing::warn!("{ahead}: install a newer one before"),
            None => tracing::info!("the protocol version that was announced is off"),
        }
        *said = ahead;
    }

    fn report(&self, node: usize, fault: &Fault) {
        self.counts.fault(node, fault);
        let url = self.nodes[node].base();
        if fault.halts() {
            tracing::error!(node = url, %fault, "following stopped; deciding until the roll is stale");
        } else if fault.convicts() {
            tracing::error!(node = url, %fault, "head refused");
        } else {
            tracing::warn!(node = url, %fault, "trying the next node");
        }
    }
}

/// What a node answered.
enum Answer {
    Feed(Feed),
    Snapshot(Vec<u8>, Option<ConsistencyProof>),
}

/// Asks a node for what follows, or, if there is much and nothing is there yet, for the whole.
async fn ask_either(
    client: &Client,
    whole: Option<&mut u32>,
    pinned: Option<PinnedHead>,
    from: u64,
    time: u64,
) -> Result<Answer, Fault> {
    if let Some(tries) = whole.filter(|tries| **tries < limits::SNAPSHOT_TRIES)
        && is_long(client).await?
    {
        *tries += 1;
        let fetched = timeout(limits::SNAPSHOT_WAIT, client.snapshot()).await;
        match fetched.map_err(|_| Fault::Stalled("no snapshot"))? {
            Ok(bytes) => {
                let proof = prove(client, pinned, &bytes).await;
                return Ok(Answer::Snapshot(bytes, proof));
            }
            // It has none to give. That is no fault.
            Err(ClientError::Refused(problem)) if problem.status == 404 => {}
            Err(error) => return Err(error.into()),
        }
    }
    ask(client, from, time).await.map(Answer::Feed)
}

/// Whether a node says that its log is long. It may lie: then every operation is followed, or its
/// snapshot is looked at, and both are checked.
async fn is_long(client: &Client) -> Result<bool, Fault> {
    let note = timeout(limits::FEED_GRACE, client.checkpoint()).await;
    let note = note.map_err(|_| Fault::Stalled("no answer"))??;
    Ok(Checkpoint::parse(&note).is_ok_and(|note| note.head().size > limits::SNAPSHOT_FROM))
}

/// Proof that the log under a snapshot begins with that of the pinned head.
async fn prove(
    client: &Client,
    pinned: Option<PinnedHead>,
    snapshot: &[u8],
) -> Option<ConsistencyProof> {
    let pinned = pinned?;
    let size = Snapshot::parse(snapshot).ok()?.checkpoint().head().size;
    let proof = client.consistency(pinned.size, size);
    timeout(limits::FEED_GRACE, proof).await.ok()?.ok()
}

/// Asks a node for what follows. If it refuses, its head may still say why: a node that was
/// rolled back has no entries at our place.
async fn ask(client: &Client, from: u64, time: u64) -> Result<Feed, Fault> {
    let wait = Duration::from_secs(api::FEED_WAIT_SECONDS) + limits::FEED_GRACE;
    let feed = client.feed(from, time, api::FEED_WAIT_SECONDS);
    let refused = match timeout(wait, feed).await {
        Ok(Err(muster_api::ClientError::Refused(problem))) => problem,
        Ok(answer) => return Ok(answer?),
        Err(_) => return Err(Fault::Stalled("no answer")),
    };
    match timeout(limits::FEED_GRACE, client.checkpoint()).await {
        Ok(Ok(checkpoint)) => Ok(Feed { from, entries: Vec::new(), checkpoint }),
        _ => Err(Fault::Unreachable(refused.into())),
    }
}
