use crate::host::random;
use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Where a benchmark works.
pub(super) struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    /// The named folder, which is kept, or one of its own, which goes with the value.
    pub(super) fn new(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(dir) => dir.to_owned(),
            None => {
                let name = HEXLOWER.encode(&random::<8>());
                std::env::temp_dir().join(format!("muster-bench-{name}"))
            }
        };
        make(&path)?;
        // Children get it as an argument, whatever folder they are in.
        let path = path.canonicalize()?;
        Ok(Self { path, kept: named.is_some() })
    }

    /// As [`Self::new`], for a benchmark that cannot use what an earlier run left.
    pub(super) fn empty(named: Option<&Path>) -> Result<Self> {
        let folder = Self::new(named)?;
        let empty = fs::read_dir(&folder.path)?.next().is_none();
        ensure!(empty, "{} is not empty: name another with --dir", folder.path.display());
        Ok(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a folder for its owner alone; there may be one already.
pub(super) fn make(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}
