//! A seat for one test at the browsers, and folders that end with it.

use crate::browser::Browser;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use tempfile::TempDir;

/// Tests with browsers at once: a browser is as much as two cores bear.
const SEATS: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// Where tests write pictures, unless `MUSTER_SCREENSHOTS` names another folder.
fn screenshots() -> PathBuf {
    let named = std::env::var_os("MUSTER_SCREENSHOTS").filter(|dir| !dir.is_empty());
    named.map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("console"), PathBuf::from)
}

/// One test's place. Browsers are made by it, so that no test waits for a second one while it
/// holds a first.
pub(crate) struct Bench {
    folder: TempDir,
    browsers: std::cell::Cell<usize>,
}

impl Bench {
    /// Waits for a free seat.
    pub(crate) fn take() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while *taken == SEATS {
            taken = LEFT.wait(taken).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *taken += 1;
        Self { folder: tempfile::tempdir().expect("a folder"), browsers: 0.into() }
    }

    /// A browser of its own: another person's, or the same person's second one.
    pub(crate) fn browser(&self) -> Browser {
        let number = self.browsers.replace(self.browsers.get() + 1);
        Browser::start(&self.folder.path().join(format!("profile-{number}")), screenshots())
    }

    /// A folder for files of the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) -= 1;
        LEFT.notify_one();
    }
}
