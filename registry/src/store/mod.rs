//! Where the ledger lies. Everything that knows SQL is in this folder, behind one trait: files of
//! SQLite, or a PostgreSQL server.

pub(crate) mod columns;
mod commit;
mod gateways;
mod line;
mod lots;
mod notes;
mod place;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod rows;
mod search;
pub(crate) mod sqlite;
pub(crate) mod tables;
#[cfg(all(test, feature = "postgres"))]
mod tests;

pub(crate) use gateways::{GatewayRow, GatewaysSave, SeenRow, Sighting, SizeRow};
pub(crate) use lots::{
    Asked, Counted, LineRow, LotDevice, LotDevices, LotGroup, Noted, WhichLots, Word,
};
pub use notes::Act;
#[cfg(not(feature = "postgres"))]
pub(crate) use place::without;
pub use place::{ServerUrl, StoreUrl};
pub(crate) use rows::{
    BlockRow, CheckedRow, Clash, Clashes, Commit, DirectoryRow, Flip, Found, LeafRow, NewUpload,
    Place, Plan, Serial, Settlement, StagedLeaf, Upload,
};

pub(crate) use search::{
    CountedHour, GatewayHour, ListedLeaf, NameRange, Private, SeenBy, SeenOf, SerialFound,
    SerialRange,
};

