//! Leaves for other nodes.

use crate::Error;
use crate::claims::Claim;
use crate::node::{Node, locked};
use crate::tiles;
use muster_ledger::{BatchId, Bundle, View as _, limits};

/// Where the leaves of a batch are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// Number of the upload or batch.
    number: u64,
    count: u64,
}

impl Node {
    /// A bundle of an announced batch that is ready here, or of one on the ledger.
    pub(crate) async fn serve_bundle(
        &self,
        batch: &BatchId,
        index: u64,
    ) -> Result<Option<Bundle>, Error> {
        let Some(source) = self.source(batch).await? else { return Ok(None) };
        let Source { number, count } = source;
        if index >= Bundle::count(count) {
            return Ok(None);
        }
        let Some(tile) = self.store.tile(number, 0, index).await? else { return Ok(None) };
        // From the first leaf of the tile on: behind whatever comes before it.
        let first = u128::from_be_bytes(Claim::of_did(&tile.first).0);
        let after = first.checked_sub(1).map(|before| Claim(before.to_be_bytes()));
        let leaves = self.store.leaves(number, after, limits::BUNDLE_LEAVES).await?;
        let leaves: Vec<_> = leaves.into_iter().map(|staged| staged.leaf).collect();
        let mut path = Vec::new();
        for (level, at, position) in tiles::above(index * limits::BUNDLE_LEAVES, count) {
            let Some(tile) = self.store.tile(number, level, at).await? else { return Ok(None) };
            let part = tile.path(position);
            path.extend(part.ok_or_else(|| Error::damaged("a tile is cut short"))?);
        }
        Ok(Some(Bundle { leaves, path }))
    }

    async fn source(&self, batch: &BatchId) -> Result<Option<Source>, Error> {
        if let Some(flip) = self.mempool.flip(batch) {
            return Ok(Some(Source { number: flip.upload, count: flip.count }));
        }
        let last = *locked(&self.foreign.served);
        if let Some((_, source)) = last.filter(|(id, _)| id == batch) {
            return Ok(Some(source));
        }
        let Some(record) = self.decided().state().batch(batch).map_err(Error::damaged)? else {
            return Ok(None);
        };
        let Some(number) = self.store.batch_numbers().await?.remove(batch) else {
            return Ok(None);
        };
        let source = Source { number, count: record.count };
        // The leaves of a batch on the ledger stay where they are.
        *locked(&self.foreign.served) = Some((*batch, source));
        Ok(Some(source))
    }
}
