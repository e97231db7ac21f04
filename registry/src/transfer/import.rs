use super::export::DIRECTORY;
use super::format::{FORMAT, First, Last, Line, bytes, rows_of};
use super::{Moved, limits};
use crate::claims::Claim;
use crate::deciding::Step;
use crate::folder::{self, Folder};
use crate::recovery::{self, Recovered};
use crate::signed_head::SignedHead;
use crate::store::columns::{fixed, natural};
use crate::store::tables::{self, Rows, Value};
use crate::store::{Flip, Store, StoreUrl};
use crate::tiles::{Tile, TileBuilder};
use crate::{Error, lost, store};
use data_encoding::{BASE64, HEXLOWER};
use muster_identity::cbor::Decode as _;
use muster_identity::sha256;
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{Action, BatchId, Block, Chain, Entry, Genesis, Leaf, LeafFrontier};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::Caller(format!("the file: {what}"))
}

/// Reads a ledger in that [`super::export`] wrote, into a store without one. Everything but the
/// private directory is computed anew from entries and leaves, and both roots must be those that
/// the file names.
pub async fn import(
    dir: &Path,
    url: &StoreUrl,
    genesis: &Genesis,
    file: &Path,
) -> Result<Moved, Error> {
    let last = check(file, genesis)?;
    let folder = Folder::take_for(dir, url).await?;
    let store = store::open(url, &folder, genesis, None).await?;
    let done = read_in(&*store, &folder, genesis, file, &last).await;
    store.close().await;
    folder.release();
    done
}

/// A line, and whether there was one.
fn line_of(file: &mut BufReader<File>, line: &mut Vec<u8>) -> Result<bool, Error> {
    line.clear();
    let read = file.by_ref().take(limits::LINE_BYTES).read_until(b'\n', line);
    match read.map_err(wrong)? {
        0 => Ok(false),
        _ if line.last() == Some(&b'\n') => Ok(true),
        _ => Err(wrong("a line is too long, or the file was cut off")),
    }
}

fn open(file: &Path) -> Result<BufReader<File>, Error> {
    File::open(file).map(BufReader::new).map_err(|e| wrong(format!("{}: {e}", file.display())))
}

/// Reads the whole file once before anything is written: that it is whole, and of this network.
fn check(path: &Path, genesis: &Genesis) -> Result<Last, Error> {
    let (mut file, mut line, mut hash) = (open(path)?, Vec::new(), [0; 32]);
    let mut before = hash;
    let (mut first, mut last) = (None, Vec::new());
    while line_of(&mut file, &mut line)? {
        (before, hash) = (hash, sha256(&[&hash, &line]));
        first.get_or_insert_with(|| line.clone());
        std::mem::swap(&mut last, &mut line);
    }
    let first: First = serde_json::from_slice(&first.unwrap_or_default())
        .map_err(|_| wrong("it is no ledger that `muster ledger export --whole` wrote"))?;
    if first.muster != "ledger" || first.format != FORMAT {
        return Err(wrong(format!("format {}, this muster reads {FORMAT}", first.format)));
    }
    if first.network != genesis.network().to_string() {
        return Err(wrong(format!(
            "it is of network {}; give the genesis file of that network",
            first.network
        )));
    }
    let last: Last = serde_json::from_slice(&last).map_err(|_| wrong("it was cut off"))?;
    if last.sha256 == HEXLOWER.encode(&before) {
        Ok(last)
    } else {
        Err(wrong("it was damaged on its way: its hash is another one"))
    }
}

/// What is refused to be written over.
async fn check_empty(store: &dyn Store) -> Result<(), Error> {
    if !store.entries(0, 1).await?.is_empty() {
        return Err(Error::operator(
            "there is a ledger already",
            "import into a new folder, or into a database of its own",
        ));
    }
    for table in DIRECTORY.iter().chain([&&tables::LEAVES, &&tables::UPLOADS]) {
        if !store.rows(table, None, 1).await?.is_empty() {
            return Err(Error::operator(
                format!("the store is not empty: its table `{}` has rows", table.name),
                "an import was broken off, or a node ran: remove ledger.db and directory.db, or \
                 drop the database, and begin again",
            ));
        }
    }
    Ok(())
}

