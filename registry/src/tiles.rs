//! The hashes of a batch's leaf tree, kept so that a device part needs no scan: the tiles of
//! C2SP tlog-tiles (256 hashes, eight levels of the tree each), with one addition. The hash of
//! an unfinished last subtree stands at the end of the row above, so a path is read from one
//! tile of each row: three for a million devices.

use muster_identity::Did;
use muster_ledger::merkle::{Hash, Tree};

/// Hashes in a tile.
pub(crate) const WIDTH: usize = 256;

/// One tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Row, from the leaves upwards.
    pub(crate) level: u64,
    /// Place in the row.
    pub(crate) index: u64,
    /// DID of its first leaf.
    pub(crate) first: Did,
    /// Its hashes, 32 bytes each.
    pub(crate) hashes: Vec<u8>,
}

impl Tile {
    fn new(level: u64, index: usize, first: Did, hashes: &[Hash]) -> Self {
        Self { level, index: index as u64, first, hashes: hashes.as_flattened().to_vec() }
    }

    /// The root over its hashes, which is the entry of the row above.
    fn root(&self) -> Hash {
        self.tree().root()
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        self.hashes.as_chunks::<32>().0.iter().for_each(|hash| tree.push(*hash));
        tree
    }

    /// Where a hash stands in it.
    pub(crate) fn position(&self, hash: &Hash) -> Option<u64> {
        self.hashes.as_chunks::<32>().0.iter().position(|h| h == hash).map(|p| p as u64)
    }

    /// The part of an inclusion path that this tile gives.
    pub(crate) fn path(&self, position: u64) -> Option<Vec<Hash>> {
        let tree = self.tree();
        tree.inclusion(position, tree.size())
    }
}

/// Builds the tiles of one batch, leaf by leaf; only the upper rows stay in memory.
#[derive(Debug, Default)]
pub(crate) struct TileBuilder {
    leaves: Vec<Hash>,
    first: Option<Did>,
    done: usize,
    /// Roots of finished tiles of the lowest row, with the DIDs they begin with.
    roots: Vec<(Did, Hash)>,
}

impl TileBuilder {
    /// Adds the next leaf's hash; gives a tile back when one is full.
    pub(crate) fn push(&mut self, did: &Did, hash: Hash) -> Option<Tile> {
        self.first.get_or_insert(*did);
        self.leaves.push(hash);
        if self.leaves.len() == WIDTH { self.cut() } else { None }
    }

    fn cut(&mut self) -> Option<Tile> {
        let first = self.first.take()?;
        let tile = Tile::new(0, self.done, first, &self.leaves);
        self.leaves.clear();
        self.done += 1;
        self.roots.push((first, tile.root()));
        Some(tile)
    }

    /// The last tile of the lowest row, and the rows above it.
    pub(crate) fn finish(mut self) -> Vec<Tile> {
        let mut tiles: Vec<Tile> = self.cut().into_iter().collect();
        let (mut row, mut level) = (self.roots, 0);
        while row.len() > 1 {
            level += 1;
            let mut above = Vec::new();
            for (index, part) in row.chunks(WIDTH).enumerate() {
                let hashes: Vec<Hash> = part.iter().map(|(_, hash)| *hash).collect();
                let tile = Tile::new(level, index, part[0].0, &hashes);
                above.push((tile.first, tile.root()));
                tiles.push(tile);
            }
            row = above;
        }
        tiles
    }
}

/// Row and place of the tiles above the lowest row that a leaf's path goes through.
pub(crate) fn above(index: u64, count: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let width = WIDTH as u64;
    let mut place = (index / width, count.div_ceil(width), 0);
    std::iter::from_fn(move || {
        let (at, len, level) = place;
        if len <= 1 {
            return None;
        }
        place = (at / width, len.div_ceil(width), level + 1);
        Some((level + 1, at / width, at % width))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_ledger::merkle::{leaf_hash, root_from_path};

    #[test]
    fn paths_from_tiles_are_those_of_the_tree() {
        for count in [1_u64, 2, 255, 256, 257, 511, 513, 1_000, 65_536, 65_537, 66_000] {
            let (mut tree, mut builder, mut tiles) =
                (Tree::default(), TileBuilder::default(), Vec::new());
            for i in 0..count {
                let hash = leaf_hash(&i.to_be_bytes());
                tree.push(hash);
                tiles.extend(builder.push(&Did::from_digest([i as u8; 32]), hash));
            }
            tiles.extend(builder.finish());
            let tile = |level, index| {
                tiles.iter().find(|t| t.level == level && t.index == index).expect("a tile")
            };
            for index in [0, count / 3, count / 2, count - 1] {
                let mut path = tile(0, index / 256).path(index % 256).expect("a path");
                for (level, at, position) in above(index, count) {
                    path.extend(tile(level, at).path(position).expect("a path"));
                }
                assert_eq!(Some(&path), tree.inclusion(index, count).as_ref());
                let hash = leaf_hash(&index.to_be_bytes());
                assert_eq!(root_from_path(hash, index, count, &path), Ok(tree.root()));
            }
        }
    }
}
