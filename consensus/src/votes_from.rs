//! From which height on a validator votes. One that was put back from a backup does not know what
//! it signed since: it lets the others decide what it may have voted on.

use crate::Error;
use crate::bft::Shared;
use crate::limits;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// A number; in no backup, so that a folder that was put back has none.
const FILE: &str = "votes-from";

impl Shared {
    /// Reads it, or finds it out: zero for a node that began with an empty ledger or as the only
    /// validator of its network, the height after the next for one that was put back.
    pub(crate) async fn find_votes_from(&self, dir: &Path) -> Result<u64, Error> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                return text.trim().parse().map_err(|_| {
                    Error::operator(
                        format!("{} is no number", path.display()),
                        "it says from which height on this node votes; put it back",
                    )
                });
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::file(&path, &e)),
        }
        let chain = self.application.chain();
        let alone = self.validators().0 == [self.key] && self.application.signed().is_some();
        let from = if chain.height() == 0 || alone { 0 } else { self.after_the_others().await };
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&path)?;
            file.write_all(format!("{from}\n").as_bytes())?;
            file.sync_all()?;
            fs::File::open(dir)?.sync_all()
        };
        write().map_err(|e| Error::file(&path, &e))?;
        Ok(from)
    }

    /// What this node signed before its backup was put back is at most of the height after the one
    /// that the others have: beyond that it votes. Of more than a third of the validators one is
    /// honest, and so many must be heard of.
    async fn after_the_others(&self) -> u64 {
        tracing::warn!(
            "this node's ledger was put back from a copy: it votes only once the others have \
             decided what it may have voted on"
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
                let from = height + 2;
                tracing::info!("this node votes from height {from} on");
                return from;
            }
            self.heard(limits::LOOK).await;
        }
    }
}
