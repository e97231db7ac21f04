//! Folders and archives, from the file to the enrolment.

use crate::made::{enrolment, file, genesis, outcomes, p256};
use crate::made_x509::*;
use crate::node::{Fault, Node};
use flate2::Compression;
use flate2::write::GzEncoder;
use muster_identity::Signer as _;
use muster_provisioning::{Error, Finished, Outcome};
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use zip::write::SimpleFileOptions;

type Files<'a> = &'a [(&'a str, Vec<u8>)];

struct Line {
    dir: tempfile::TempDir,
    node: Node,
}

impl Line {
    async fn new() -> Self {
        let node = Node::start(&genesis(&["sensor"], 1_000), Fault::None, 16).await;
        Self { dir: tempfile::tempdir().expect("a folder"), node }
    }

    async fn enrol(&self, input: PathBuf) -> Result<Finished, Error> {
        enrolment(&self.node).run(vec![input], None, &mut |_| {}).await
    }

    /// The same files as folder, tar, gzipped tar and zip.
    fn all(&self, files: Files) -> Vec<PathBuf> {
        let folder = tempfile::tempdir_in(self.dir.path()).expect("a folder").keep();
        for (name, bytes) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        let write = |name, bytes| file(self.dir.path(), name, bytes);
        vec![
            folder,
            write("all.tar", tar(files)),
            write("all.tgz", gz(&tar(files))),
            write("all.zip", zip(files)),
        ]
    }
}

fn tar(files: Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..]).expect("written");
    }
    archive.into_inner().expect("written")
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).expect("written");
    out.finish().expect("written")
}

fn zip(files: Files) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("written");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("written").into_inner()
}

fn csr(name: &str) -> Vec<u8> {
    let key = p256(name);
    request(&[(SERIAL, name)], &spki(&key.public_key()), &key)
}

fn csr_pem(name: &str) -> Vec<u8> {
    pem("CERTIFICATE REQUEST", &csr(name)).into()
}

