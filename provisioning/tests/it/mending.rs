//! The files of what is to be mended and of what is missing, and the way back.

use crate::made::{enrolment, file, genesis, manifest, outcomes};
use crate::microchip::made;
use crate::node::{Fault, Node};
use muster_identity::Signer as _;
use muster_provisioning::sample::microchip::{Damage, Vendor};
use muster_provisioning::{Counts, Enrolment, Error, Finished, SourceOptions};
use std::path::PathBuf;

struct Line {
    dir: tempfile::TempDir,
    node: Node,
    vendor: Vendor,
    sources: SourceOptions,
}

impl Line {
    async fn new(fault: Fault) -> Self {
        let node = Node::start(&genesis(&["sensor"], 10_000), fault, 64).await;
        let (dir, vendor) = (tempfile::tempdir().expect("a folder"), Vendor::new(5).expect("it"));
        std::fs::create_dir(dir.path().join("signers")).expect("a folder");
        file(dir.path(), "signers/s.der", vendor.signer_certificate().expect("a certificate"));
        file(dir.path(), "signers/r.der", vendor.root_certificate().expect("a certificate"));
        let signers = vec![dir.path().join("signers")];
        let sources = SourceOptions { signers, ..SourceOptions::default() };
        Self { dir, node, vendor, sources }
    }

    async fn enrol(&self, inputs: Vec<PathBuf>, keys: Option<PathBuf>) -> Finished {
        let sources = SourceOptions { keys, ..self.sources.clone() };
        let enrolment = Enrolment { sources, ..enrolment(&self.node) };
        enrolment.run(inputs, None, &mut |_| {}).await.expect("enrolled")
    }

    async fn one(&self, name: &str, bytes: impl AsRef<[u8]>) -> Finished {
        self.enrol(vec![file(self.dir.path(), name, bytes)], None).await
    }

    /// A key of its own for each number.
    fn key(&self, number: u64) -> String {
        self.vendor.device_key(1_000 + number, 0).public_key().to_multikey()
    }
}

/// What is to be mended of each file, and how many rows.
fn rejects(finished: &Finished) -> Vec<(String, Vec<u8>, u64)> {
    let (mut rejects, mut all) = (finished.rejects(), Vec::new());
    while let Some(from) = rejects.file().expect("readable") {
        let name = from.path().file_name().expect("a name").to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        let count = rejects.write(&mut bytes).expect("written");
        all.push((name, bytes, count));
    }
    all
}

fn only(finished: &Finished) -> String {
    let mut all = rejects(finished);
    assert_eq!(all.len(), 1);
    String::from_utf8(all.remove(0).1).expect("text")
}

fn missing(finished: &Finished) -> String {
    let mut bytes = Vec::new();
    let count = finished.write_missing(&mut bytes).expect("written");
    assert_eq!(count > 0, finished.is_missing().expect("readable"));
    String::from_utf8(bytes).expect("text")
}

fn counts(finished: &Finished) -> (u64, u64, u64, u64) {
    let Counts { enrolled, already, waiting, refused, .. } = finished.summary().counts;
    (enrolled, already, waiting, refused)
}

#[tokio::test]
async fn refused_lines_come_back_byte_for_byte_and_mended_they_are_enrolled() {
    let line = Line::new(Fault::None).await;
    let good = manifest(&line.node.genesis, 0, 3, Some("sensor"));
    let rows: Vec<&str> = good.lines().collect();
    let bad = "  {\"serial\":\"SN-9\", \"publicKey\":\"nonsense\"} ";
    let long = format!("{{\"serial\":\"{}\"}}", "x".repeat(70_000));
    let text = format!(
        "\u{feff}{}\r\n{bad}\r\n\r\n{}\n{}\nnot JSON\n{long}\n{{\"serial\":\"SN-W\"}}\n{}",
        rows[0], rows[1], rows[0], "{\"serial\":\"cut"
    );
    let finished = line.one("a.jsonl", &text).await;
    assert_eq!(counts(&finished), (2, 0, 1, 5));
    let found = only(&finished);
    // The copy of a row that is enrolled needs nobody, and the long row cannot be taken out.
    assert_eq!(found, format!("\u{feff}{bad}\r\nnot JSON\n{{\"serial\":\"cut"));
    let list = missing(&finished);
    let codes: Vec<_> = list.lines().skip(1).map(|l| l.split(',').nth(4).expect("it")).collect();
    assert_eq!(codes, ["row-too-long", "key-missing"], "{list}");
    let mended = found
        .replace("nonsense", &line.key(9))
        .replace("not JSON", rows[2])
        .replace("\"cut", &format!("\"SN-10\",\"publicKey\":\"{}\"}}", line.key(10)));
    let again = line.one("a.jsonl.rejects.jsonl", mended).await;
    assert_eq!(counts(&again), (3, 0, 0, 0), "{:?}", outcomes(&again));
    assert!(rejects(&again).is_empty() && !again.is_missing().expect("readable"));
}

