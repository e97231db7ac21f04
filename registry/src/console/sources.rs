//! The indexes that a text leads to: serial numbers, DIDs, keys. Each gives a piece of its order.

use super::cursor::{At, Cursor, Phase};
use super::query::Candidate;
use super::search::{Piece, Search};
use super::text::head;
use crate::claims::Claim;
use crate::store::{NameRange, SerialRange};
use muster_api::Problem;
use muster_identity::Did;
use muster_ledger::{StateKey, View as _};

impl Search<'_> {
    pub(super) async fn by_serial(&self, from: &At, want: usize) -> Result<Piece, Problem> {
        let (Some(text), Some(organisation)) = (&self.query.text, self.query.organisation) else {
            return Ok(Piece::default());
        };
        let after = match from {
            At::Serial(serial) => Some(serial.clone()),
            _ => None,
        };
        let range = SerialRange {
            organisation,
            low: text.text.clone(),
            behind: text.behind(),
            after,
            count: want as u64,
        };
        let rows = self.node.store.serials_from(range).await?;
        let full = rows.len() == want;
        let last = rows.last().map(|row| Cursor(Phase::Serials, At::Serial(row.serial.clone())));
        let looked = rows.len() as u64;
        let proposed = rows
            .into_iter()
            .map(|row| (row.number, row.name, Cursor(Phase::Serials, At::Serial(row.serial))));
        Ok(Piece { candidates: self.live(proposed), next: last.filter(|_| full), looked })
    }

    pub(super) async fn by_did(&self, from: &At, want: usize) -> Result<Piece, Problem> {
        let Some((low, high)) = self.query.text.as_ref().and_then(|text| text.names()) else {
            return Ok(Piece::default());
        };
        let after = match from {
            At::Name(name) => Some(*name),
            _ => None,
        };
        let range = NameRange { low, high, after, count: want as u64 };
        let rows = self.node.store.claims_from(range).await?;
        let full = rows.len() == want;
        let last = rows.last().map(|(name, _)| Cursor(Phase::Dids, At::Name(*name)));
        let looked = rows.len() as u64;
        let proposed = rows
            .into_iter()
            .map(|(name, number)| (number, name, Cursor(Phase::Dids, At::Name(name))));
        Ok(Piece { candidates: self.live(proposed), next: last.filter(|_| full), looked })
    }

    pub(super) async fn by_key(&self, from: &At, want: usize) -> Result<Piece, Problem> {
        let Some(text) = &self.query.text else { return Ok(Piece::default()) };
        let (Some(first), Some(last)) = (text.keys.first(), text.keys.last()) else {
            return Ok(Piece::default());
        };
        let (Some(low), Some(high)) = (head(&first.low), head(&last.high)) else {
            return Ok(Piece::default());
        };
        let after = match from {
            At::Key(head, name) => Some((*head, *name)),
            _ => None,
        };
        let mut keys = match self.node.console.index() {
            Some(index) => {
                let keys = index.keys_from((low, high), after, want as u64).await;
                self.node.console.said(&self.node.folder, keys).unwrap_or_default()
            }
            None => Vec::new(),
        };
        let full = keys.len() == want;
        let next = keys.last().map(|(head, name)| Cursor(Phase::Keys, At::Key(*head, *name)));
        if let (Some(whole), None) = (&text.whole, after) {
            // A whole key leads to its device by itself, or by the record that says whose it is.
            let state = self.published.chain.state();
            let holder = state.read::<Did>(StateKey::of_key(whole))?;
            let names = [Some(Claim::of_key(whole)), holder.as_ref().map(Claim::of_did)];
            keys.extend(names.into_iter().flatten().map(|name| (low, name)));
            keys.sort_unstable();
            keys.dedup();
        }
        let names = keys.iter().map(|(_, name)| *name).collect();
        let numbers = self.node.store.claims_of(names).await?;
        let looked = keys.len() as u64;
        let proposed = keys.into_iter().filter_map(|(head, name)| {
            Some((*numbers.get(&name)?, name, Cursor(Phase::Keys, At::Key(head, name))))
        });
        Ok(Piece { candidates: self.live(proposed), next: next.filter(|_| full), looked })
    }

    /// Of devices by the number of their batch or upload, those in batches that may belong to the
    /// search.
    fn live(&self, proposed: impl Iterator<Item = (u64, Claim, Cursor)>) -> Vec<Candidate> {
        let roster = self.node.console.roster();
        let which = &self.query.which;
        let candidate = |(number, name, at): (u64, Claim, Cursor)| {
            let entry = roster.place_of(number)?;
            let batch = roster.at(entry).filter(|batch| which.admits(batch))?;
            let stands = which.state.is_none_or(|state| batch.status_of(&name) == state);
            stands.then_some(Candidate { entry, name, leaf: None, at })
        };
        proposed.filter_map(candidate).collect()
    }
}
