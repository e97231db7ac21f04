//! Sealing: serial numbers are entered in the directory, root and tiles are computed. From then on
//! nothing of the upload changes but by whoever takes rows out of it, which unseals it.

use super::unknown;
use super::warm::Kept;
use crate::Error;
use crate::node::Node;
use crate::store::{Serial, Upload};
use crate::tiles::{Tile, TileBuilder};
use data_encoding::HEXLOWER;
use muster_api::{Problem, RowVerdict, Sealed, limits};
use muster_identity::Did;
use muster_ledger::merkle::{Hash, leaf_hash};
use muster_ledger::{Leaf, LeafFrontier};

/// Leaves read at once when an upload is sealed, and tiles written at once.
const SEAL_PAGE: u64 = 4_096;
const TILE_PAGE: usize = 64;

/// The leaf tree of an upload in the making.
#[derive(Default)]
struct Tiling {
    tree: LeafFrontier,
    builder: TileBuilder,
    /// Not written yet.
    tiles: Vec<Tile>,
    /// Whether any was.
    written: bool,
}

impl Tiling {
    fn push(&mut self, did: &Did, hash: Hash) -> Result<(), Problem> {
        let pushed = self.tree.push_hash(did, hash);
        pushed.map_err(|e| Problem::new(409, "leaves", e.to_string()))?;
        self.tiles.extend(self.builder.push(did, hash));
        Ok(())
    }
}

/// Serial numbers in their own order.
async fn sorted(mut serials: Vec<Serial>) -> Result<Vec<Serial>, Problem> {
    let sorted = tokio::task::spawn_blocking(move || {
        serials.sort_unstable();
        serials
    });
    Ok(sorted.await.map_err(|e| Error::Us(e.to_string()))?)
}

impl Node {
    /// Enters an upload's serial numbers in the directory, and computes its root and the tiles of
    /// its leaf tree. Rows whose serial number another device has leave the upload; it is sealed
    /// only by an answer without such rows.
    pub(crate) async fn seal(&self, upload: &str) -> Result<Sealed, Problem> {
        let _one = self.sealing.lock().await;
        let found = self.upload(upload).await?;
        if let Some((count, root)) = found.sealed {
            self.bring_back(&found, count, root).await?;
            return Ok(Sealed { count, root: HEXLOWER.encode(&root), refused: Vec::new() });
        }
        if let Some(kept) = self.warm.take(found.number, found.version)
            && let Some(sealed) = self.seal_warm(&found, kept).await?
        {
            return Ok(sealed);
        }
        let refused = self.enter_serials(found.number).await?;
        if !refused.is_empty() {
            return Ok(Sealed { count: 0, root: String::new(), refused });
        }
        // `found` is as it was before: a row that came since is not among those serial numbers,
        // and whoever brought it hears that the upload changed.
        let tiling = self.tile_all(&found).await?;
        self.finish_seal(&found, tiling).await
    }

    /// Seals leaves that another node brought.
    pub(crate) async fn seal_leaves(&self, found: &Upload) -> Result<(u64, Hash), Problem> {
        let tiling = self.tile_all(found).await?;
        self.close(found, tiling).await
    }

    /// Reads all leaves of an upload, and writes tiles as they fill.
    async fn tile_all(&self, found: &Upload) -> Result<Tiling, Problem> {
        let mut tiling = Tiling::default();
        let mut after = None;
        loop {
            let leaves = self.store.leaves(found.number, after, SEAL_PAGE).await?;
            let Some(last) = leaves.last() else { break };
            after = Some(last.name);
            for leaf in &leaves {
                let did = Leaf::did_in(&leaf.leaf).map_err(Error::damaged)?;
                tiling.push(&did, leaf_hash(&leaf.leaf))?;
            }
            self.write_tiles(found.number, &mut tiling, TILE_PAGE).await?;
        }
        Ok(tiling)
    }

