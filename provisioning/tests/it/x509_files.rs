//! Certificates and requests where they really stand: columns, lists, folders of vendors.

use crate::made::p256;
use crate::made_x509::*;
use crate::x509::*;
use data_encoding::BASE64;
use muster_identity::{Signer as _, sha256};
use muster_ledger::VouchedBy;
use muster_provisioning::formats::{Format, Mapping, Verdict};
use muster_provisioning::{Error, SourceOptions, Sources};
use std::path::{Path, PathBuf};

#[test]
fn certificates_stand_in_columns() {
    let sources = trusting(&[("line.der", line_ca())]);
    let csv = |text: &str| judge_as(Format::Csv, text.as_bytes(), &sources).expect("readable");
    // As Espressif writes it.
    let text = format!(
        "MAC,cn,cert\n58:BF:25:00:00:01,a,\"{}\"\n58:BF:25:00:00:02,b,\"{}\"\n",
        cert_pem(&signed("A")),
        cert_pem(&signed("B"))
    );
    assert_eq!(Format::detect(text.as_bytes()), Some(Format::Csv));
    let judged = csv(&text);
    assert_eq!(words(&judged), ["ok", "ok"]);
    let serial = |i: usize| judged[i].1.as_ref().expect("read").serial.clone();
    assert_eq!(serial(0).as_deref(), Some("58:BF:25:00:00:01"));
    // In the column of keys, in base64, with line ends as two characters, with its issuers.
    let text = format!(
        "publicKey;certificate;serial\n{};;1\n;{};2\n\"{}{}\";;3\n",
        BASE64.encode(&signed("A")),
        cert_pem(&signed("B")).replace('\n', "\\n"),
        cert_pem(&signed("C")),
        cert_pem(&line_ca()),
    );
    assert_eq!(words(&csv(&text)), ["ok", "ok", "ok"]);
    // As Nordic writes it: no header, tags apart by bars.
    let mapping = Mapping::parse(&["serial=#1", "certificate=#5"]).expect("a mapping");
    let sources = Sources { mapping, ..trusting(&[("line.der", line_ca())]) };
    let text = format!("nrf-1,,a|b|c|d|e,APP,\"{}\"\n", cert_pem(&signed("A")));
    let judged = judge_as(Format::Csv, text.as_bytes(), &sources).expect("readable");
    assert_eq!(words(&judged), ["ok"]);
    assert_eq!(judged[0].1.as_ref().expect("read").serial.as_deref(), Some("nrf-1"));
}

#[test]
fn requests_vouch_by_their_own_signature() {
    let sources = nobody();
    let own = |name: &str| p256(name);
    let good = request(&[(CN, "A")], &spki(&own("A").public_key()), &own("A"));
    let judged = judge(&good, &sources);
    let finding = judged[0].1.as_ref().expect("read");
    let (key, digest) = (own("A").public_key(), sha256(&[&good]));
    assert_eq!(finding.verdict, Verdict::Key { key, by: VouchedBy::SigningRequest, digest });
    assert_eq!(finding.serial.as_deref(), Some("A"));
    let ed = request(&[(SERIAL, "B"), (CN, "x")], &spki(&key_of("B").public_key()), &key_of("B"));
    let both =
        format!("{}{}", pem("CERTIFICATE REQUEST", &good), pem("NEW CERTIFICATE REQUEST", &ed));
    let judged = judge(both.as_bytes(), &sources);
    assert_eq!(words(&judged), ["ok", "ok"]);
    assert_eq!(judged[1].1.as_ref().expect("read").serial.as_deref(), Some("B"));
    let forged = request(&[(CN, "A")], &spki(&own("A").public_key()), &own("B"));
    assert_eq!(one(&forged, &sources), "csr-signature");
    let rsa = request(&[(CN, "A")], &rsa_spki(), &own("B"));
    assert_eq!(one(&rsa, &sources), "rsa-key");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let judged = judge_as(Format::X509, &bad, &sources);
        assert!(judged.is_err() || judged.is_ok_and(|j| words(&j) != ["ok"]), "byte {at}");
    }
    // As AWS takes them in bulk.
    let text = pem("CERTIFICATE REQUEST", &good).replace('\n', "\\n");
    let row = format!("{{\"ThingName\":\"t1\",\"SerialNumber\":4711,\"CSR\":\"{text}\"}}\n");
    let judged = judge_as(Format::Jsonl, row.as_bytes(), &sources).expect("readable");
    assert_eq!(words(&judged), ["ok"]);
    assert_eq!(judged[0].1.as_ref().expect("read").serial.as_deref(), Some("4711"));
}

