//! Microchip manifests from the file to the leaf.

use crate::made::{CHALLENGE, enrolment, file, genesis, outcomes};
use crate::microchip::{SHAPE, made};
use crate::node::{Fault, Node};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::Decode;
use muster_identity::{Did, Inception, Signer as _};
use muster_ledger::{DevicePart, Evidence, Leaf, VouchedBy};
use muster_provisioning::sample::microchip::{Damage, Vendor};
use muster_provisioning::sample::{Order, row};
use muster_provisioning::{Enrolment, Error, Finished, Outcome, RowOutcome, SourceOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;

struct Line {
    dir: tempfile::TempDir,
    node: Node,
    vendor: Vendor,
}

impl Line {
    async fn new() -> Self {
        let genesis = genesis(&["sensor"], 1_000);
        let node = Node::start(&genesis, Fault::None, 16).await;
        let (dir, vendor) = (tempfile::tempdir().expect("a folder"), Vendor::new(5).expect("it"));
        std::fs::create_dir(dir.path().join("signers")).expect("a folder");
        file(dir.path(), "signers/s.der", vendor.signer_certificate().expect("a certificate"));
        file(dir.path(), "signers/r.der", vendor.root_certificate().expect("a certificate"));
        Self { dir, node, vendor }
    }

    fn manifest(&self, rows: u64, damage: impl Fn(u64) -> Option<Damage>) -> PathBuf {
        file(self.dir.path(), "reel.json", made(&self.vendor, rows, damage))
    }

    async fn enrol(&self, input: PathBuf, keys: Option<PathBuf>) -> Result<Finished, Error> {
        let sources = SourceOptions {
            signers: vec![self.dir.path().join("signers")],
            keys,
            slot: None,
            ..SourceOptions::default()
        };
        Enrolment { sources, ..enrolment(&self.node) }.run(vec![input], None, &mut |_| {}).await
    }
}

/// The evidence of every leaf, by serial number.
fn evidence(finished: &Finished) -> BTreeMap<String, Evidence> {
    let mut receipts = Vec::new();
    finished.write_receipts(&mut receipts).expect("written");
    let lines = str::from_utf8(&receipts).expect("text").lines();
    let one = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let part = BASE64URL_NOPAD.decode(line["receipt"].as_str().expect("text").as_bytes());
        let part = DevicePart::from_cbor(&part.expect("base64url")).expect("a device part");
        let leaf = Leaf::from_cbor(&part.leaf).expect("a leaf");
        (line["serial"].as_str().expect("text").to_owned(), leaf.evidence)
    };
    lines.map(one).collect()
}

#[tokio::test]
async fn a_reel_is_enrolled_and_its_troubles_are_told_apart() {
    let line = Line::new().await;
    let damage = |row| match row {
        1 => Some(Damage::BadSignature),
        2 => Some(Damage::UnknownSigner),
        3 => Some(Damage::NoKeys),
        4 => Some(Damage::Duplicate),
        7 => Some(Damage::CutShort),
        _ => None,
    };
    let finished = line.enrol(line.manifest(9, damage), None).await.expect("enrolled");
    let all = outcomes(&finished);
    let rows: Vec<_> = all.iter().map(|r| (r.line, r.outcome, r.code.as_deref())).collect();
    use Outcome::{Enrolled, Refused, Waiting};
    let expected = [
        (1, Enrolled, None),
        (2, Refused, Some("bad-signature")),
        (3, Waiting, Some("unknown-signer")),
        (4, Waiting, Some("key-missing")),
        (5, Refused, Some("duplicate-row")),
        (6, Enrolled, None),
        (7, Enrolled, None),
        (8, Refused, Some("cut-short")),
    ];
    assert_eq!(rows, expected);
    let first = &all[0];
    assert_eq!(first.serial.as_deref(), Some(&*line.vendor.unique_id(0)));
    let device = line.vendor.device_key(0, 0).public_key();
    assert_eq!(first.did, Some(Did::of(&Inception::from_key(device))));
    assert_eq!(first.note.as_deref(), Some("slot 0 is enrolled, not 1, 2"));
    let waits = &all[2];
    assert!(waits.reason.as_ref().is_some_and(|r| r.contains("kid")) && waits.cure.is_some());
    let evidence = evidence(&finished);
    assert_eq!(evidence.len(), 3);
    let vouched = |e: &Evidence| {
        matches!(e, Evidence::Vouched { by: VouchedBy::VendorManifest, digest: Some(_) })
    };
    assert!(evidence.values().all(vouched));
    // The same file again, whole: what is enrolled stays so, with the same leaf.
    let again = line.enrol(line.manifest(9, |_| None), None).await.expect("enrolled");
    let counts = again.summary().counts;
    assert_eq!((counts.already, counts.enrolled, counts.rows), (3, 6, 9));
}

