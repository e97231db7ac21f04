//! The mark that survives a restart. The memory of used presentations does not; so before one is
//! accepted, a mark not below its `iat` is on disk, and after a restart nothing at or below the
//! mark is accepted. The mark is written some seconds ahead, so the disk is seldom waited for.

use crate::{Error, folder, limits};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Watermark {
    path: PathBuf,
    covered: AtomicU64,
    writing: Mutex<()>,
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
        Ok((Self { path, covered: covered.into(), writing: Mutex::default() }, not_before))
    }

    /// Makes sure that the mark on disk is not below `iat`.
    pub(crate) async fn cover(&self, iat: u64) -> Result<(), Error> {
        if iat <= self.covered.load(Ordering::Acquire) {
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
