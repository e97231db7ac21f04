//! Tables of both databases as what they hold, row by row: for moving a ledger from one to the
//! other, and for comparing the two.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Its columns; those of its key come first.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// How many columns its key has.
    pub(crate) key: usize,
    /// Its first column is a number that the database gives if nobody does.
    pub(crate) numbered: bool,
}

/// Rows of a table.
pub(crate) type Rows = Vec<Vec<Value>>;

use Kind::{Bytes as B, Number as N, Text as T};

macro_rules! tables {
    ($($(#[$only:meta])? $constant:ident $name:literal key $key:literal $numbered:literal [$($column:literal $kind:ident),*];)*) => {
        $($(#[$only])? pub(crate) static $constant: Table = Table {
            name: $name,
            columns: &[$(($column, $kind)),*],
            key: $key,
            numbered: $numbered,
        };)*
        /// All of them.
        #[cfg(all(test, feature = "postgres"))]
        pub(crate) static ALL: &[&Table] = &[$(&$constant),*];
    };
}

tables! {
    BATCHES "batches" key 1 false ["no" N, "id" B];
    LEAVES "leaves" key 2 false ["batch" N, "name" B, "leaf" B];
    CLAIMS "claims" key 1 false ["digest" B, "batch" N];
    UPLOADS "uploads" key 1 false [
        "no" N, "token" B, "organisation" B, "grant_id" B, "model" T, "rows" N, "rehearsal" N,
        "opened" N, "expires" N, "active" N, "staged" N, "version" N, "count" N, "root" B];
    #[cfg(all(test, feature = "postgres"))]
    ENTRIES "entries" key 1 false ["idx" N, "entry" B];
    #[cfg(all(test, feature = "postgres"))]
    BLOCKS "blocks" key 1 false ["height" N, "time" N, "size" N, "log_root" B, "state_root" B];
    #[cfg(all(test, feature = "postgres"))]
    STATE "state" key 1 false ["key" B, "value" B];
    #[cfg(all(test, feature = "postgres"))]
    TILES "tiles" key 3 false ["batch" N, "level" N, "idx" N, "first" B, "hashes" B];
    #[cfg(all(test, feature = "postgres"))]
    TOUCHED "touched" key 2 false ["subject" B, "entry" N];
    ORGANISATIONS "organisations" key 1 true ["no" N, "did" B];
    SERIALS "serials" key 1 false [
        "name" B, "organisation" N, "serial" T, "lot" T, "upload" N, "row" N];
    SERIAL_OF "serial_of" key 2 false ["organisation" N, "serial" T, "name" B];
    LINE "line" key 2 false [
        "organisation" N, "serial" T, "lot" T, "ord" T, "station" T, "result" N,
        "counter_before" N, "counter_after" N, "runs" N, "batch" N, "born" N];
    LINE_EARLIER "line_earlier" key 3 false [
        "organisation" N, "serial" T, "run" N, "lot" T, "ord" T, "station" T, "result" N,
        "counter_before" N, "counter_after" N];
    GATEWAYS "gateways" key 1 true [
        "no" N, "organisation" B, "name" T, "registration" T, "heard" T, "heard_at" N, "told" T,
        "told_at" N];
    GATEWAY_SIZES "gateway_sizes" key 2 false [
        "gateway" N, "size" N, "since" N, "stated" N, "received" N];
    SEEN "seen" key 1 false ["name" B, "time" N, "gateway" N];
    GATEWAY_HOURS "gateway_hours" key 2 false ["hour" N, "gateway" N, "allowed" N, "refused" N];
    NOTES "notes" key 1 false ["name" T, "body" B];
    ACTS "acts" key 1 true ["no" N, "time" N, "organisation" B, "who" T, "act" T, "about" T];
}

impl Table {
    /// Its columns, as a statement lists them.
    pub(crate) fn list(&self) -> String {
        let quoted: Vec<String> =
            self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        quoted.join(", ")
    }

    /// Columns of its key.
    pub(crate) fn key_list(&self) -> String {
        let quoted: Vec<String> =
            self.columns.iter().take(self.key).map(|(name, _)| format!("\"{name}\"")).collect();
        quoted.join(", ")
    }
}
