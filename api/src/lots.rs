//! What a factory's line says of its devices, and whether a lot adds up: the wire types of
//! `docs/formats/lots.md`. All of it is private to the organisation.

use crate::limits::{LINE_ROWS, LINE_TEXT_BYTES, LOT_BYTES};
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use serde::{Deserialize, Serialize};

/// What the line decided about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineResult {
    /// It may be shipped; also where the line says nothing.
    #[default]
    Pass,
    /// It goes back to be repaired, and comes again.
    Rework,
    /// It is thrown away, and its identity must never be valid.
    Scrap,
}

impl LineResult {
    /// Its number on the wire and in the directory.
    pub fn number(self) -> u64 {
        match self {
            Self::Pass => 0,
            Self::Rework => 1,
            Self::Scrap => 2,
        }
    }

    /// The one with this number.
    pub fn of_number(number: u64) -> Option<Self> {
        [Self::Pass, Self::Rework, Self::Scrap].into_iter().find(|r| r.number() == number)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Rework => "rework",
            Self::Scrap => "scrap",
        }
    }
}

/// What one row says about the making of its device.
///
/// CBOR map: 1 serial number, 2 result (0 pass, 1 rework, 2 scrap), optional 3 lot, 4 order,
/// 5 station, 6 and 7 the station's counter before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineRecord {
    /// Serial number.
    pub serial: String,
    /// Test result.
    pub result: LineResult,
    /// Lot.
    pub lot: Option<String>,
    /// Order.
    pub order: Option<String>,
    /// Station.
    pub station: Option<String>,
    /// The station's counter before the device.
    pub before: Option<u64>,
    /// The station's counter after it.
    pub after: Option<u64>,
}

impl Encode for LineRecord {
    fn encode(&self, w: &mut Writer) {
        let texts = [(3, &self.lot), (4, &self.order), (5, &self.station)];
        let counts = [(6, self.before), (7, self.after)];
        let there = texts.iter().filter(|(_, text)| text.is_some()).count()
            + counts.iter().filter(|(_, count)| count.is_some()).count();
        w.map(2 + there).uint(1).text(&self.serial).uint(2).uint(self.result.number());
        for (key, text) in texts {
            if let Some(text) = text {
                w.uint(key).text(text);
            }
        }
        for (key, count) in counts {
            if let Some(count) = count {
                w.uint(key).uint(count);
            }
        }
    }
}

impl Decode for LineRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        // As the directory keeps it: a signed 64-bit integer.
        const MOST: u64 = i64::MAX as u64;
        let mut m = r.map()?;
        let serial = m.required(1)?.string(muster_ledger::limits::SERIAL_BYTES)?;
        let result = LineResult::of_number(m.required(2)?.uint_max(2)?).unwrap_or_default();
        let record = Self {
            serial,
            result,
            lot: m.optional(3)?.map(|r| r.string(LOT_BYTES)).transpose()?,
            order: m.optional(4)?.map(|r| r.string(LINE_TEXT_BYTES)).transpose()?,
            station: m.optional(5)?.map(|r| r.string(LINE_TEXT_BYTES)).transpose()?,
            before: m.optional(6)?.map(|r| r.uint_max(MOST)).transpose()?,
            after: m.optional(7)?.map(|r| r.uint_max(MOST)).transpose()?,
        };
        m.end()?;
        Ok(record)
    }
}

/// The body of `POST /v1/uploads/{upload}/line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRecords(pub Vec<LineRecord>);

impl Encode for LineRecords {
    fn encode(&self, w: &mut Writer) {
        w.list(&self.0);
    }
}

impl Decode for LineRecords {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.list(LINE_ROWS)?))
    }
}

/// Answer to `POST /v1/uploads/{upload}/line`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineNoted {
    /// Records of the request, from 0, whose device was scrapped before, and that say otherwise.
    /// It stays scrapped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scrapped: Vec<usize>,
}

/// A lot's balance, or that of an order within it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LotView {
    /// The lot; empty where rows name none.
    pub lot: String,
    /// The order; empty where rows name none.
    pub order: String,
    /// Devices made: by the stations' counters, and one for each device without.
    pub made: u64,
    /// How many of them a counter told of.
    pub counted: u64,
    /// Devices the line told of.
    pub devices: u64,
    /// Passed, enrolled, and neither revoked nor deactivated.
    pub shipped: u64,
    /// Back for repair.
    pub rework: u64,
    /// Scrapped, and not valid: revoked, or never enrolled.
    pub scrap: u64,
    /// Scrapped and still valid.
    pub scrap_valid: u64,
    /// Passed, enrolled, and revoked or deactivated since.
    pub revoked: u64,
    /// Passed and not enrolled.
    pub not_enrolled: u64,
    /// Times that a device came again with other words.
    pub reruns: u64,
    /// Made less shipped, rework, scrap and revoked; below zero: more devices than were counted.
    pub missing: i64,
    /// Nothing is missing, and nothing scrapped is valid.
    pub balanced: bool,
    /// What is wrong with the counters, the first of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<CounterView>,
    /// How many such there are.
    #[serde(default)]
    pub counter_faults: u64,
}

/// A place where a station's counter does not go on from where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterView {
    /// The station; empty where rows name none.
    pub station: String,
    /// `gap`: counted, and no row says what; `between`: likewise, behind the lot's last row;
    /// `overlap`: counted by two rows.
    pub fault: String,
    /// From this count.
    pub from: u64,
    /// To this one.
    pub to: u64,
}

/// `GET /v1/lots?organisation=&lot=&order=&after_lot=&after_order=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotsView {
    /// Lots and their orders, ascending.
    pub lots: Vec<LotView>,
    /// Lot and order to ask on after, if there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<(String, String)>,
}

/// A device the line told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotDeviceView {
    /// Serial number.
    pub serial: String,
    /// Lot.
    pub lot: String,
    /// Order.
    pub order: String,
    /// What it counts as: `shipped`, `rework`, `scrap`, `scrap-valid`, `revoked`, `not-enrolled`.
    pub state: String,
    /// Its DID, if it is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<String>,
    /// Its batch, if it is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Its batch was enrolled to be revoked: all its devices were scrap before.
    #[serde(default)]
    pub scrap_batch: bool,
}

/// `GET /v1/lots/devices?organisation=&lot=&order=&state=&after=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotDevicesView {
    /// By serial number, ascending; perhaps none though there are more.
    pub devices: Vec<LotDeviceView>,
    /// Serial number to ask on after, if there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which lots are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LotQuery {
    /// Whose; without it the organisation of the genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// One lot; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// One order; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Devices: those of this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Devices: behind this serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Lots: behind this lot ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_lot: Option<String>,
    /// ... and this order of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_order: Option<String>,
}
