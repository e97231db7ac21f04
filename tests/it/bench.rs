//! The benchmarks run, and say what scripts read. No figure is judged here.

use crate::muster::Muster;
use serde_json::Value;

/// Runs one and checks the shape of what it says.
fn figures(args: &[&str]) -> Vec<Value> {
    let said = Muster::new().json(&[&["bench"], args].concat());
    let figures = said.as_array().expect("an array").clone();
    for figure in &figures {
        let mut members: Vec<_> = figure.as_object().expect("objects").keys().collect();
        members.sort();
        assert_eq!(members, ["limit", "name", "ours", "ratio", "unit"], "{figure}");
        assert!(figure["ours"].as_f64().is_some_and(|n| n >= 0.0), "{figure}");
        assert!(figure["unit"].is_string(), "{figure}");
        let limit = figure["limit"].as_f64();
        assert!(figure["limit"].is_null() || limit.is_some_and(|n| n > 0.0), "{figure}");
    }
    figures
}

#[track_caller]
fn ours(figures: &[Value], name: &str) -> f64 {
    let named = |figure: &&Value| figure["name"] == name;
    let figure = figures.iter().find(named).unwrap_or_else(|| panic!("no figure {name:?}"));
    figure["ours"].as_f64().expect("a number")
}

/// A figure that stands beside another one.
#[cfg(feature = "postgres")]
#[track_caller]
fn is_compared(figures: &[Value], name: &str) {
    let figure = figures.iter().find(|figure| figure["name"] == name);
    let figure = figure.unwrap_or_else(|| panic!("no figure {name:?} in {figures:?}"));
    assert!(figure["ratio"].as_f64().is_some_and(|n| n > 0.0), "{figure}");
}

#[cfg(feature = "postgres")]
#[test]
fn enrolling_into_postgres_stands_beside_files() {
    use crate::server::{PASSWORD, shared, tell};
    let database = shared().new_database();
    let store = shared().address(&database);
    let mut muster = Muster::new();
    muster.set("PGPASSWORD", PASSWORD);
    let said = muster.json(&["bench", "enrol", "--devices", "400", "--store", &store]);
    let figures = said.as_array().expect("an array");
    assert!(ours(figures, "enrol: rate") > 0.0);
    for what in ["rate", "revocation, p50", "revocation, p99"] {
        is_compared(figures, &format!("enrol: in PostgreSQL, {what}, against SQLite"));
    }
    // It was enrolled there: 400 devices, and those that were revoked.
    let sql = "SELECT 1 / (count(*) = 500)::int FROM ledger.leaves";
    tell(&shared().url(&database), sql);
    // Not into a ledger that is there; and what cannot be meant is refused before anything runs.
    let again = ["bench", "enrol", "--devices", "100", "--store", &store];
    let words = muster.refused(&again, 1);
    assert!(words.contains("the database belongs to another network"), "{words}");
    let files = ["bench", "enrol", "--store", "sqlite"];
    assert!(muster.refused(&files, 1).contains("name an empty database"));
    let secret = ["bench", "enrol", "--store", &shared().url(&database)];
    assert!(muster.refused(&secret, 1).contains("has a password in it"));
}

fn enrol(format: &str) {
    let figures = figures(&["enrol", "--devices", "400", "--format", format]);
    let seconds = ours(&figures, "enrol: total");
    assert!((ours(&figures, "enrol: rate") * seconds - 400.0).abs() < 0.1);
    for name in [
        "enrol: total",
        "enrol: rate",
        "enrol: total, against signatures alone",
        "enrol: total, against inserts alone",
        "enrol: last tenth against first tenth",
        "enrol: node, disk for a device",
        "enrol: revocation meanwhile, p99",
    ] {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        let figure = figure.unwrap_or_else(|| panic!("no figure {name:?}"));
        assert!(figure["ratio"].as_f64().is_some_and(|n| n > 0.0), "{figure}");
    }
    let [p50, p99, max] = ["p50", "p99", "max"]
        .map(|what| ours(&figures, &format!("enrol: revocation meanwhile, {what}")));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= max);
    assert!(ours(&figures, "enrol: revocation meanwhile, number") >= 1.0);
    if cfg!(target_os = "linux") {
        for who in ["client", "node"] {
            assert!(ours(&figures, &format!("enrol: {who}, peak memory")) > 1.0);
        }
    }
    // The parts of the disk make the whole.
    let parts: Vec<f64> = figures
        .iter()
        .filter(|figure| figure["name"].as_str().is_some_and(|n| n.starts_with("enrol: of it ")))
        .filter_map(|figure| figure["ours"].as_f64())
        .collect();
    assert!(parts.len() > 3, "{figures:?}");
    let whole = ours(&figures, "enrol: node, disk for a device");
    assert!((parts.iter().sum::<f64>() - whole).abs() < 0.1, "{parts:?} of {whole}");
}

