//! The validators before the last change, as long as nobody has seen its head: the new ones take
//! the block under the signatures of the old ones, and both sign its head.

use crate::Error;
use crate::bft::locked;
use muster_identity::cbor::{Reader, Writer};
use muster_ledger::ValidatorSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const FILE: &str = "handover";

/// A small file, so that a node that is killed between block and head can still hand over.
pub(crate) struct Handover {
    path: PathBuf,
    before: Mutex<Option<(u64, ValidatorSet)>>,
}

impl Handover {
    /// Reads what was going on at this height.
    pub(crate) fn read(dir: &Path, height: u64) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::file(&path, &e)),
        };
        let before = parse(&bytes).filter(|(at, _)| *at == height);
        Ok(Self { path, before: Mutex::new(before) })
    }

    /// The set before the change that the block at a height made. Of later heads only the present
    /// validators are asked.
    pub(crate) fn before(&self, height: u64) -> Option<ValidatorSet> {
        let before = locked(&self.before);
        before.as_ref().filter(|(at, _)| *at == height).map(|(_, set)| set.clone())
    }

    /// The block at a height changed the validators from this set.
    pub(crate) fn begin(&self, height: u64, before: ValidatorSet) {
        let mut w = Writer::default();
        w.array(2).uint(height).value(&before);
        let written = fs::File::create(&self.path).and_then(|mut file| {
            file.write_all(&w.into_bytes())?;
            file.sync_all()
        });
        if let Err(error) = written {
            tracing::error!("{} cannot be written: {error}", self.path.display());
        }
        *locked(&self.before) = Some((height, before));
    }

    /// Both sets signed.
    pub(crate) fn end(&self) {
        if locked(&self.before).take().is_some() {
            // Of another height from now on, so nothing depends on its going.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(u64, ValidatorSet)> {
    let mut r = Reader::new(bytes);
    r.tuple(2).ok()?;
    let (height, set) = (r.uint().ok()?, r.value().ok()?);
    r.end().ok()?;
    Some((height, set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, SecretKey, Signer as _};
    use zeroize::Zeroizing;

    #[test]
    fn a_handover_outlives_the_process_at_its_height_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([1; 32])).unwrap();
        let set = ValidatorSet(vec![key.public_key()]);
        let handover = Handover::read(dir.path(), 0).unwrap();
        assert!(handover.before(9).is_none());
        handover.begin(9, set.clone());
        assert_eq!((handover.before(9), handover.before(10)), (Some(set.clone()), None));
        assert_eq!(Handover::read(dir.path(), 9).unwrap().before(9), Some(set));
        assert!(Handover::read(dir.path(), 10).unwrap().before(9).is_none());
        handover.end();
        assert!(Handover::read(dir.path(), 9).unwrap().before(9).is_none());
    }
}
