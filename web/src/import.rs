//! Imports of manifests at the console: the pipeline of `muster enrol`, on the node, with a key in
//! a browser. They live in the node's memory and in a folder of their own, for a day.

mod answers;
mod files;
mod job;
mod limits;
mod near;
mod run;
mod sign;

pub(crate) use answers::routes;
pub(crate) use files::Slot;
pub(crate) use job::{Far, Job, Options, Planned, Report, Stage, Trouble};

use crate::Console;
use crate::session::Visitor;
use muster_api::Problem;
use muster_identity::Did;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// All imports of a node.
pub(crate) struct Imports {
    dir: PathBuf,
    /// Under which serial numbers are committed to; without it nothing is imported here.
    secret: Option<Zeroizing<[u8; 32]>>,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
    turns: Arc<Semaphore>,
    pieces: Semaphore,
    listeners: Arc<Semaphore>,
}

impl Imports {
    /// Those of a node that keeps files in a folder. What lies there is of an earlier run, which
    /// nobody can go on with.
    pub(crate) fn open(dir: PathBuf, secret: Option<Zeroizing<[u8; 32]>>) -> io::Result<Arc<Self>> {
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        if secret.is_some() {
            files::folder(&dir)?;
        }
        Ok(Arc::new(Self {
            dir,
            secret,
            jobs: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits::RUNNING)),
            pieces: Semaphore::new(limits::PIECES),
            listeners: Arc::new(Semaphore::new(limits::LISTENERS)),
        }))
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The imports of an organisation, newest first.
    pub(crate) fn of(&self, organisation: &Did) -> Vec<Arc<Job>> {
        let jobs = self.jobs();
        let own = jobs.values().filter(|job| job.organisation == *organisation);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by_key(|job| std::cmp::Reverse(job.made));
        own
    }

    /// One of them.
    pub(crate) fn find(&self, organisation: &Did, id: &str) -> Option<Arc<Job>> {
        self.jobs().get(id).filter(|job| job.organisation == *organisation).cloned()
    }

    /// Begins one.
    fn begin(&self, id: String, who: &Visitor, now: u64) -> Result<Arc<Job>, Problem> {
        self.sweep(now);
        let organisation = who.session.organisation;
        let mut jobs = self.jobs();
        let own = jobs.values().filter(|job| job.organisation == organisation).count();
        if jobs.len() >= limits::JOBS || own >= limits::JOBS_OF_ONE {
            let title = "too many imports are kept at this node";
            return Err(Problem::new(429, "imports", title).cure("remove one that is over"));
        }
        let dir = self.dir.join(&id);
        files::folder(&dir).map_err(|e| files::failed("make a folder", &e))?;
        let (key, name) = (who.session.key, who.name.clone());
        let job = Arc::new(Job::new(id.clone(), organisation, key, name, now, dir));
        jobs.insert(id, job.clone());
        Ok(job)
    }

    /// Bytes that all imports may have.
    fn bytes(&self) -> u64 {
        let jobs = self.jobs();
        let of = |job: &Arc<Job>| job.look(|s| s.files.iter().map(|f| f.whole).sum::<u64>());
        jobs.values().map(of).sum()
    }

    fn forget(&self, job: &Job) {
        self.jobs().remove(&job.id);
        let _ = std::fs::remove_dir_all(&job.dir);
    }

    /// Removes what nobody touched for a day.
    fn sweep(&self, now: u64) {
        let over = |job: &&Arc<Job>| {
            job.look(|s| !s.stage.is_busy() && s.used.saturating_add(limits::KEPT_MS) < now)
        };
        let over: Vec<_> = self.jobs().values().filter(over).cloned().collect();
        over.iter().for_each(|job| self.forget(job));
    }
}

/// Looks for imports that are over, as long as the console stands.
pub(crate) fn keep_swept(imports: &Arc<Imports>, now: impl Fn() -> u64 + Send + 'static) {
    let imports: Weak<Imports> = Arc::downgrade(imports);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(limits::SWEEP_SECONDS)).await;
            let Some(imports) = imports.upgrade() else { return };
            imports.sweep(now());
        }
    });
}

/// Why nothing can be imported at this console by somebody, and what to do instead.
pub(crate) fn hindrance(console: &Console, who: &Visitor) -> Option<&'static str> {
    let imports = console.imports();
    let own = who.session.organisation == console.organisation();
    match imports {
        Some(imports) if imports.secret.is_some() && own => None,
        Some(_) if !own => Some("organisation"),
        _ => Some("secret"),
    }
}

#[cfg(test)]
mod tests;
