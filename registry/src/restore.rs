//! A ledger that was put back from a backup, before its node runs again: it takes the operations
//! that it misses from whoever has them, checks everything, and notes the highest head that
//! anybody has, below which the node never signs.

use crate::deciding::Step;
use crate::folder::{self, Folder};
use crate::recovery::{self, Recovered};
use crate::signed_head::SignedHead;
use crate::store::sqlite::{Sqlite, upgrade};
use crate::store::{Flip, Store as _, Upload};
use crate::{Error, lost};
use muster_api::Feed;
use muster_identity::cbor::Decode as _;
use muster_ledger::{Action, BatchId, Block, Checkpoint, Entry, Genesis, Head, View as _};
use std::path::Path;

/// A ledger that is being brought up to date. Nothing of a source is written before a head that
/// the quorum signed confirms it.
pub struct Restoring {
    folder: Folder,
    store: Sqlite,
    genesis: Genesis,
    signed: SignedHead,
    recovered: Recovered,
    /// Entries on the way to a head that is not reached yet.
    pending: Vec<Entry>,
    /// The head of the highest size, and of those the latest.
    highest: Option<Head>,
    taken: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Log entries.
    pub size: u64,
    /// Root of the log.
    pub log_root: [u8; 32],
    /// Root of the state.
    pub state_root: [u8; 32],
    /// Entries that the backup did not have.
    pub taken: u64,
    /// Batches whose leaves nobody has: their models and numbers of devices.
    pub lost: Vec<LostBatch>,
}

/// A batch whose leaves were in no backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostBatch {
    /// Its id.
    pub batch: BatchId,
    /// Model of its devices.
    pub model: String,
    /// How many they are.
    pub count: u64,
}

fn peer(what: impl Into<String>) -> Error {
    Error::Peer(what.into())
}

