//! The pipeline. Everything that can go wrong goes wrong before the first signature: all rows are
//! read and checked, all batches staged and sealed, all grants compared, and only then is the
//! first batch signed and submitted.

use crate::batches::{self, Batch, EnrolledBatch};
use crate::check::Terms;
use crate::formats::Format;
use crate::limits::SIGNATURE_LIFETIME_MS;
use crate::reading::{self, Row, Rows, State};
use crate::sources::{SourceOptions, Sources};
use crate::{Error, Finished, Phase, Progress, RowFault, Summary};
use muster_api::{Client, ClientError, Host, NetworkView, Verdict, limits};
use muster_identity::{Did, Signer};
use muster_ledger::{
    Action, Enrol, Genesis, GrantId, LeafTree, Network, Operation, UploadRequest, merkle,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Who hears how far the command is.
pub(crate) type Listener<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// One `muster enrol`.
pub struct Enrolment {
    /// The node.
    pub client: Client,
    /// The network's genesis, which the caller trusts; the node is checked against it.
    pub genesis: Genesis,
    /// The organisation that enrols.
    pub organisation: Did,
    /// One of its keys with the capability `enrol`.
    pub signer: Arc<dyn Signer>,
    /// Its directory secret, for the serial commitments.
    pub directory_secret: Zeroizing<[u8; 32]>,
    /// Under which grant; without it under the only one that fits.
    pub grant: Option<GrantId>,
    /// The model of rows that name none; rows of other models are refused. Without it a file may
    /// hold several models, each its own batch.
    pub model: Option<String>,
    /// The order's challenge, for rows that name none.
    pub challenge: Vec<u8>,
    /// Signer certificates, the line's keys, the slot.
    pub sources: SourceOptions,
    /// Whether to stop before anything is enrolled.
    pub dry_run: bool,
    /// Clock and randomness.
    pub host: Arc<dyn Host>,
}

impl Enrolment {
    /// Runs it: `inputs` are the files, a `format` of `None` is recognised for each.
    ///
    /// Feeding the same files again changes nothing: their rows are `already` enrolled. When an
    /// error is returned nothing was enrolled, save after [`Error::Partly`].
    pub async fn run(
        self,
        inputs: Vec<PathBuf>,
        format: Option<Format>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Finished, Error> {
        let view = self.client.network().await?;
        let network = self.genesis.network();
        expect("the network", &network.to_string(), &view.network)?;
        let mut summary = Summary { dry_run: self.dry_run, ..Summary::default() };

        let started = Instant::now();
        let mut rows = self.read(network, &view, inputs, format, progress).await?;
        summary.warnings = std::mem::take(&mut rows.warnings);
        summary.elapsed.reading = started.elapsed();

        let now = self.host.now();
        let mut batches =
            batches::plan(&mut rows.rows, &view, &self.organisation, self.grant, now)?;
        let done = self.enrol(network, &mut rows, &mut batches, &mut summary, progress).await;
        for upload in batches.iter_mut().filter_map(|batch| batch.upload.take()) {
            // A courtesy to the node, which drops uploads by itself after a day.
            let _ = self.client.drop_upload(&upload).await;
        }
        let devices: u64 =
            batches.iter().filter_map(|b| Some(b.enrolled.as_ref()?.enrol.count)).sum();
        match done {
            Ok(()) => Ok(Finished::new(rows, batches, summary)),
            Err(error) if devices > 0 => Err(Error::Partly { devices, error: Box::new(error) }),
            Err(error) => Err(error),
        }
    }

    /// The pass over the files, on a thread of its own.
    async fn read(
        &self,
        network: Network,
        view: &NetworkView,
        inputs: Vec<PathBuf>,
        format: Option<Format>,
        progress: Listener<'_>,
    ) -> Result<Rows, Error> {
        let only = || batches::only_model(view, &self.organisation, self.grant, self.host.now());
        let mut terms = Terms {
            network,
            organisation: self.organisation,
            directory_secret: self.directory_secret.clone(),
            challenge: self.challenge.clone(),
            only_model: self.model.is_some(),
            model: self.model.clone().or_else(only),
            sources: Sources::default(),
        };
        terms.check()?;
        let (options, now) = (self.sources.clone(), self.host.now());
        let (sender, mut receiver) = mpsc::channel(1);
        let reading = tokio::task::spawn_blocking(move || {
            terms.sources = options.load(now)?;
            // A number that nobody waits for is out of date anyway.
            reading::read(&inputs, format, &terms, &mut |rows| {
                let _ = sender.try_send(rows);
            })
        });
        while let Some(done) = receiver.recv().await {
            progress(Progress { phase: Phase::Reading, done, total: None });
        }
        reading.await.map_err(|e| Error::Internal(e.to_string()))?
    }

    async fn enrol(
        &self,
        network: Network,
        rows: &mut Rows,
        batches: &mut [Batch],
        summary: &mut Summary,
        progress: Listener<'_>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let total = batches.iter().map(|batch| batch.rows.len() as u64).sum();
        let mut done = 0;
        for batch in batches.iter_mut() {
            self.stage(network, &mut rows.rows, batch, &mut |rows| {
                done += rows;
                progress(Progress { phase: Phase::Staging, done, total: Some(total) });
            })
            .await?;
        }
        summary.elapsed.staging = started.elapsed();
        if total > 0 {
            batches::check_grants(batches, &rows.rows, &self.client.network().await?)?;
        }
        if self.dry_run {
            return Ok(());
        }

        let live = |batches: &mut [Batch]| -> Vec<usize> {
            (0..batches.len()).filter(|i| !batches[*i].order.is_empty()).collect()
        };
        let live = live(batches);
        let total = Some(live.len() as u64);
        let started = Instant::now();
        for (done, i) in live.iter().enumerate() {
            progress(Progress { phase: Phase::Sealing, done: done as u64, total });
            self.seal(&rows.rows, &mut batches[*i]).await?;
        }
        summary.elapsed.sealing = started.elapsed();

        let started = Instant::now();
        for (done, i) in live.iter().enumerate() {
            progress(Progress { phase: Phase::Acknowledging, done: done as u64, total });
            self.submit(network, &mut batches[*i]).await?;
        }
        progress(Progress { phase: Phase::Acknowledging, done: live.len() as u64, total });
        summary.elapsed.acknowledging = started.elapsed();
        Ok(())
    }

    /// Streams a batch's rows to the node and takes its verdicts.
    async fn stage(
        &self,
        network: Network,
        rows: &mut [Row],
        batch: &mut Batch,
        done: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), Error> {
        let request = UploadRequest {
            network,
            organisation: self.organisation,
            valid_until: self.host.now().plus_ms(SIGNATURE_LIFETIME_MS),
            grant: batch.grant,
            model: batch.model.clone(),
            rows: batch.rows.len() as u64,
            rehearsal: self.dry_run,
            nonce: self.host.random(),
        };
        let opened = match self.client.open_upload(request.sign(&*self.signer)?).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.explain(error, batch.grant, request.rows).await),
        };
        batch.upload = Some(opened.upload.clone());
        let at_once = opened.rows_per_request.clamp(1, limits::UPLOAD_ROWS);
        for part in batch.rows.chunks(at_once) {
            let body = part.iter().filter_map(|i| wire(*i, &rows[*i])).collect();
            let answer = self.client.upload_rows(&opened.upload, &muster_api::Rows(body)).await?;
            expect("verdicts", &part.len(), &answer.verdicts.len())?;
            for (i, verdict) in part.iter().zip(answer.verdicts) {
                expect("the row of a verdict", &(*i as u64), &verdict.row)?;
                match verdict.verdict {
                    Verdict::Staged => rows[*i].state = State::Staged,
                    Verdict::Already => rows[*i].state = State::Already,
                    Verdict::Refused => {
                        rows[*i].refuse(RowFault::by_node(verdict.code, verdict.detail));
                    }
                }
            }
            done(part.len() as u64);
        }
        let staged = batch.rows.iter().copied().filter(|i| matches!(rows[*i].state, State::Staged));
        batch.order = staged.collect();
        batch.order.sort_by_key(|i| rows[*i].did());
        Ok(())
    }

    /// Computes the batch's root and compares it with the node's.
    async fn seal(&self, rows: &[Row], batch: &mut Batch) -> Result<(), Error> {
        let leaves: Vec<(Did, merkle::Hash)> = batch
            .order
            .iter()
            .filter_map(|i| rows[*i].device.as_ref())
            .map(|device| (device.did, device.hash))
            .collect();
        let tree = tokio::task::spawn_blocking(move || {
            let mut tree = LeafTree::default();
            leaves.iter().try_for_each(|(did, hash)| tree.push_hash(did, *hash))?;
            Ok::<_, muster_ledger::Error>(tree)
        });
        let upload = batch.upload.as_deref().ok_or_else(|| Error::Internal("no upload".into()))?;
        let sealed = self.client.seal_upload(upload).await;
        let tree = tree.await.map_err(|e| Error::Internal(e.to_string()))?;
        batch.tree = tree.map_err(|e| Error::Internal(e.to_string()))?;
        let sealed = sealed?;
        expect("the number of leaves", &batch.tree.count(), &sealed.count)?;
        let root = data_encoding::HEXLOWER.encode(&batch.tree.root());
        expect("the root of the leaves", &root, &sealed.root)
    }

    /// Signs a sealed batch and waits until a quorum's checkpoint covers it.
    async fn submit(&self, network: Network, batch: &mut Batch) -> Result<(), Error> {
        let enrol = Enrol {
            grant: batch.grant,
            model: batch.model.clone(),
            count: batch.tree.count(),
            root: batch.tree.root(),
        };
        let operation = Operation {
            network,
            author: self.organisation,
            valid_until: self.host.now().plus_ms(SIGNATURE_LIFETIME_MS),
            action: Action::Enrol(enrol.clone()),
        };
        let signed = operation.sign(&*self.signer)?;
        let upload = batch.upload.as_deref().ok_or_else(|| Error::Internal("no upload".into()))?;
        let proof = match self.client.submit_upload(upload, &signed).await {
            Ok(proof) => proof,
            Err(error) => return Err(self.explain(error, batch.grant, enrol.count).await),
        };
        let proved = proof.verify(&network, &self.genesis.validators).map_err(|e| Error::Peer {
            what: "the acknowledgement",
            ours: "one that this network's quorum signed".into(),
            theirs: e.to_string(),
        })?;
        expect("the acknowledged operation", &signed.hash(), &proved.operation.hash())?;
        batch.upload = None;
        let (height, time) = (proved.entry.height, proved.entry.time);
        let batch_id = enrol.batch(&network);
        batch.enrolled = Some(EnrolledBatch { batch: batch_id, enrol, proof, height, time });
        Ok(())
    }
}

impl Enrolment {
    /// A node that refuses by the grant has its numbers.
    async fn explain(&self, error: ClientError, grant: GrantId, asked: u64) -> Error {
        let error = Error::from(error);
        if error.code() != "grant-exceeded" {
            return error;
        }
        let Ok(view) = self.client.network().await else { return error };
        let grant = grant.to_string();
        match view.grants.iter().find(|known| known.grant == grant) {
            Some(known) => {
                Error::GrantExceeded { grant, allowed: known.count, used: known.used, asked }
            }
            None => error,
        }
    }
}

fn wire(number: usize, row: &Row) -> Option<muster_api::Row> {
    Some(muster_api::Row {
        number: number as u64,
        leaf: row.ready()?.leaf.to_vec(),
        serial: row.serial.as_deref()?.into(),
        lot: row.lot.as_deref().map(String::from),
    })
}

/// Holds the node to what must be.
fn expect<T: PartialEq + ToString>(what: &'static str, ours: &T, theirs: &T) -> Result<(), Error> {
    if ours == theirs {
        return Ok(());
    }
    Err(Error::Peer { what, ours: ours.to_string(), theirs: theirs.to_string() })
}
