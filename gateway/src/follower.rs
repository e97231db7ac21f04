use crate::book::{Book, Progress};
use crate::fault::Fault;
use crate::status::Counts;
use crate::{Roll, limits};
use muster_api::{Client, Feed, Host, limits as api};
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
    pub(crate) async fn run(mut self) {
        let (shortest, longest) = limits::BACKOFF;
        let (mut node, mut pause) = (0, shortest);
        self.counts.follows(node);
        while !*self.stop.borrow() {
            if self.book.out_of_trust(self.host.now()) {
                return self.report(node, &Fault::TrustPeriod);
            }
            let client = self.nodes[node].clone();
            let feed = ask(&client, self.book.next(), self.book.time().0);
            let answer = tokio::select! {
                answer = feed => answer,
                _ = self.stop.changed() => return,
            };
            let progress = match answer {
                Ok(feed) => {
                    // Signatures and disk: not on a thread that answers requests.
                    let mut book = self.book;
                    let checked = tokio::task::spawn_blocking(move || {
                        let progress = book.absorb(&feed, client.base());
                        (book, progress)
                    });
                    let Ok((book, progress)) = checked.await else {
                        return self.counts.error("the follower was interrupted".into());
                    };
                    self.book = book;
                    progress
                }
                Err(fault) => Err(fault),
            };
            match progress {
                Ok(Progress::More) => pause = shortest,
                Ok(Progress::News(roll)) => {
                    let (size, height) = (roll.size(), roll.checkpoint().head().height);
                    tracing::debug!(size, height, "verified head");
                    self.rolls.send_replace(Some(roll));
                    pause = shortest;
                }
                other => {
                    // A long poll that brings nothing lasted longer than a heartbeat.
                    let fault = other.err().unwrap_or(Fault::Stalled("no newer head"));
                    self.report(node, &fault);
                    if fault.halts() {
                        return;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = self.stop.changed() => return,
                    }
                    pause = (pause * 2).min(longest);
                    if self.nodes.len() > 1 {
                        node = (node + 1) % self.nodes.len();
                        self.counts.follows(node);
                        self.book.abandon();
                    }
                }
            }
        }
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