impl Restoring {
    /// Opens the folder with the copies in it and replays them from the genesis on.
    pub async fn open(dir: &Path, genesis: &Genesis) -> Result<Self, Error> {
        for name in crate::COPIED {
            let path = dir.join(name);
            std::fs::File::open(&path).map_err(|e| Error::file(&path, &e))?;
        }
        let folder = Folder::take(dir).await?;
        let signed = SignedHead::read(folder.file(folder::SIGNED_HEAD))?;
        let (ledger, directory) = (folder.file(folder::LEDGER), folder.file(folder::DIRECTORY));
        upgrade(&folder, None).await?;
        let store = Sqlite::open(&ledger, &directory, genesis).await?;
        let recovered = match recovery::recover(&store, genesis).await {
            Ok(recovered) => recovered,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let (pending, highest, taken) = (Vec::new(), None, 0);
        let genesis = genesis.clone();
        Ok(Self { folder, store, genesis, signed, recovered, pending, highest, taken })
    }

    /// The place of the next entry to ask for.
    pub fn next(&self) -> u64 {
        self.recovered.chain.size() + self.pending.len() as u64
    }

    /// The head of the ledger as it stands: number of entries and log root.
    pub fn head(&self) -> (u64, [u8; 32]) {
        (self.recovered.log.size(), self.recovered.log.root())
    }

    /// Forgets what a source said on the way to a head: another one shall not answer for it.
    pub fn abandon(&mut self) {
        self.pending.clear();
    }

    /// Takes the answer of a node or gateway; true once its head is reached. What it says is
    /// believed only under a quorum's signature.
    pub async fn absorb(&mut self, feed: &Feed) -> Result<bool, Error> {
        let note = Checkpoint::parse(&feed.checkpoint).map_err(|e| peer(e.to_string()))?;
        let chain = &self.recovered.chain;
        let validators = chain.state().validators().map_err(Error::damaged)?;
        let quorum = note.verify(&chain.network(), &validators).map_err(|e| peer(e.to_string()))?;
        let head = *quorum.head();
        if head.size <= chain.size() {
            if self.recovered.log.root_at(head.size) != Some(head.log_root) {
                return Err(peer(format!(
                    "the quorum signed a log of {} entries that is not this one: the ledger was \
                     forked, keep both as evidence",
                    head.size
                )));
            }
            self.note(head);
            return Ok(true);
        }
        if feed.from != self.next() {
            return Err(peer("entries from another place than asked"));
        }
        for bytes in &feed.entries {
            self.pending.push(Entry::from_cbor(bytes).map_err(|e| peer(e.to_string()))?);
        }
        if self.next() < head.size {
            let stalled = feed.entries.is_empty();
            let why = || peer("its head has entries that it does not hand out");
            return if stalled { Err(why()) } else { Ok(false) };
        }
        let blocks = Block::from_entries(std::mem::take(&mut self.pending));
        let blocks = blocks.map_err(|e| peer(e.to_string()))?;
        let mut steps = Vec::with_capacity(blocks.len());
        let mut after = chain.clone();
        for block in blocks {
            let unknown = std::iter::repeat_n(None, block.operations.len());
            let step = Step::new(after, block, unknown)?;
            after = step.after.clone();
            steps.push(step);
        }
        after.check(&note).map_err(|e| peer(e.to_string()))?;
        self.write(steps).await?;
        self.note(head);
        Ok(true)
    }

    fn note(&mut self, head: Head) {
        let rank = |head: &Head| (head.size, head.time);
        if self.highest.as_ref().is_none_or(|highest| rank(highest) < rank(&head)) {
            self.highest = Some(head);
        }
    }

    /// Writes blocks as a running node would.
    async fn write(&mut self, steps: Vec<Step>) -> Result<(), Error> {
        let mut uploads = self.clear_uploads(&steps).await?;
        for step in steps {
            let flips = step.verified.iter().filter_map(|v| self.flip(v, &mut uploads)).collect();
            self.taken +=
                recovery::write_step(&self.store, &mut self.recovered, step, flips).await?;
        }
        Ok(())
    }

    /// The upload of the backup that an enrolment made a batch, if the backup has it whole.
    fn flip(
        &self,
        verified: &muster_ledger::VerifiedOperation,
        uploads: &mut Vec<Upload>,
    ) -> Option<Flip> {
        let Action::Enrol(enrol) = &verified.operation().action else { return None };
        let same = |upload: &Upload| {
            !upload.rehearsal
                && upload.organisation == verified.operation().author
                && (upload.grant, &upload.model) == (enrol.grant, &enrol.model)
                && upload.sealed == Some((enrol.count, enrol.root))
        };
        let upload = uploads.remove(uploads.iter().position(same)?);
        let batch = enrol.batch(&self.genesis.network());
        Some(Flip { upload: upload.number, batch, count: enrol.count, root: enrol.root })
    }

    /// Throws away the uploads of the backup, whose rows may have gone elsewhere since; those stay
    /// that became batches as they are.
    async fn clear_uploads(&self, steps: &[Step]) -> Result<Vec<Upload>, Error> {
        let mut all = self.store.uploads().await?;
        let mut kept = Vec::new();
        for verified in steps.iter().flat_map(|step| &step.verified) {
            let number = self.flip(verified, &mut all.clone()).map(|flip| flip.upload);
            let place = all.iter().position(|upload| Some(upload.number) == number);
            kept.extend(place.map(|place| all.remove(place)));
        }
        for upload in all {
            self.store.drop_upload(upload.number).await?;
        }
        Ok(kept)
    }

    /// Notes the highest head as the one that was signed last, and lets go of the folder.
    /// `known`: number of entries and log root of a head that the operator vouches for.
    pub async fn finish(mut self, known: Option<(u64, [u8; 32])>) -> Result<Restored, Error> {
        let done = self.settle(known).await;
        self.close().await;
        done
    }

    async fn settle(&mut self, known: Option<(u64, [u8; 32])>) -> Result<Restored, Error> {
        let (ours, log_root) = self.head();
        if let Some((size, root)) = known
            && self.recovered.log.root_at(size) != Some(root)
        {
            return Err(Error::operator(
                format!("the ledger of {ours} entries does not contain the head of {size} entries"),
                "name a gateway or node that has the operations up to that head",
            ));
        }
        if known.is_none() && self.highest.is_none() && self.signed.last().is_none() {
            return Err(Error::operator(
                "nobody said how far the ledger went",
                "name a gateway, a node, or the newest head that anybody has",
            ));
        }
        recovery::check_signed(&self.signed, &self.recovered, None)
            .or_else(|error| if self.signed.last().is_some() { Err(error) } else { Ok(()) })?;
        let chain = &self.recovered.chain;
        let times = [self.highest.map(|head| head.time), self.signed.last().map(|head| head.time)];
        let time = times.into_iter().flatten().fold(chain.time(), |a, b| a.max(b));
        let head = chain.head(time).map_err(Error::damaged)?;
        self.store.pass_numbers().await?;
        self.signed.write(&head)?;
        let mut batches = Vec::new();
        for batch in lost::find(&self.store, chain).await? {
            let record = chain.state().batch(&batch).map_err(Error::damaged)?;
            let record = record.ok_or_else(|| Error::damaged("a batch without its record"))?;
            batches.push(LostBatch { batch, model: record.model, count: record.count });
        }
        let (taken, state_root) = (self.taken, head.state_root);
        Ok(Restored { size: ours, log_root, state_root, taken, lost: batches })
    }

    /// Lets go of the folder; nothing says yet that a node may sign in it.
    pub async fn close(self) {
        self.store.close().await;
        self.folder.release();
    }
}
