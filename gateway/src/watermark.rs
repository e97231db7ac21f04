//! The mark that survives a restart. The memory of used presentations does not; so before one is
//! accepted, a mark not below its `iat` is on disk, and after a restart nothing at or below the
//! mark is accepted. The mark is written some seconds ahead, so the disk is seldom waited for.

use crate::{Error, folder, limits};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

#[derive(Debug, Clone)]
pub(crate) struct Watermark {
    path: PathBuf,
    covered: Arc<AtomicU64>,
    writing: Arc<Mutex<()>>,
}

impl Watermark {
    /// Reads the mark, and says from which second on presentations are accepted. Without a mark
    /// that is now: whatever was made earlier may have been used.
    pub(crate) fn open(dir: &Path, now: u64) -> Result<(Self, u64), Error> {
        let path = dir.join("watermark");
        let (covered, not_before) = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let mark: u64 = text.trim_end().parse().map_err(|e| Error::damaged(&path, e))?;
                (mark, mark.saturating_add(1))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (0, now),
            Err(error) => return Err(Error::Folder { path, error }),
        };
        let covered = Arc::new(AtomicU64::new(covered));
        Ok((Self { path, covered, writing: Arc::default() }, not_before))
    }

    /// Makes sure that the mark on disk is not below `iat`. When half of the lead is used up the
    /// next one is written aside, so that while devices keep coming none waits for the disk.
    pub(crate) async fn cover(&self, iat: u64) -> Result<(), Error> {
        let covered = self.covered.load(Ordering::Acquire);
        if iat <= covered {
            if iat.saturating_add(limits::WATERMARK_LEAD / 2) > covered
                && let Ok(one) = self.writing.clone().try_lock_owned()
            {
                let aside = self.clone();
                tokio::spawn(async move {
                    let _one = one;
                    // Whoever needs a mark that could not be written writes it, or is refused.
                    let _ = aside.write(iat.saturating_add(limits::WATERMARK_LEAD)).await;
                });
            }
            return Ok(());
        }
        let _one = self.writing.lock().await;
        if iat <= self.covered.load(Ordering::Acquire) {
            return Ok(());
        }
        self.write(iat.saturating_add(limits::WATERMARK_LEAD)).await
    }

    /// Takes the lead back at an orderly end: only what was used is refused next time.
    pub(crate) async fn settle(&self, latest_iat: u64) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        if latest_iat == 0 { Ok(()) } else { self.write(latest_iat).await }
    }

    async fn write(&self, mark: u64) -> Result<(), Error> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            folder::replace(&path, &[format!("{mark}\n").as_bytes()])
        });
        let written = written.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        written.map_err(Error::folder(&self.path))?;
        self.covered.store(mark, Ordering::Release);
        Ok(())
    }
}
