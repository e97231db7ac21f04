//! From when on a validator votes. One that was put back from a backup does not know what it signed
//! since: it lets the others decide what it may have voted on, and promises no batch while it may
//! have promised another with the same key.

use crate::Error;
use crate::bft::Shared;
use crate::limits;
use muster_ledger::Time;
use muster_registry::LONGEST_PROMISE_MS;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// A height, and a moment of the ledger's time if there is one to wait for; in no backup, so that a
/// folder that was put back has none.
const FILE: &str = "votes-from";

/// From when on it votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VotesFrom {
    /// For blocks: from this height on.
    pub(crate) height: u64,
    /// For batches: once the ledger's time is here.
    pub(crate) ready: Time,
}

impl VotesFrom {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let height = words.next()?.parse().ok()?;
        let ready = words.next().map(str::parse).transpose().ok()?.unwrap_or_default();
        words.next().is_none().then_some(Self { height, ready: Time(ready) })
    }

    fn text(self) -> String {
        let Self { height, ready } = self;
        format!("{height} {}\n", ready.0)
    }
}

impl Shared {
    /// Reads it, or finds it out: zero for a node that began with an empty ledger or as the only
    /// validator of its network, the height after the next for one that was put back.
    pub(crate) async fn find_votes_from(&self, dir: &Path) -> Result<VotesFrom, Error> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                return VotesFrom::read(&text).ok_or_else(|| {
                    Error::operator(
                        format!("{} cannot be read", path.display()),
                        "it says from when on this node votes; put it back",
                    )
                });
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::file(&path, &e)),
        }
        let chain = self.application.chain();
        let alone = self.validators().0 == [self.key] && self.application.signed().is_some();
        let from = match chain.height() == 0 || alone {
            true => VotesFrom::default(),
            false => self.after_the_others().await,
        };
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&path)?;
            file.write_all(from.text().as_bytes())?;
            file.sync_all()?;
            fs::File::open(dir)?.sync_all()
        };
        write().map_err(|e| Error::file(&path, &e))?;
        Ok(from)
    }

    /// What this node signed before its backup was put back is at most of the height after the one
    /// that the others have: beyond that it votes. Of more than a third of the validators one is
    /// honest, and so many must be heard of. What it promised reached no further beyond the ledger's
    /// time than a promise may, and that time has only grown since.
    async fn after_the_others(&self) -> VotesFrom {
        tracing::warn!(
            "this node's ledger was put back from a copy: it votes only once the others have \
             decided what it may have voted on, and for no batch in the next ten minutes"
        );
        loop {
            self.catch_up().await;
            let validators = self.validators();
            let needed = validators.0.len() - validators.quorum() + 1;
            let peers = self.exchange().map(|exchange| exchange.peers()).unwrap_or_default();
            let heights: Vec<_> = peers
                .iter()
                .filter_map(|peer| peer.status)
                .filter(|status| status.engine_port != 0)
                .map(|status| status.height)
                .collect();
            let height = self.application.chain().height();
            if heights.len() >= needed && heights.iter().all(|theirs| *theirs <= height) {
                let ready = self.ledger_time().plus_ms(LONGEST_PROMISE_MS + 1);
                let from = VotesFrom { height: height + 2, ready };
                tracing::info!("this node votes from height {} on", from.height);
                return from;
            }
            self.heard(limits::LOOK).await;
        }
    }

    /// The time that the network signed last.
    fn ledger_time(&self) -> Time {
        let published = self.application.published().map(|p| p.head().time).unwrap_or_default();
        self.application.chain().time().max(published)
    }

    /// Whether it may say of a batch that it is ready: not before it is known what it may have
    /// promised in an earlier life, and that this is over.
    pub(crate) fn may_promise(&self) -> bool {
        self.votes_from.get().is_some_and(|from| self.ledger_time() >= from.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_a_height_and_a_time() {
        let from = VotesFrom { height: 7, ready: Time(90) };
        assert_eq!(VotesFrom::read(&from.text()), Some(from));
        // As it was written before there was a time in it.
        assert_eq!(VotesFrom::read("7\n"), Some(VotesFrom { height: 7, ready: Time(0) }));
        for other in ["", "x", "7 x", "7 9 1", "-1"] {
            assert_eq!(VotesFrom::read(other), None, "{other:?}");
        }
    }
}
