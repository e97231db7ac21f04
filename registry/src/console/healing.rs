//! An index that cannot be read is no index: whoever asked looks the long way. A damaged one is
//! taken away at once, so the next start makes it anew, however this one ends.

use super::Console;
use crate::Error;
use crate::folder::{Folder, INDEX};
use crate::store::sqlite::Index;

impl Console {
    /// What the index said; none if it could not.
    pub(super) fn said<T>(&self, folder: &Folder, said: Result<T, Error>) -> Option<T> {
        said.inspect_err(|error| self.fails(folder, error)).ok()
    }

    /// An error of the index.
    pub(super) fn fails(&self, folder: &Folder, error: &Error) {
        match error {
            Error::Closing => {}
            Error::Damaged(_) => {
                if self.damaged.set(()).is_err() {
                    return;
                }
                let file = folder.file(INDEX);
                tracing::warn!(
                    "{} is damaged: {error}; searches are slower until the node is started again, \
                     which makes it anew",
                    file.display()
                );
                if let Err(error) = Index::remove(&file) {
                    tracing::warn!("a damaged index stays: {error}; remove it by hand");
                }
            }
            error => tracing::warn!("index.db cannot be read: {error}; this search is slower"),
        }
    }
}
