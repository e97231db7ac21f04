//! Uploads: rows are checked and staged while nothing else waits for them, then sealed; the
//! signed operation makes them a batch.

mod checking;
mod judge;
mod warm;

use crate::Error;
use crate::mempool::Reserved;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::store::{CheckedRow, Flip, NewUpload, Opened, Serial, Upload};
use crate::tiles::{Tile, TileBuilder};
use data_encoding::HEXLOWER;
use judge::Bench;
use muster_api::{Problem, RowVerdict, Rows, Sealed, UploadOpened, Verdict, Verdicts, limits};
use muster_identity::{Did, sha256};
use muster_ledger::merkle::{Hash, leaf_hash};
use muster_ledger::{
    Capability, EvidencePolicy, Leaf, LeafFrontier, Refusal, UploadRequest, VerifiedOperation,
    View as _,
};
use std::sync::Arc;
use warm::Kept;
pub(crate) use warm::Warm;

/// Leaves read at once when an upload is sealed, and tiles written at once.
const SEAL_PAGE: u64 = 4_096;
const TILE_PAGE: usize = 64;

pub(crate) fn unknown() -> Problem {
    Problem::new(404, "unknown-upload", "there is no such upload")
        .cure("open a new one; rows that were enrolled are answered with `already`")
}

fn under_way() -> Problem {
    Problem::new(409, "under-way", "the upload's operation is on its way into a block")
}

/// The store's name of an upload.
fn token(upload: &str) -> Result<[u8; 32], Problem> {
    let bytes = HEXLOWER.decode(upload.as_bytes()).map_err(|_| unknown())?;
    if bytes.len() == 16 { Ok(sha256(&[&bytes])) } else { Err(unknown()) }
}

/// The leaf tree of an upload in the making.
#[derive(Default)]
struct Tiling {
    tree: LeafFrontier,
    builder: TileBuilder,
    /// Not written yet.
    tiles: Vec<Tile>,
    /// Whether any was.
    written: bool,
}

impl Tiling {
    fn push(&mut self, did: &Did, hash: Hash) -> Result<(), Problem> {
        let pushed = self.tree.push_hash(did, hash);
        pushed.map_err(|e| Problem::new(409, "leaves", e.to_string()))?;
        self.tiles.extend(self.builder.push(did, hash));
        Ok(())
    }
}

/// Serial numbers in their own order.
async fn sorted(mut serials: Vec<Serial>) -> Result<Vec<Serial>, Problem> {
    let sorted = tokio::task::spawn_blocking(move || {
        serials.sort_unstable();
        serials
    });
    Ok(sorted.await.map_err(|e| Error::Us(e.to_string()))?)
}

impl Node {
    pub(crate) async fn upload(&self, upload: &str) -> Result<Upload, Problem> {
        let found = self.store.upload(token(upload)?).await?.ok_or_else(unknown)?;
        if self.pace.check()? < found.expires {
            Ok(found)
        } else {
            Err(Problem::new(410, "expired-upload", "the upload's 24 hours are over")
                .cure("open a new one"))
        }
    }