#[tokio::test]
async fn the_lines_keys_complete_entries_without() {
    let line = Line::new().await;
    let no_keys = |row| match row {
        0..4 => Some(Damage::NoKeys),
        6 => Some(Damage::UnknownSigner),
        _ => None,
    };
    let read = |row| line.vendor.device_key(row, 0).public_key().to_multikey();
    let id = |row| line.vendor.unique_id(row);
    // Row 1 signs for itself, row 3 is not read, row 5 is read wrongly, 77 is on no reel.
    let genesis = &line.node.genesis;
    let (network, manufacturer) = (genesis.network(), genesis.organisation_did());
    let order = Order {
        network: &network,
        manufacturer: &manufacturer,
        challenge: CHALLENGE,
        model: None,
        lot: None,
    };
    let own = row(&line.vendor.device_key(1, 0), &id(1), &order).expect("a row");
    let mut text = own.replace("serial", "uniqueId") + "\n";
    for (row, key) in [(0, read(0)), (2, read(2)), (5, read(0)), (6, read(6)), (77, read(77))] {
        let id = id(row).to_uppercase();
        text += &format!("{{\"uniqueId\":\"{id}\",\"publicKey\":\"{key}\"}}\n");
    }
    let keys = file(line.dir.path(), "keys.jsonl", text);
    let finished = line.enrol(line.manifest(7, no_keys), Some(keys)).await.expect("enrolled");
    let codes: Vec<_> = outcomes(&finished).into_iter().map(word).collect();
    let expected = ["ok", "ok", "ok", "key-missing", "ok", "other-key", "unknown-signer"];
    assert_eq!(codes, expected);
    let warnings = &finished.summary().warnings;
    assert!(warnings.iter().any(|w| w.contains("2 of 6 keys belong to no row")), "{warnings:?}");
    let evidence = evidence(&finished);
    let word = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
    assert_eq!((&evidence[&id(0)], &evidence[&id(2)]), (&word, &word));
    assert!(matches!(evidence[&id(1)], Evidence::Possession { .. }));
    assert!(matches!(evidence[&id(4)], Evidence::Vouched { by: VouchedBy::VendorManifest, .. }));
}

/// `ok` for a row that is enrolled.
fn word(row: RowOutcome<'_>) -> String {
    let word = if row.outcome == Outcome::Enrolled { "ok" } else { "?" };
    row.code.as_deref().unwrap_or(word).into()
}

#[tokio::test]
async fn a_csv_of_keys_and_a_key_named_twice() {
    let line = Line::new().await;
    let read = |row| line.vendor.device_key(row, 0).public_key().to_multikey();
    let id = |row| line.vendor.unique_id(row);
    let text = format!(
        "uniqueId,publicKey\n{},{}\n{},{}\n{},{}\n",
        id(0),
        read(0),
        id(1),
        read(1),
        id(1),
        read(2)
    );
    let keys = file(line.dir.path(), "keys.csv", text);
    let input = line.manifest(2, |_| Some(Damage::NoKeys));
    let finished = line.enrol(input, Some(keys)).await.expect("enrolled");
    let codes: Vec<_> = outcomes(&finished).into_iter().map(word).collect();
    assert_eq!(codes, ["ok", "duplicate-serial"]);
    let fault = outcomes(&finished).swap_remove(1).reason.expect("a reason");
    assert!(fault.contains("line 4"), "{fault}");
}

#[tokio::test]
async fn a_private_key_in_an_entry_refuses_the_file() {
    let line = Line::new().await;
    let payload = BASE64URL_NOPAD.encode(br#"{"keys":[{"kty":"EC","d":"secret"}]}"#);
    let good = line.vendor.entry(0, &SHAPE, None).expect("an entry");
    let text =
        format!("[{good},{{\"payload\":\"{payload}\",\"protected\":\"e30\",\"signature\":\"\"}}]");
    let input = file(line.dir.path(), "bad.json", text);
    let error = line.enrol(input, None).await.err().expect("refused").to_string();
    assert!(error.contains("entry 2") && error.contains("`d`"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
