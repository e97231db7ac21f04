//! Leaves from other nodes are checked as a client's are, and staged without a row in the private
//! directory.

use super::judge::{Bench, LATER, NEVER, Rival};
use super::token;
use crate::Error;
use crate::consensus::{Refused, Wanted};
use crate::deciding::Step;
use crate::limits::{BUNDLES_TOGETHER, FOREIGN_BATCHES};
use crate::node::{Node, locked};
use crate::reserved::Reserved;
use crate::store::{CheckedRow, Flip, NewUpload, Opened, Upload};
use crate::upload::checking;
use muster_api::{Problem, Row, limits};
use muster_identity::cbor::Decode as _;
use muster_identity::sha256;
use muster_ledger::{
    Action, BatchId, Bundle, Enrol, EvidencePolicy, Leaf, View as _, limits as bounds,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        match problem.code() {
            NEVER => Self::Batch(problem.title),
            LATER => Self::Later(problem.title),
            _ => Self::Here(Error::Us(problem.title)),
        }
    }
}

fn failed(error: impl ToString) -> Error {
    Error::Us(error.to_string())
}

impl Node {
    fn want(&self, batch: &BatchId) -> Option<Wanted> {
        self.wanted_batches().into_iter().find(|wanted| wanted.batch == *batch)
    }

    /// The place of the next bundle of a batch.
    pub(crate) async fn next_of(&self, batch: &BatchId) -> Result<u64, Error> {
        let found = self.store.upload(token(batch)).await?;
        Ok(found.map_or(0, |upload| upload.staged / bounds::BUNDLE_LEAVES))
    }

    /// Takes bundles; true: the batch is complete.
    pub(crate) async fn take(
        &self,
        batch: &BatchId,
        first: u64,
        bundles: Vec<Bundle>,
    ) -> Result<bool, Refused> {
        let _one = self.foreign.taking.lock().await;
        let caller = |what: String| Refused::Here(Error::Caller(what));
        let wanted = self.want(batch);
        let wanted = wanted.ok_or_else(|| caller(format!("batch {batch} is not wanted")))?;
        let upload = self.open_foreign(&wanted).await?;
        if upload.staged < wanted.count {
            let next = upload.staged / bounds::BUNDLE_LEAVES;
            if first != next || bundles.is_empty() || bundles.len() > BUNDLES_TOGETHER {
                let came = bundles.len();
                let most = BUNDLES_TOGETHER;
                return Err(caller(format!(
                    "the next bundle is {next}, not {first}, and 1 to {most} of them: {came} came"
                )));
            }
            let (root, count) = (wanted.root, wanted.count);
            let verified = tokio::task::spawn_blocking(move || {
                let mut leaves = Vec::new();
                for (index, bundle) in (first..).zip(bundles) {
                    bundle.verify(&root, count, index)?;
                    leaves.extend(bundle.leaves);
                }
                Ok::<_, muster_ledger::Error>(leaves)
            });
            let leaves = verified.await.map_err(failed)?;
            let leaves = leaves.map_err(|e| Refused::Peer(e.to_string()))?;
            let staged = self.stage_leaves(&wanted, &upload, leaves).await;
            if let Err(Refused::Batch(why)) = &staged {
                self.give_up(&wanted, upload.number, why).await;
            }
            if staged? < wanted.count {
                return Ok(false);
            }
        }
        self.complete(&wanted, upload.number).await?;
        Ok(true)
    }

