//! Device certificates and signing requests, made up and real.

use crate::made::{key, p256};
use crate::made_x509::*;
use data_encoding::BASE64;
use muster_identity::{SecretKey, Signer as _, sha256};
use muster_ledger::{Time, VouchedBy};
use muster_provisioning::formats::{Finding, Format, Item, Verdict};
use muster_provisioning::{Error, SourceOptions, Sources};

/// November 2026.
pub(crate) const NOW: Time = Time(1_795_000_000_000);
const ROOT: &[(&[u8], &str)] = &[(CN, "Root")];
const LINE: &[(&[u8], &str)] = &[(CN, "Line CA")];

/// What is done to a certificate before it is signed.
type Change = &'static dyn Fn(&mut Cert);

/// Line and finding, or the code of a row that cannot be read.
pub(crate) type Judged = Vec<(u64, Result<Finding, String>)>;

pub(crate) fn judge_as(format: Format, bytes: &[u8], sources: &Sources) -> Result<Judged, Error> {
    let mut judged = Vec::new();
    for item in format.read_mapped("test", bytes, &sources.mapping) {
        match item? {
            Item::Draft(draft) => {
                let document = draft.document.as_ref();
                let mut finding = document.map(|d| d.judge(sources)).unwrap_or_default();
                finding.serial = draft.serial.clone().or(finding.serial);
                judged.push((draft.line, Ok(finding)));
            }
            Item::Refused { line, fault } => judged.push((line, Err(fault.code.into_owned()))),
            Item::Warning(_) => {}
        }
    }
    Ok(judged)
}

pub(crate) fn judge(bytes: &[u8], sources: &Sources) -> Judged {
    assert_eq!(Format::detect(bytes), Some(Format::X509), "recognised");
    judge_as(Format::X509, bytes, sources).expect("readable")
}

/// `ok`, or the code.
pub(crate) fn word(judged: &Result<Finding, String>) -> String {
    match judged {
        Err(code) => code.clone(),
        Ok(finding) => match &finding.verdict {
            Verdict::Key { .. } => "ok".into(),
            Verdict::NoKey => "no-key".into(),
            Verdict::Waiting(fault) => format!("waiting {}", fault.code),
            Verdict::Refused(fault) => fault.code.to_string(),
            Verdict::PrivateKey(_) => "private-key".into(),
        },
    }
}

pub(crate) fn words(judged: &Judged) -> Vec<String> {
    judged.iter().map(|(_, judged)| word(judged)).collect()
}

pub(crate) fn one(bytes: &[u8], sources: &Sources) -> String {
    let judged = judge(bytes, sources);
    assert_eq!(judged.len(), 1, "{judged:?}");
    word(&judged[0].1)
}

fn options(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, SourceOptions) {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("written");
    }
    let trust = vec![dir.path().to_path_buf()];
    (dir, SourceOptions { trust, ..SourceOptions::default() })
}

pub(crate) fn trusting(files: &[(&str, Vec<u8>)]) -> Sources {
    options(files).1.load(NOW).expect("loaded")
}

pub(crate) fn nobody() -> Sources {
    Sources { now: NOW, ..Sources::default() }
}

fn root() -> Vec<u8> {
    Cert::new(ROOT, ROOT, &p256("root")).ca(None).sign(&p256("root"))
}

pub(crate) fn line_ca() -> Vec<u8> {
    Cert::new(LINE, ROOT, &p256("line")).ca(Some(0)).sign(&p256("root"))
}

fn device(name: &str) -> Cert {
    Cert::new(&[(SERIAL, name)], LINE, &p256(name))
}

pub(crate) fn signed(name: &str) -> Vec<u8> {
    device(name).sign(&p256("line"))
}

#[test]
fn a_device_certificate_vouches_for_its_key() {
    let sources = trusting(&[("root.pem", cert_pem(&root()).into()), ("line.der", line_ca())]);
    assert_eq!(sources.warnings, [""; 0]);
    let der = signed("SN-1");
    let judged = judge(&der, &sources);
    let finding = judged[0].1.as_ref().expect("read");
    assert_eq!(finding.serial.as_deref(), Some("SN-1"));
    let key = p256("SN-1").public_key();
    let verdict = Verdict::Key { key, by: VouchedBy::Certificate, digest: sha256(&[&der]) };
    assert_eq!(finding.verdict, verdict);
    // An Ed25519 device, a root that is the issuer, a common name, a serial number of 20 bytes.
    let mut plain = Cert::new(&[(CN, "thing")], ROOT, &key_of("ed"));
    plain.serial = vec![0x7f; 20];
    let judged = judge(&plain.sign(&p256("root")), &sources);
    assert_eq!(words(&judged), ["ok"]);
    assert_eq!(judged[0].1.as_ref().expect("read").serial.as_deref(), Some("thing"));
}

