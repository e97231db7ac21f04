//! One import: its files, what was chosen, how far it is, what came of it.

use super::files::Slot;
use super::sign::{Ask, Asking};
use muster_api::Problem;
use muster_identity::{Did, PublicKey, Signature};
use muster_provisioning::{Counts, Phase, Progress};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What is done with an import now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Files come.
    Filling,
    /// A dry run is under way.
    Rehearsing,
    /// A dry run said what would happen.
    Rehearsed,
    /// Devices are being enrolled.
    Running,
    /// It is over.
    Done,
    /// A run ended with a fault.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Stage {
    /// Whether a pipeline is at work.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::Rehearsing | Self::Running)
    }
}

/// What a person chooses beside the files, as the options of `muster enrol`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `--format`; empty: by content.
    pub(crate) format: String,
    /// `--model`; empty: none.
    pub(crate) model: String,
    /// `--challenge`.
    pub(crate) challenge: String,
    /// `--grant`; empty: the one that fits.
    pub(crate) grant: String,
    /// `--slot`.
    pub(crate) slot: Option<u8>,
    /// `--map`.
    pub(crate) map: Vec<String>,
}

/// A batch as it would be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    pub(crate) grant: String,
    pub(crate) model: String,
    pub(crate) count: u64,
    pub(crate) root: String,
    pub(crate) scrap: bool,
}

/// A row that needs somebody.
#[derive(Debug, Clone)]
pub(crate) struct Troubled {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) outcome: &'static str,
    pub(crate) field: &'static str,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) cure: &'static str,
    pub(crate) serial: String,
}

/// A file to fetch.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) purpose: &'static str,
    pub(crate) bytes: u64,
}

/// What a finished pipeline says.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) counts: Counts,
    pub(crate) warnings: Vec<String>,
    pub(crate) plan: Vec<Planned>,
    pub(crate) troubled: Vec<Troubled>,
    pub(crate) written: Vec<Written>,
    /// Batches enrolled, each with its id.
    pub(crate) batches: Vec<(String, Planned)>,
    /// Batches of scrap, which must be revoked.
    pub(crate) scrap: Vec<String>,
    /// The line said something of these devices that the node is told.
    pub(crate) line: bool,
    pub(crate) elapsed_ms: u64,
}

/// Why a pipeline ended without.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) words: String,
    /// Some devices were enrolled before.
    pub(crate) partly: bool,
}

/// What changes about an import.
pub(crate) struct State {
    pub(crate) stage: Stage,
    pub(crate) used: u64,
    pub(crate) files: Vec<Slot>,
    pub(crate) options: Options,
    pub(crate) progress: Option<Progress>,
    pub(crate) report: Option<Report>,
    pub(crate) trouble: Option<Trouble>,
    pub(super) asking: Asking,
}

/// One import.
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) organisation: Did,
    /// Of whoever began it: it signs what there is to sign.
    pub(crate) key: PublicKey,
    /// The name of whoever began it.
    pub(crate) name: String,
    pub(crate) made: u64,
    pub(super) dir: PathBuf,
    /// One piece of a file is written at a time.
    pub(super) writing: Mutex<()>,
    state: Mutex<State>,
    version: AtomicU64,
    news: watch::Sender<u64>,
    cancelled: AtomicBool,
}

impl Job {
    pub(super) fn new(
        id: String,
        organisation: Did,
        key: PublicKey,
        name: String,
        made: u64,
        dir: PathBuf,
    ) -> Self {
        let state = State {
            stage: Stage::Filling,
            used: made,
            files: Vec::new(),
            options: Options::default(),
            progress: None,
            report: None,
            trouble: None,
            asking: Asking::default(),
        };
        let (version, news) = (AtomicU64::new(0), watch::Sender::new(0));
        let (state, cancelled) = (Mutex::new(state), AtomicBool::new(false));
        let writing = Mutex::default();
        Self { id, organisation, key, name, made, dir, writing, state, version, news, cancelled }
    }

    /// Looks at it.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it, and tells whoever watches.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        self.news.send_replace(version);
        done
    }

    /// Hears of changes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.look(|state| state.stage)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// A pipeline begins: only one at a time, and only with files that are whole.
    pub(super) fn begin(&self, stage: Stage, options: Option<Options>) -> Result<(), Problem> {
        self.change(|state| {
            let fits = match stage {
                Stage::Running => state.stage == Stage::Rehearsed,
                _ => !state.stage.is_busy() && state.stage != Stage::Done,
            };
            if !fits {
                let title = "the import is at another point";
                return Err(Problem::new(409, "stage", title).cure("reload the page"));
            }
            if !state.files.iter().any(Slot::is_manifest)
                || state.files.iter().any(|file| !file.is_whole())
            {
                let title = "the files have not come whole";
                return Err(Problem::new(409, "files", title).cure("choose them again"));
            }
            self.cancelled.store(false, Ordering::Relaxed);
            state.stage = stage;
            state.progress = None;
            state.trouble = None;
            if let Some(options) = options {
                state.options = options;
                state.report = None;
            }
            Ok(())
        })
    }

    /// Ends what is under way, as soon as it can be left; whether anything was.
    pub(crate) fn cancel(&self) -> bool {
        self.change(|state| {
            if state.stage.is_busy() {
                self.cancelled.store(true, Ordering::Relaxed);
                state.asking.give_up("the import was cancelled");
            }
            state.stage.is_busy()
        })
    }

    /// Takes a signature of the page, or its refusal.
    pub(crate) fn answer(
        &self,
        number: u64,
        answer: Result<Signature, String>,
    ) -> Result<(), Problem> {
        self.change(|state| state.asking.answer(number, &self.key, answer))
    }

    /// What pages show while it goes on.
    pub(crate) fn news(&self) -> News {
        self.look(|state| News {
            stage: state.stage,
            version: self.version.load(Ordering::Relaxed),
            cancelling: self.is_cancelled() && state.stage.is_busy(),
            progress: state.progress.as_ref().map(Far::of),
            ask: state.asking.ask(),
        })
    }
}

/// How an import is, for a page that is open.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct News {
    pub(crate) stage: Stage,
    version: u64,
    cancelling: bool,
    progress: Option<Far>,
    ask: Option<Ask>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Far {
    pub(crate) phase: &'static str,
    /// Bytes while files are read, rows while they are sent, then batches.
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
}

impl Far {
    pub(crate) fn of(progress: &Progress) -> Self {
        let Progress { phase, done, total, counts, bytes } = *progress;
        let (part, whole) = match bytes {
            Some(bytes) => (bytes.done, bytes.total),
            None => (done, total.unwrap_or(done)),
        };
        let word = match phase {
            Phase::Reading => "reading",
            Phase::Staging => "staging",
            Phase::Sealing => "sealing",
            Phase::Acknowledging => "acknowledging",
        };
        Self { phase: word, done: part, total: whole, rows: done, counts }
    }
}