    /// The upload of a batch that is fetched, held.
    async fn open_foreign(&self, wanted: &Wanted) -> Result<Upload, Refused> {
        let (name, now) = (token(&wanted.batch), self.pace.check()?);
        let mut found = self.store.upload(name).await?;
        if let Some(over) = found.take_if(|upload| upload.expires <= now) {
            locked(&self.foreign.fetching).remove(&wanted.batch);
            self.store.drop_upload(over.number).await?;
        }
        let upload = match found {
            Some(upload) => upload,
            None => {
                if !wanted.decided {
                    self.make_room().await?;
                }
                let new = NewUpload {
                    token: name,
                    request: sha256(&[&name, &self.host.random()]),
                    valid_until: now,
                    organisation: wanted.organisation,
                    grant: wanted.grant,
                    model: wanted.model.clone(),
                    rows: wanted.count,
                    rehearsal: false,
                    opened: now,
                    expires: now.plus_ms(limits::UPLOAD_LIFETIME_MS),
                };
                match self.store.open_upload(new, u64::MAX).await? {
                    Opened::Yes => {}
                    other => return Err(failed(format!("no place for leaves: {other:?}")).into()),
                }
                let opened = self.store.upload(name).await?;
                opened.ok_or_else(|| failed("an upload vanished"))?
            }
        };
        let mut fetching = locked(&self.foreign.fetching);
        let held = fetching.get(&wanted.batch).is_some_and(|(number, _)| *number == upload.number);
        if !held {
            let held = self.reserved.upload(upload.number);
            let held = held.ok_or_else(|| Refused::Later("its leaves are in use".into()))?;
            fetching.insert(wanted.batch, (upload.number, held));
        }
        Ok(upload)
    }

    /// Makes room for one more batch: leaves of which nobody speaks any more go.
    async fn make_room(&self) -> Result<(), Refused> {
        let uploads = self.store.uploads().await?;
        let foreign: Vec<_> = uploads.into_iter().filter(Upload::is_foreign).collect();
        if foreign.len() < FOREIGN_BATCHES {
            return Ok(());
        }
        self.let_go();
        for upload in foreign {
            if !self.promised(upload.number)
                && let Some(_held) = self.reserved.upload(upload.number)
            {
                return Ok(self.store.drop_upload(upload.number).await?);
            }
        }
        Err(Refused::Later("leaves of 16 batches are kept already".into()))
    }

    /// Lets go of uploads whose batch is neither announced nor decided any more.
    pub(crate) fn let_go(&self) {
        let announced: BTreeSet<BatchId> =
            self.mempool.batches(|all| all.keys().copied().collect());
        let kept = |id: &BatchId| announced.contains(id) || self.lost.contains(id);
        locked(&self.foreign.fetching).retain(|id, _| kept(id));
    }

    /// Checks leaves and stages them; gives how many there are then.
    async fn stage_leaves(
        &self,
        wanted: &Wanted,
        upload: &Upload,
        leaves: Vec<Vec<u8>>,
    ) -> Result<u64, Refused> {
        let (network, owner, decided) = (self.network, wanted.organisation, wanted.decided);
        let chain = self.decided();
        let grant = chain.state().grant(&wanted.grant).map_err(Error::damaged)?;
        let rules = chain.state().rules().map_err(Error::damaged)?;
        let needs = grant.map_or(EvidencePolicy::Possession, |grant| grant.evidence);
        let needs = needs.max(rules.evidence);
        let first = upload.staged;
        let row = move |(number, leaf)| Row { number, leaf, serial: String::new(), lot: None };
        let rows: Vec<Row> = (first..).zip(leaves).map(row).collect();
        let checked = tokio::task::spawn_blocking(move || {
            if decided {
                // The validators checked it before it was decided.
                let row =
                    |row: Row| Leaf::from_cbor(&row.leaf).map(|leaf| CheckedRow::new(row, &leaf));
                let rows: Result<Vec<_>, _> = rows.into_iter().map(row).collect();
                return rows.map(Arc::from).map_err(|e| Refused::Batch(e.to_string()));
            }
            let (good, verdicts) = checking::check(rows, &network, &owner, needs);
            match verdicts.into_iter().flatten().next() {
                None => Ok(good),
                Some(verdict) => {
                    let why = verdict.detail.unwrap_or_default();
                    Err(Refused::Batch(format!("leaf {}: {why}", verdict.row)))
                }
            }
        });
        let rows: Arc<[CheckedRow]> = checked.await.map_err(failed)??;
        let count = rows.len() as u64;
        let turn = self.staging.acquire().await.map_err(failed)?;
        let bench = Bench {
            batch: wanted.batch,
            decided,
            rivals: self.rivals(&wanted.batch),
            reserved: self.reserved.clone(),
            now: self.pace.check()?,
        };
        let taken = Arc::new(Mutex::new(BTreeSet::new()));
        let (judged, from) = (rows.clone(), taken.clone());
        let judge = Box::new(move |found: &_| {
            let plan = bench.judge(found, &judged)?;
            locked(&from).extend(plan.evict.iter().map(|(number, _)| *number));
            Ok(plan)
        });
        self.store.stage(upload.number, rows, judge).await?;
        let taken = std::mem::take(&mut *locked(&taken));
        for number in &taken {
            self.warm.forget(*number);
            self.mempool.leaves_gone(*number, Some(&wanted.batch).filter(|_| !decided));
        }
        drop(turn);
        self.drop_broken(taken).await?;
        Ok(upload.staged + count)
    }

