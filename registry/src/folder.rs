use crate::Error;
use std::fs::{DirBuilder, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The node's folder, held by this node alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Holding it open is the lock.
    lock: File,
}

/// How often an occupied folder is tried again before it is refused: a node that is being
/// restarted waits for the one that is still finishing.
const ATTEMPTS: u32 = 20;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

impl Folder {
    /// Makes the folder if it is missing, readable by its owner only, and takes its lock.
    pub(crate) async fn take(dir: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|e| Error::file(dir, &e))?;
        let path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::file(&path, &e))?;
        for _ in 0..ATTEMPTS {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { dir: dir.into(), lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(e)) => return Err(Error::file(&path, &e)),
            }
        }
        Err(Error::operator(
            format!("another node runs in {}", dir.display()),
            "stop it first, or give this one a folder of its own",
        ))
    }

    /// Lets another node take it, before this one is dropped.
    pub(crate) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!("the lock of {} stays: {error}", self.dir.display());
        }
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The ledger: what every node of the network could compute.
pub(crate) const LEDGER: &str = "ledger.db";

/// The private directory: serials and lots. It goes no further than this node.
pub(crate) const DIRECTORY: &str = "directory.db";

/// The last head this node signed, or was about to.
pub(crate) const SIGNED_HEAD: &str = "signed-head";