#[tokio::test]
async fn requests_in_folders_and_archives_are_enrolled() {
    let line = Line::new().await;
    let mut bad = csr("bad");
    *bad.last_mut().expect("bytes") ^= 1;
    let several = [csr_pem("C"), csr_pem("D")].concat();
    let files = [
        ("a.csr", csr_pem("A")),
        ("b/b.der", csr("B")),
        ("b/bad.der", bad),
        ("c.pem", several),
        ("read.me", b"Not a private key in sight.".to_vec()),
    ];
    for (i, path) in line.all(&files).into_iter().enumerate() {
        let finished = line.enrol(path.clone()).await.expect("enrolled");
        let rows: Vec<_> = outcomes(&finished)
            .into_iter()
            .map(|r| {
                let member = r.file.expect("a file").rsplit_once(':').expect("a member").1;
                (member.to_owned(), r.line, r.outcome, r.code.as_deref().map(String::from))
            })
            .collect();
        let good = if i == 0 { Outcome::Enrolled } else { Outcome::Already };
        let name = |name: &str| name.to_owned();
        let expected = [
            (name("a.csr"), 1, good, None),
            (name("b/b.der"), 1, good, None),
            (name("b/bad.der"), 1, Outcome::Refused, Some(name("csr-signature"))),
            (name("c.pem"), 1, good, None),
            (name("c.pem"), rows[4].1, good, None),
        ];
        assert_eq!(rows, expected, "{}", path.display());
        let warnings = &finished.summary().warnings;
        assert!(
            matches!(&warnings[..], [one] if one.contains("read.me is not read")),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn a_private_key_anywhere_refuses_the_whole() {
    let line = Line::new().await;
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let keys = [
        ("x/k.key", pem("EC PRIVATE KEY", &sec1).into_bytes()),
        ("x/k.key", sec1.clone()),
        ("x/k.txt", [b"hello\n".repeat(50_000), pem("PRIVATE KEY", &sec1).into()].concat()),
        ("x/dac.json", b"{\n\"dac_private_key\": \"0a\"}".to_vec()),
    ];
    for (name, bytes) in keys {
        for path in line.all(&[("a.csr", csr_pem("A")), (name, bytes.clone())]) {
            let error = line.enrol(path).await.err().expect("refused");
            let Error::PrivateKey { file, .. } = &error else { panic!("{error}") };
            assert!(file.ends_with(name), "{file}");
        }
    }
    // Nothing was enrolled by any of these.
    let path = line.all(&[("a.csr", csr_pem("A"))]).remove(1);
    assert_eq!(line.enrol(path).await.expect("enrolled").summary().counts.enrolled, 1);
}

#[tokio::test]
async fn bombs_and_broken_archives_are_named() {
    let line = Line::new().await;
    let zeros = vec![0; 48 << 20];
    let one = tar(&[("a.csr", csr_pem("A"))]);
    let zipped = zip(&[("a.csr", csr_pem("A"))]);
    let spaces = [csr_pem("A"), vec![b' '; 48 << 20]].concat();
    let cases: [(Vec<u8>, &str); 10] = [
        (zip(&[("zeros", zeros.clone())]), "archive bomb"),
        (zip(&[("spaces", spaces.clone())]), "archive bomb"),
        (gz(&tar(&[("zeros", zeros.clone())])), "archive bomb"),
        (gz(&zeros), "no tar archive"),
        (zip(&[("x.zip", zipped.clone())]), "archive within another"),
        (tar(&[("x.tar", one.clone())]), "archive within another"),
        (gz(&gz(&one)), "archive within another"),
        (zipped[..zipped.len() - 30].to_vec(), "cannot be read"),
        (one[..700].to_vec(), ""),
        (tar(&[("read.me", b"hello".to_vec())]), "no file of devices"),
    ];
    for (i, (bytes, part)) in cases.into_iter().enumerate() {
        let path = file(line.dir.path(), "x.bin", bytes);
        match line.enrol(path).await {
            Err(error) => assert!(error.to_string().contains(part), "case {i}: {error}"),
            // A row that was cut is a row.
            Ok(finished) => assert_eq!((i, finished.summary().counts.enrolled), (8, 0)),
        }
    }
}

#[tokio::test]
async fn a_damaged_archive_costs_what_it_lost() {
    let line = Line::new().await;
    let files: Vec<(String, Vec<u8>)> =
        (0..6).map(|i| (format!("{i}.csr"), csr_pem(&format!("cut {i}")))).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let whole = tar(&files);
    let packed = gz(&whole);
    // In tar every file has a block for its header and, here, one for itself.
    for cut in (600..whole.len()).step_by(701) {
        let path = file(line.dir.path(), "cut.tar", &whole[..cut]);
        let finished = line.enrol(path).await.expect("read as far as it goes");
        let counts = finished.summary().counts;
        let good = counts.enrolled + counts.already;
        assert!(good >= ((cut / 1024).min(6)) as u64, "cut at {cut}: {counts:?}");
        // The two empty blocks at the end may be missing.
        assert!(cut > 6 * 1024 || counts.refused > 0, "cut at {cut}: {counts:?}");
    }
    for cut in (packed.len() / 2..packed.len()).step_by(37) {
        let path = file(line.dir.path(), "cut.tgz", &packed[..cut]);
        match line.enrol(path).await {
            Ok(finished) => {
                let last = outcomes(&finished).pop().expect("a row");
                assert_eq!(last.code.as_deref(), Some("cut-short"), "cut at {cut}");
            }
            Err(error) => assert!(error.to_string().contains("cannot be read"), "{error}"),
        }
    }
    // One damaged member of a zip archive.
    let mut zipped = zip(&files);
    let at = zipped.windows(5).position(|w| w == b"3.csr").expect("a member") + 5 + 40;
    zipped[at] ^= 0x55;
    let path = file(line.dir.path(), "bad.zip", zipped);
    let finished = line.enrol(path).await.expect("the others are read");
    let counts = finished.summary().counts;
    assert!(counts.already >= 5, "{counts:?}");
    let rows = outcomes(&finished);
    let lost = rows.iter().find(|row| row.code.as_deref() == Some("cut-short")).expect("a row");
    assert!(lost.file.expect("a file").ends_with("bad.zip:3.csr"));
    assert!(lost.reason.as_ref().expect("a reason").contains("damaged"), "{lost:?}");
}

#[tokio::test]
async fn gzip_of_one_file_is_that_file_and_no_byte_of_it_is_shown() {
    let line = Line::new().await;
    let path = file(line.dir.path(), "run.pem.gz", gz(&[csr_pem("A"), csr_pem("B")].concat()));
    assert_eq!(line.enrol(path).await.expect("enrolled").summary().counts.enrolled, 2);
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let key = pem("EC PRIVATE KEY", &sec1);
    let body = key.lines().nth(1).expect("a line");
    let mut as_header = tar(&[("a.csr", csr_pem("A"))]);
    as_header.splice(0..key.len(), key.bytes());
    for bytes in [gz(key.as_bytes()), gz(&as_header), as_header] {
        let path = file(line.dir.path(), "key.gz", bytes);
        let error = line.enrol(path).await.err().expect("refused").to_string();
        assert!(!error.contains(&body[..12]), "{error}");
    }
    let path = file(line.dir.path(), "x.xlsx", zip(&[("xl/workbook.xml", b"<x/>".to_vec())]));
    let error = line.enrol(path).await.err().expect("refused").to_string();
    assert!(error.contains("Excel") && error.contains("CSV"), "{error}");
}

#[tokio::test]
async fn every_known_format_is_read_in_archives() {
    let line = Line::new().await;
    let key = |n: u32| p256(&format!("member {n}")).public_key().to_multikey();
    let files = [
        ("LICENSE", b"Permission is hereby granted, free of charge; to any person".to_vec()),
        ("list.csv", format!("serial;publicKey\nC-1;{}\nC-2;x\n", key(1)).into_bytes()),
        ("lot.json", format!("[{{\"serial\":\"J-1\",\"publicKey\":\"{}\"}}]", key(2)).into()),
        ("lot.jsonl", format!("{{\"serial\":\"L-1\",\"publicKey\":\"{}\"}}\n", key(3)).into()),
        ("note.rtf", b"{\\rtf1 hello\n}".to_vec()),
        ("package.json", b"{\n\"name\": \"x\",\n\"version\": \"1\"\n}\n".to_vec()),
        ("reel.json", b"[{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"\"}]".to_vec()),
        ("z.csr", csr_pem("Z")),
    ];
    for (i, path) in line.all(&files).into_iter().enumerate() {
        let finished = line.enrol(path.clone()).await.expect("enrolled");
        let rows: Vec<_> = outcomes(&finished)
            .into_iter()
            .map(|row| {
                let member = row.file.expect("a file").rsplit_once(':').expect("a member").1;
                (member.to_owned(), row.outcome, row.code.map(String::from).unwrap_or_default())
            })
            .collect();
        let good = if i == 0 { Outcome::Enrolled } else { Outcome::Already };
        let row = |name: &str, outcome, code: &str| (name.to_owned(), outcome, code.to_owned());
        let expected = [
            row("list.csv", good, ""),
            row("list.csv", Outcome::Refused, "public-key"),
            row("lot.json", good, ""),
            row("lot.jsonl", good, ""),
            row("reel.json", Outcome::Refused, "jws"),
            row("z.csr", good, ""),
        ];
        assert_eq!(rows, expected, "{}", path.display());
        let warnings = finished.summary().warnings.join("\n");
        let unread = ["LICENSE", "note.rtf", "package.json"];
        assert!(unread.iter().all(|name| warnings.contains(name)), "{warnings}");
        assert_eq!(warnings.lines().count(), unread.len(), "{warnings}");
        // Nothing can be mended in an archive: its rows are listed.
        assert!(finished.rejects().file().expect("readable").is_none());
        let mut list = Vec::new();
        assert_eq!(finished.write_missing(&mut list).expect("written"), 2);
        let list = String::from_utf8(list).expect("text");
        assert!(
            list.contains("C-2,,,sensor,public-key,") && list.contains("list.csv,3\n"),
            "{list}"
        );
    }
    let path = file(line.dir.path(), "run.csv.gz", gz(&files[1].1));
    assert_eq!(line.enrol(path).await.expect("read").summary().counts.already, 1);
    let secret = [("a.csv", b"serial,privateKey\nS,x\n".to_vec()), ("z.csr", csr_pem("Y"))];
    for path in line.all(&secret) {
        let error = line.enrol(path).await.err().expect("refused").to_string();
        assert!(error.contains("a.csv, line 2: `privateKey`"), "{error}");
    }
}