    /// Announced batches that have rows here.
    fn rivals(&self, but: &BatchId) -> BTreeMap<u64, Rival> {
        let ready = self.mempool.batches(|all| {
            let ready = all.iter().filter_map(|(id, batch)| Some((batch.flip()?.upload, *id)));
            ready.collect::<Vec<_>>()
        });
        let fetching = locked(&self.foreign.fetching);
        let fetched = fetching.iter().map(|(id, (number, _))| (*number, *id));
        let promised = locked(&self.foreign.promises).all();
        let all = promised.into_iter().chain(ready).chain(fetched).filter(|(_, id)| id != but);
        let all: Vec<_> = all.collect();
        drop(fetching);
        let rival = |(number, batch)| (number, Rival { batch, promised: self.promised(number) });
        all.into_iter().map(rival).collect()
    }

    /// Uploads of other nodes' leaves that lost some are fetched from the start.
    async fn drop_broken(&self, taken: BTreeSet<u64>) -> Result<(), Error> {
        if taken.is_empty() {
            return Ok(());
        }
        for upload in self.store.uploads().await? {
            if taken.contains(&upload.number) && upload.is_foreign() {
                locked(&self.foreign.fetching).retain(|_, (number, _)| *number != upload.number);
                self.store.drop_upload(upload.number).await?;
            }
        }
        self.foreign.tell();
        Ok(())
    }

    /// A batch that can never be ready here: nothing of it is kept. One that is decided stays
    /// wanted, whatever is wrong with it.
    async fn give_up(&self, wanted: &Wanted, upload: u64, why: &str) {
        tracing::warn!("the leaves of batch {} are refused: {why}", wanted.batch);
        if wanted.decided {
            return;
        }
        self.mempool.refuse_batch(&wanted.batch, why);
        locked(&self.foreign.fetching).remove(&wanted.batch);
        if let Err(error) = self.store.drop_upload(upload).await {
            tracing::error!("upload {upload} cannot be thrown away: {error}");
        }
        self.foreign.tell();
    }

    /// All leaves of a batch are here.
    async fn complete(&self, wanted: &Wanted, number: u64) -> Result<(), Refused> {
        let one = self.sealing.lock().await;
        let found = self.store.upload(token(&wanted.batch)).await?;
        let found = found.filter(|upload| upload.number == number);
        let found = found.ok_or_else(|| Refused::Later("its leaves were taken out".into()))?;
        let sealed = match found.sealed {
            Some(sealed) => sealed,
            None => self.seal_leaves(&found).await?,
        };
        drop(one);
        if sealed != (wanted.count, wanted.root) {
            // Each bundle led to the root: the disk is at fault.
            return Err(Error::damaged("staged leaves do not give their root").into());
        }
        let (count, root) = sealed;
        let flip = Flip { upload: number, batch: wanted.batch, count, root };
        if !self.lost.contains(&wanted.batch) {
            let held = locked(&self.foreign.fetching).remove(&wanted.batch);
            if let Some((_, held)) = held
                && let Err(held) = self.mempool.leaves_here((flip, held))
            {
                locked(&self.foreign.fetching).insert(wanted.batch, (number, held));
            }
        }
        // It may have been decided meanwhile.
        self.bring_back_staged(&wanted.batch).await?;
        self.foreign.tell();
        Ok(())
    }

