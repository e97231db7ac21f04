//! What the line says of devices: what a record comes to, whatever database keeps it.

use super::columns::natural;
use super::{LineRow, Noted, Word};
use crate::Error;
use muster_api::{LineRecord, LineResult};
use std::collections::BTreeMap;

/// Different things that are kept of one device: a board is repaired a few times, and a line that
/// says something else each minute fills no disk.
const RUNS: u64 = 64;

/// Serial number, lot, order, station, result, counters.
pub(crate) type WordColumns = (String, String, String, String, i64, Option<i64>, Option<i64>);

/// Serial number, times, batch, born; serial number, upload, whether it is live.
pub(crate) type StandColumns = (String, i64, Option<i64>, i64);
pub(crate) type PlaceColumns = (String, i64, bool);

/// What the directory knows of the devices that records name, by their serial numbers.
pub(crate) struct Known {
    pub(crate) rows: BTreeMap<String, LineRow>,
    pub(crate) earlier: BTreeMap<String, Vec<LineRecord>>,
    /// The upload or batch of each device, and whether it is a batch.
    pub(crate) places: BTreeMap<String, (u64, bool)>,
}

/// What records come to.
pub(crate) struct Judged {
    pub(crate) noted: Noted,
    /// Rows to write.
    pub(crate) changed: Vec<LineRow>,
    /// Words that are the last ones no longer, with their numbers.
    pub(crate) replaced: Vec<(u64, LineRecord)>,
}

impl Known {
    /// Judges records, one after the other.
    pub(crate) fn judge(self, records: Vec<LineRecord>) -> Judged {
        let Self { mut rows, mut earlier, places } = self;
        let (mut noted, mut replaced) = (Noted::default(), Vec::new());
        let mut changed: BTreeMap<String, LineRow> = BTreeMap::new();
        for (place, record) in records.into_iter().enumerate() {
            let serial = record.serial.clone();
            let place_of = places.get(&serial).copied();
            let row = match rows.remove(&serial) {
                None => {
                    let born = record.result == LineResult::Scrap && is_staged(place_of);
                    noted.further += 1;
                    LineRow { record, runs: 1, batch: place_of.map(|(n, _)| n), born }
                }
                Some(mut row) => {
                    let said = earlier.entry(serial.clone()).or_default();
                    let before = row.clone();
                    match row.judge(said, &record) {
                        Word::Known => {}
                        Word::Scrapped => noted.scrapped.push(place),
                        Word::Last => {
                            let old = std::mem::replace(&mut row.record, record);
                            if row.runs <= RUNS {
                                noted.further += 1;
                                replaced.push((row.runs, old.clone()));
                                said.push(old);
                            }
                            row.runs += 1;
                        }
                    }
                    row.batch = place_of.map(|(n, _)| n);
                    row.born |= row.record.result == LineResult::Scrap && is_staged(place_of);
                    if row == before {
                        rows.insert(serial, row);
                        continue;
                    }
                    row
                }
            };
            changed.insert(serial.clone(), row.clone());
            rows.insert(serial, row);
        }
        Judged { noted, changed: changed.into_values().collect(), replaced }
    }
}

/// Whether a device is in an upload that is no batch yet.
fn is_staged(place: Option<(u64, bool)>) -> bool {
    place.is_some_and(|(_, live)| !live)
}

/// Nothing is the empty text here, so that lots without a name are found by an index too.
pub(crate) fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

pub(crate) fn result(number: i64) -> Result<LineResult, Error> {
    LineResult::of_number(natural(number)?).ok_or_else(|| Error::damaged("a test result"))
}

fn record(columns: WordColumns) -> Result<LineRecord, Error> {
    let (serial, lot, order, station, number, before, after) = columns;
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(LineRecord {
        serial,
        result: result(number)?,
        lot: some(lot),
        order: some(order),
        station: some(station),
        before: before.map(natural).transpose()?,
        after: after.map(natural).transpose()?,
    })
}

/// Rows, from the words and where they stand.
pub(crate) fn rows_from(
    words: Vec<WordColumns>,
    stands: Vec<StandColumns>,
) -> Result<BTreeMap<String, LineRow>, Error> {
    let mut stands: BTreeMap<String, _> = stands
        .into_iter()
        .map(|(serial, runs, batch, born)| (serial, (runs, batch, born)))
        .collect();
    let mut rows = BTreeMap::new();
    for columns in words {
        let record = record(columns)?;
        let Some((runs, batch, born)) = stands.remove(&record.serial) else { continue };
        let batch = batch.map(natural).transpose()?;
        let row = LineRow { runs: natural(runs)?, batch, born: born == 1, record };
        rows.insert(row.record.serial.clone(), row);
    }
    Ok(rows)
}

/// Earlier words, by serial numbers.
pub(crate) fn earlier_from(
    words: Vec<WordColumns>,
) -> Result<BTreeMap<String, Vec<LineRecord>>, Error> {
    let mut earlier: BTreeMap<String, Vec<LineRecord>> = BTreeMap::new();
    for columns in words {
        let record = record(columns)?;
        earlier.entry(record.serial.clone()).or_default().push(record);
    }
    Ok(earlier)
}

/// Upload or batch of devices, by serial numbers.
pub(crate) fn places_from(
    found: Vec<PlaceColumns>,
) -> Result<BTreeMap<String, (u64, bool)>, Error> {
    found.into_iter().map(|(serial, upload, live)| Ok((serial, (natural(upload)?, live)))).collect()
}
