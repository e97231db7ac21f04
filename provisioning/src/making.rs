//! What the line says of a device's making (`docs/formats/lots.md`), and what becomes of its row
//! by the test result.

use crate::RowFault;
use crate::check::{Checked, Checks, Told, is_label, mark};
use crate::formats::{Making, bare};
use muster_api::limits::LINE_TEXT_BYTES;
use muster_api::{LineRecord, LineResult};
use muster_identity::cbor::Encode as _;

/// Words of line tools. `fail` is none: it does not say whether the device is repaired.
const RESULTS: [(&str, LineResult); 8] = [
    ("pass", LineResult::Pass),
    ("passed", LineResult::Pass),
    ("ok", LineResult::Pass),
    ("rework", LineResult::Rework),
    ("inrework", LineResult::Rework),
    ("repair", LineResult::Rework),
    ("scrap", LineResult::Scrap),
    ("scrapped", LineResult::Scrap),
];

/// Said of every scrapped device.
const SCRAPPED: &str =
    "scrapped: its identity must not be valid; `muster lot report` says whether it is";

/// Settles a row by what the line says. A row that is refused says nothing of its device.
pub(crate) fn settle(checked: &mut Checked, making: &Making, lot: Option<String>) {
    let Some(serial) = checked.serial.as_deref().map(String::from) else { return };
    if matches!(checked.outcome, Checks::Refused(_) | Checks::PrivateKey(_)) {
        return;
    }
    let told = match read(making, &serial, lot) {
        Ok(record) => record,
        Err(fault) => {
            checked.outcome = Checks::Refused(Box::new(fault));
            return;
        }
    };
    let result = told.result;
    let serial = mark(&serial);
    checked.told = Some(Box::new(Told { result, record: told.to_cbor().into(), serial }));
    match result {
        LineResult::Pass => {}
        LineResult::Rework => {
            let fault = RowFault::new("in-rework", "the device is repaired, and not enrolled now");
            checked.outcome = Checks::Waiting(Some(Box::new(fault)));
        }
        LineResult::Scrap => {
            checked.note = Some(SCRAPPED.into());
            match &mut checked.outcome {
                Checks::Ready(device) => device.scrap = true,
                Checks::Waiting(why @ None) => {
                    let reason = "the device was scrapped, and no key can be revoked";
                    *why = Some(Box::new(RowFault::new("scrap-without-key", reason)));
                }
                Checks::Waiting(Some(_)) | Checks::Refused(_) | Checks::PrivateKey(_) => {}
            }
        }
    }
}

fn read(making: &Making, serial: &str, lot: Option<String>) -> Result<LineRecord, RowFault> {
    let label = |code, text: &Option<String>| match text {
        Some(text) if !is_label(text, LINE_TEXT_BYTES) => {
            Err(RowFault::new(code, format!("the {code} is too long or not printable")))
        }
        text => Ok(text.clone()),
    };
    let (before, after) = (
        count("counterBefore", making.counter_before.as_deref())?,
        count("counterAfter", making.counter_after.as_deref())?,
    );
    if before.zip(after).is_some_and(|(before, after)| after < before) {
        let reason = "`counterAfter` is below `counterBefore`";
        return Err(RowFault::new("counter", reason).of_field("counterAfter"));
    }
    Ok(LineRecord {
        serial: serial.into(),
        result: making.result.as_deref().map_or(Ok(LineResult::Pass), result)?,
        lot,
        order: label("order", &making.order)?,
        station: label("station", &making.station)?,
        before,
        after,
    })
}

fn result(text: &str) -> Result<LineResult, RowFault> {
    let word = bare(text);
    if let Some((_, result)) = RESULTS.iter().find(|(known, _)| *known == word) {
        return Ok(*result);
    }
    Err(RowFault::new(
        "result",
        match word.starts_with("fail") {
            true => "a failure does not say whether the device is repaired or scrapped",
            false => "no test result that is known",
        },
    ))
}

/// A whole number, as the node keeps it.
fn count(field: &'static str, text: Option<&str>) -> Result<Option<u64>, RowFault> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(count) if digits && i64::try_from(count).is_ok() => Ok(Some(count)),
        _ => {
            let reason = format!("`{field}` is not a whole number below 2^63");
            Err(RowFault::new("counter", reason).of_field(field))
        }
    }
}