    /// If the leaves of a batch on the ledger are staged and complete, they become it.
    pub(crate) async fn bring_back_staged(&self, batch: &BatchId) -> Result<(), Error> {
        let _one = self.foreign.flipping.lock().await;
        if !self.lost.contains(batch) {
            return Ok(());
        }
        let record = self.decided().state().batch(batch).map_err(Error::damaged)?;
        let record = record.ok_or_else(|| Error::damaged("a batch without its record"))?;
        let enrol = Enrol {
            grant: record.grant,
            model: record.model,
            count: record.count,
            root: record.root,
        };
        let Some(flip) = self.find_sealed(&enrol).await? else { return Ok(()) };
        let fetched = locked(&self.foreign.fetching).remove(batch).map(|(_, held)| held);
        let Some(_held) = fetched.or_else(|| self.reserved.upload(flip.upload)) else {
            return Ok(());
        };
        self.store.flip(flip).await?;
        self.console.found(&flip);
        self.lost.remove(batch);
        self.foreign.tell();
        tracing::info!("the leaves of batch {batch} are here");
        Ok(())
    }

    /// The sealed upload that holds the leaves of an enrolment.
    async fn find_sealed(&self, enrol: &Enrol) -> Result<Option<Flip>, Error> {
        let same = |upload: &Upload| {
            !upload.rehearsal
                && (upload.grant, &upload.model) == (enrol.grant, &enrol.model)
                && upload.sealed == Some((enrol.count, enrol.root))
                // Not one that is being thrown away.
                && upload.expires.0 > 0
        };
        let found = self.store.uploads().await?.into_iter().find(same);
        let (batch, count, root) = (enrol.batch(&self.network), enrol.count, enrol.root);
        Ok(found.map(|upload| Flip { upload: upload.number, batch, count, root }))
    }

    /// The sealed upload that a decided block makes a batch, if it is here and not about to go.
    pub(crate) async fn sealed_upload(
        &self,
        step: &Step,
        batch: &BatchId,
    ) -> Result<Option<(Flip, Option<Reserved>)>, Error> {
        let enrols = step.verified.iter().find_map(|verified| match &verified.operation().action {
            Action::Enrol(enrol) if enrol.batch(&self.network) == *batch => Some(enrol),
            _ => None,
        });
        let Some(enrol) = enrols else { return Ok(None) };
        let Some(flip) = self.find_sealed(enrol).await? else { return Ok(None) };
        if self.mempool.flip(batch).is_some_and(|held| held.upload == flip.upload) {
            return Ok(Some((flip, None)));
        }
        Ok(self.reserved.upload(flip.upload).map(|held| (flip, Some(held))))
    }

    /// Leaves of an enrolment that a peer told of may be here: they were uploaded here, or fetched
    /// before a restart.
    pub(crate) async fn recognise(&self, enrol: &Enrol) -> Result<(), Error> {
        let Some(flip) = self.find_sealed(enrol).await? else { return Ok(()) };
        if self.mempool.flip(&flip.batch).is_none()
            && let Some(held) = self.reserved.upload(flip.upload)
        {
            // If it has gone meanwhile, the upload is let go.
            let _ = self.mempool.leaves_here((flip, held));
        }
        Ok(())
    }
}