#[test]
fn private_keys_are_refused_in_every_form() {
    let mut raw = tlv(4, &[&[0x42; 32]]);
    let ed = tlv(0x30, &[b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70", &tlv(4, &[&raw])]);
    raw.splice(0..0, *b"\x02\x01\x01");
    let sec1 = tlv(0x30, &[&raw, &tlv(0xa0, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"])]);
    let p256 = b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let pkcs8 = tlv(0x30, &[p256, &tlv(4, &[&sec1])]);
    let pkcs1 = tlv(0x30, &[b"\x02\x01\x00", &tlv(2, &[&[0x41; 128]]), b"\x02\x03\x01\x00\x01"]);
    let pbes2 = tlv(0x30, &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x05\x00"]);
    let sealed = tlv(0x30, &[&pbes2, &tlv(4, &[&[9; 64]])]);
    let cert = signed("A");
    for der in [ed, sec1, pkcs8, pkcs1, sealed] {
        let text = BASE64.encode(&der);
        let pems = format!("{}{}", cert_pem(&cert), pem("PRIVATE KEY", &der));
        let disguised = format!("{}{}", cert_pem(&cert), pem("CERTIFICATE", &der));
        let csv = format!("serial,note\n1,{text}\n");
        let json = format!("{{\"serial\":\"1\",\"note\":[\"{text}\"]}}");
        let files: [(Format, &[u8]); 5] = [
            (Format::X509, &der),
            (Format::X509, pems.as_bytes()),
            (Format::X509, disguised.as_bytes()),
            (Format::Csv, csv.as_bytes()),
            (Format::Jsonl, json.as_bytes()),
        ];
        for (format, file) in files {
            assert_eq!(Format::detect(file), Some(format));
            let error = judge_as(format, file, &nobody()).expect_err("a private key");
            assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
            assert!(!error.to_string().contains(&text[20..40]));
        }
    }
    let matter = b"{\n  \"vid\": 1,\n  \"dac_private_key\": \"00aa\"\n}\n";
    let error = judge_as(Format::Jsonl, matter, &nobody()).expect_err("a private key");
    assert!(matches!(error, Error::PrivateKey { line: 3, .. }), "{error}");
}

fn shared(path: &str) -> Option<PathBuf> {
    let base = std::env::var_os("MUSTER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let path = base.join(path);
    if !path.exists() {
        eprintln!("NOT RUN: {} is not there; set MUSTER_VECTORS", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_real_files_get_their_verdicts() {
    let Some(matter) = shared("matter-certs") else { return };
    let load = |names: &[&str]| {
        let trust = names.iter().map(|name| matter.join(name)).collect();
        SourceOptions { trust, ..SourceOptions::default() }.load(NOW).expect("loaded")
    };
    let file = |name: &str| std::fs::read(matter.join(name)).expect("readable");
    let sources = load(&["root_cert.pem", "intermediate_cert.pem", "paa_cert_no_vid.pem"]);
    for name in ["root_cert.pem", "intermediate_cert.pem", "paa_cert_no_vid.pem"] {
        assert_eq!(one(&file(name), &sources), "ca-certificate", "{name}");
    }
    for name in ["pai_cert_vid.pem", "pai_cert_vid_pid.pem"] {
        assert_eq!(one(&file(name), &sources), "ca-certificate", "{name}");
    }
    // Its subject is `O=leaf` among others: no serial number, but its chain is good.
    let leaf = file("leaf_cert.pem");
    let judged = judge(&leaf, &sources);
    assert_eq!(words(&judged), ["ok"]);
    assert_eq!(judged[0].1.as_ref().expect("read").serial, None);
    assert_eq!(one(&leaf, &nobody()), "waiting unknown-issuer");
    let chain = [leaf.clone(), file("intermediate_cert.pem")].concat();
    assert_eq!(one(&chain, &load(&["root_cert.pem"])), "ok");
    assert_eq!(one(&chain, &load(&["paa_cert_no_vid.pem"])), "waiting unknown-issuer");
    // A device under Matter's test PAI cannot be made without its key; the PAI's own chain can
    // be followed, as an issuer that comes with a device.
    let Some(ek) = shared("tpm-ek/tcg-example-user-device.der") else { return };
    assert_eq!(one(&std::fs::read(ek).expect("readable"), &sources), "endorsement-key");
}

#[test]
fn the_azure_sample_waits_for_its_keys() {
    let Some(file) = shared("azure-iot-central-csv/iot-central-bulk-upload.csv") else { return };
    let bytes = std::fs::read(file).expect("readable");
    assert_eq!(Format::detect(&bytes), Some(Format::Csv));
    let judged = judge_as(Format::Csv, &bytes, &nobody()).expect("readable");
    assert_eq!(words(&judged), ["no-key"]);
    assert_eq!(judged[0].1.as_ref().expect("read").serial.as_deref(), Some("sampledevice-1"));
}