pub(crate) fn key_of(name: &str) -> SecretKey {
    key(name)
}

#[test]
fn forms_of_a_file_are_all_read() {
    let sources = trusting(&[("root.pem", cert_pem(&root()).into()), ("line.der", line_ca())]);
    let (a, b) = (signed("A"), signed("B"));
    let several = format!("subject=A\n{}\n{}\r\n", cert_pem(&a), cert_pem(&b));
    let read = judge_as(Format::X509, several.as_bytes(), &sources).expect("readable");
    assert_eq!(words(&read), ["ok", "ok"]);
    assert_eq!(read[0].0, 2);
    let crlf = cert_pem(&a).replace('\n', "\r\n");
    assert_eq!(one(crlf.as_bytes(), &sources), "ok");
    let list = format!("\u{feff}{}\r\n\n{}\nMIIbroken!\n", BASE64.encode(&a), BASE64.encode(&b));
    let judged = judge(list.as_bytes(), &sources);
    assert_eq!(words(&judged), ["ok", "ok", "pem"]);
    assert_eq!(judged.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4]);
    let mut broken = cert_pem(&a).into_bytes();
    broken[100] = 0xff;
    let both = [&broken, cert_pem(&b).as_bytes()].concat();
    let judged = judge(&both, &sources);
    assert_eq!(words(&judged), ["encoding", "ok"]);
    assert_eq!(judged[0].0, 1);
    let cut = &cert_pem(&a)[..200];
    assert_eq!(one(cut.as_bytes(), &sources), "cut-short");
    assert_eq!(one(&a[..a.len() - 1], &sources), "certificate");
    let other = pem("PKCS7", b"0\x03\x02\x01\x05");
    assert_eq!(one(other.as_bytes(), &sources), "pkcs7");
    let other = pem("DH PARAMETERS", b"0\x03\x02\x01\x05");
    assert_eq!(one(other.as_bytes(), &sources), "pem");
}

#[test]
fn issuers_behind_a_device_lead_to_the_root() {
    let only_root = trusting(&[("root.pem", cert_pem(&root()).into())]);
    let der = signed("A");
    assert_eq!(one(&der, &only_root), "waiting unknown-issuer");
    let chain = format!("{}{}", cert_pem(&der), cert_pem(&line_ca()));
    let two = format!("{chain}{}", cert_pem(&signed("B")));
    assert_eq!(one(chain.as_bytes(), &only_root), "ok");
    assert_eq!(words(&judge(two.as_bytes(), &only_root)), ["ok", "waiting unknown-issuer"]);
    // A chain to a root that nobody named.
    let whole = format!("{chain}{}", cert_pem(&root()));
    assert_eq!(one(whole.as_bytes(), &only_root), "ok");
    let other = Cert::new(&[(CN, "Other")], &[(CN, "Other")], &p256("other")).ca(None);
    let other = trusting(&[("other.der", other.sign(&p256("other")))]);
    assert_eq!(one(whole.as_bytes(), &other), "waiting unknown-issuer");
    assert_eq!(one(&der, &nobody()), "waiting unknown-issuer");
    // An intermediate issuer alone is trust enough: the user named it.
    assert_eq!(one(&der, &trusting(&[("line.der", line_ca())])), "ok");
    // A certificate that the user named itself.
    let own = Cert::new(&[(CN, "self")], &[(CN, "self")], &p256("self")).sign(&p256("self"));
    assert_eq!(one(&own, &trusting(&[("root.der", root()), ("own.der", own.clone())])), "ok");
    assert_eq!(one(&own, &only_root), "waiting unknown-issuer");
}