use crate::Error;
use crate::claims::Claim;
use crate::counters::Counters;
use crate::folder::{DIRECTORY, Folder, LEDGER};
use crate::tiles::Tile;
use muster_api::{BoxFuture, LineRecord, Problem, RowVerdict};
use muster_identity::Did;
use muster_ledger::{BatchId, Genesis, Refusal, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use tables::{Table, Value};

/// What a store answers.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Decides about rows, given what the store found about them.
pub(crate) type Judge = Box<dyn FnOnce(&Found) -> Result<Plan, Problem> + Send>;

/// Decides about serial numbers that two devices have.
pub(crate) type Settle = Box<dyn FnOnce(&Clashes) -> Result<Settlement, Refusal> + Send>;

/// A name, and serial number and row of it if the directory has them.
pub(crate) type SerialOf = (Claim, Option<(String, u64)>);

/// A place for one ledger. Each write is one transaction, durable when it returns, and leaves
/// no trace when it fails.
pub(crate) trait Store: Send + Sync {
    /// Entries from a place on.
    fn entries(&self, from: u64, count: u64) -> Answer<'_, Vec<Vec<u8>>>;

    /// Entries at these places, in ascending order, with their places.
    fn entries_at(&self, places: Vec<u64>) -> Answer<'_, Vec<(u64, Vec<u8>)>>;

    /// Blocks from a height on.
    fn blocks(&self, from: u64, count: u64) -> Answer<'_, Vec<BlockRow>>;

    /// All state records.
    fn state(&self) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>>;

    /// Writes blocks and everything that follows from them, in their order, by one transaction.
    fn commit(&self, commits: Vec<Commit>) -> Answer<'_, ()>;

    /// Which of these are taken already. Waits for writes that are under way.
    fn claimed(&self, claims: Vec<Claim>) -> Answer<'_, Vec<Claim>>;

    /// The leaf of an enrolled device.
    fn leaf(&self, did: Did) -> Answer<'_, Option<LeafRow>>;

    /// The tile of a batch's lowest row in which a DID has its place.
    fn tile_of(&self, batch: u64, did: Did) -> Answer<'_, Option<Tile>>;

    /// A tile.
    fn tile(&self, batch: u64, level: u64, index: u64) -> Answer<'_, Option<Tile>>;

    /// The newest entries that concern any of the subjects, in ascending order.
    fn touched(&self, subjects: Vec<[u8; 32]>, newest: u64) -> Answer<'_, Vec<u64>>;

    /// What the private directory says of a device, and whose row that is.
    fn directory(&self, did: Did) -> Answer<'_, Option<(Did, DirectoryRow)>>;

    /// Opens an upload, unless as many are open as may be.
    fn open_upload(&self, new: NewUpload, at_most: u64) -> Answer<'_, Opened>;

    /// The upload with this token. Waits for writes that are under way.
    fn upload(&self, token: [u8; 32]) -> Answer<'_, Option<Upload>>;

    /// All uploads.
    fn uploads(&self) -> Answer<'_, Vec<Upload>>;

    /// Stages rows as the judge decides, and gives its verdicts back.
    fn stage(
        &self,
        upload: u64,
        rows: Arc<[CheckedRow]>,
        judge: Judge,
    ) -> BoxFuture<'_, Result<Staged, Problem>>;

    /// Leaves of an upload or batch after a name, in the order of names.
    fn leaves(&self, batch: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<StagedLeaf>>;

    /// Leaves of a batch after a name, likewise.
    fn batch_leaves(
        &self,
        batch: BatchId,
        after: Option<Claim>,
        count: u64,
    ) -> Answer<'_, Vec<StagedLeaf>>;

    /// The serial numbers of an upload's leaves, likewise.
    fn serials(&self, upload: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<SerialOf>>;

    /// Enters serial numbers of an upload that nobody has; false: somebody has some of them.
    fn enter_new(&self, upload: u64, serials: Vec<Serial>) -> BoxFuture<'_, Result<bool, Problem>>;

    /// Enters serial numbers of an upload in the directory. Whose a number is that two devices
    /// have, is settled; rows that leave the upload are given back.
    fn enter_serials(
        &self,
        upload: u64,
        serials: Vec<Serial>,
        settle: Settle,
    ) -> BoxFuture<'_, Result<Vec<RowVerdict>, Problem>>;

    /// Writes tiles of an upload; `anew`: in place of all it has. False: the upload has gone.
    fn write_tiles(&self, upload: u64, tiles: Vec<Tile>, anew: bool) -> Answer<'_, bool>;

    /// Seals an upload if nothing was staged since it had this version.
    fn seal(&self, upload: u64, version: u64, count: u64, root: [u8; 32]) -> Answer<'_, bool>;

    /// Throws an upload and everything it staged away, in small transactions; does nothing if it
    /// has gone or become a batch.
    fn drop_upload(&self, upload: u64) -> Answer<'_, ()>;

    /// Notes what the line says of devices; gives the places of records whose device was scrapped
    /// before, and that say otherwise.
    /// None: it would take more further records than there is room for.
    fn note_line(
        &self,
        organisation: Did,
        records: Vec<LineRecord>,
        room: u64,
    ) -> Answer<'_, Option<Noted>>;

    /// Line records that are kept of an organisation.
    fn line_rows(&self, organisation: Did) -> Answer<'_, u64>;

    /// Lots and orders that the line named, ascending, so many at most.
    fn lots(&self, asked: Asked, count: u64) -> Answer<'_, Vec<(String, String)>>;

    /// Their devices, counted by what they have in common.
    fn lot_groups(&self, asked: Asked) -> Answer<'_, Vec<LotGroup>>;

    /// What the counters of the stations tell that counted for them.
    fn lot_counts(&self, asked: Asked) -> Answer<'_, Counters>;

    /// Groups of one for those of these devices that belong to them.
    fn lot_groups_of(&self, asked: Asked, names: Vec<Claim>) -> Answer<'_, Vec<LotGroup>>;

    /// Devices of lots behind a serial number, so many at most.
    fn lot_devices(
        &self,
        asked: Asked,
        which: WhichLots,
        after: String,
        count: u64,
    ) -> Answer<'_, LotDevices>;

    /// All gateways with what they acknowledged.
    fn gateways(&self) -> Answer<'_, Vec<GatewayRow>>;

    /// Writes what changed about gateways.
    fn save_gateways(&self, save: GatewaysSave) -> Answer<'_, ()>;

    /// When a gateway last said that it let a device through, and which.
    fn seen(&self, did: Did) -> Answer<'_, Option<Sighting>>;

    /// A note of the private directory.
    fn note(&self, name: &'static str) -> Answer<'_, Option<Vec<u8>>>;

    /// Writes a note in place of what it was.
    fn keep_note(&self, name: &'static str, body: Vec<u8>) -> Answer<'_, ()>;

    /// Writes an act down behind all others, and forgets the oldest beyond the bound.
    fn add_act(&self, act: Act) -> Answer<'_, ()>;

    /// Acts before a number, newest first.
    fn acts(&self, organisation: Did, before: u64, count: u64) -> Answer<'_, Vec<(u64, Act)>>;

    /// The batches whose leaves are here, and their numbers.
    fn batch_numbers(&self) -> Answer<'_, BTreeMap<BatchId, u64>>;

    /// Leaves by the number of their batch and their name, in any order.
    fn leaves_of(&self, of: Vec<(u64, Claim)>) -> Answer<'_, Vec<StagedLeaf>>;

    /// Leaves of a batch after a name, in the order of names, with their lots.
    fn listed(&self, batch: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<ListedLeaf>>;

    /// What the directory says of those of these devices that are an organisation's.
    fn private(&self, organisation: Did, of: Vec<Claim>) -> Answer<'_, Private>;

    /// Devices by their serial number, in the order of those.
    fn serials_from(&self, range: SerialRange) -> Answer<'_, Vec<SerialFound>>;

    /// What is claimed in the order of names, keys among it, and the number of its batch or upload.
    fn claims_from(&self, range: NameRange) -> Answer<'_, Vec<(Claim, u64)>>;

    /// The number of the batch or upload of each of these claims.
    fn claims_of(&self, of: Vec<Claim>) -> Answer<'_, BTreeMap<Claim, u64>>;

    /// When gateways last saw these devices.
    fn seen_times(&self, of: Vec<Claim>) -> Answer<'_, BTreeMap<Claim, u64>>;

    /// The last entry below a size that concerns each of these subjects.
    fn last_touched(&self, of: Vec<[u8; 32]>, size: u64) -> Answer<'_, BTreeMap<[u8; 32], u64>>;

    /// The first entry that concerns a subject.
    fn first_touched(&self, subject: [u8; 32]) -> Answer<'_, Option<u64>>;

    /// The newest entries below a place that concern a subject, descending.
    fn touched_below(&self, subject: [u8; 32], below: u64, count: u64) -> Answer<'_, Vec<u64>>;

    /// Which gateways saw devices last, and how many since two times.
    fn seen_by(&self, of: SeenOf, since: (u64, u64)) -> Answer<'_, Vec<SeenBy>>;

    /// What all gateways let through and refused, hour by hour.
    fn gateway_hours(&self, of: Option<Did>, from: u64, to: u64) -> Answer<'_, Vec<GatewayHour>>;

    /// The batches whose leaves are here.
    fn batch_ids(&self) -> Answer<'_, Vec<BatchId>>;

    /// Makes a sealed upload a batch that is on the ledger already.
    fn flip(&self, flip: Flip) -> Answer<'_, ()>;

    /// Never gives a number again that anything in the two files goes by, though one of them may
    /// be older than the other.
    fn pass_numbers(&self) -> Answer<'_, ()>;

    /// Rows of a table behind a key, in the order of keys.
    fn rows(
        &self,
        table: &'static Table,
        after: Option<Vec<Value>>,
        count: u64,
    ) -> Answer<'_, tables::Rows>;

    /// Writes rows of a table that are new.
    fn put_rows(&self, table: &'static Table, rows: tables::Rows) -> Answer<'_, ()>;

    /// Whoever waits for a database that is away does so no longer: the node is about to close.
    fn closing(&self) {}

    /// Finishes writes and lets go of all files.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Opens the store of a node, or makes it for a new network. Files of an earlier format are brought
/// up to this one; `now` names the copy that is made of them before.
pub(crate) async fn open(
    url: &StoreUrl,
    folder: &Folder,
    genesis: &Genesis,
    now: Option<Time>,
) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Folder => {
            sqlite::upgrade(folder, now).await?;
            let (ledger, directory) = (folder.file(LEDGER), folder.file(DIRECTORY));
            Ok(Arc::new(sqlite::Sqlite::open(&ledger, &directory, genesis).await?))
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::Postgres::open(url, genesis).await?)),
        #[cfg(not(feature = "postgres"))]
        StoreUrl::Postgres(url) => Err(without(url)),
    }
}

/// What came of staging rows.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) verdicts: Vec<RowVerdict>,
    /// All of them are new to the upload and the ledger.
    pub(crate) anew: bool,
}

/// What came of opening an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is open.
    Yes,
    /// Too many are.
    Full,
    /// The same request opened one before.
    Replayed,
}
