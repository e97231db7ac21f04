//! What validators signed and must not have, kept as files for whoever has to answer for it.

use crate::Error;
use crate::engine::Evidence;
use crate::gather::TwoHeads;
use crate::limits;
use data_encoding::HEXLOWER;
use muster_api::EvidenceView;
use muster_ledger::Checkpoint;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A folder of texts, one a proof.
pub(crate) struct Evidences {
    dir: PathBuf,
    kept: Mutex<Vec<EvidenceView>>,
}

impl Evidences {
    /// Reads what was kept before.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&dir).map_err(|e| Error::file(&dir, &e))?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|e| Error::file(&dir, &e))? {
            let name = entry.map_err(|e| Error::file(&dir, &e))?.file_name();
            kept.extend(name.to_str().and_then(view_of));
        }
        kept.sort_by_key(|view| view.height);
        Ok(Self { dir, kept: Mutex::new(kept) })
    }

    /// What is kept, oldest first.
    pub(crate) fn views(&self) -> Vec<EvidenceView> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Two votes or proposals of one validator for one place.
    pub(crate) fn keep(&self, what: &Evidence) {
        let kind = if what.votes { "two-votes" } else { "two-proposals" };
        let (key, height) = (what.validator.to_multikey(), what.height);
        let text = format!(
            "{kind} of {key} at height {height}\n\nfirst {}\nsecond {}\n",
            HEXLOWER.encode(&what.first),
            HEXLOWER.encode(&what.second),
        );
        self.write(kind, height, &key, &text);
    }

    /// Two heads of one size.
    pub(crate) fn keep_heads(&self, height: u64, liar: &TwoHeads) {
        let text = format!(
            "two heads of one size, signed by {}\n\n{}\n{}",
            liar.validator.to_multikey(),
            liar.notes[0],
            liar.notes[1]
        );
        self.write("two-heads", height, &liar.validator.to_multikey(), &text);
    }

    /// A head of a quorum that is not of the ledger here.
    pub(crate) fn keep_fork(&self, checkpoint: &Checkpoint) {
        let height = checkpoint.head().height;
        self.write("fork", height, "quorum", &checkpoint.to_note());
    }

    fn write(&self, what: &str, height: u64, validator: &str, text: &str) {
        let name = format!("{height}.{what}.{validator}.txt");
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // One proof of each kind and height says all; a liar does not fill the disk.
        if kept.len() >= limits::EVIDENCES || kept.iter().any(|view| view.file.ends_with(&name)) {
            return;
        }
        tracing::error!("evidence: {what} of {validator} at height {height}, kept in {name}");
        match fs::write(self.dir.join(&name), text) {
            Ok(()) => kept.extend(view_of(&name)),
            Err(error) => tracing::error!("evidence {name} cannot be written: {error}"),
        }
    }
}

fn view_of(name: &str) -> Option<EvidenceView> {
    let mut parts = name.strip_suffix(".txt")?.splitn(3, '.');
    let height = parts.next()?.parse().ok()?;
    let (what, validator) = (parts.next()?.into(), parts.next()?.into());
    Some(EvidenceView { what, validator, height, file: format!("evidence/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let evidences = Evidences::open(dir.path().join("evidence")).unwrap();
        for height in 0..limits::EVIDENCES as u64 + 5 {
            evidences.write("double-vote", height, "z6Mk", "proof");
            evidences.write("double-vote", height, "z6Mk", "again");
        }
        let kept = evidences.views();
        assert_eq!(kept.len(), limits::EVIDENCES);
        assert_eq!(kept[3].height, 3);
        let again = Evidences::open(dir.path().join("evidence")).unwrap();
        assert_eq!(again.views(), kept);
        let text = fs::read_to_string(dir.path().join(&kept[3].file)).unwrap();
        assert_eq!(text, "proof");
    }
}
