//! Whatever the bytes: no panic, no lost line, no text above its bound.

use crate::formats::read;
use muster_provisioning::formats::Format;
use muster_provisioning::limits::ROW_BYTES;
use proptest::prelude::*;

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"serial",
        b"publicKey",
        b"\"",
        b"\"\"",
        b",",
        b";",
        b"\t",
        b"\n",
        b"\r\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"1",
        b"\\",
        b"\\u00",
        b"\xff",
        b"\xef\xbb\xbf",
        b" ",
        b"z6Mk",
        b"null",
        b"kty",
        b"\"serial\":\"a\"",
        b"-----BEGIN PUBLIC KEY-----",
    ];
    prop::collection::vec(prop::sample::select(words), 0..80).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        for format in [Format::Jsonl, Format::Json, Format::Csv, Format::X509, Format::Microchip] {
            let _ = read(format, &bytes);
        }
        if let Some(format) = Format::detect(&bytes) {
            let _ = read(format, &bytes);
        }
    }

    #[test]
    fn any_pieces_are_read_or_refused(bytes in pieces()) {
        for format in [Format::Jsonl, Format::Csv, Format::Json] {
            let Ok(read) = read(format, &bytes) else { continue };
            let lines = bytes.split(|b| *b == b'\n').count() as u64;
            let mut places: Vec<u64> = read.drafts.iter().map(|d| d.line).collect();
            places.extend(read.refused.iter().map(|(line, _)| *line));
            let rows = places.len();
            places.sort_unstable();
            places.dedup();
            prop_assert_eq!(places.len(), rows, "two rows in one place");
            // Entries of JSON have numbers, not lines.
            let in_file = |line: &u64| format == Format::Json || (1..=lines).contains(line);
            prop_assert!(places.iter().all(in_file));
            for draft in &read.drafts {
                prop_assert!(draft.serial.as_ref().is_none_or(|s| s.len() <= ROW_BYTES));
                if let Some(key) = &draft.public_key {
                    let _ = key.read(draft.key_type.as_deref());
                }
            }
        }
    }

    #[test]
    fn jsonl_names_every_line_that_is_not_blank(bytes in pieces()) {
        if let Ok(read) = read(Format::Jsonl, &bytes) {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            let blank = |line: &[u8]| str::from_utf8(line).is_ok_and(|text| text.trim().is_empty());
            let lines = text.split(|b| *b == b'\n').filter(|line| !blank(line)).count();
            prop_assert_eq!(read.drafts.len() + read.refused.len(), lines);
        }
    }

    #[test]
    fn csv_cells_survive_quoting(cells in prop::collection::vec("[a-z\",;\n ]{0,12}", 1..20)) {
        let mut text = String::from("serial,lot\n");
        for cell in &cells {
            text += &format!("x,\"{}\"\n", cell.replace('"', "\"\""));
        }
        let read = read(Format::Csv, text.as_bytes()).expect("readable");
        let found: Vec<_> = read.drafts.iter().map(|d| d.lot.clone().unwrap_or_default()).collect();
        let expected: Vec<_> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
        prop_assert_eq!(found, expected);
    }
}
