//! Files cut short, at every place: never a panic, and the rows before the cut are read.

use crate::made::p256;
use crate::made_x509::*;
use crate::x509::{judge_as, line_ca, signed, trusting, word};
use data_encoding::BASE64;
use muster_identity::Signer as _;
use muster_provisioning::Sources;
use muster_provisioning::formats::Format;
use muster_provisioning::sample::microchip::{Shape, Vendor};
use std::path::Path;

/// Text of every row, with what parts it from the next.
struct Sample {
    format: Format,
    head: String,
    rows: Vec<String>,
    /// What may be left away behind a row without harm.
    part: usize,
}

fn csr(name: &str) -> Vec<u8> {
    request(&[(SERIAL, name)], &spki(&p256(name).public_key()), &p256(name))
}

fn samples() -> Vec<Sample> {
    let names = ["A", "B", "C"];
    let rows = |row: &dyn Fn(&str) -> String| names.map(row).to_vec();
    let escaped = |name: &str| pem("CERTIFICATE REQUEST", &csr(name)).replace('\n', "\\n");
    let sample = |format, head: &str, rows, part| Sample { format, head: head.into(), rows, part };
    let vendor = Vendor::new(5).expect("a vendor");
    let shape = Shape { version: 2, slots: 2, x5c: true };
    let entry = |i| format!("{},\n", vendor.entry(i, &shape, None).expect("an entry"));
    vec![
        sample(
            Format::Jsonl,
            "",
            rows(&|n| format!("{{\"ThingName\":\"{n}\",\"CSR\":\"{}\"}}\r\n", escaped(n))),
            2,
        ),
        sample(
            Format::Json,
            "[\n",
            rows(&|n| format!("{{\n\"serial\":\"{n}\",\n\"csr\":\"{}\"}},\n", escaped(n))),
            2,
        ),
        sample(
            Format::Json,
            "",
            rows(&|n| format!("{{\n\"serial\":\"{n}\",\n\"csr\":\"{}\"\n}}\n", escaped(n))),
            1,
        ),
        sample(
            Format::Csv,
            "\u{feff}MAC;cn;cert\r\n",
            rows(&|n| format!("{n};x;\"{}\"\r\n", cert_pem(&signed(n)).replace('\n', "\r\n"))),
            2,
        ),
        sample(
            Format::Csv,
            "",
            rows(&|n| format!("{n},,a|b,APP,\"{}\"\n", cert_pem(&signed(n)))),
            1,
        ),
        sample(Format::X509, "", rows(&|n| pem("CERTIFICATE REQUEST", &csr(n))), 1),
        sample(Format::X509, "", rows(&|n| format!("{}\n", BASE64.encode(&signed(n)))), 1),
        sample(Format::Microchip, "[", (0..3).map(entry).collect(), 2),
    ]
}

fn trust(dir: &Path) -> Sources {
    let vendor = Vendor::new(5).expect("a vendor");
    let der = vendor.signer_certificate().expect("a certificate");
    std::fs::write(dir.join("signer.der"), der).expect("written");
    let signers = muster_provisioning::SourceOptions {
        signers: vec![dir.into()],
        ..muster_provisioning::SourceOptions::default()
    };
    let Sources { signers, .. } = signers.load(crate::x509::NOW).expect("loaded");
    Sources { signers, ..trusting(&[("line.der", line_ca())]) }
}

#[test]
fn rows_before_a_cut_are_read_and_what_is_cut_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let sources = trust(dir.path());
    for Sample { format, head, rows, part } in samples() {
        let text = head.clone() + &rows.concat();
        assert_eq!(Format::detect(text.as_bytes()), Some(format), "{text}");
        let ends: Vec<usize> = rows
            .iter()
            .scan(head.len(), |at, row| {
                *at += row.len();
                Some(*at - part)
            })
            .collect();
        for cut in (0..text.len()).step_by(5).chain(ends.iter().copied()) {
            let bytes = &text.as_bytes()[..cut];
            // A file that is not even a beginning may be of another format, or of none.
            let Some(found) = Format::detect(bytes) else { continue };
            let Ok(judged) = judge_as(found, bytes, &sources) else {
                assert!(cut < head.len() + 512, "{format:?} refused as a whole at {cut}");
                continue;
            };
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let good = judged.iter().take_while(|(_, row)| word(row) == "ok").count();
            // One more may be good already: padding of base64 and closing brackets may be lost.
            assert!((whole..=whole + 1).contains(&good), "{format:?} cut at {cut}: {good}");
            let last = ends.iter().rfind(|end| **end <= cut);
            // Little of the next row is not told from a line of text between rows; and a cut in
            // the first row of a table may look like a header.
            if last
                .is_some_and(|last| (last + part + "-----BEGIN".len()..text.len()).contains(&cut))
                && !ends.contains(&cut)
            {
                assert!(judged.len() > whole, "{format:?} cut at {cut}: nothing is told");
            }
        }
    }
}
