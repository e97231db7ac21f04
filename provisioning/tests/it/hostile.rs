//! Files that are meant to hurt: lines without end, a million columns, one bad row in many.

use crate::formats::read;
use crate::made::p256;
use crate::made_x509::*;
use crate::x509::{judge_as, line_ca, nobody, signed, trusting, words};
use muster_identity::Signer as _;
use muster_provisioning::formats::{Format, Item};
use muster_provisioning::limits::ROW_BYTES;
use std::io::{BufReader, Read};
use std::process::Command;

/// Bytes of one line. A file of 4 GB takes no other way than this one: what is above a bound is
/// dropped piece by piece.
const LONG: u64 = 5 << 20;

/// What may be held at most while it is read, in KiB; the bound of a row is 64.
const HELD: u64 = 1 << 10;

/// A file that nobody stores: a beginning, a pattern for long, an end.
struct Long {
    head: &'static [u8],
    pattern: &'static [u8],
    left: u64,
    tail: &'static [u8],
}

impl Read for Long {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(into);
        }
        if self.left == 0 {
            return self.tail.read(into);
        }
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for (byte, pattern) in into[..wanted].iter_mut().zip(self.pattern.iter().cycle()) {
            *byte = *pattern;
        }
        self.left -= wanted as u64;
        Ok(wanted)
    }
}

