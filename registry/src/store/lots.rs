use muster_api::{LineRecord, LineResult};
use muster_identity::Did;
use muster_ledger::BatchId;
use std::collections::BTreeMap;

/// What the directory keeps of a device that the line told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineRow {
    pub(crate) record: LineRecord,
    /// How many different things the line said, this one included.
    pub(crate) runs: u64,
    /// The upload or batch that the device was in when the line said it.
    pub(crate) batch: Option<u64>,
    /// It was scrap before it was enrolled.
    pub(crate) born: bool,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is the last word.
    Last,
    /// It was said before.
    Known,
    /// The device was scrapped, and stays so.
    Scrapped,
}

impl LineRow {
    /// What a record comes to, after what was said `earlier`. A word that was said before is a
    /// file that came again, whatever came in between; and no word takes a scrap back, which
    /// would bring its identity to life.
    pub(crate) fn judge(&self, earlier: &[LineRecord], record: &LineRecord) -> Word {
        if self.record == *record || earlier.contains(record) {
            Word::Known
        } else if self.record.result == LineResult::Scrap && record.result != LineResult::Scrap {
            Word::Scrapped
        } else {
            Word::Last
        }
    }
}

/// What came of records of the line.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Places of records that would take a scrap back.
    pub(crate) scrapped: Vec<usize>,
    /// Records that were not kept before.
    pub(crate) further: u64,
}

/// Which lots a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) organisation: Did,
    /// One lot; all without it.
    pub(crate) lot: Option<String>,
    /// One order; all without it.
    pub(crate) order: Option<String>,
    /// Those behind this lot and order.
    pub(crate) after: Option<(String, String)>,
    /// Those up to this lot and order.
    pub(crate) to: Option<(String, String)>,
}

/// Devices of a lot with one result and one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LotGroup {
    pub(crate) lot: String,
    pub(crate) order: String,
    pub(crate) result: LineResult,
    /// The live batch they are in, if they are.
    pub(crate) batch: Option<BatchId>,
    pub(crate) devices: u64,
    pub(crate) reruns: u64,
}

/// What a station counted for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) station: String,
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) lot: String,
    pub(crate) order: String,
    /// The device came again since: the count made no further device.
    pub(crate) again: bool,
}

/// Which devices of lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhichLots {
    All,
    /// Those with this result.
    Result(LineResult),
    /// Those that passed, and were not enrolled when the line said so.
    NotEnrolled,
}

/// Devices of lots.
#[derive(Debug, Default)]
pub(crate) struct LotDevices {
    pub(crate) devices: Vec<LotDevice>,
    /// Of batches of scrap: how many of their devices were scrap before they were enrolled.
    pub(crate) born: BTreeMap<BatchId, u64>,
}

/// A device of a lot.
#[derive(Debug, Clone)]
pub(crate) struct LotDevice {
    pub(crate) serial: String,
    pub(crate) lot: String,
    pub(crate) order: String,
    pub(crate) result: LineResult,
    /// Its live batch and its leaf, if it is enrolled.
    pub(crate) enrolled: Option<(BatchId, Vec<u8>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: LineResult, after: u64) -> LineRecord {
        LineRecord { serial: "s".into(), result, after: Some(after), ..LineRecord::default() }
    }

    #[test]
    fn last_words_win_and_scrap_stays() {
        let row = |record| LineRow { record, runs: 1, batch: None, born: false };
        let (rework, pass) = (said(LineResult::Rework, 1), said(LineResult::Pass, 2));
        let scrap = said(LineResult::Scrap, 3);
        let earlier = [rework.clone()];
        assert_eq!(row(rework.clone()).judge(&[], &pass), Word::Last);
        // The file with the rework comes again.
        assert_eq!(row(pass.clone()).judge(&earlier, &rework), Word::Known);
        assert_eq!(row(pass.clone()).judge(&earlier, &scrap), Word::Last);
        assert_eq!(row(scrap.clone()).judge(&earlier, &said(LineResult::Pass, 4)), Word::Scrapped);
        assert_eq!(row(scrap.clone()).judge(&earlier, &said(LineResult::Scrap, 4)), Word::Last);
        assert_eq!(row(scrap.clone()).judge(&earlier, &scrap), Word::Known);
    }
}