#[tokio::test]
async fn refused_records_keep_header_delimiter_and_line_ends() {
    let line = Line::new(Fault::None).await;
    let keys: Vec<_> = (0..6).map(|n| line.key(n)).collect();
    let head = "\u{feff}sep=;\r\nserial;publicKey;lot\r\n";
    let bad = [
        "A-2;nonsense;\"two\r\nlines; \"\"quoted\"\"\"\r\n".to_owned(),
        "A-3;one cell less\r\n".to_owned(),
        "\"A-4;never closed;x\r\n".to_owned(),
        format!("A-6;{};{}", keys[5], "l".repeat(65)),
    ];
    let text = format!(
        "{head}A-1;{};x\r\n{}{}A-5;{};\r\n{}{}",
        keys[1], bad[0], bad[1], keys[4], bad[2], bad[3]
    );
    let finished = line.one("a.csv", &text).await;
    assert_eq!(counts(&finished), (2, 0, 0, 4), "{:?}", outcomes(&finished));
    assert_eq!(only(&finished), format!("{head}{}", bad.concat()));
    // Unmended it says the same again, of the same rows.
    let again = line.one("b.csv", only(&finished)).await;
    assert_eq!((counts(&again), only(&again)), ((0, 0, 0, 4), only(&finished)));
}

#[tokio::test]
async fn a_table_without_header_gets_none() {
    let line = Line::new(Fault::None).await;
    let map = muster_provisioning::formats::Mapping::parse(&["serial=#1", "publicKey=#2"]);
    let sources = SourceOptions { mapping: map.expect("it"), ..SourceOptions::default() };
    let text = format!("A,nonsense\nB,{}\nC\n", line.key(1));
    let input = file(line.dir.path(), "a.csv", text);
    let enrolment = Enrolment { sources, ..enrolment(&line.node) };
    let finished = enrolment.run(vec![input], None, &mut |_| {}).await.expect("read");
    assert_eq!(only(&finished), "A,nonsense\nC\n");
}

#[tokio::test]
async fn refused_entries_make_an_array_that_is_json() {
    let line = Line::new(Fault::None).await;
    let entry = |n: u64| format!("{{\"serial\": \"S-{n}\",\n  \"publicKey\":\"{}\"}}", line.key(n));
    let bad = "{ \"serial\": \"S-b\",\n \"publicKey\": \"nonsense, with } and \\\" in it\" }";
    let twice = "{\"serial\":\"S-c\",\"serial\":\"S-d\"}";
    // A lost quote: the entry behind it begins within the text.
    let lost = "{\"serial\":\"S-e},  { \"serial\":\"S-f\",\"lot\":7.5}";
    let text = format!("[{},{bad} , {twice},{},{lost},\n{}]", entry(1), "{\"serial\":}", entry(2));
    for text in [text.clone(), text.replace("},{", "} {"), format!("\u{feff}{text}")] {
        let finished = line.one("a.json", &text).await;
        let found = only(&finished);
        let array: Vec<serde_json::Value> = serde_json::from_str(&found).expect("valid JSON");
        assert_eq!(array.len(), 3, "{found}");
        assert_eq!(found, format!("[\n{bad},\n{twice},\n{{ \"serial\":\"S-f\",\"lot\":7.5}}\n]\n"));
        let list = missing(&finished);
        assert_eq!(list.lines().filter(|l| l.contains(",not-json,")).count(), 2, "{list}");
    }
    let mended = only(&line.one("a.json", &text).await)
        .replace("nonsense, with } and \\\" in it", &line.key(3))
        .replace("7.5", "7")
        .replace("\"serial\":\"S-d\"", &format!("\"publicKey\":\"{}\"", line.key(4)));
    let finished = line.one("a.json.rejects.json", mended).await;
    assert_eq!(counts(&finished), (2, 0, 1, 0), "{:?}", outcomes(&finished));
}

#[tokio::test]
async fn what_the_node_refuses_is_to_be_mended_too() {
    let line = Line::new(Fault::Rows).await;
    let text = manifest(&line.node.genesis, 0, 300, Some("sensor"));
    let finished = line.one("a.jsonl", &text).await;
    assert_eq!(counts(&finished), (150, 0, 0, 150));
    let odd = text.lines().skip(1).step_by(2).map(|row| format!("{row}\n"));
    assert_eq!(only(&finished), odd.collect::<String>());
    assert!(!finished.is_missing().expect("readable"));
}

#[tokio::test]
async fn each_of_several_files_has_its_own_and_a_changed_one_is_refused() {
    let line = Line::new(Fault::None).await;
    let write = |name: &str, text: String| file(line.dir.path(), name, text);
    let inputs = vec![
        write("a.jsonl", "{\"serial\":\"A\",\"publicKey\":\"a\"}\n".into()),
        write("b.jsonl", format!("{{\"serial\":\"B\",\"publicKey\":\"{}\"}}\n", line.key(1))),
        write("c.csv", "serial,publicKey\nC,c\n".into()),
    ];
    let finished = line.enrol(inputs.clone(), None).await;
    let found = rejects(&finished);
    let names: Vec<_> = found.iter().map(|(name, _, count)| (name.as_str(), *count)).collect();
    assert_eq!(names, [("a.jsonl", 1), ("c.csv", 1)]);
    assert_eq!(found[1].1, b"serial,publicKey\nC,c\n");
    assert_eq!(finished.mendable().len(), 3);
    std::fs::write(&inputs[0], "{}").expect("changed");
    let mut rejects = finished.rejects();
    rejects.file().expect("readable").expect("a file");
    let error = rejects.write(&mut Vec::new()).expect_err("changed").to_string();
    assert!(error.contains("a.jsonl was changed"), "{error}");
}

