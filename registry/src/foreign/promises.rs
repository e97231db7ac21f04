//! What this node promised with its votes for batches: a small file, on disk before the vote is
//! signed and, as all signing state, in no backup.

use crate::Error;
use crate::limits::{PROMISE_MS, PROMISES};
use crate::signed_head::replace;
use muster_ledger::{BatchId, Time};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Promises by the numbers of their uploads.
#[derive(Debug)]
pub(crate) struct Promises {
    path: PathBuf,
    made: BTreeMap<u64, (BatchId, Time)>,
}

impl Promises {
    /// Reads the file; a new folder has none.
    pub(crate) fn read(path: PathBuf) -> Result<Self, Error> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Error::file(&path, &e)),
        };
        let made: Option<_> = text.lines().map(line).collect();
        let made = made.ok_or_else(|| {
            Error::operator(
                format!("{} cannot be read", path.display()),
                "it says which batches this node voted for; restore it, do not delete it",
            )
        })?;
        Ok(Self { path, made })
    }

    /// Whether a promise of this upload's leaves is in force.
    pub(crate) fn holds(&self, upload: u64, now: Time) -> bool {
        self.made.get(&upload).is_some_and(|(_, until)| now <= *until)
    }

    /// All that are known, with their uploads; some may have run out.
    pub(crate) fn all(&self) -> Vec<(u64, BatchId)> {
        self.made.iter().map(|(upload, (batch, _))| (*upload, *batch)).collect()
    }

    /// Makes one, or makes it last longer.
    pub(crate) fn make(
        &mut self,
        batch: &BatchId,
        upload: u64,
        until: Time,
        now: Time,
    ) -> Result<(), Error> {
        if until.since(now) > PROMISE_MS {
            let what = "a promise reaches at most 10 minutes beyond the ledger's time";
            return Err(Error::Caller(what.into()));
        }
        let mut made = self.made.clone();
        made.retain(|_, (_, until)| now <= *until);
        let earlier = made.get(&upload).filter(|(id, _)| id == batch).map(|(_, until)| *until);
        if earlier.is_some_and(|earlier| until <= earlier) {
            return Ok(());
        }
        made.insert(upload, (*batch, until));
        if made.len() > PROMISES {
            return Err(Error::Caller("256 promises are in force already".into()));
        }
        let mut text = String::new();
        for (upload, (batch, until)) in &made {
            writeln!(text, "{upload} {batch} {}", until.0).expect("a String accepts every write");
        }
        replace(&self.path, text.as_bytes()).map_err(|e| Error::file(&self.path, &e))?;
        self.made = made;
        Ok(())
    }
}

fn line(line: &str) -> Option<(u64, (BatchId, Time))> {
    let mut words = line.split(' ');
    let upload = words.next()?.parse().ok()?;
    let batch = words.next()?.parse().ok()?;
    let until = words.next()?.parse().ok()?;
    words.next().is_none().then_some((upload, (batch, Time(until))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_outlive_the_process_and_run_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("promises");
        let mut promises = Promises::read(path.clone()).unwrap();
        let (a, b) = (BatchId([1; 32]), BatchId([2; 32]));
        promises.make(&a, 7, Time(50), Time(10)).unwrap();
        promises.make(&a, 7, Time(40), Time(10)).unwrap();
        promises.make(&b, 8, Time(30), Time(10)).unwrap();
        let far = promises.make(&b, 8, Time(PROMISE_MS + 11), Time(10));
        assert!(matches!(far, Err(Error::Caller(_))));
        let mut again = Promises::read(path.clone()).unwrap();
        for promises in [&promises, &again] {
            assert!(promises.holds(7, Time(50)) && !promises.holds(7, Time(51)));
            assert!(promises.holds(8, Time(30)) && !promises.holds(9, Time(0)));
        }
        // The one that ran out is forgotten with the next.
        again.make(&b, 9, Time(60), Time(45)).unwrap();
        let third = Promises::read(path.clone()).unwrap();
        assert!(third.holds(7, Time(50)) && !third.holds(8, Time(30)) && third.holds(9, Time(60)));
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(Promises::read(path), Err(Error::Operator { .. })));
    }
}
