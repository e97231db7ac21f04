//! The ledger in a database of a PostgreSQL server, in two schemas: `ledger` and `directory`. One
//! connection writes and holds the database for this node, a few read. A commit is durable before
//! it returns: a server whose `fsync` or `synchronous_commit` is off is refused.

mod commit;
mod fault;
mod gateways;
mod limits;
mod line;
mod link;
mod lots;
mod migrations;
mod notes;
mod reading;
mod rows;
mod sealing;
mod search;
mod snapshot;
mod staging;
mod text;
mod uploads;
mod writer;

use super::tables::{self, Table, Value};
use super::{
    Answer, Asked, BlockRow, CheckedRow, Commit, DirectoryRow, Flip, GatewayHour, GatewayRow,
    GatewaysSave, Judge, LeafRow, ListedLeaf, LotDevices, LotGroup, NameRange, NewUpload, Noted,
    Opened, Private, SeenBy, SeenOf, Serial, SerialFound, SerialOf, SerialRange, ServerUrl, Settle,
    Sighting, Staged, StagedLeaf, Store, Upload, WhichLots,
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
pub(crate) use snapshot::Snapshot;
use sqlx::PgConnection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use writer::Writer;

/// A ledger in a database server.
pub(crate) struct Postgres {
    writer: Writer,
    readers: PgPool,
}

impl Postgres {
    /// Opens the database, and makes the tables for a new network.
    pub(crate) async fn open(url: &ServerUrl, genesis: &Genesis) -> Result<Self, Error> {
        let options = link::options(url)?;
        let opened = async {
            let mut connection = link::connect_alone(&options).await?;
            link::check_server(&mut connection).await?;
            let opened = prepare(&mut connection, genesis).await?;
            Ok((connection, opened))
        };
        let (connection, opened) = opened.await.map_err(|error| match error {
            Error::Away(text) => Error::Away(format!("{url}: {text}")),
            error => error,
        })?;
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let readers = PgPoolOptions::new()
            .max_connections(limits::READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(limits::READER)
            .connect_lazy_with(reading);
        Ok(Self { writer: Writer::new(options, connection, opened), readers })
    }
}

/// Migrations, the tables of a new network, and a look whether they are this network's, in one
/// transaction; how often the database was opened.
async fn prepare(connection: &mut PgConnection, genesis: &Genesis) -> Result<i64, Error> {
    const OPENED: &str = "UPDATE turn SET opened = opened + 1 RETURNING opened";
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.map_err(fault)?;
    migrations::migrate(connection).await?;
    create(connection, genesis).await?;
    let opened = sqlx::query_scalar(OPENED).fetch_one(&mut *connection).await.map_err(fault)?;
    sqlx::raw_sql("COMMIT").execute(connection).await.map_err(fault)?;
    Ok(opened)
}

/// What the table `meta` says of a network.
pub(crate) fn meta(genesis: &Genesis) -> [(&'static str, Vec<u8>); 2] {
    [("genesis", genesis.to_cbor()), ("network", genesis.network().0.to_vec())]
}

/// Writes what the genesis says if nothing is there; otherwise looks whether it is that network.
async fn create(connection: &mut PgConnection, genesis: &Genesis) -> Result<(), Error> {
    let meta = meta(genesis);
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT key, value FROM meta ORDER BY key")
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    if !rows.is_empty() {
        let same = rows
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .eq(meta.iter().map(|(key, value)| (*key, value)));
        return if same {
            Ok(())
        } else {
            Err(Error::operator(
                "the database belongs to another network",
                "give the genesis file of the network, or a database of its own",
            ))
        };
    }
    for (key, value) in meta {
        sqlx::query("INSERT INTO meta VALUES ($1, $2)")
            .bind(key)
            .bind(value)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    let state = genesis.state();
    let records: Vec<(Vec<u8>, Vec<u8>)> =
        state.iter().map(|(key, value)| (key.to_bytes(), value.to_vec())).collect();
    let keys: Vec<Claim> = state.iter().filter_map(|(key, _)| Claim::of_record(&key)).collect();
    commit::write_records(connection, records.iter().map(|(key, value)| (&key[..], &value[..])))
        .await?;
    commit::write_keys(connection, &keys).await
}

impl Store for Postgres {
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

    fn closing(&self) {
        self.writer.closing();
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.readers.close().await;
            self.writer.close().await;
        })
    }
}