    /// Opens an upload for a granted key.
    pub(crate) async fn open_upload(&self, bytes: &[u8]) -> Result<UploadOpened, Problem> {
        let verified = UploadRequest::verify(bytes)
            .map_err(|e| Problem::new(400, "malformed", format!("the request: {e}")))?;
        // By a wrong clock, uploads that are not over would be thrown away.
        let (request, now) = (verified.request(), self.pace.check()?);
        if request.network != self.network {
            return Err(Refusal::WrongNetwork.into());
        }
        if now > request.valid_until {
            return Err(Refusal::Expired { until: request.valid_until, now }.into());
        }
        if request.valid_until.since(now) > muster_ledger::limits::OPERATION_LIFETIME_MS {
            return Err(Refusal::TooLongLived.into());
        }
        let published = self.published();
        let state = published.chain.state();
        let author = request.organisation;
        let key = *verified.key();
        let organisation = state.organisation(&author)?.ok_or(Refusal::UnknownAuthor(author))?;
        if !organisation.keys.iter().any(|k| k.key == key) {
            return Err(Refusal::NotAKeyOf { key, author }.into());
        }
        if !organisation.may(&key, Capability::Enrol) {
            return Err(Refusal::Capability { key, needs: Capability::Enrol.word() }.into());
        }
        let grant = state.grant(&request.grant)?.ok_or(Refusal::UnknownGrant(request.grant))?;
        match grant.check(&request.grant, &author, &request.model, request.rows, now) {
            // Some rows may be enrolled already, which only staging tells; the batch itself is
            // judged against the grant when it is signed.
            Ok(()) | Err(Refusal::GrantExceeded { .. }) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        self.purge_expired().await?;
        let id = self.host.random();
        let expires = now.plus_ms(limits::UPLOAD_LIFETIME_MS);
        let new = NewUpload {
            token: sha256(&[&id]),
            request: sha256(&[bytes]),
            valid_until: request.valid_until,
            organisation: author,
            grant: request.grant,
            model: request.model.clone(),
            rows: request.rows,
            rehearsal: request.rehearsal,
            opened: now,
            expires,
        };
        match self.store.open_upload(new, limits::OPEN_UPLOADS).await? {
            Opened::Yes => Ok(UploadOpened {
                upload: HEXLOWER.encode(&id),
                expires: expires.0,
                rows_per_request: limits::UPLOAD_ROWS,
            }),
            Opened::Full => Err(Problem::new(503, "busy", "256 uploads are open already")
                .cure("finish or drop one, or try again later")),
            Opened::Replayed => {
                Err(Problem::new(409, "replayed", "this request opened an upload before")
                    .cure("sign a new one"))
            }
        }
    }

    /// Checks rows and stages the good ones.
    pub(crate) async fn stage(&self, upload: &str, rows: Rows) -> Result<Verdicts, Problem> {
        if rows.0.len() > limits::UPLOAD_ROWS {
            return Err(Problem::new(413, "too-many-rows", "a request has at most 4,096 rows"));
        }
        if rows.0.iter().any(|r| i64::try_from(r.number).is_err()) {
            return Err(Problem::new(400, "malformed", "a row number is below 2^63"));
        }
        let found = self.upload(upload).await?;
        let published = self.published();
        let state = published.chain.state();
        let needs: EvidencePolicy = state
            .grant(&found.grant)?
            .map_or(EvidencePolicy::Possession, |grant| grant.evidence)
            .max(state.rules()?.evidence);
        let (network, owner) = (self.network, found.organisation);
        let checked =
            tokio::task::spawn_blocking(move || checking::check(rows.0, &network, &owner, needs))
                .await
                .map_err(|e| Error::Us(e.to_string()))?;
        let (good, mut verdicts) = checked;
        if !good.is_empty() {
            let staged = self.stage_checked(&found, good).await?;
            let places: Vec<usize> =
                (0..verdicts.len()).filter(|i| verdicts[*i].is_none()).collect();
            for (place, verdict) in places.into_iter().zip(staged) {
                verdicts[place] = Some(verdict);
            }
        }
        let verdicts: Vec<_> = verdicts.into_iter().flatten().collect();
        for verdict in &verdicts {
            Metrics::count(match verdict.verdict {
                Verdict::Staged => &self.metrics.rows_staged,
                Verdict::Already => &self.metrics.rows_already,
                Verdict::Refused => &self.metrics.rows_refused,
            });
        }
        Ok(Verdicts { verdicts })
    }

    /// Stages rows whose evidence was checked.
    async fn stage_checked(
        &self,
        upload: &Upload,
        rows: Arc<[CheckedRow]>,
    ) -> Result<Vec<RowVerdict>, Problem> {
        let turn = self.staging.acquire().await;
        let turn = turn.map_err(|e| Error::Us(e.to_string()))?;
        let (bench, judged) = (self.bench()?, rows.clone());
        let judge = Box::new(move |found: &_| bench.judge(found, &judged));
        let staged = self.store.stage(upload.number, rows.clone(), judge).await;
        // What failed may have been written in one of the two files.
        let staged = staged.inspect_err(|_| self.warm.clear())?;
        if !staged.anew {
            self.warm.forget(upload.number);
            return Ok(staged.verdicts);
        }
        let share = self.warm.note(upload.number, upload.version, &rows);
        drop(turn);
        if let Some(share) = share {
            let entered = self.enter_new(upload.number, share).await;
            self.warm.entered(upload.number, matches!(entered, Ok(true)));
            entered?;
        }
        Ok(staged.verdicts)
    }

    /// Enters serial numbers that nobody has; false: somebody has some, which the seal settles.
    async fn enter_new(&self, upload: u64, serials: Vec<Serial>) -> Result<bool, Problem> {
        let mut clear = true;
        let mut serials = sorted(serials).await?.into_iter();
        loop {
            let page: Vec<Serial> = serials.by_ref().take(SEAL_PAGE as usize).collect();
            if page.is_empty() {
                return Ok(clear);
            }
            let turn = self.staging.acquire().await;
            let _turn = turn.map_err(|e| Error::Us(e.to_string()))?;
            clear &= self.store.enter_new(upload, page).await?;
        }
    }

    fn bench(&self) -> Result<Bench, Error> {
        let (chain, reserved) = (self.published().chain.clone(), self.reserved.clone());
        Ok(Bench { chain, reserved, now: self.pace.check()? })
    }

    /// Enters an upload's serial numbers in the directory, and computes its root and the tiles of
    /// its leaf tree. Rows whose serial number another device has leave the upload; it is sealed
    /// only by an answer without such rows.
    pub(crate) async fn seal(&self, upload: &str) -> Result<Sealed, Problem> {
        let _one = self.sealing.lock().await;
        let found = self.upload(upload).await?;
        if let Some((count, root)) = found.sealed {
            return Ok(Sealed { count, root: HEXLOWER.encode(&root), refused: Vec::new() });
        }
        if let Some(kept) = self.warm.take(found.number, found.version)
            && let Some(sealed) = self.seal_warm(&found, kept).await?
        {
            return Ok(sealed);
        }
        let refused = self.enter_serials(found.number).await?;
        if !refused.is_empty() {
            return Ok(Sealed { count: 0, root: String::new(), refused });
        }
        // `found` is as it was before: a row that came since is not among those serial numbers,
        // and whoever brought it hears that the upload changed.
        let mut tiling = Tiling::default();
        let mut after = None;
        loop {
            let leaves = self.store.leaves(found.number, after, SEAL_PAGE).await?;
            let Some(last) = leaves.last() else { break };
            after = Some(last.name);
            for leaf in &leaves {
                let did = Leaf::did_in(&leaf.leaf).map_err(Error::damaged)?;
                tiling.push(&did, leaf_hash(&leaf.leaf))?;
            }
            self.write_tiles(found.number, &mut tiling, TILE_PAGE).await?;
        }
        self.finish_seal(&found, tiling).await
    }

    /// Seals from what was kept while the rows came; none: something stands in the way.
    async fn seal_warm(&self, found: &Upload, mut kept: Kept) -> Result<Option<Sealed>, Problem> {
        let Some(leaves) = kept.leaves() else { return Ok(None) };
        let serials = std::mem::take(&mut kept.serials);
        if !self.enter_new(found.number, serials).await? {
            return Ok(None);
        }
        let tiled = tokio::task::spawn_blocking(move || {
            let mut tiling = Tiling::default();
            for (did, hash) in leaves {
                tiling.push(&did, hash)?;
            }
            Ok::<_, Problem>(tiling)
        });
        let mut tiling = tiled.await.map_err(|e| Error::Us(e.to_string()))??;
        self.write_tiles(found.number, &mut tiling, TILE_PAGE).await?;
        self.finish_seal(found, tiling).await.map(Some)
    }

    /// Writes tiles, a page at a time, as long as there are as many as a page.
    async fn write_tiles(
        &self,
        upload: u64,
        tiling: &mut Tiling,
        at_least: usize,
    ) -> Result<(), Problem> {
        while tiling.tiles.len() >= at_least.max(1) {
            let rest = tiling.tiles.split_off(tiling.tiles.len().min(TILE_PAGE));
            let page = std::mem::replace(&mut tiling.tiles, rest);
            let anew = !std::mem::replace(&mut tiling.written, true);
            if !self.store.write_tiles(upload, page, anew).await? {
                return Err(unknown());
            }
        }
        Ok(())
    }

    async fn finish_seal(&self, found: &Upload, mut tiling: Tiling) -> Result<Sealed, Problem> {
        let (count, root) = (tiling.tree.size(), tiling.tree.root());
        if count == 0 {
            return Err(Problem::new(409, "leaves", "nothing is staged, so there is no batch"));
        }
        tiling.tiles.extend(std::mem::take(&mut tiling.builder).finish());
        self.write_tiles(found.number, &mut tiling, 1).await?;
        if self.store.seal(found.number, found.version, count, root).await? {
            Ok(Sealed { count, root: HEXLOWER.encode(&root), refused: Vec::new() })
        } else {
            Err(Problem::new(409, "changed", "rows were staged while the upload was sealed")
                .cure("seal it again when all rows are in"))
        }
    }

    /// Enters the serial numbers of an upload in their own order; gives the rows that left it
    /// because another device has theirs.
    async fn enter_serials(&self, upload: u64) -> Result<Vec<RowVerdict>, Problem> {
        let mut serials = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.serials(upload, after, SEAL_PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (name, serial) in page {
                let (serial, row) = serial.ok_or_else(|| {
                    Problem::new(409, "lost", "serial numbers were lost in a power failure")
                        .cure("send the rows again, by a new upload")
                })?;
                serials.push(Serial { serial, row, name });
            }
        }
        let mut serials = sorted(serials).await?.into_iter();
        let mut refused = Vec::new();
        while refused.len() < limits::SEAL_REFUSALS {
            let page: Vec<Serial> = serials.by_ref().take(SEAL_PAGE as usize).collect();
            if page.is_empty() {
                break;
            }
            let turn = self.staging.acquire().await;
            let _turn = turn.map_err(|e| Error::Us(e.to_string()))?;
            let bench = self.bench()?;
            let settle = Box::new(move |clashes: &_| bench.settle(clashes));
            let entered = self.store.enter_serials(upload, page, settle).await;
            refused.extend(entered.inspect_err(|_| self.warm.clear())?);
        }
        Ok(refused)
    }

    /// Throws an upload away.
    pub(crate) async fn drop_upload(&self, upload: &str) -> Result<(), Problem> {
        let token = token(upload)?;
        let found = self.store.upload(token).await?.ok_or_else(unknown)?;
        // Held so that no operation takes it up meanwhile.
        let _held = self.reserved.upload(found.number).ok_or_else(under_way)?;
        // Read again: an operation may have made it a batch just before it was reserved.
        let found = self.store.upload(token).await?.ok_or_else(unknown)?;
        self.warm.forget(found.number);
        Ok(self.store.drop_upload(found.number).await?)
    }

    /// Throws away what has expired. An upload of the list may have become a batch before it is
    /// reserved; the store looks again.
    pub(crate) async fn purge_expired(&self) -> Result<(), Error> {
        let now = self.host.now();
        for upload in self.store.uploads().await? {
            if upload.expires <= now
                && let Some(_held) = self.reserved.upload(upload.number)
            {
                self.warm.forget(upload.number);
                if let Err(error) = self.store.drop_upload(upload.number).await {
                    // It stays expired, and is tried again; nobody else waits for it.
                    tracing::error!("upload {} cannot be thrown away: {error}", upload.number);
                }
            }
        }
        Ok(())
    }

    /// The sealed upload that an enrolment makes a batch; from now on nobody changes it.
    pub(crate) async fn take_upload(
        &self,
        operation: &VerifiedOperation,
        upload: &str,
    ) -> Result<(Flip, Reserved), Problem> {
        let leaves = |why: &str| Problem::new(409, "leaves", format!("leaves: {why}"));
        let signed = operation.operation();
        let muster_ledger::Action::Enrol(enrol) = &signed.action else {
            return Err(leaves("only an enrolment takes an upload"));
        };
        let number = self.upload(upload).await?.number;
        let held = self.reserved.upload(number).ok_or_else(under_way)?;
        // Read again: whatever was being written when it was reserved is written now.
        let found = self.upload(upload).await?;
        if found.rehearsal {
            return Err(leaves("the upload is a rehearsal, nothing of it is enrolled"));
        }
        let Some((count, root)) = found.sealed else {
            return Err(leaves("the upload is not sealed"));
        };
        let same = [
            (found.organisation == signed.author, "another organisation opened the upload"),
            (found.grant == enrol.grant, "the upload was opened under another grant"),
            (found.model == enrol.model, "the upload was opened for another model"),
            (count == enrol.count, "the upload has another number of leaves"),
            (root == enrol.root, "the upload has another root"),
        ];
        if let Some((_, why)) = same.iter().find(|(same, _)| !same) {
            return Err(leaves(why));
        }
        let batch = enrol.batch(&self.network);
        Ok((Flip { upload: found.number, batch, count, root }, held))
    }
}
