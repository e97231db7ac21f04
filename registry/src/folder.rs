use crate::Error;
use crate::signed_head::SignedHead;
use crate::store::StoreUrl;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
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
    /// Takes the folder of a node whose store is in it or elsewhere. One that has a ledger is not
    /// taken for a store elsewhere: the node would begin a second one.
    pub(crate) async fn take_for(dir: &Path, store: &StoreUrl) -> Result<Self, Error> {
        let StoreUrl::Postgres(url) = store else { return Self::take(dir).await };
        let ledger = dir.join(LEDGER);
        if std::fs::metadata(&ledger).is_ok_and(|found| found.len() > 0) {
            return Err(Error::operator(
                format!("{} has a ledger, and --store names {url}", ledger.display()),
                "move it with `muster ledger export --whole` and `muster ledger import`, then put \
                 ledger.db and directory.db away",
            ));
        }
        Self::lock(dir).await
    }

    /// Refuses a node's folder whose ledger is elsewhere or lost, before the files of another one are
    /// made in it.
    pub(crate) fn check_ledger(dir: &Path, store: &StoreUrl) -> Result<(), Error> {
        let ledger = dir.join(LEDGER);
        let there = std::fs::metadata(&ledger).is_ok_and(|found| found.len() > 0);
        if there || !matches!(store, StoreUrl::Folder) {
            return Ok(());
        }
        match SignedHead::read(dir.join(SIGNED_HEAD))?.last() {
            None => Ok(()),
            Some(head) => Err(Error::operator(
                format!(
                    "this node signed a ledger of {} entries, and {} is not there",
                    head.size,
                    ledger.display()
                ),
                "name the database that it was moved to with --store, or put a backup back \
                 (`muster restore`)",
            )),
        }
    }

    /// Makes the folder if it is missing and takes its lock, with the files of a store. Nobody but its owner may look into
    /// it or at the files that are secret, whoever made them.
    pub(crate) async fn take(dir: &Path) -> Result<Self, Error> {
        let folder = Self::lock(dir).await?;
        // SQLite gives its files beside these the same mode.
        own_file(&dir.join(LEDGER))?;
        own_file(&dir.join(DIRECTORY))?;
        Ok(folder)
    }

    async fn lock(dir: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|e| Error::file(dir, &e))?;
        close_to_others(dir, 0o700)?;
        let path = dir.join("lock");
        let lock = own_file(&path)?;
        for _ in 0..ATTEMPTS {
            match lock.try_lock() {
                Ok(()) => {
                    close_to_others(&dir.join(SIGNED_HEAD), 0o600)?;
                    return Ok(Self { dir: dir.into(), lock });
                }
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

/// Options of a file that only its owner may read, if it is made by them.
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a file, or makes an empty one.
pub(crate) fn own_file(path: &Path) -> Result<File, Error> {
    let file = private().open(path).map_err(|e| Error::file(path, &e))?;
    close_to_others(path, 0o600)?;
    Ok(file)
}

/// Gives a file or folder this mode if it is there and ours.
fn close_to_others(path: &Path, mode: u32) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::fs;
        use std::io::ErrorKind;
        use std::os::unix::fs::PermissionsExt as _;
        let set = fs::metadata(path).and_then(|found| {
            if found.permissions().mode() & 0o777 == mode {
                return Ok(());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        });
        match set {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                tracing::warn!("{} belongs to somebody else: {e}", path.display());
            }
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::file(path, &e)),
            _ => {}
        }
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

/// The ledger: what every node of the network could compute.
pub(crate) const LEDGER: &str = "ledger.db";

/// The private directory: serials and lots. It goes no further than this node.
pub(crate) const DIRECTORY: &str = "directory.db";

/// The last head this node signed, or was about to.
pub(crate) const SIGNED_HEAD: &str = "signed-head";

/// Which batches this node voted for.
pub(crate) const PROMISES: &str = "promises";

/// What consoles look up. It follows from the other files.
pub(crate) const INDEX: &str = "index.db";
