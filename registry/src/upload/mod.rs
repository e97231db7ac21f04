//! Uploads: rows are checked and staged while nothing else waits for them, then sealed; the
//! signed operation makes them a batch.

pub(crate) mod checking;
mod judge;
mod seal;
mod warm;

use crate::Error;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::reserved::Reserved;
use crate::store::{CheckedRow, Flip, NewUpload, Opened, Upload};
use data_encoding::HEXLOWER;
use judge::Bench;
use muster_api::{Problem, RowVerdict, Rows, UploadOpened, Verdict, Verdicts, limits};
use muster_identity::sha256;
use muster_ledger::{
    Capability, Chain, EvidencePolicy, Refusal, Time, UploadRequest, VerifiedOperation,
    VerifiedUpload, View as _,
};
use std::sync::Arc;
pub(crate) use warm::Warm;

pub(crate) fn unknown() -> Problem {
    Problem::new(404, "unknown-upload", "there is no such upload")
        .cure("open a new one; rows that were enrolled are answered with `already`")
}

pub(crate) fn under_way() -> Problem {
    Problem::new(409, "under-way", "the upload's operation is on its way into a block")
}

/// The store's name of an upload.
fn token(upload: &str) -> Result<[u8; 32], Problem> {
    let bytes = HEXLOWER.decode(upload.as_bytes()).map_err(|_| unknown())?;
    if bytes.len() == 16 { Ok(sha256(&[&bytes])) } else { Err(unknown()) }
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
        let published = self.published()?;
        let judge = |at| self.judge_request(&published.chain, &verified, at);
        let refuse = |refusal| self.refusal(refusal, now, |at| judge(at).err());
        judge(now.max(self.ledger_time())).map_err(refuse)?;
        let author = request.organisation;
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
        // Leaves that other nodes bring take no client's place.
        let foreign = match self.alone {
            true => 0,
            false => self.store.uploads().await?.iter().filter(|u| u.is_foreign()).count() as u64,
        };
        match self.store.open_upload(new, limits::OPEN_UPLOADS + foreign).await? {
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

    /// Whether an upload may be opened by this state, at this time.
    fn judge_request(
        &self,
        chain: &Chain,
        verified: &VerifiedUpload,
        now: Time,
    ) -> Result<(), Refusal> {
        let request = verified.request();
        if request.network != self.network {
            return Err(Refusal::WrongNetwork);
        }
        if now > request.valid_until {
            return Err(Refusal::Expired { until: request.valid_until, now });
        }
        if request.valid_until.since(now) > muster_ledger::limits::OPERATION_LIFETIME_MS {
            return Err(Refusal::TooLongLived);
        }
        let state = chain.state();
        let (author, key) = (request.organisation, *verified.key());
        let organisation = state.organisation(&author)?.ok_or(Refusal::UnknownAuthor(author))?;
        if !organisation.keys.iter().any(|k| k.key == key) {
            return Err(Refusal::NotAKeyOf { key, author });
        }
        if !organisation.may(&key, Capability::Enrol) {
            return Err(Refusal::Capability { key, needs: Capability::Enrol.word() });
        }
        let grant = state.grant(&request.grant)?.ok_or(Refusal::UnknownGrant(request.grant))?;
        match grant.check(&request.grant, &author, &request.model, request.rows, now) {
            // Some rows may be enrolled already, which only staging tells; the batch itself is
            // judged against the grant when it is signed.
            Err(Refusal::GrantExceeded { .. }) => Ok(()),
            other => other,
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
        let published = self.published()?;
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
        let new = staged.verdicts.iter().filter(|v| v.verdict == Verdict::Staged).count() as u64;
        if new > 0 {
            self.console.tell_staged(upload, new);
        }
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

    fn bench(&self) -> Result<Bench, Error> {
        let (chain, reserved) = (self.published()?.chain.clone(), self.reserved.clone());
        Ok(Bench { chain, reserved, now: self.pace.check()? })
    }

    /// Throws an upload away.
    pub(crate) async fn drop_upload(&self, upload: &str) -> Result<(), Problem> {
        let token = token(upload)?;
        let found = self.store.upload(token).await?.ok_or_else(unknown)?;
        // Held so that no operation takes it up meanwhile.
        let _held = self.reserved.upload(found.number).ok_or_else(under_way)?;
        // Read again: an operation may have made it a batch just before it was reserved.
        let found = self.store.upload(token).await?.ok_or_else(unknown)?;
        if self.promised(found.number) {
            return Err(Problem::new(409, "promised", "this node voted for the upload's batch")
                .cure("drop it some minutes later"));
        }
        self.warm.forget(found.number);
        Ok(self.store.drop_upload(found.number).await?)
    }

    /// Throws away what has expired. An upload of the list may have become a batch before it is
    /// reserved; the store looks again.
    pub(crate) async fn purge_expired(&self) -> Result<(), Error> {
        let now = self.host.now();
        for upload in self.store.uploads().await? {
            if upload.expires <= now
                && !self.promised(upload.number)
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
