//! `--map`: tables with foreign headers, or none.

use muster_provisioning::Error;
use muster_provisioning::formats::{Draft, Format, Item, Mapping};

const KEY: &str = "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH";

fn read(map: &[&str], format: Format, text: &str) -> Result<(Vec<Draft>, Vec<String>), Error> {
    let (mut drafts, mut told) = (Vec::new(), Vec::new());
    for item in format.read_mapped("test", text.as_bytes(), &Mapping::parse(map)?) {
        match item? {
            Item::Draft(draft) => drafts.push(draft),
            Item::Warning(text) => told.push(text),
            Item::Refused { fault, .. } => told.push(fault.reason),
        }
    }
    Ok((drafts, told))
}

fn rows(map: &[&str], text: &str) -> Vec<(Option<String>, bool, Option<String>)> {
    let (drafts, _) = read(map, Format::Csv, text).expect("readable");
    drafts.into_iter().map(|d| (d.serial, d.public_key.is_some(), d.lot)).collect()
}

#[test]
fn foreign_headers_are_mapped() {
    let expected = vec![(Some("1".into()), true, Some("r".into())); 2];
    for d in [",", ";", "\t", "|"] {
        let text = format!(
            "\u{feff}Ger\u{e4}t{d}\"Key (pub)\"{d}Rolle\r\n1{d}{KEY}{d}r\r\n\r\n1{d}{KEY}{d}\"r\"\r\n"
        );
        let map = ["serial=Ger\u{e4}t", "publicKey=key_pub", "lot=Rolle"];
        assert_eq!(rows(&map, &text), expected, "{d:?}");
    }
    // A mapped column stands before one that has the field's own name.
    let found = rows(&["serial=id"], "serial,id\nno,yes\n");
    assert_eq!(found, [(Some("yes".into()), false, None)]);
    // The same names in JSON lines.
    let json = "{\"Ger\u{e4}t\":\"1\",\"serial\":\"no\"}";
    let (drafts, told) = read(&["serial=Ger\u{e4}t"], Format::Jsonl, json).expect("readable");
    assert_eq!(drafts[0].serial.as_deref(), Some("1"));
    assert!(told[0].contains("`serial` is unknown"), "{told:?}");
}

#[test]
fn a_table_without_header_is_mapped_by_place() {
    let text = format!("1;x;{KEY}\n2;x;{KEY}\n3;x\n");
    let (drafts, told) = read(&["serial=#1", "publicKey=#3"], Format::Csv, &text).expect("read");
    assert_eq!(drafts.iter().map(|d| d.line).collect::<Vec<_>>(), [1, 2]);
    assert!(drafts.iter().all(|d| d.public_key.is_some()));
    assert_eq!(told, ["2 cells, the first row has 3"]);
    let error = read(&["serial=#4"], Format::Csv, &text).expect_err("too far").to_string();
    assert!(error.contains("#4") && error.contains("3 cells"), "{error}");
}

#[test]
fn what_cannot_be_mapped_is_said() {
    let cases: [(&[&str], &str); 9] = [
        (&["serial"], "not FIELD=COLUMN"),
        (&["serial="], "not FIELD=COLUMN"),
        (&["colour=x"], "no field; there are serial,"),
        (&["serial=a", "serial=b"], "`serial` stands twice"),
        (&["serial=a", "lot=a"], "stands twice"),
        (&["serial=#0"], "#1 to #256"),
        (&["serial=#257"], "#1 to #256"),
        (&["serial=#1", "lot=b"], "no header"),
        (&["lot=#1"], "serial=#N"),
    ];
    for (map, part) in cases {
        let error = Mapping::parse(map).expect_err("refused").to_string();
        assert!(error.starts_with("--map: ") && error.contains(part), "{error}");
    }
    let error = read(&["serial=x"], Format::Csv, "a,b\n1,2\n").expect_err("not there").to_string();
    assert!(error.contains("`x`") && error.contains("`a`, `b`"), "{error}");
    let error = read(&[], Format::Csv, "a,b\n1,2\n").expect_err("no serial").to_string();
    assert!(error.contains("--map serial=COLUMN"), "{error}");
}

#[test]
fn a_private_key_in_any_column_is_found() {
    let text = "1;x;z3u2en7t5LR2WtQH5PfFqMqwVHgeXouLzo6haApm8XHqvjxq\n";
    let error = read(&["serial=#1"], Format::Csv, text).expect_err("a private key");
    assert!(
        matches!(error, Error::PrivateKey { line: 1, ref field, .. } if field == "#3"),
        "{error}"
    );
}