#[tokio::test]
async fn a_manifest_without_keys_is_completed_by_its_own_list() {
    let line = Line::new(Fault::None).await;
    let damage = |row| match row {
        5 => Some(Damage::BadSignature),
        6 => Some(Damage::UnknownSigner),
        _ => Some(Damage::NoKeys),
    };
    let reel = file(line.dir.path(), "reel.json", made(&line.vendor, 8, damage));
    let finished = line.enrol(vec![reel.clone()], None).await;
    assert_eq!(counts(&finished), (0, 0, 7, 1));
    let found = only(&finished);
    let array: Vec<serde_json::Value> = serde_json::from_str(&found).expect("valid JSON");
    assert_eq!(array.len(), 1);
    let list = missing(&finished);
    let mut lines = list.lines();
    let header = "serial,publicKey,lot,model,code,reason,cure,file,line";
    assert_eq!(lines.next(), Some(header));
    assert_eq!(lines.clone().count(), 7);
    let first = format!("{},,", line.vendor.unique_id(0));
    assert!(list.contains(&first) && list.contains(",sensor,key-missing,"), "{list}");
    // The line fills in all but the last two, as they come.
    let filled: Vec<String> = lines
        .enumerate()
        .map(|(row, text)| match row {
            0..5 => {
                let key = line.vendor.device_key(row as u64, 0).public_key().to_multikey();
                text.replacen(",,", &format!(",{key},"), 1)
            }
            _ => text.to_owned(),
        })
        .collect();
    let keys = format!("{header}\n{}\n", filled.join("\n"));
    let keys = file(line.dir.path(), "reel.json.missing.csv", keys);
    let again = line.enrol(vec![reel], Some(keys)).await;
    assert_eq!(counts(&again), (5, 0, 2, 1));
    assert!(again.summary().warnings.is_empty(), "{:?}", again.summary().warnings);
    assert_eq!(missing(&again).lines().count(), 1 + 2);
}

#[tokio::test]
async fn serial_numbers_like_formulas_find_their_keys() {
    let line = Line::new(Fault::None).await;
    let serials = ["=1+1", "-7", "+44,5", "@x\"y", "'z"];
    let rows = serials.map(|s| serde_json::json!({ "serial": s }).to_string() + "\n").concat();
    let input = file(line.dir.path(), "a.jsonl", rows);
    let finished = line.enrol(vec![input.clone()], None).await;
    let list = missing(&finished);
    assert!(list.contains("\n'=1+1,,") && list.contains("\n\"'+44,5\",,"), "{list}");
    let filled: Vec<_> = list
        .lines()
        .zip(0..)
        .map(|(text, n)| match n {
            0 => text.to_owned(),
            _ => text.replacen(",,", &format!(",{},", line.key(n)), 1),
        })
        .collect();
    let keys = file(line.dir.path(), "keys.csv", filled.join("\n"));
    assert_eq!(counts(&line.enrol(vec![input], Some(keys)).await), (5, 0, 0, 0));
}

#[tokio::test]
async fn an_error_is_no_line_but_an_entry() {
    let line = Line::new(Fault::None).await;
    let input = file(line.dir.path(), "a.json", "[{\"serial\":1},\n\n{\"privateKey\":\"x\"}]");
    let error = enrolment(&line.node).run(vec![input], None, &mut |_| {}).await.err();
    let Some(error @ Error::PrivateKey { .. }) = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("a.json, entry 2: `privateKey`"), "{error}");
}

#[tokio::test]
async fn the_reading_tells_how_far_it_is() {
    let line = Line::new(Fault::None).await;
    let rows = (0..5_000).map(|n| match n % 5 {
        0 => format!("{{\"serial\":\"S-{n}\",\"publicKey\":\"x\"}}\n"),
        _ => format!("{{\"serial\":\"S-{n}\"}}\n"),
    });
    let text: String = rows.collect();
    let total = 2 * text.len() as u64;
    let write = |name| file(line.dir.path(), name, &text);
    let mut heard = Vec::new();
    enrolment(&line.node)
        .run(vec![write("a.jsonl"), write("b.jsonl")], None, &mut |p| heard.push(p))
        .await
        .expect("read");
    let bytes: Vec<_> = heard.iter().filter_map(|p| p.bytes).collect();
    assert!(bytes.is_sorted_by_key(|b| b.done) && bytes.iter().all(|b| b.total == total));
    let last = heard.iter().rfind(|p| p.bytes.is_some()).expect("told");
    assert_eq!(last.bytes.expect("bytes").done, total);
    let Counts { waiting, refused, rows, .. } = last.counts;
    assert_eq!((last.done, waiting, refused, rows), (10_000, 8_000, 2_000, 10_000));
}
