//! The ledger in SQLite: one connection writes, a few read, in WAL mode, so that readers never
//! wait. A commit is durable before it returns (`synchronous = FULL`).

mod bulk;
mod commit;
mod copying;
mod fault;
mod gateways;
mod index;
mod line;
mod lots;
mod notes;
mod reading;
mod rows;
mod schema;
mod sealing;
mod search;
mod snapshot;
mod staging;
mod upgrade;
mod uploads;

pub(crate) use copying::copy_file;
pub(crate) use index::{Further, Index, LOT_NAMES, LogHour, LotNames, LotSize};
pub(crate) use schema::FORMAT;
pub(crate) use snapshot::{Snapshot, declared_by_us};
pub(crate) use upgrade::upgrade;

use super::tables::{self, Table, Value};
use super::{
    Answer, Asked, BlockRow, CheckedRow, Commit, DirectoryRow, Flip, GatewayHour, GatewayRow,
    GatewaysSave, Judge, LeafRow, ListedLeaf, LotDevices, LotGroup, NameRange, NewUpload, Noted,
    Opened, Private, SeenBy, SeenOf, Serial, SerialFound, SerialOf, SerialRange, Settle, Sighting,
    Staged, StagedLeaf, Store, Upload, WhichLots,
};
use crate::Act;
use crate::Error;
use crate::claims::Claim;
use crate::counters::Counters;
use crate::tiles::Tile;
use fault::fault;
use muster_api::{BoxFuture, LineRecord, Problem, RowVerdict};
use muster_identity::Did;
use muster_identity::cbor::Encode as _;
use muster_ledger::{BatchId, Genesis};
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Connections that read.
const READERS: u32 = 4;

/// How long a statement may wait for a connection: longer than any transaction takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A ledger in SQLite.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// Pages that a connection keeps of each file, in KiB: the index of serial numbers is written in
/// its own order, everything else in that of names, so few are ever read again.
const CACHE_KIB: i64 = 16 << 10;

/// The same of a connection that only reads. There are several, and what they read again the
/// system has in its own cache.
const READER_CACHE_KIB: i64 = 2 << 10;

/// Pages of the write-ahead log before it is copied into its file (32 MiB): each copy flushes two
/// files, and pages that change again meanwhile are copied once.
const CHECKPOINT_PAGES: u32 = 8_192;

/// The directory is the main file: SQLite commits a transaction over both files to it first, so
/// that whatever ends the process while rows are added leaves a serial number without its leaf,
/// which holds nobody up. While rows are taken away it may leave a leaf without its serial
/// number, which its seal finds.
fn options(directory: &Path, cache_kib: i64) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("cache_size", format!("-{cache_kib}"))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .disable_statement_logging()
}

/// A pool whose connections all have the ledger attached.
fn pool(
    connections: u32,
    ledger: PathBuf,
    cache_kib: i64,
    prepare: &'static str,
) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        // SQLite ends a transaction by itself when the disk is full, sqlx does not notice: such
        // a connection is closed and made anew.
        .before_acquire(|connection, _| {
            let sound = !connection.is_in_transaction();
            Box::pin(async move { Ok(sound) })
        })
        .after_connect(move |connection, _| {
            let ledger = ledger.to_string_lossy().into_owned();
            Box::pin(async move {
                sqlx::query("ATTACH DATABASE ? AS ledger")
                    .bind(ledger)
                    .execute(&mut *connection)
                    .await?;
                let cache = format!("PRAGMA ledger.cache_size = -{cache_kib};");
                sqlx::raw_sql(sqlx::AssertSqlSafe(cache)).execute(&mut *connection).await?;
                sqlx::raw_sql(prepare).execute(&mut *connection).await?;
                Ok(())
            })
        })
}

impl Sqlite {
    /// Opens the two files, and creates them for a new network.
    pub(crate) async fn open(
        ledger: &Path,
        directory: &Path,
        genesis: &Genesis,
    ) -> Result<Self, Error> {
        const WRITING: &str = "PRAGMA ledger.journal_mode = WAL; PRAGMA ledger.synchronous = FULL;";
        let writer = pool(1, ledger.into(), CACHE_KIB, WRITING)
            .connect_with(options(directory, CACHE_KIB).create_if_missing(true))
            .await
            .map_err(fault)?;
        create(&writer, genesis).await?;
        check(&writer, genesis).await?;
        let readers = pool(READERS, ledger.into(), READER_CACHE_KIB, "PRAGMA query_only = ON;")
            .connect_with(options(directory, READER_CACHE_KIB))
            .await
            .map_err(fault)?;
        Ok(Self { writer, readers })
    }
}