#[test]
fn enrolment_of_json_lines_is_measured() {
    enrol("jsonl");
}

#[test]
fn enrolment_of_csv_is_measured() {
    enrol("csv");
}

#[test]
fn enrolment_of_a_vendor_manifest_is_measured() {
    enrol("microchip");
}

#[test]
fn resolution_is_measured_against_another_size() {
    let args = ["resolve", "--devices", "300", "--against", "100", "--questions", "100"];
    let figures = figures(&args);
    for devices in [100, 300] {
        ours(&figures, &format!("resolve: {devices} devices, start-up"));
        for kind in ["resolution", "receipt"] {
            let [p50, p99] = ["p50", "p99"]
                .map(|what| ours(&figures, &format!("resolve: {devices} devices, {kind}, {what}")));
            assert!(0.0 < p50 && p50 <= p99);
        }
    }
    for kind in ["resolution", "receipt"] {
        assert!(ours(&figures, &format!("resolve: {kind}, p99, 300 against 100")) > 0.0);
    }
}

#[test]
fn decisions_are_measured_beside_bare_verifications() {
    let args = ["--devices", "200", "--revoked", "50", "--others", "300", "--decisions", "200"];
    let figures = figures(&[&["authenticate"], &args[..]].concat());
    let names = [
        "50 of 200 revoked",
        "none revoked",
        "all revoked, refused",
        "300 others revoked, none",
        "first contact",
        "P-256",
        "P-256, first contact",
    ];
    assert_eq!(figures.len(), names.len());
    for (figure, name) in figures.iter().zip(names) {
        assert_eq!(figure["name"], format!("authenticate: {name}"));
        assert!(figure["ratio"].as_f64().is_some_and(|n| n > 0.0), "{figure}");
    }
}

#[test]
fn a_gateway_is_measured_beside_a_bare_server_and_flooded() {
    let args = ["gateway", "--devices", "100", "--requests", "400", "--flood", "2000"];
    let figures = figures(&args);
    assert!(ours(&figures, "gateway: rate") > 0.0);
    let [p50, p99] =
        ["p50", "p99"].map(|what| ours(&figures, &format!("gateway: at half that rate, {what}")));
    assert!(0.0 < p50 && p50 <= p99);
    assert!(ours(&figures, "gateway: honest devices, at half its rate, beside a flood") > 0.0);
    if cfg!(target_os = "linux") {
        assert!(ours(&figures, "gateway: requests for each second its threads ran") > 0.0);
        assert!(ours(&figures, "gateway: memory at the end of a flood, and after a tenth") > 1.0);
        assert!(ours(&figures, "gateway: peak memory") > 1.0);
    }
}

#[test]
fn a_revocation_is_measured_at_several_followers() {
    let figures = figures(&["revoke", "--devices", "10", "--followers", "3"]);
    let [p50, p99, max] = ["p50", "p99", "max"]
        .map(|what| ours(&figures, &format!("revoke: signed to refused at 3 followers, {what}")));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= max);
    let session = ours(&figures, "revoke: signed to the end of a session at any follower, max");
    assert!(session >= max, "{session} {max}");
    assert!(ours(&figures, "revoke: acknowledgement to refusal, p99") > 0.0);
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let muster = Muster::new();
    let file = muster.path("kept/file");
    std::fs::create_dir(muster.path("kept")).expect("a folder");
    std::fs::write(&file, "mine").expect("a file");
    let words = muster.refused(&["bench", "enrol", "--devices", "100", "--dir", "kept"], 1);
    assert!(words.contains("is not empty"), "{words}");
    assert_eq!(std::fs::read_to_string(file).expect("still there"), "mine");
}

#[test]
fn what_consoles_ask_is_measured() {
    let figures = figures(&["console", "--devices", "400", "--questions", "10"]);
    for kind in ["a whole serial number", "a part of a key", "a whole key"] {
        assert!(ours(&figures, &format!("console: {kind}, rows")) >= 1.0, "{kind}");
    }
    assert_eq!(ours(&figures, "console: no condition, first page, rows"), 100.0);
    let [p50, p99] = ["p50", "p99"].map(|what| ours(&figures, &format!("console: a lot, {what}")));
    assert!(0.0 < p50 && p50 <= p99);
    assert!(ours(&figures, "console: bare page, p99") > 0.0);
    for page in ["overview", "devices by a serial number", "a device", "revoking a lot"] {
        let [p50, p99] =
            ["p50", "p99"].map(|what| ours(&figures, &format!("page: {page}, {what}")));
        assert!(0.0 < p50 && p50 <= p99, "{page}");
        assert!(ours(&figures, &format!("page: {page}, bare p99")) > 0.0, "{page}");
    }
}
