use crate::candidate::Candidate;
use crate::config::PinnedHead;
use crate::fault::Fault;
use crate::folder::{Evidence, Folder};
use crate::{Error, GatewayConfig, Roll};
use muster_api::Feed;
use muster_ledger::{Chain, Checkpoint, Genesis, NoteFault, QuorumCheckpoint, Time, View};
use std::sync::Arc;

/// What the follower holds: everything verified, on disk and in memory, and what it is about to
/// verify. It asks nobody and knows no clock but the times it is given.
#[derive(Debug)]
pub(crate) struct Book {
    folder: Folder,
    verified: Candidate,
    head: Option<QuorumCheckpoint>,
    /// Entries on the way to a head that is not reached yet.
    pending: Option<Candidate>,
    pinned: Option<PinnedHead>,
    trust_period_ms: u64,
}

/// What an answer of a node led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More entries are needed for the head: ask again from [`Book::next`].
    More,
    /// A verified head.
    News(Arc<Roll>),
    /// The head that is known, or the same signed earlier.
    Nothing,
}

impl Book {
    /// Opens the folder and recomputes everything in it.
    pub(crate) fn open(config: &GatewayConfig) -> Result<(Self, Option<Arc<Roll>>), Error> {
        let genesis: &Genesis = &config.genesis;
        genesis.check().map_err(Error::Genesis)?;
        let chain = Chain::new(genesis);
        let rules = chain.state().rules().map_err(Error::Genesis)?;
        let mut folder = Folder::open(&config.dir, &genesis.network())?;
        let path = folder.checkpoint_path();
        let note = folder.checkpoint()?;
        let note = note.map(|note| Checkpoint::parse(&note)).transpose();
        let note = note.map_err(|e| Error::damaged(&path, e))?;
        let size = note.as_ref().map_or(0, |note| note.head().size);
        let mut verified = Candidate::new(chain, None);
        let found = folder.replay(size, |entry| verified.push(entry))?;
        let log = folder.log_path();
        if let Some(fault) = verified.fault() {
            return Err(Error::damaged(&log, fault));
        }
        if found < size {
            let why = format!("{found} entries, the checkpoint was verified over {size}");
            return Err(Error::damaged(&log, why));
        }
        let head = note.map(|note| verified.chain().check(&note)).transpose();
        let head = head.map_err(|e| Error::damaged(&path, e))?;
        let roll = head.clone().map(|head| Arc::new(Roll::new(verified.chain().clone(), head)));
        let pinned = config.pinned.filter(|pin| pin.size > size);
        let trust_period_ms = rules.trust_period_ms;
        let book = Self { folder, verified, head, pending: None, pinned, trust_period_ms };
        Ok((book, roll))
    }

    /// The place of the next entry to ask for.
    pub(crate) fn next(&self) -> u64 {
        self.pending.as_ref().unwrap_or(&self.verified).size()
    }

    /// The time of the verified head, zero before there is one.
    pub(crate) fn time(&self) -> Time {
        self.head.as_ref().map_or(Time(0), |head| head.head().time)
    }

    /// Throws away what is on the way to a head: another node shall not answer for it.
    pub(crate) fn abandon(&mut self) {
        self.pending = None;
        if let Err(error) = self.folder.cut() {
            tracing::error!(%error, "the log of operations cannot be cut");
        }
    }

    /// Whether the last verified head is too old to go on from. A pinned head replaces the
    /// trust that ran out: nothing before it is believed.
    pub(crate) fn out_of_trust(&self, now: Time) -> bool {
        self.pinned.is_none()
            && self.head.is_some()
            && now.since(self.time()) > self.trust_period_ms
    }

    /// Takes a node's answer. After a fault everything is as it was at the last verified head.
    pub(crate) fn absorb(&mut self, feed: &Feed, node: &str) -> Result<Progress, Fault> {
        self.try_absorb(feed).inspect_err(|fault| {
            self.abandon();
            self.keep_evidence(fault, feed, node);
        })
    }