#[cfg(test)]
impl Sqlite {
    /// Plays a full disk: `ledger.db` may not grow beyond so many pages.
    pub(crate) async fn limit_pages(&self, pages: u32) {
        let sql = format!("PRAGMA ledger.max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.writer).await.expect("a pragma");
    }
}

/// Creates the tables, with what the genesis says, if they are not there.
async fn create(pool: &SqlitePool, genesis: &Genesis) -> Result<(), Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    sqlx::raw_sql(schema::DIRECTORY).execute(&mut *tx).await.map_err(fault)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.sqlite_schema")
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    if tables == 0 {
        sqlx::raw_sql(schema::LEDGER).execute(&mut *tx).await.map_err(fault)?;
        for (key, value) in meta(genesis) {
            sqlx::query("INSERT INTO meta VALUES (?, ?)")
                .bind(key)
                .bind(value)
                .execute(&mut *tx)
                .await
                .map_err(fault)?;
        }
        let state = genesis.state();
        let records = state.iter().map(|(key, value)| (key.to_bytes(), value.into()));
        commit::write_records(&mut tx, &records.collect::<Vec<_>>()).await?;
        for (key, _) in state.iter() {
            if let Some(claim) = Claim::of_record(&key) {
                commit::write_claim(&mut tx, &claim).await?;
            }
        }
    }
    tx.commit().await.map_err(fault)
}

/// What the table `meta` says of a network.
pub(crate) fn meta(genesis: &Genesis) -> [(&'static str, Vec<u8>); 3] {
    [
        ("format", FORMAT.to_vec()),
        ("genesis", genesis.to_cbor()),
        ("network", genesis.network().0.to_vec()),
    ]
}

/// Whether the files are of this format and network.
async fn check(pool: &SqlitePool, genesis: &Genesis) -> Result<(), Error> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT key, value FROM meta").fetch_all(pool).await.map_err(fault)?;
    for (key, expected) in meta(genesis) {
        let value = rows.iter().find(|(k, _)| k == key).map(|(_, value)| value);
        if value == Some(&expected) {
            continue;
        }
        return Err(match key {
            "format" => Error::operator(
                "ledger.db is of another format",
                "use the version of muster that wrote it, or a newer one",
            ),
            _ => Error::operator(
                "ledger.db belongs to another network",
                "give the genesis file of the network, or a folder of its own",
            ),
        });
    }
    Ok(())
}