#[test]
fn a_bad_chain_is_refused() {
    let with =
        |line: Vec<u8>| trusting(&[("root.pem", cert_pem(&root()).into()), ("line.der", line)]);
    let line = |change: &dyn Fn(&mut Cert)| {
        let mut cert = Cert::new(LINE, ROOT, &p256("line")).ca(Some(0));
        change(&mut cert);
        cert.sign(&p256("root"))
    };
    let der = signed("A");
    let cases: [(Change, &str); 7] = [
        (&|_| {}, "ok"),
        (&|c| c.extensions = vec![basic(false, None)], "certificate-chain"),
        (&|c| c.extensions = vec![], "certificate-chain"),
        (&|c| c.extensions[1] = usage(DIGITAL_SIGNATURE), "certificate-chain"),
        (&|c| c.to = "20260101000000Z", "certificate-chain"),
        (&|c| c.from = "20270101000000Z", "certificate-chain"),
        // Name constraints, critical.
        (
            &|c| c.extensions.push(extension(b"\x55\x1d\x1e", true, b"\x30\x00")),
            "certificate-chain",
        ),
    ];
    for (i, (change, code)) in cases.into_iter().enumerate() {
        assert_eq!(one(&der, &with(line(change))), code, "case {i}");
    }
    // The line may not make issuers of its own: its path length is 0.
    let sub = Cert::new(&[(CN, "Sub")], LINE, &p256("sub")).ca(None).sign(&p256("line"));
    let deep = Cert::new(&[(CN, "deep")], &[(CN, "Sub")], &p256("deep")).sign(&p256("sub"));
    let text = format!("{}{}", cert_pem(&deep), cert_pem(&sub));
    assert_eq!(one(text.as_bytes(), &with(line_ca())), "certificate-chain");
    assert_eq!(
        one(text.as_bytes(), &with(line(&|c| c.extensions[0] = basic(true, Some(1))))),
        "ok"
    );
    // An issuer of the right name and the wrong key.
    let forged = device("A").sign(&p256("thief"));
    assert_eq!(one(&forged, &with(line_ca())), "certificate-signature");
    // An intermediate that the root did not sign.
    let forged = Cert::new(LINE, ROOT, &p256("thief")).ca(None).sign(&p256("thief"));
    let text = format!("{}{}", cert_pem(&device("A").sign(&p256("thief"))), cert_pem(&forged));
    let only_root = trusting(&[("root.der", root())]);
    assert_eq!(one(text.as_bytes(), &only_root), "certificate-signature");
}

#[test]
fn a_certificate_must_be_of_a_device_whose_key_signs() {
    let sources = trusting(&[("root.pem", cert_pem(&root()).into()), ("line.der", line_ca())]);
    let changed = |change: &dyn Fn(&mut Cert)| {
        let mut cert = device("A");
        change(&mut cert);
        one(&cert.sign(&p256("line")), &sources)
    };
    assert_eq!(changed(&|c| c.spki = rsa_spki()), "rsa-key");
    assert_eq!(changed(&|c| c.to = "20260101000000Z"), "certificate-expired");
    assert_eq!(changed(&|c| c.from = "20270101000000Z"), "certificate-expired");
    assert_eq!(changed(&|c| c.extensions[1] = usage(KEY_ENCIPHERMENT)), "key-usage");
    assert_eq!(changed(&|c| c.extensions = vec![]), "ok");
    let odd = extension(b"\x2a\x03", true, b"\x05\x00");
    assert_eq!(changed(&|c| c.extensions.push(odd.clone())), "certificate");
    let odd = extension(b"\x2a\x03", false, b"\x05\x00");
    assert_eq!(changed(&|c| c.extensions.push(odd.clone())), "ok");
    let endorsement = tlv(0x30, &[&tlv(6, &[b"\x67\x81\x05\x08\x01"])]);
    let purpose = extension(b"\x55\x1d\x25", false, &endorsement);
    assert_eq!(changed(&|c| c.extensions.push(purpose.clone())), "endorsement-key");
    for ca in [root(), line_ca()] {
        assert_eq!(one(&ca, &sources), "ca-certificate");
    }
}

#[test]
fn the_hardware_module_name_is_a_serial_number() {
    let sources = trusting(&[("line.der", line_ca())]);
    let with = |serial: &[u8]| {
        let module = tlv(0x30, &[&tlv(6, &[b"\x2a\x03"]), &tlv(4, &[serial])]);
        let other =
            tlv(0xa0, &[&tlv(6, &[b"\x2b\x06\x01\x05\x05\x07\x08\x04"]), &tlv(0xa0, &[&module])]);
        let mut cert = device("A");
        cert.subject = name(&[]);
        cert.extensions.push(extension(b"\x55\x1d\x11", true, &tlv(0x30, &[&other])));
        let judged = judge(&cert.sign(&p256("line")), &sources);
        assert_eq!(words(&judged), ["ok"]);
        judged[0].1.as_ref().expect("read").serial.clone()
    };
    assert_eq!(with(b"HW-77").as_deref(), Some("HW-77"));
    assert_eq!(with(b"\x01\xff").as_deref(), Some("01FF"));
    let mut nameless = device("A");
    nameless.subject = name(&[]);
    assert_eq!(
        judge(&nameless.sign(&p256("line")), &sources)[0].1.as_ref().expect("read").serial,
        None
    );
}

