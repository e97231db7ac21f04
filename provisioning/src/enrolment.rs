//! The pipeline. Everything that can go wrong goes wrong before the first signature: all rows are
//! read and checked, all batches staged and sealed, all grants compared, and only then is the
//! first batch signed and submitted.

use crate::batches::{self, Batch};
use crate::check::Terms;
use crate::formats::Format;
use crate::journal::{self, Journal};
use crate::reading;
use crate::rows::{Rows, State};
use crate::sources::{SourceOptions, Sources};
use crate::{Bytes, Counts, Error, Finished, Node, Phase, Progress, Summary};
use muster_api::{ClientError, Host, NetworkView};
use muster_identity::{Did, Signer, SignerError};
use muster_ledger::{Genesis, GrantId, Network, ValidatorSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Who hears how far the command is.
pub(crate) type Listener<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// One `muster enrol`.
pub struct Enrolment {
    /// The node.
    pub client: Arc<dyn Node>,
    /// The network's genesis, which the caller trusts; the node is checked against it.
    pub genesis: Genesis,
    /// The present validators, as the caller checked them: those of the genesis until they change.
    pub validators: ValidatorSet,
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
    /// Where it notes how far it is, so that it can go on after it was cut off; nowhere without.
    pub journal: Option<PathBuf>,
    /// Whether it goes on from that journal, if there is one.
    pub resume: bool,
    /// Where rows go that do not fit in memory, in files without a name: a folder as private as
    /// the manifests.
    pub spool: PathBuf,
    /// How long a node that does not answer is waited for.
    pub patience: Duration,
    /// Clock and randomness.
    pub host: Arc<dyn Host>,
}

/// The first and the longest pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
        let view = self.patiently(|| self.client.network()).await?;
        let network = self.genesis.network();
        expect("the network", &network.to_string(), &view.network)?;
        let mut summary = Summary { dry_run: self.dry_run, ..Summary::default() };

        let started = Instant::now();
        let mut rows = self.read(&view, inputs.clone(), format, progress).await?;
        summary.warnings = std::mem::take(&mut rows.warnings);
        summary.elapsed.reading = started.elapsed();

        let now = self.host.now();
        let mut batches = batches::plan(&rows.groups, &view, &self.organisation, self.grant, now)?;
        let mut journal = match &self.journal {
            Some(path) if !self.dry_run && !batches.is_empty() => {
                Some(self.open_journal(path, network, &inputs, format, &mut summary).await?)
            }
            _ => None,
        };
        let done = self
            .enrol(network, &mut rows, &mut batches, &mut journal, &mut summary, progress)
            .await;
        let goes_on = matches!(&done, Err(error) if error.may_go_on()) && journal.is_some();
        if !goes_on {
            for upload in batches.iter_mut().filter_map(|batch| batch.upload.take()) {
                // A courtesy to the node, which drops uploads by itself after a day.
                let _ = self.client.drop_upload(&upload).await;
            }
        }
        let devices: u64 =
            batches.iter().filter_map(|b| Some(b.enrolled.as_ref()?.enrol.count)).sum();
        let error = match done {
            Ok(()) => return Ok(Finished::new(rows, batches, summary, journal)),
            Err(error) => error,
        };
        if let Some(journal) = journal.filter(|_| !goes_on) {
            journal.remove()?;
        }
        Err(if devices > 0 { Error::Partly { devices, error: Box::new(error) } } else { error })
    }

    /// The pass over the files, on threads of its own.
    async fn read(
        &self,
        view: &NetworkView,
        inputs: Vec<PathBuf>,
        format: Option<Format>,
        progress: Listener<'_>,
    ) -> Result<Rows, Error> {
        let only = || batches::only_model(view, &self.organisation, self.grant, self.host.now());
        let mut terms = Terms {
            directory_secret: self.directory_secret.clone(),
            challenge: self.challenge.clone(),
            only_model: self.model.is_some(),
            model: self.model.clone().or_else(only),
            sources: Sources::default(),
        };
        terms.check()?;
        let (options, now, spool) = (self.sources.clone(), self.host.now(), self.spool.clone());
        let (sender, mut receiver) = mpsc::channel(1);
        let reading = tokio::task::spawn_blocking(move || {
            terms.sources = options.load(now)?;
            // A number that nobody waits for is out of date anyway.
            reading::read(&inputs, format, &terms, &spool, &mut |counts, bytes| {
                let _ = sender.try_send((counts, bytes));
            })
        });
        let phase = Phase::Reading;
        let mut whole = None;
        while let Some((counts, bytes)) = receiver.recv().await {
            whole = Some(Bytes { done: bytes.total, ..bytes });
            let (done, bytes) = (counts.rows, Some(bytes));
            progress(Progress { phase, done, total: None, counts, bytes });
        }
        let rows = reading.await.map_err(|e| Error::Internal(e.to_string()))??;
        let (counts, done) = (rows.counts, rows.counts.rows);
        progress(Progress { phase, done, total: Some(done), counts, bytes: whole });
        Ok(rows)
    }

    async fn open_journal(
        &self,
        path: &Path,
        network: Network,
        inputs: &[PathBuf],
        format: Option<Format>,
        summary: &mut Summary,
    ) -> Result<Journal, Error> {
        let options = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            format, self.model, self.challenge, self.grant, self.sources
        );
        let SourceOptions { signers, keys, trust, .. } = &self.sources;
        let files = inputs.iter().chain(signers).chain(keys).chain(trust).map(PathBuf::as_path);
        let command = journal::command(files, &options)?;
        let (journal, left, word) =
            Journal::open(path, self.resume, &network, &self.organisation, command)?;
        summary.warnings.extend(word);
        for upload in left {
            // Its rows would be in the way.
            let _ = self.patiently(|| self.client.drop_upload(&upload)).await;
        }
        Ok(journal)
    }

    async fn enrol(
        &self,
        network: Network,
        rows: &mut Rows,
        batches: &mut [Batch],
        journal: &mut Option<Journal>,
        summary: &mut Summary,
        progress: Listener<'_>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let total = batches.iter().map(|batch| batch.rows).sum();
        let (mut done, mut counts) = (0, Counts::default());
        for batch in batches.iter_mut() {
            let past = journal.as_mut().map(|j| j.past(batch.number)).unwrap_or_default();
            let mut heard = |rows: &Rows, more: u64| {
                done += more;
                counts = rows.counts;
                let (phase, total) = (Phase::Staging, Some(total));
                progress(Progress { phase, done, total, counts, bytes: None });
            };
            batch.signed = past.signed.clone();
            if !self.stage(network, rows, batch, past, journal, &mut heard).await? {
                self.begin_anew(rows, batch).await;
                let past = Default::default();
                self.stage(network, rows, batch, past, journal, &mut heard).await?;
            }
        }
        summary.elapsed.staging = started.elapsed();

        let started = Instant::now();
        let of = Some(batches.len() as u64);
        for (done, batch) in batches.iter_mut().enumerate() {
            let (phase, done) = (Phase::Sealing, done as u64);
            progress(Progress { phase, done, total: of, counts, bytes: None });
            self.seal(network, rows, batch, journal).await?;
        }
        if total > 0 {
            let view = self.patiently(|| self.client.network()).await?;
            batches::check_grants(batches, &view)?;
        }
        summary.elapsed.sealing = started.elapsed();
        if self.dry_run {
            return Ok(());
        }
        self.tell_line(network, rows, batches).await?;

        let started = Instant::now();
        let phase = Phase::Acknowledging;
        // Scrap comes last: if something fails before, it is not valid yet.
        let mut order: Vec<&mut Batch> = batches.iter_mut().collect();
        order.sort_by_key(|batch| batch.scrap);
        for (done, batch) in order.into_iter().enumerate() {
            progress(Progress { phase, done: done as u64, total: of, counts, bytes: None });
            if batch.staged > 0 {
                self.submit(network, rows, batch, journal).await?;
            }
        }
        let done = batches.len() as u64;
        progress(Progress { phase, done, total: of, counts, bytes: None });
        summary.elapsed.acknowledging = started.elapsed();
        Ok(())
    }

    /// Forgets what an earlier run did for a batch.
    pub(crate) async fn begin_anew(&self, rows: &mut Rows, batch: &mut Batch) {
        batch.signed = None;
        if let Some(upload) = batch.upload.take() {
            let _ = self.patiently(|| self.client.drop_upload(&upload)).await;
        }
        rows.begin_anew(batch.number);
    }

    /// Asks a node that does not answer again, for some time: it may be starting.
    pub(crate) async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let started = Instant::now();
        let mut pause = PAUSE;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let starting = match &error {
                ClientError::Transport { .. } => true,
                ClientError::Refused(problem) => problem.status == 503,
                _ => false,
            };
            if !starting || started.elapsed() + pause > self.patience {
                return Err(error.into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Signs on a thread where it may wait: a key may be in a security token, or with a person who
    /// reads first what it is.
    pub(crate) async fn signed<T: Send + 'static>(
        &self,
        sign: impl FnOnce(&dyn Signer) -> Result<T, SignerError> + Send + 'static,
    ) -> Result<T, Error> {
        let signer = self.signer.clone();
        let signing = tokio::task::spawn_blocking(move || sign(&*signer));
        Ok(signing.await.map_err(|e| Error::Internal(e.to_string()))??)
    }

    /// A node that refuses by the grant has its numbers.
    pub(crate) async fn explain(&self, error: Error, grant: GrantId, asked: u64) -> Error {
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

impl Rows {
    /// Rows of a batch as they were before anything was sent; doubles stay refused.
    fn begin_anew(&mut self, batch: u16) {
        let numbers: Vec<u32> = match self.leaves.read() {
            Ok(leaves) => leaves
                .filter_map(|leaf| leaf.ok().map(|(place, _)| place))
                .filter(|place| place.batch == batch)
                .map(|place| place.row)
                .collect(),
            Err(_) => return,
        };
        for number in numbers {
            if !matches!(self.rows[number as usize].state, State::Double(..) | State::Later(_)) {
                self.set(number as usize, State::Ready(batch));
            }
        }
    }
}

/// Holds the node to what must be.
pub(crate) fn expect<T: PartialEq + ToString>(
    what: &'static str,
    ours: &T,
    theirs: &T,
) -> Result<(), Error> {
    if ours == theirs {
        return Ok(());
    }
    Err(Error::Peer { what, ours: ours.to_string(), theirs: theirs.to_string() })
}