    fn try_absorb(&mut self, feed: &Feed) -> Result<Progress, Fault> {
        let chain = self.verified.chain();
        let validators = chain.state().validators();
        let validators = validators.map_err(|e| Fault::Malformed(e.to_string()))?;
        let note = Checkpoint::parse(&feed.checkpoint).map_err(|fault| match fault {
            NoteFault::Upgrade
                if Checkpoint::is_later(&feed.checkpoint, &chain.network(), &validators) =>
            {
                Fault::Upgrade("the quorum signed a head of a later protocol version".into())
            }
            other => Fault::Unsigned(other),
        })?;
        note.verify(&chain.network(), &validators).map_err(Fault::Unsigned)?;
        if let Some(known) = self.compare(&note)? {
            return Ok(known);
        }
        let (from, size) = (self.next(), note.head().size);
        if feed.from != from && !feed.entries.is_empty() {
            return Err(Fault::Malformed("entries from another place than asked".into()));
        }
        let until = from + feed.entries.len() as u64;
        if until > size {
            return Err(Fault::Malformed("more entries than its head".into()));
        }
        if feed.entries.is_empty() && from < size {
            return Err(Fault::Stalled("its head has entries that it does not hand out"));
        }
        self.folder.append(&feed.entries).map_err(Fault::Disk)?;
        let (verified, pinned) = (&self.verified, self.pinned);
        let mut pending = self.pending.take().unwrap_or_else(|| verified.resume(pinned));
        feed.entries.iter().for_each(|entry| pending.push(entry));
        if until < size {
            self.pending = Some(pending);
            return Ok(Progress::More);
        }
        let head = pending.confirm(&note)?;
        self.publish(pending, head)
    }

    /// Compares a signed head with the verified one; `None` if it goes further.
    fn compare(&mut self, note: &Checkpoint) -> Result<Option<Progress>, Fault> {
        let theirs = note.head();
        if let Some(pin) = self.pinned.filter(|pin| theirs.size < pin.size) {
            return Err(Fault::Behind { theirs: theirs.size, ours: pin.size });
        }
        let Some(ours) = self.head.as_ref().map(QuorumCheckpoint::head) else { return Ok(None) };
        if theirs.size > ours.size {
            return Ok(None);
        }
        if theirs.size < ours.size {
            let (later, theirs, ours) = (theirs.time > ours.time, theirs.size, ours.size);
            return Err(if later {
                Fault::RolledBack { theirs, ours }
            } else {
                Fault::Behind { theirs, ours }
            });
        }
        if !theirs.same_ledger(ours) {
            return Err(Fault::Forked(ours.size));
        }
        if theirs.time <= ours.time {
            return Ok(Some(Progress::Nothing));
        }
        self.pending = None;
        self.folder.cut().map_err(Fault::Disk)?;
        let verified = self.verified.clone();
        let head = verified.chain().check(note).map_err(Fault::Mismatch)?;
        self.publish(verified, head).map(Some)
    }

    fn publish(&mut self, verified: Candidate, head: QuorumCheckpoint) -> Result<Progress, Fault> {
        self.folder.verified(&head.to_note()).map_err(Fault::Disk)?;
        self.pinned = self.pinned.filter(|pin| pin.size > head.head().size);
        let roll = Arc::new(Roll::new(verified.chain().clone(), head.clone()));
        (self.verified, self.head, self.pending) = (verified, Some(head), None);
        Ok(Progress::News(roll))
    }

    fn keep_evidence(&self, fault: &Fault, feed: &Feed, node: &str) {
        if !fault.convicts() {
            return;
        }
        // The same ledger signed again each heartbeat is one proof.
        let subject = Checkpoint::parse(&feed.checkpoint).map_or_else(
            |_| feed.checkpoint.clone(),
            |note| muster_ledger::Head { time: Time(0), ..*note.head() }.body(),
        );
        let ours = self.head.as_ref().map(QuorumCheckpoint::to_note);
        let evidence = Evidence {
            code: fault.code(),
            fault: &fault.to_string(),
            node,
            subject,
            ours: ours.as_deref(),
            theirs: &feed.checkpoint,
            entries: &feed.entries,
        };
        match self.folder.keep_evidence(&evidence) {
            Ok(Some(file)) => tracing::error!(?file, %fault, node, "evidence kept"),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, %fault, node, "evidence cannot be kept"),
        }
    }
}
