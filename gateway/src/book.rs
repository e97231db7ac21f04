use crate::candidate::Candidate;
use crate::config::PinnedHead;
use crate::fault::Fault;
use crate::folder::{Evidence, Folder};
use crate::kept::Keeper;
use crate::opening::read_back;
use crate::threads::Threads;
use crate::{Error, GatewayConfig, Roll};
use muster_api::Feed;
use muster_ledger::{
    Chain, Checkpoint, ConsistencyProof, Genesis, NoteFault, QuorumCheckpoint, Snapshot, Time,
    UpgradeAhead, View,
};
use std::io;
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
    keeper: Keeper,
    /// Whether to follow every operation, also if a snapshot is to be had.
    from_genesis: bool,
}

/// What an answer of a node led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More entries are needed for the head: ask again from [`Book::next`].
    More,
    /// A verified head, and what kept its checkpoint from being written, if anything did.
    News(Arc<Roll>, Option<io::Error>),
    /// The head that is known, or the same signed earlier.
    Nothing,
}

impl Book {
    /// Opens the folder and recomputes everything in it.
    pub(crate) fn open(config: &GatewayConfig) -> Result<(Self, Option<Arc<Roll>>), Error> {
        let genesis: &Genesis = &config.genesis;
        genesis.check().map_err(Error::Genesis)?;
        let chain = Chain::new(genesis);
        let mut folder = Folder::open(&config.dir, &genesis.network(), config.host.now())?;
        let path = folder.checkpoint_path();
        let note = folder.checkpoint()?;
        let note = note.map(|note| Checkpoint::parse(&note)).transpose();
        let note = note.map_err(|e| Error::damaged(&path, e))?;
        let (verified, head, end, kept) = read_back(&folder, chain, genesis, note.as_ref())?;
        folder.settle(end)?;
        let roll = head.clone().map(|head| Arc::new(Roll::new(verified.chain().clone(), head)));
        let pinned = config.pinned.filter(|pin| pin.size > verified.size());
        let mut keeper = Keeper::new(folder.snapshot_path(), folder.base(), kept);
        roll.iter().for_each(|roll| keeper.keep(roll, end));
        let book = Self {
            folder,
            verified,
            head,
            pending: None,
            pinned,
            keeper,
            from_genesis: config.from_genesis,
        };
        Ok((book, roll))
    }

    /// The trust period, by the rules of the verified ledger. Without rules nothing is trusted.
    fn trust_period_ms(&self) -> u64 {
        let rules = self.verified.chain().state().rules();
        rules.map_or(0, |rules| rules.trust_period_ms)
    }

    /// The protocol version that the verified ledger announces and this program does not know.
    pub(crate) fn upgrade_ahead(&self) -> Option<UpgradeAhead> {
        self.verified.chain().upgrade_ahead().ok().flatten()
    }

    /// Whether it has nothing, and would begin with a snapshot.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.next() == 0 && self.head.is_none() && !self.from_genesis
    }

    /// The pinned head, as long as it lies ahead.
    pub(crate) fn pinned(&self) -> Option<PinnedHead> {
        self.pinned
    }

    /// Begins with a snapshot. After a fault there is still nothing, and a node can be followed
    /// from the first entry on.
    pub(crate) fn begin_with(
        &mut self,
        bytes: &[u8],
        proof: Option<&ConsistencyProof>,
        now: Time,
    ) -> Result<Progress, Fault> {
        let snapshot = Snapshot::parse(bytes)?;
        let note = snapshot.checkpoint().clone();
        let chain = self.verified.chain();
        let validators = chain.state().validators();
        let validators = validators.map_err(|e| Fault::Malformed(e.to_string()))?;
        note.verify(&chain.network(), &validators).map_err(Fault::Unsigned)?;
        let head = note.head();
        // Keys of validators that signed long ago may be anybody's by now.
        if now.since(head.time) > self.trust_period_ms() {
            return Err(Fault::Useless("its head is older than the trust period"));
        }
        if let Some(pin) = self.pinned {
            if head.size < pin.size {
                return Err(Fault::Behind { theirs: head.size, ours: pin.size });
            }
            // A false proof convicts nobody; a ledger without the pinned head is found out, and
            // kept as evidence, by following every operation.
            let extends = proof.map(|proof| proof.verify(pin.size, &pin.log_root, head));
            if extends != Some(Ok(())) {
                return Err(Fault::Useless("nothing proves that it goes on from the pinned head"));
            }
        }
        let network = chain.network();
        let (chain, quorum) = snapshot.check(&network, &validators, &Threads)?;
        self.abandon();
        let size = chain.size();
        self.folder.begin_with(&network, size, bytes).map_err(Fault::Disk)?;
        self.keeper = Keeper::new(self.folder.snapshot_path(), size, size);
        // The log begins after the snapshot now, also if the checkpoint cannot be written.
        self.verified = Candidate::confirmed(chain);
        self.publish(self.verified.clone(), quorum)
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
            && now.since(self.time()) > self.trust_period_ms()
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
        let stranger = match note.verify(&chain.network(), &validators) {
            Ok(_) => None,
            // Other validators than those that are known: entries that are not here yet may name
            // them. Until they do, the head accuses nobody.
            Err(fault)
                if note.head().network == chain.network()
                    && note.head().validators != validators.hash()
                    && note.head().size > self.verified.size() =>
            {
                Some(fault)
            }
            Err(fault) => return Err(Fault::Unsigned(fault)),
        };
        if stranger.is_none()
            && let Some(known) = self.compare(&note)?
        {
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
        let (verified, pinned) = (&self.verified, self.pinned);
        let mut pending = self.pending.take().unwrap_or_else(|| verified.resume(pinned));
        feed.entries.iter().for_each(|entry| pending.push(entry));
        // What makes no ledger is hashed to the end, to tell who is at fault, and never kept: a node
        // may make up any number of entries, and the disk is not for them.
        if !pending.is_broken() {
            self.folder.append(&feed.entries).map_err(Fault::Disk)?;
        }
        if let Some(fault) = stranger.as_ref().filter(|_| pending.is_broken()) {
            return Err(Fault::Unsigned(fault.clone()));
        }
        if until < size {
            self.pending = Some(pending);
            return Ok(Progress::More);
        }
        let head = match (pending.confirm(&note), stranger) {
            (Err(_), Some(fault)) => return Err(Fault::Unsigned(fault)),
            (head, _) => head?,
        };
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
        // Heads that lie so far apart need no clock to tell: who signs the later one may have the
        // keys of validators that left long ago.
        let ran_out = self.head.is_some()
            && self.pinned.is_none()
            && head.head().time.since(self.time()) > self.trust_period_ms();
        if ran_out {
            return Err(Fault::TrustPeriod);
        }
        // A revocation takes effect also if the disk does not take the checkpoint.
        let unwritten = self.folder.verified(&head.to_note()).map_err(Fault::Disk)?;
        self.pinned = self.pinned.filter(|pin| pin.size > head.head().size);
        let roll = Arc::new(Roll::new(verified.chain().clone(), head.clone()));
        (self.verified, self.head, self.pending) = (verified, Some(head), None);
        // A snapshot never goes beyond the checkpoint on disk: a start would refuse it.
        if unwritten.is_none() {
            self.keeper.keep(&roll, self.folder.end());
        }
        Ok(Progress::News(roll, unwritten))
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
