use muster_api::LotView;
use std::fmt::Write as _;

/// What a lot is called.
fn name(lot: &LotView) -> String {
    let called = if lot.lot.is_empty() { "no lot".into() } else { format!("lot {}", lot.lot) };
    if lot.order.is_empty() { called } else { format!("{called}, order {}", lot.order) }
}

/// The balance in a line.
pub(super) fn line(lot: &LotView) -> String {
    let scrap = lot.scrap + lot.scrap_valid;
    let mut text = format!(
        "{}: {} made = {} shipped + {} rework + {scrap} scrap",
        name(lot),
        lot.made,
        lot.shipped,
        lot.rework
    );
    for (count, what) in [(lot.revoked, "revoked"), (lot.missing.max(0).unsigned_abs(), "missing")]
    {
        if count > 0 {
            let _ = write!(text, " + {count} {what}");
        }
    }
    if lot.missing < 0 {
        let _ = write!(text, " - {} more than counted", lot.missing.unsigned_abs());
    }
    if lot.scrap_valid > 0 {
        let _ = write!(text, "; {} scrapped and STILL VALID", lot.scrap_valid);
    }
    text
}

/// The balance with what is behind it.
pub(super) fn table(lot: &LotView) -> String {
    let mut text = String::new();
    let verdict = if lot.balanced { "balances" } else { "DOES NOT BALANCE" };
    let _ = writeln!(text, "{}: {verdict}", name(lot));
    let mut row = |count: u64, what: &str, why: &str| {
        let _ = writeln!(text, "  {count:>9}  {what:12} {why}");
    };
    let by = match lot.counted {
        0 => "rows seen; no counters",
        counted if counted == lot.made => "by the counters of the stations",
        _ => "by the counters, and rows without them",
    };
    row(lot.made, "made", by);
    row(lot.shipped, "shipped", "passed, enrolled, valid");
    row(lot.rework, "rework", "back for repair");
    row(lot.scrap, "scrap", "revoked, or never enrolled");
    if lot.scrap_valid > 0 {
        row(lot.scrap_valid, "scrap", "STILL VALID: muster lot scrap LOT revokes them");
    }
    if lot.revoked > 0 {
        row(lot.revoked, "revoked", "passed, and revoked since");
    }
    if lot.missing > 0 {
        let why = match lot.not_enrolled {
            0 => "made, and no row says what became of them".to_owned(),
            n if n == lot.missing.unsigned_abs() => "passed, and not enrolled".to_owned(),
            n => format!("{n} of them passed, and are not enrolled"),
        };
        row(lot.missing.unsigned_abs(), "MISSING", &why);
    }
    if lot.missing < 0 {
        row(lot.missing.unsigned_abs(), "TOO MANY", "more devices than were counted");
    }
    if lot.reruns > 0 {
        row(lot.reruns, "re-runs", "a device came again");
    }
    for fault in &lot.counters {
        let station = match fault.station.as_str() {
            "" => "a station without a name",
            station => &format!("station {station}"),
        };
        let what = match fault.fault.as_str() {
            "gap" => "counted, and no row says what",
            "between" => "counted behind this lot, before the next one",
            _ => "counted by two rows",
        };
        let _ = writeln!(text, "  {station}, {} to {}: {what}", fault.from, fault.to);
    }
    let hidden = lot.counter_faults.saturating_sub(lot.counters.len() as u64);
    if hidden > 0 {
        let _ = writeln!(text, "  ... and {hidden} more such places");
    }
    text
}
