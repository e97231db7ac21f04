//! The files that an enrolment leaves behind: results, rows to mend, what is missing, receipts.

use crate::cli::Enrol;
use anyhow::{Context as _, Result, bail};
use muster_provisioning::{Finished, Mendable, RowOutcome};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::NamedTempFile;

/// Rows that are shown on the terminal; all are in the results file.
const SHOWN: usize = 20;

/// Where they go.
pub(super) struct Paths {
    pub(super) results: PathBuf,
    /// The first file.
    first: PathBuf,
    rejects: Option<PathBuf>,
    missing: Option<PathBuf>,
    receipts: Option<PathBuf>,
    /// What the command reads, and what it wrote: never written over.
    taken: Vec<PathBuf>,
    /// When the results of the run before were written.
    known: Option<SystemTime>,
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) rejects: Vec<PathBuf>,
    pub(super) missing: Option<PathBuf>,
}

impl Paths {
    pub(super) fn new(arg: &Enrol) -> Result<Self> {
        let results = arg.results.clone();
        let results = results.unwrap_or_else(|| beside(&arg.files[0], "results.jsonl"));
        if arg.rejects.is_some() && arg.files.len() > 1 {
            bail!("--rejects is for one FILE; without it, each of several has its own");
        }
        let mut taken: Vec<_> = arg.files.iter().chain(&arg.keys).map(|p| identity(p)).collect();
        let named = [
            ("--results", Some(&results)),
            ("--rejects", arg.rejects.as_ref()),
            ("--missing", arg.missing.as_ref()),
            ("--out", arg.out.as_ref()),
        ];
        for (option, path) in named {
            let Some(path) = path.map(|path| identity(path)) else { continue };
            if taken.contains(&path) {
                bail!(
                    "{option} {}: the command reads or writes that file already; name another",
                    path.display()
                );
            }
            taken.push(path);
        }
        Ok(Self {
            results,
            first: arg.files[0].clone(),
            rejects: arg.rejects.clone(),
            missing: arg.missing.clone(),
            receipts: arg.out.clone(),
            taken,
            known: None,
        })
    }

    /// Writes them all. Gives the first rows that need someone, too.
    pub(super) fn write<'f>(
        mut self,
        finished: &'f Finished,
    ) -> Result<(Written, Vec<RowOutcome<'f>>)> {
        self.known = fs::metadata(&self.results).and_then(|found| found.modified()).ok();
        if let Some(file) = &self.receipts {
            write(file, |out| finished.write_receipts(out))?;
        }
        let rejects = self.write_rejects(finished)?;
        let missing = match self.missing.take() {
            Some(path) => path,
            None => self.free(&self.first, "missing", ".csv"),
        };
        let missing = if finished.is_missing()? {
            write(&missing, |out| finished.write_missing(out).map(drop))?;
            Some(missing)
        } else {
            remove(&missing)?;
            None
        };
        // Last, so that its time tells which of the others were changed since.
        let mut troubled = Vec::new();
        write(&self.results, |out| {
            troubled = finished.write_results(out, SHOWN)?;
            Ok(())
        })?;
        Ok((Written { rejects, missing }, troubled))
    }

    /// The refused rows of each file; where there are none, those of an earlier run go.
    fn write_rejects(&mut self, finished: &Finished) -> Result<Vec<PathBuf>> {
        let (mut rejects, mut written) = (finished.rejects(), Vec::new());
        let mut next = rejects.file()?;
        for mendable in finished.mendable() {
            let path = match self.rejects.take() {
                Some(path) => path,
                None => self.free(mendable.path(), "rejects", &extension(mendable)),
            };
            if next != Some(mendable) {
                remove(&path)?;
                continue;
            }
            write(&path, |out| rejects.write(out).map(drop))?;
            self.taken.push(identity(&path));
            written.push(path);
            next = rejects.file()?;
        }
        Ok(written)
    }

    /// A name beside a file that the command has no other use for: who feeds mended rows together
    /// with the first file, or gives a filled list by --keys, must not lose them.
    fn free(&self, file: &Path, what: &str, extension: &str) -> PathBuf {
        let name = |n: u64| match n {
            1 => beside(file, &format!("{what}{extension}")),
            _ => beside(file, &format!("{what}.{n}{extension}")),
        };
        let mut n = 1;
        while self.taken.contains(&identity(&name(n))) || self.is_anothers(&name(n)) {
            n += 1;
        }
        name(n)
    }

    /// Whether a file is there that no run wrote, or that somebody changed after the run that wrote
    /// it: keys are being filled in, or rows mended.
    fn is_anothers(&self, file: &Path) -> bool {
        match fs::symlink_metadata(file).and_then(|found| found.modified()) {
            Ok(changed) => self.known.is_none_or(|known| changed > known),
            Err(_) => false,
        }
    }
}

/// As the input's, with its dot.
fn extension(mendable: &Mendable) -> String {
    match mendable.path().extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy()),
        None => String::new(),
    }
}

/// One name of a file that may have several.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Removes what an earlier run left.
fn remove(file: &Path) -> Result<()> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => {
            fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file beside its place and moves it there: whole or not at all.
pub(crate) fn write(
    file: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let done = (|| {
        if fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("it is there, and is no file"));
        }
        // Serial numbers are the owner's business: mode 0600, and a name that nobody else has.
        let mut out = BufWriter::new(NamedTempFile::new_in(folder_of(file))?);
        content(&mut out)?;
        let part = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        part.as_file().sync_all()?;
        part.persist(file).map(drop).map_err(|e| e.error)
    })();
    done.with_context(|| format!("cannot write {}", file.display()))
}

/// A file of the command beside its first file; a folder's are beside it, not in it, whether it
/// is named with a slash or not.
pub(super) fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.components().as_path().as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// The folder that a file stands in.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