impl Store for Sqlite {
    fn entries(&self, from: u64, count: u64) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(reading::entries(&self.readers, from, count))
    }

    fn entries_at(&self, places: Vec<u64>) -> Answer<'_, Vec<(u64, Vec<u8>)>> {
        Box::pin(reading::entries_at(&self.readers, places))
    }

    fn blocks(&self, from: u64, count: u64) -> Answer<'_, Vec<BlockRow>> {
        Box::pin(reading::blocks(&self.readers, from, count))
    }

    fn state(&self) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        Box::pin(reading::state(&self.readers))
    }

    fn commit(&self, commits: Vec<Commit>) -> Answer<'_, ()> {
        Box::pin(commit::commit(&self.writer, commits))
    }

    fn claimed(&self, claims: Vec<Claim>) -> Answer<'_, Vec<Claim>> {
        Box::pin(reading::claimed(&self.writer, claims))
    }

    fn leaf(&self, did: Did) -> Answer<'_, Option<LeafRow>> {
        Box::pin(reading::leaf(&self.readers, did))
    }

    fn tile_of(&self, batch: u64, did: Did) -> Answer<'_, Option<Tile>> {
        Box::pin(reading::tile_of(&self.readers, batch, did))
    }

    fn tile(&self, batch: u64, level: u64, index: u64) -> Answer<'_, Option<Tile>> {
        Box::pin(reading::tile(&self.readers, batch, level, index))
    }

    fn touched(&self, subjects: Vec<[u8; 32]>, newest: u64) -> Answer<'_, Vec<u64>> {
        Box::pin(reading::touched(&self.readers, subjects, newest))
    }

    fn directory(&self, did: Did) -> Answer<'_, Option<(Did, DirectoryRow)>> {
        Box::pin(reading::directory(&self.readers, did))
    }

    fn open_upload(&self, new: NewUpload, at_most: u64) -> Answer<'_, Opened> {
        Box::pin(uploads::open(&self.writer, new, at_most))
    }

    fn upload(&self, token: [u8; 32]) -> Answer<'_, Option<Upload>> {
        Box::pin(uploads::by_token(&self.writer, token))
    }

    fn uploads(&self) -> Answer<'_, Vec<Upload>> {
        Box::pin(uploads::all(&self.readers))
    }

    fn stage(
        &self,
        upload: u64,
        rows: Arc<[CheckedRow]>,
        judge: Judge,
    ) -> BoxFuture<'_, Result<Staged, Problem>> {
        Box::pin(staging::stage(&self.writer, upload, rows, judge))
    }

    fn leaves(&self, batch: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<StagedLeaf>> {
        Box::pin(reading::leaves(&self.readers, batch, after, count))
    }

    fn batch_leaves(
        &self,
        batch: BatchId,
        after: Option<Claim>,
        count: u64,
    ) -> Answer<'_, Vec<StagedLeaf>> {
        Box::pin(reading::batch_leaves(&self.readers, batch, after, count))
    }

    fn serials(&self, upload: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<SerialOf>> {
        Box::pin(reading::serials(&self.readers, upload, after, count))
    }

    fn enter_new(&self, upload: u64, serials: Vec<Serial>) -> BoxFuture<'_, Result<bool, Problem>> {
        Box::pin(sealing::enter_new(&self.writer, upload, serials))
    }

    fn enter_serials(
        &self,
        upload: u64,
        serials: Vec<Serial>,
        settle: Settle,
    ) -> BoxFuture<'_, Result<Vec<RowVerdict>, Problem>> {
        Box::pin(sealing::enter(&self.writer, upload, serials, settle))
    }

    fn write_tiles(&self, upload: u64, tiles: Vec<Tile>, anew: bool) -> Answer<'_, bool> {
        Box::pin(uploads::write_tiles(&self.writer, upload, tiles, anew))
    }

    fn seal(&self, upload: u64, version: u64, count: u64, root: [u8; 32]) -> Answer<'_, bool> {
        Box::pin(uploads::seal(&self.writer, upload, version, count, root))
    }

    fn drop_upload(&self, upload: u64) -> Answer<'_, ()> {
        Box::pin(uploads::discard(&self.writer, upload))
    }

    fn note_line(
        &self,
        organisation: Did,
        records: Vec<LineRecord>,
        room: u64,
    ) -> Answer<'_, Option<Noted>> {
        Box::pin(line::note(&self.writer, organisation, records, room))
    }

    fn line_rows(&self, organisation: Did) -> Answer<'_, u64> {
        Box::pin(line::count(&self.readers, organisation))
    }

    fn lots(&self, asked: Asked, count: u64) -> Answer<'_, Vec<(String, String)>> {
        Box::pin(lots::lots(&self.readers, asked, count))
    }

    fn lot_groups(&self, asked: Asked) -> Answer<'_, Vec<LotGroup>> {
        Box::pin(lots::groups(&self.readers, asked))
    }

    fn lot_counts(&self, asked: Asked) -> Answer<'_, Counters> {
        Box::pin(lots::counts(&self.readers, asked))
    }

    fn lot_groups_of(&self, asked: Asked, names: Vec<Claim>) -> Answer<'_, Vec<LotGroup>> {
        Box::pin(lots::groups_of(&self.readers, asked, names))
    }

    fn lot_devices(
        &self,
        asked: Asked,
        which: WhichLots,
        after: String,
        count: u64,
    ) -> Answer<'_, LotDevices> {
        Box::pin(lots::devices(&self.readers, asked, which, after, count))
    }

    fn gateways(&self) -> Answer<'_, Vec<GatewayRow>> {
        Box::pin(gateways::all(&self.readers))
    }

    fn save_gateways(&self, save: GatewaysSave) -> Answer<'_, ()> {
        Box::pin(gateways::save(&self.writer, save))
    }

    fn seen(&self, did: Did) -> Answer<'_, Option<Sighting>> {
        Box::pin(gateways::seen(&self.readers, did))
    }

    fn note(&self, name: &'static str) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(notes::note(&self.readers, name))
    }

    fn keep_note(&self, name: &'static str, body: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(notes::keep(&self.writer, name, body))
    }

    fn add_act(&self, act: Act) -> Answer<'_, ()> {
        Box::pin(notes::add_act(&self.writer, act))
    }

    fn acts(&self, organisation: Did, before: u64, count: u64) -> Answer<'_, Vec<(u64, Act)>> {
        Box::pin(notes::acts(&self.readers, organisation, before, count))
    }

    fn batch_numbers(&self) -> Answer<'_, BTreeMap<BatchId, u64>> {
        Box::pin(search::batch_numbers(&self.readers))
    }

    fn leaves_of(&self, of: Vec<(u64, Claim)>) -> Answer<'_, Vec<StagedLeaf>> {
        Box::pin(search::leaves_of(&self.readers, of))
    }

    fn listed(&self, batch: u64, after: Option<Claim>, count: u64) -> Answer<'_, Vec<ListedLeaf>> {
        Box::pin(search::listed(&self.readers, batch, after, count))
    }

    fn private(&self, organisation: Did, of: Vec<Claim>) -> Answer<'_, Private> {
        Box::pin(search::private(&self.readers, organisation, of))
    }

    fn serials_from(&self, range: SerialRange) -> Answer<'_, Vec<SerialFound>> {
        Box::pin(search::serials_from(&self.readers, range))
    }

    fn claims_from(&self, range: NameRange) -> Answer<'_, Vec<(Claim, u64)>> {
        Box::pin(search::claims_from(&self.readers, range))
    }

    fn claims_of(&self, of: Vec<Claim>) -> Answer<'_, BTreeMap<Claim, u64>> {
        Box::pin(search::claims_of(&self.readers, of))
    }

    fn seen_times(&self, of: Vec<Claim>) -> Answer<'_, BTreeMap<Claim, u64>> {
        Box::pin(search::seen_times(&self.readers, of))
    }

    fn last_touched(&self, of: Vec<[u8; 32]>, size: u64) -> Answer<'_, BTreeMap<[u8; 32], u64>> {
        Box::pin(search::last_touched(&self.readers, of, size))
    }

    fn first_touched(&self, subject: [u8; 32]) -> Answer<'_, Option<u64>> {
        Box::pin(search::first_touched(&self.readers, subject))
    }

    fn touched_below(&self, subject: [u8; 32], below: u64, count: u64) -> Answer<'_, Vec<u64>> {
        Box::pin(search::touched_below(&self.readers, subject, below, count))
    }

    fn seen_by(&self, of: SeenOf, since: (u64, u64)) -> Answer<'_, Vec<SeenBy>> {
        Box::pin(search::seen_by(&self.readers, of, since))
    }

    fn gateway_hours(&self, of: Option<Did>, from: u64, to: u64) -> Answer<'_, Vec<GatewayHour>> {
        Box::pin(search::gateway_hours(&self.readers, of, from, to))
    }

    fn batch_ids(&self) -> Answer<'_, Vec<BatchId>> {
        Box::pin(reading::batch_ids(&self.readers))
    }

    fn flip(&self, flip: Flip) -> Answer<'_, ()> {
        Box::pin(commit::flip_alone(&self.writer, flip))
    }

    fn pass_numbers(&self) -> Answer<'_, ()> {
        Box::pin(uploads::pass_numbers(&self.writer))
    }

    fn rows(
        &self,
        table: &'static Table,
        after: Option<Vec<Value>>,
        count: u64,
    ) -> Answer<'_, tables::Rows> {
        Box::pin(rows::rows(&self.readers, table, after, count))
    }

    fn put_rows(&self, table: &'static Table, rows: tables::Rows) -> Answer<'_, ()> {
        Box::pin(rows::put(&self.writer, table, rows))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.readers.close().await;
            self.writer.close().await;
        })
    }
}
