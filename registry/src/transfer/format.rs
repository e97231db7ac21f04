//! The lines of an exported ledger (`docs/formats/store.md`).

use crate::Error;
use crate::store::tables::{Kind, Rows, Table, Value};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What the first line says.
pub(super) const FORMAT: u64 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct First {
    /// Always `ledger`.
    pub(super) muster: String,
    pub(super) format: u64,
    pub(super) network: String,
}

/// Every line between the first and the last.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// Rows of a table.
    Table(String, Vec<Vec<Json>>),
    /// Entries of the log, in their order.
    Entries(Vec<String>),
}

/// The last line: what all others give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) entries: u64,
    pub(super) devices: u64,
    pub(super) log_root: String,
    pub(super) state_root: String,
    /// Of every byte before this line.
    pub(super) sha256: String,
}

/// Rows as they stand in a line: bytes are base64.
pub(super) fn told(rows: Rows) -> Vec<Vec<Json>> {
    let one = |value| match value {
        Value::None => Json::Null,
        Value::Number(number) => Json::from(number),
        Value::Text(text) => Json::String(text),
        Value::Bytes(bytes) => Json::String(BASE64.encode(&bytes)),
    };
    rows.into_iter().map(|row| row.into_iter().map(one).collect()).collect()
}

/// Rows from a line.
pub(super) fn rows_of(table: &Table, told: Vec<Vec<Json>>) -> Result<Rows, Error> {
    let wrong = || Error::Caller(format!("the file: a row of `{}` is not one", table.name));
    let row = |row: Vec<Json>| {
        if row.len() != table.columns.len() {
            return Err(wrong());
        }
        let value = |(value, (_, kind)): (Json, &(&str, Kind))| match (kind, value) {
            (_, Json::Null) => Ok(Value::None),
            (Kind::Number, Json::Number(number)) => {
                number.as_i64().map(Value::Number).ok_or_else(wrong)
            }
            (Kind::Text, Json::String(text)) => Ok(Value::Text(text)),
            (Kind::Bytes, Json::String(text)) => bytes(&text).map(Value::Bytes),
            _ => Err(wrong()),
        };
        row.into_iter().zip(table.columns).map(value).collect()
    };
    told.into_iter().map(row).collect()
}

pub(super) fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(text.as_bytes()).map_err(|_| Error::Caller("the file: not base64".into()))
}