    /// Seals from what was kept while the rows came; none: something stands in the way.
    async fn seal_warm(&self, found: &Upload, mut kept: Kept) -> Result<Option<Sealed>, Problem> {
        let Some(leaves) = kept.leaves() else { return Ok(None) };
        let serials = std::mem::take(&mut kept.serials);
        if !self.enter_new(found.number, serials).await? {
            return Ok(None);
        }
        let tiled = tokio::task::spawn_blocking(move || {
            let mut tiling = Tiling::default();
            for (did, hash) in leaves {
                tiling.push(&did, hash)?;
            }
            Ok::<_, Problem>(tiling)
        });
        let mut tiling = tiled.await.map_err(|e| Error::Us(e.to_string()))??;
        self.write_tiles(found.number, &mut tiling, TILE_PAGE).await?;
        self.finish_seal(found, tiling).await.map(Some)
    }

    /// Writes tiles, a page at a time, as long as there are as many as a page.
    async fn write_tiles(
        &self,
        upload: u64,
        tiling: &mut Tiling,
        at_least: usize,
    ) -> Result<(), Problem> {
        while tiling.tiles.len() >= at_least.max(1) {
            let rest = tiling.tiles.split_off(tiling.tiles.len().min(TILE_PAGE));
            let page = std::mem::replace(&mut tiling.tiles, rest);
            let anew = !std::mem::replace(&mut tiling.written, true);
            if !self.store.write_tiles(upload, page, anew).await? {
                return Err(unknown());
            }
        }
        Ok(())
    }

    async fn finish_seal(&self, found: &Upload, tiling: Tiling) -> Result<Sealed, Problem> {
        let (count, root) = self.close(found, tiling).await?;
        self.bring_back(found, count, root).await?;
        Ok(Sealed { count, root: HEXLOWER.encode(&root), refused: Vec::new() })
    }

    async fn close(&self, found: &Upload, mut tiling: Tiling) -> Result<(u64, Hash), Problem> {
        let (count, root) = (tiling.tree.size(), tiling.tree.root());
        if count == 0 {
            return Err(Problem::new(409, "leaves", "nothing is staged, so there is no batch"));
        }
        tiling.tiles.extend(std::mem::take(&mut tiling.builder).finish());
        self.write_tiles(found.number, &mut tiling, 1).await?;
        if self.store.seal(found.number, found.version, count, root).await? {
            Ok((count, root))
        } else {
            Err(Problem::new(409, "changed", "rows were staged while the upload was sealed")
                .cure("seal it again when all rows are in"))
        }
    }

    /// Enters the serial numbers of an upload in their own order; gives the rows that left it
    /// because another device has theirs.
    async fn enter_serials(&self, upload: u64) -> Result<Vec<RowVerdict>, Problem> {
        let mut serials = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.serials(upload, after, SEAL_PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (name, serial) in page {
                let (serial, row) = serial.ok_or_else(|| {
                    Problem::new(409, "lost", "serial numbers were lost in a power failure")
                        .cure("send the rows again, by a new upload")
                })?;
                serials.push(Serial { serial, row, name });
            }
        }
        let mut serials = sorted(serials).await?.into_iter();
        let mut refused = Vec::new();
        while refused.len() < limits::SEAL_REFUSALS {
            let page: Vec<Serial> = serials.by_ref().take(SEAL_PAGE as usize).collect();
            if page.is_empty() {
                break;
            }
            let turn = self.staging.acquire().await;
            let _turn = turn.map_err(|e| Error::Us(e.to_string()))?;
            let bench = self.bench()?;
            let settle = Box::new(move |clashes: &_| bench.settle(clashes));
            let entered = self.store.enter_serials(upload, page, settle).await;
            refused.extend(entered.inspect_err(|_| self.warm.clear())?);
        }
        Ok(refused)
    }

    /// Enters serial numbers that nobody has; false: somebody has some, which the seal settles.
    pub(super) async fn enter_new(
        &self,
        upload: u64,
        serials: Vec<Serial>,
    ) -> Result<bool, Problem> {
        let mut clear = true;
        let mut serials = sorted(serials).await?.into_iter();
        loop {
            let page: Vec<Serial> = serials.by_ref().take(SEAL_PAGE as usize).collect();
            if page.is_empty() {
                return Ok(clear);
            }
            let turn = self.staging.acquire().await;
            let _turn = turn.map_err(|e| Error::Us(e.to_string()))?;
            clear &= self.store.enter_new(upload, page).await?;
        }
    }
}