type LongFile = (Format, &'static [u8], &'static [u8], &'static [u8], &'static [&'static str]);

/// Each begins and ends with a good row where its format can say so.
const FILES: [LongFile; 9] = [
    (
        Format::Jsonl,
        b"{\"serial\":1}\n{\"serial\":\"",
        b"x",
        b"\"}\n{\"serial\":2}\n",
        &["row", "row-too-long", "row"],
    ),
    (Format::Csv, b"serial,lot\n1,a\n", b"x,", b"\n2,b\n", &["row", "row-too-long", "row"]),
    (Format::Csv, b"serial,lot\n1,a\n\"", b"x", b"\"\n2,b\n", &["row", "row-too-long", "row"]),
    (
        Format::Json,
        b"[{\"serial\":1},{\"serial\":\"",
        b"x",
        b"\"},{\"serial\":2}]",
        &["row", "row-too-long", "row"],
    ),
    (Format::Json, b"{\n\"serial\":1}{\"serial\":", b"[", b"\n", &["row", "row-too-long"]),
    (Format::X509, b"-----BEGIN CERTIFICATE-----\n", b"x", b"\n", &["cut-short"]),
    (
        Format::X509,
        b"-----BEGIN CERTIFICATE-----\n",
        b"MIIBMIIBMIIBMIIB\n",
        b"\n-----END CERTIFICATE-----\n",
        &["row-too-long"],
    ),
    (Format::X509, b"\x30\x84\xff\xff\xff\xff", b"\x30", b"", &["certificate"]),
    (Format::X509, b"MIIB", b"M", b"\n", &["row-too-long"]),
];

/// Reads them all in a process of its own, since others run beside a test.
#[test]
#[ignore = "run by the test below"]
fn long_files_are_read_to_their_end() {
    // Once short, so that the program itself is in memory.
    read_all(2 * ROW_BYTES as u64);
    let before = peak();
    read_all(LONG);
    println!("HELD {}", peak() - before);
}

fn read_all(left: u64) {
    for (format, head, pattern, tail, expected) in FILES {
        let input = BufReader::new(Long { head, pattern, left, tail });
        let mut found = Vec::new();
        for item in format.read("test", input) {
            match item.expect("readable") {
                Item::Draft(_) => found.push("row".to_owned()),
                Item::Refused { fault, .. } => {
                    assert!(fault.reason.len() < 200, "{}", fault.reason.len());
                    found.push(fault.code.into_owned());
                }
                Item::Warning(_) => {}
            }
        }
        assert_eq!(found, expected, "{format:?} {}", String::from_utf8_lossy(head));
    }
}

/// The most that this process ever held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

#[test]
fn lines_without_end_are_read_in_bounded_memory() {
    let test = "hostile::long_files_are_read_to_their_end";
    let done = Command::new(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--ignored", "--nocapture"])
        .output()
        .expect("runs");
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{out}");
    let held = out.lines().find_map(|line| line.split("HELD ").nth(1)).expect("a figure");
    let held: u64 = held.trim().parse().expect("a number");
    assert!(held <= HELD, "{held} KiB were held, {HELD} may be");
}

#[test]
fn a_million_columns_are_refused_in_a_header_and_in_a_row() {
    let million = "c,".repeat(1_000_000);
    let error = read(Format::Csv, format!("serial,{million}\n1\n").as_bytes());
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("65,536 bytes"), "{error}");
    let few = "c,".repeat(300);
    let error = read(Format::Csv, format!("serial,{few}\n1\n").as_bytes());
    assert!(error.expect_err("refused").to_string().contains("more than 256 columns"));
    let rows = read(Format::Csv, format!("serial,lot\n1,a\n{million}\n{few}\n2,b\n").as_bytes());
    let rows = rows.expect("readable");
    assert_eq!(rows.refused, [(3, "row-too-long".into()), (4, "columns".into())]);
    assert_eq!(rows.drafts.iter().map(|d| d.line).collect::<Vec<_>>(), [2, 5]);
}

#[test]
fn one_bad_signature_among_many_is_one_refused_row() {
    const MANY: usize = 400;
    const BAD: usize = 271;
    let pick = |i: usize, good: Vec<u8>| {
        let mut der = good;
        if i == BAD {
            *der.last_mut().expect("bytes") ^= 1;
        }
        der
    };
    let requests: Vec<String> = (0..MANY)
        .map(|i| {
            let (name, key) = (format!("R{i}"), p256(&format!("R{i}")));
            let der = request(&[(SERIAL, &name)], &spki(&key.public_key()), &key);
            pem("CERTIFICATE REQUEST", &pick(i, der))
        })
        .collect();
    let certificates: Vec<String> =
        (0..MANY).map(|i| cert_pem(&pick(i, signed(&format!("C{i}"))))).collect();
    let sources = trusting(&[("line.der", line_ca())]);
    for (all, sources, code) in [
        (requests.concat(), &nobody(), "csr-signature"),
        (certificates.concat(), &sources, "certificate-signature"),
    ] {
        let judged = judge_as(Format::X509, all.as_bytes(), sources).expect("readable");
        let words = words(&judged);
        assert_eq!((words.len(), words[BAD].as_str()), (MANY, code));
        assert_eq!(words.iter().filter(|word| *word == "ok").count(), MANY - 1);
        let line = all.lines().collect::<Vec<_>>()[judged[BAD].0 as usize - 1];
        assert!(line.starts_with("-----BEGIN"), "the place is named");
    }
}

#[test]
fn broken_utf8_costs_its_row() {
    let bytes = |text: &str| text.replace('?', "\u{1}").into_bytes();
    let broken = |text: &str| -> Vec<u8> {
        bytes(text).into_iter().map(|b| if b == 1 { 0xff } else { b }).collect()
    };
    let cases = [
        (Format::Jsonl, "{\"serial\":1}\n{\"serial\":\"?\"}\n{\"serial\":3}\n", 2),
        (Format::Csv, "serial,lot\n1,a\n?,b\n3,c\n", 3),
        (Format::Json, "[{\"serial\":1},\n{\"serial\":\"?\"},\n{\"serial\":3}]", 2),
        (Format::Json, "{\n\"serial\":1}\n{\"serial\":\"?\"}\n{\"serial\":3}", 2),
    ];
    for (format, text, line) in cases {
        let read = read(format, &broken(text)).expect("readable");
        assert_eq!(read.refused, [(line, "encoding".to_owned())], "{format:?}");
        assert_eq!(read.drafts.len(), 2, "{format:?}");
    }
}

/// Bytes held for a row that is refused: where it stands and its state, twice while the table
/// grows, buffers, and what the allocator leaves between; what it says is on the disk.
const REFUSED: u64 = 176;

/// Files of nothing but refused rows, once few and then many, in a process of its own.
#[tokio::test]
#[ignore = "run by the test below"]
async fn refused_rows_are_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let genesis = crate::made::genesis(&["sensor"], 1_000);
    let node = crate::node::Node::start(&genesis, crate::node::Fault::None, 16).await;
    let mut before = 0;
    let few = 80_000;
    let text = "-----BEGIN X-----\n".repeat(3 * few);
    for rows in [few, 3 * few] {
        let file = crate::made::file(dir.path(), "a.pem", &text[..text.len() / 3 / few * rows]);
        before = peak();
        let enrolment = crate::made::enrolment(&node);
        let done = enrolment.run(vec![file], None, &mut |_| {}).await.expect("read");
        assert_eq!(done.summary().counts.refused, rows as u64);
        done.write_missing(&mut std::io::sink()).expect("written");
    }
    println!("HELD {}", (peak() - before) * 1024 / (2 * few as u64));
    // A file of nothing else is no manifest.
    let file = crate::made::file(dir.path(), "a.pem", "-----BEGIN X-----\n".repeat(300_000));
    let enrolment = crate::made::enrolment(&node);
    let error = enrolment.run(vec![file], None, &mut |_| {}).await.err().expect("refused");
    assert!(error.to_string().contains("none of the first 262,144 rows"), "{error}");
}

#[test]
fn refused_rows_take_few_bytes_each() {
    let done = Command::new(std::env::current_exe().expect("this program"))
        .args(["hostile::refused_rows_are_counted", "--exact", "--ignored", "--nocapture"])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&done.stdout);
    let held = said.lines().find_map(|line| line.split_once("HELD ")?.1.trim().parse().ok());
    let held: u64 = held.unwrap_or_else(|| panic!("{said}"));
    assert!(held < REFUSED, "{held} bytes a row");
}
