use crate::limits;
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use serde::{Deserialize, Serialize};

/// A piece of the log for a follower: `GET /v1/feed?from=&time=&wait=`.
///
/// CBOR map: 1 place of the first entry, 2 entries (byte strings), 3 the head's note. The note
/// covers the whole log; a follower that got fewer entries asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Place of the first entry.
    pub from: u64,
    /// Entries as they were hashed.
    pub entries: Vec<Vec<u8>>,
    /// The head's note.
    pub checkpoint: String,
}

impl Encode for Feed {
    fn encode(&self, w: &mut Writer) {
        w.map(3).uint(1).uint(self.from).uint(2).array(self.entries.len());
        for entry in &self.entries {
            w.bytes(entry);
        }
        w.uint(3).text(&self.checkpoint);
    }
}

impl Decode for Feed {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let from = m.required(1)?.uint()?;
        let list = m.required(2)?;
        let n = list.array(limits::FEED_ENTRIES as usize)?;
        let entries = (0..n)
            .map(|_| Ok(list.bytes(muster_ledger::limits::OPERATION_BYTES + 64)?.to_vec()))
            .collect::<Result<_, Error>>()?;
        let checkpoint = m.required(3)?.string(muster_ledger::limits::NOTE_BYTES)?;
        m.end()?;
        Ok(Self { from, entries, checkpoint })
    }
}

/// Leaves of a batch: `GET /v1/batches/{batch}/leaves?after=`, a CBOR array of byte strings in the
/// order of the leaf tree. Whoever has all of them computes the batch's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaves(pub Vec<Vec<u8>>);

impl Encode for Leaves {
    fn encode(&self, w: &mut Writer) {
        w.array(self.0.len());
        for leaf in &self.0 {
            w.bytes(leaf);
        }
    }
}

impl Decode for Leaves {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let n = r.array(limits::LEAVES_PAGE as usize)?;
        let leaf = |_| Ok(r.bytes(muster_ledger::limits::LEAF_BYTES)?.to_vec());
        Ok(Self((0..n).map(leaf).collect::<Result<_, Error>>()?))
    }
}

/// Answer to `POST /v1/uploads`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadOpened {
    /// The upload's id, which is also the right to add to it: 32 hexadecimal digits of a random
    /// value. Keep it to yourself.
    pub upload: String,
    /// When it ends (ms).
    pub expires: u64,
    /// Rows in one request.
    pub rows_per_request: usize,
}

/// One row of an upload: `POST /v1/uploads/{upload}/rows` carries an array of them.
///
/// CBOR map: 1 number in the file, 2 leaf (its bytes), 3 serial number, optional 4 lot. Serial
/// and lot go to the private directory of the node and no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the file, to name it in the verdict.
    pub number: u64,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// Serial number.
    pub serial: String,
    /// Lot.
    pub lot: Option<String>,
}

/// The body of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    /// The body of a request from rows that are encoded already.
    pub fn join<'a>(rows: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(rows.len());
        let mut body = w.into_bytes();
        rows.for_each(|row| body.extend_from_slice(row));
        body
    }
}

impl Encode for Row {
    fn encode(&self, w: &mut Writer) {
        w.map(if self.lot.is_some() { 4 } else { 3 });
        w.uint(1).uint(self.number).uint(2).bytes(&self.leaf).uint(3).text(&self.serial);
        if let Some(lot) = &self.lot {
            w.uint(4).text(lot);
        }
    }
}

impl Decode for Row {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let row = Self {
            number: m.required(1)?.uint()?,
            leaf: m.required(2)?.bytes(muster_ledger::limits::LEAF_BYTES)?.to_vec(),
            serial: m.required(3)?.string(muster_ledger::limits::SERIAL_BYTES)?,
            lot: m.optional(4)?.map(|r| r.string(limits::LOT_BYTES)).transpose()?,
        };
        m.end()?;
        Ok(row)
    }
}

impl Encode for Rows {
    fn encode(&self, w: &mut Writer) {
        w.list(&self.0);
    }
}

impl Decode for Rows {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.list(limits::UPLOAD_ROWS)?))
    }
}

/// What the node says of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Staged: it will be part of the batch.
    Staged,
    /// Enrolled before, by the same organisation, with the same key and serial.
    Already,
    /// Refused.
    Refused,
}

/// A verdict on one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowVerdict {
    /// The row's number in the file.
    pub row: u64,
    /// What the node says.
    pub verdict: Verdict,
    /// Stable reason code, for refused rows: `bad-possession`, `evidence`, `duplicate-row`,
    /// `duplicate-key`, `duplicate-serial`, `enrolled-elsewhere`, `uploading-elsewhere`,
    /// `malformed-leaf`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// Answer to `POST /v1/uploads/{upload}/rows`, in the order of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// One for each row.
    pub verdicts: Vec<RowVerdict>,
}

/// Answer to `POST /v1/uploads/{upload}/seal`: what the node would enrol. The client compares
/// it with the root it computed itself, and signs its own.
///
/// If rows are refused here, because another device has their serial number, they have left the
/// upload, and it is not sealed: ask again, until none is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Number of leaves.
    pub count: u64,
    /// Root of the leaf tree, lower-case hexadecimal.
    pub root: String,
    /// Rows that left the upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RowVerdict>,
}