#[test]
fn revoked_devices_and_issuers_are_refused() {
    let base = || vec![("root.der", root()), ("line.der", line_ca())];
    let revoked = {
        let mut cert = device("A");
        cert.serial = vec![0x9c; 20];
        cert.sign(&p256("line"))
    };
    let good = signed("B");
    let next = "20270101000000Z";
    let crl = list(LINE, next, &[&[0x9c; 20], &[7]], &p256("line"));
    let mut files = base();
    files.push(("line.crl", crl.clone()));
    let sources = trusting(&files);
    assert_eq!(sources.warnings, [""; 0]);
    assert_eq!(one(&revoked, &sources), "revoked-by-issuer");
    assert_eq!(one(&good, &sources), "ok");
    // In PEM, and out of date: what it names stays revoked.
    let old = list(LINE, "20260101000000Z", &[&[0x9c; 20]], &p256("line"));
    let mut files = base();
    files.push(("line.pem", pem("X509 CRL", &old).into()));
    let sources = trusting(&files);
    assert!(sources.warnings[0].contains("out of date"), "{:?}", sources.warnings);
    assert_eq!(one(&revoked, &sources), "revoked-by-issuer");
    // A list by somebody else, or cut short, ends the command.
    for bad in [list(LINE, next, &[&[1]], &p256("thief")), crl[..crl.len() - 9].to_vec()] {
        let mut files = base();
        files.push(("line.crl", bad));
        let error = options(&files).1;
        assert!(error.load(NOW).is_err());
    }
    // The issuer itself is revoked, by the root; it comes with the device.
    let crl = list(ROOT, next, &[&[1]], &p256("root"));
    let sources = trusting(&[("root.der", root()), ("root.crl", crl)]);
    let text = format!("{}{}", cert_pem(&good), cert_pem(&line_ca()));
    assert_eq!(one(text.as_bytes(), &sources), "revoked-by-issuer");
    // The list of an issuer that comes with the device.
    let crl = list(LINE, next, &[&[0x9c; 20]], &p256("line"));
    let sources = trusting(&[("root.der", root()), ("line.crl", crl)]);
    assert!(sources.warnings[0].contains("not there"), "{:?}", sources.warnings);
    let text = format!("{}{}", cert_pem(&revoked), cert_pem(&line_ca()));
    assert_eq!(one(text.as_bytes(), &sources), "revoked-by-issuer");
}

#[test]
fn matter_devices_have_the_ids_of_their_issuer() {
    let paa: &[(&[u8], &str)] = &[(CN, "PAA")];
    let pai: &[(&[u8], &str)] = &[(CN, "PAI"), (VENDOR, "FFF1"), (PRODUCT, "8000")];
    let root = Cert::new(paa, paa, &p256("paa")).ca(Some(1)).sign(&p256("paa"));
    let issuer = Cert::new(pai, paa, &p256("pai")).ca(Some(0)).sign(&p256("paa"));
    let sources = trusting(&[("paa.der", root), ("pai.der", issuer)]);
    let dac = |subject: &[(&[u8], &str)]| {
        let der = Cert::new(subject, pai, &p256("dac")).sign(&p256("pai"));
        let (_, judged) = judge(&der, &sources).remove(0);
        (word(&judged), judged.expect("read"))
    };
    let (verdict, finding) = dac(&[(VENDOR, "FFF1"), (PRODUCT, "8000")]);
    assert_eq!(verdict, "ok");
    assert_eq!(finding.model.as_deref(), Some("FFF1-8000"));
    assert_eq!(finding.serial.as_deref(), Some("FFF1-8000-01"));
    let (verdict, finding) = dac(&[(CN, "lamp 1 Mvid:FFF1 Mpid:8000")]);
    assert_eq!((verdict.as_str(), finding.model.as_deref()), ("ok", Some("FFF1-8000")));
    assert_eq!(dac(&[(CN, "x"), (VENDOR, "FFF2"), (PRODUCT, "8000")]).0, "matter-id");
    assert_eq!(dac(&[(CN, "x"), (VENDOR, "FFF1"), (PRODUCT, "8001")]).0, "matter-id");
    assert_eq!(dac(&[(CN, "x")]).0, "matter-id");
}