async fn read_in(
    store: &dyn Store,
    folder: &Folder,
    genesis: &Genesis,
    path: &Path,
    last: &Last,
) -> Result<Moved, Error> {
    check_empty(store).await?;
    let (mut file, mut line) = (open(path)?, Vec::new());
    line_of(&mut file, &mut line)?;
    let mut reading = Reading::new(store, genesis);
    while line_of(&mut file, &mut line)? {
        match serde_json::from_slice(&line) {
            Ok(Line::Table(name, rows)) => reading.table(&name, rows).await?,
            Ok(Line::Entries(entries)) => reading.entries(&entries).await?,
            // The last line is of another shape, and was read before.
            Err(_) => break,
        }
    }
    reading.finish().await?;
    store.pass_numbers().await?;
    // By the code that opens a ledger: what was written down is what the entries give.
    let recovered = recovery::recover(store, genesis).await?;
    let moved = Moved {
        size: recovered.log.size(),
        devices: reading.devices,
        log_root: recovered.log.root(),
        state_root: recovered.chain.state().root(),
        uploads: 0,
        lost: lost::find(store, &recovered.chain).await?.len() as u64,
    };
    let found = (moved.size, moved.devices, moved.log_root, moved.state_root);
    let root = |text: &str| fixed::<32>(&bytes(text)?);
    if found != (last.entries, last.devices, root(&last.log_root)?, root(&last.state_root)?) {
        return Err(wrong(format!(
            "its operations give log root {} and state root {}, and it says {} and {}",
            BASE64.encode(&moved.log_root),
            BASE64.encode(&moved.state_root),
            last.log_root,
            last.state_root
        )));
    }
    let signed = SignedHead::read(folder.file(folder::SIGNED_HEAD))?;
    if signed.last().is_some() {
        recovery::check_signed(&signed, &recovered, None)?;
    }
    Ok(moved)
}

/// A batch whose leaves are coming in.
#[derive(Default)]
struct Coming {
    tree: LeafFrontier,
    builder: TileBuilder,
    tiles: Vec<Tile>,
    written: bool,
}

struct Reading<'a> {
    store: &'a dyn Store,
    genesis: &'a Genesis,
    recovered: Recovered,
    /// Numbers of batches.
    batches: BTreeMap<BatchId, i64>,
    /// Those whose leaves are there: count and root.
    sealed: BTreeMap<i64, (u64, [u8; 32])>,
    coming: Option<(i64, Coming)>,
    /// Entries of a block that may go on.
    pending: Vec<Entry>,
    devices: u64,
}

impl<'a> Reading<'a> {
    fn new(store: &'a dyn Store, genesis: &'a Genesis) -> Self {
        Self {
            store,
            genesis,
            recovered: Recovered { chain: Chain::new(genesis), log: Tree::default() },
            batches: BTreeMap::new(),
            sealed: BTreeMap::new(),
            coming: None,
            pending: Vec::new(),
            devices: 0,
        }
    }

    async fn table(&mut self, name: &str, told: Vec<Vec<serde_json::Value>>) -> Result<(), Error> {
        if let Some(table) = DIRECTORY.iter().find(|table| table.name == name) {
            return self.store.put_rows(table, rows_of(table, told)?).await;
        }
        match name {
            "batches" => {
                for row in rows_of(&tables::BATCHES, told)? {
                    let [Value::Number(number), Value::Bytes(id)] = &row[..] else {
                        return Err(wrong("a row of `batches` is not one"));
                    };
                    self.batches.insert(BatchId(fixed(id)?), *number);
                }
                Ok(())
            }
            "leaves" => self.leaves(rows_of(&tables::LEAVES, told)?).await,
            _ => Err(wrong(format!("it has a table `{name}` that this muster does not know"))),
        }
    }

    /// Leaves come batch by batch, in the order of names.
    async fn leaves(&mut self, rows: Rows) -> Result<(), Error> {
        let Some(Value::Number(number)) = rows.first().and_then(|row| row.first()) else {
            return Err(wrong("a row of `leaves` is not one"));
        };
        let number = *number;
        if self.coming.as_ref().is_none_or(|(coming, _)| *coming != number) {
            self.seal().await?;
            self.begin(number).await?;
        }
        let Some((_, coming)) = &mut self.coming else { return Ok(()) };
        let mut claims = BTreeSet::new();
        for row in &rows {
            let [Value::Number(of), Value::Bytes(name), Value::Bytes(leaf)] = &row[..] else {
                return Err(wrong("a row of `leaves` is not one"));
            };
            let read = Leaf::from_cbor(leaf).map_err(wrong)?;
            let (did, hash) = (read.did(), leaf_hash(leaf));
            let (own, key) = Claim::of_inception(&did, &read.inception);
            if *of != number || name.as_slice() != own.0 {
                return Err(wrong("a leaf stands in another device's place"));
            }
            claims.extend([own].into_iter().chain(key));
            coming.tree.push_hash(&did, hash).map_err(wrong)?;
            coming.tiles.extend(coming.builder.push(&did, hash));
        }
        self.devices += rows.len() as u64;
        let claim = |claim: Claim| vec![Value::Bytes(claim.0.to_vec()), Value::Number(number)];
        self.store.put_rows(&tables::CLAIMS, claims.into_iter().map(claim).collect()).await?;
        self.store.put_rows(&tables::LEAVES, rows).await?;
        self.write_tiles(limits::TILES).await
    }

