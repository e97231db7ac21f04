//! The factory page, word for word: from a vendor's manifest to devices that pass a gateway.

use crate::muster::{Muster, get, lines};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

fn told(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn from_a_vendors_manifest_to_a_gateway() {
    let muster = Muster::new();
    muster.json(&["init", "--label", "Acme Devices"]);
    let node = muster.serve(&["serve"]);
    let enrol = |args: &[&str]| {
        muster.output(&[&["enrol"], args, &["--json", "--node", &node.url]].concat())
    };
    muster.json(&["device", "reel", "reel", "--devices", "3"]);
    let reel = ["reel/manifest.json", "--signer", "reel/signer"];

    // Without the signer nothing is believed, and nothing is lost.
    let waits = enrol(&reel[..1]);
    assert_eq!((waits.status.code(), &told(&waits)["waiting"]), (Some(1), &3.into()));
    let codes = lines(&muster.path("reel/manifest.json.results.jsonl"));
    assert!(codes.iter().all(|row| row["code"] == "unknown-signer"), "{codes:?}");

    let dry = enrol(&[&reel[..], &["--dry-run"]].concat());
    assert_eq!((dry.status.code(), &told(&dry)["enrolled"]), (Some(0), &3.into()));
    let done = enrol(&[&reel[..], &["--out", "receipts.jsonl"]].concat());
    assert_eq!((done.status.code(), &told(&done)["enrolled"]), (Some(0), &3.into()));
    assert_eq!(lines(&muster.path("receipts.jsonl")).len(), 3);
    let again = enrol(&reel);
    assert_eq!((again.status.code(), &told(&again)["already"]), (Some(0), &3.into()));

    let gateway = muster.serve(&["gateway", "--audience", "pumps.example", "--node", &node.url]);
    let door = format!("{}/v1/authenticate", gateway.url);
    let chips = fs::read_dir(muster.path("reel/chips")).expect("chips");
    for chip in chips {
        let chip = chip.expect("a chip").path();
        let chip = chip.to_str().expect("UTF-8");
        let present = ["device", "present", chip, "--audience", "pumps.example"];
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let token = muster.line(&present);
            let knocked = get(&door, &[("authorization", &format!("Muster {token}"))]);
            if knocked.0 == 200 {
                break;
            }
            assert!(Instant::now() < until, "{knocked:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    // Chips whose keys the vendor does not know.
    muster.json(&["device", "reel", "blank", "--devices", "3", "--keyless"]);
    let blank = ["blank/manifest.json", "--signer", "blank/signer"];
    let waits = enrol(&blank);
    assert_eq!((waits.status.code(), &told(&waits)["waiting"]), (Some(1), &3.into()));
    let done = enrol(&[&blank[..], &["--keys", "blank/keys.csv"]].concat());
    assert_eq!((done.status.code(), &told(&done)["enrolled"]), (Some(0), &3.into()));
}