    /// A batch comes in as an upload, which its entry makes a batch as it does in a running node.
    async fn begin(&mut self, number: i64) -> Result<(), Error> {
        let known = self.batches.iter().find(|(_, known)| **known == number);
        let Some((batch, _)) = known else {
            return Err(wrong("leaves of a batch that it does not name"));
        };
        let zero = || Value::Number(0);
        let row = vec![
            Value::Number(number),
            Value::Bytes(sha256(&[&batch.0]).to_vec()),
            Value::Bytes(self.genesis.organisation_did().digest().to_vec()),
            Value::Bytes(batch.0.to_vec()),
            Value::Text(String::new()),
            zero(),
            zero(),
            zero(),
            zero(),
            zero(),
            zero(),
            zero(),
            Value::None,
            Value::None,
        ];
        self.store.put_rows(&tables::UPLOADS, vec![row]).await?;
        self.coming = Some((number, Coming::default()));
        Ok(())
    }

    /// Writes tiles, if there are as many.
    async fn write_tiles(&mut self, at_least: usize) -> Result<(), Error> {
        let Some((number, coming)) = &mut self.coming else { return Ok(()) };
        if coming.tiles.len() < at_least {
            return Ok(());
        }
        let (tiles, anew) = (std::mem::take(&mut coming.tiles), !coming.written);
        coming.written = true;
        let upload = natural(*number)?;
        match self.store.write_tiles(upload, tiles, anew).await? {
            true => Ok(()),
            false => Err(Error::Us("an upload went while it was read in".into())),
        }
    }

    /// Ends the batch whose leaves came.
    async fn seal(&mut self) -> Result<(), Error> {
        let Some((_, coming)) = &mut self.coming else { return Ok(()) };
        coming.tiles.extend(std::mem::take(&mut coming.builder).finish());
        self.write_tiles(0).await?;
        let Some((number, coming)) = self.coming.take() else { return Ok(()) };
        let (count, root) = (coming.tree.size(), coming.tree.root());
        let upload = natural(number)?;
        if !self.store.seal(upload, 0, count, root).await? {
            return Err(Error::Us("an upload changed while it was read in".into()));
        }
        self.sealed.insert(number, (count, root));
        Ok(())
    }

    async fn entries(&mut self, told: &[String]) -> Result<(), Error> {
        self.seal().await?;
        for text in told {
            let entry = Entry::from_cbor(&bytes(text)?).map_err(wrong)?;
            if self.pending.last().is_some_and(|last| last.height != entry.height) {
                self.block().await?;
            }
            self.pending.push(entry);
        }
        Ok(())
    }

    /// Commits the block whose entries came.
    async fn block(&mut self) -> Result<(), Error> {
        for block in Block::from_entries(std::mem::take(&mut self.pending)).map_err(wrong)? {
            let unknown = std::iter::repeat_n(None, block.operations.len());
            let step = Step::new(self.recovered.chain.clone(), block, unknown).map_err(wrong)?;
            let mut flips = Vec::new();
            for verified in &step.verified {
                let Action::Enrol(enrol) = &verified.operation().action else { continue };
                let batch = enrol.batch(&self.genesis.network());
                // A batch whose leaves were lost has neither number nor leaves.
                let Some(number) = self.batches.remove(&batch) else { continue };
                let (count, root) = (enrol.count, enrol.root);
                if self.sealed.remove(&number) != Some((count, root)) {
                    return Err(wrong(format!("the leaves of batch {batch} are not its own")));
                }
                let upload = natural(number)?;
                flips.push(Flip { upload, batch, count, root });
            }
            recovery::write_step(self.store, &mut self.recovered, step, flips).await?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.seal().await?;
        self.block().await?;
        match self.batches.first_key_value() {
            None => Ok(()),
            Some((batch, _)) => Err(wrong(format!("no operation enrolled batch {batch}"))),
        }
    }
}
