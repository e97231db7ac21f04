//! Microchip manifests: those of the vendor, and made-up ones with chosen damage.

use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Signer as _, sha256};
use muster_ledger::{Time, VouchedBy};
use muster_provisioning::formats::{Finding, Format, Item, Verdict};
use muster_provisioning::sample::microchip::{Damage, Shape, Vendor};
use muster_provisioning::{SourceOptions, Sources};
use std::path::{Path, PathBuf};

/// November 2026.
const NOW: Time = Time(1_795_000_000_000);
pub(crate) const SHAPE: Shape = Shape { version: 2, slots: 3, x5c: true };

/// One entry: its number and verdict, the latter as a word for most uses.
pub(crate) type Judged = (u64, Result<Finding, String>);

pub(crate) fn judge(bytes: &[u8], sources: &Sources) -> Vec<Judged> {
    let items = Format::Microchip.read("test", bytes).map(|item| item.expect("readable"));
    let judged = items.filter_map(|item| match item {
        Item::Draft(draft) => {
            let document = draft.document.expect("every entry is a document");
            Some((draft.line, Ok(document.judge(sources))))
        }
        Item::Refused { line, fault } => Some((line, Err(fault.code.into_owned()))),
        Item::Warning(_) => None,
    });
    judged.collect()
}

/// `ok`, `no-key`, or the code.
pub(crate) fn word((_, judged): &Judged) -> String {
    match judged {
        Err(code) => code.clone(),
        Ok(finding) => match &finding.verdict {
            Verdict::Key { .. } => "ok".into(),
            Verdict::NoKey => "no-key".into(),
            Verdict::Waiting(fault) | Verdict::Refused(fault) => fault.code.to_string(),
            Verdict::PrivateKey(_) => "private-key".into(),
        },
    }
}

pub(crate) fn words(judged: &[Judged]) -> Vec<String> {
    judged.iter().map(word).collect()
}

pub(crate) fn sources(signers: &[&Path]) -> Sources {
    let signers = signers.iter().map(|path| path.to_path_buf()).collect();
    SourceOptions { signers, ..SourceOptions::default() }.load(NOW).expect("certificates")
}

/// A folder with the vendor's certificates.
pub(crate) fn trusting(vendor: &Vendor) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name, der: Vec<u8>| std::fs::write(dir.path().join(name), der).expect("written");
    write("signer.der", vendor.signer_certificate().expect("a certificate"));
    write("root.cer", vendor.root_certificate().expect("a certificate"));
    let sources = sources(&[dir.path()]);
    (dir, sources)
}

pub(crate) fn made(vendor: &Vendor, rows: u64, damage: impl Fn(u64) -> Option<Damage>) -> Vec<u8> {
    let mut bytes = Vec::new();
    vendor.write_manifest(&mut bytes, rows, &SHAPE, damage).expect("written");
    bytes
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

fn finding(judged: &Judged) -> &Finding {
    judged.1.as_ref().expect("read")
}

#[test]
fn the_vendors_manifest_with_keys_is_vouched_for() {
    let Some(file) = shared("microchip-manifest-608a/manifest_ATECC608A-MAH4I.json") else {
        return;
    };
    let Some(signers) = shared("microchip-manifest/signers") else { return };
    let bytes = std::fs::read(file).expect("readable");
    assert_eq!(Format::detect(&bytes[..64]), Some(Format::Microchip));
    let sources = sources(&[&signers]);
    assert_eq!(sources.warnings, [""; 0]);
    let judged = judge(&bytes, &sources);
    assert_eq!(words(&judged), ["ok", "ok"]);
    let first = finding(&judged[0]);
    assert_eq!(first.serial.as_deref(), Some("01230390b3d1450c01"));
    assert_eq!(
        (first.model.as_deref(), first.lot.as_deref()),
        (Some("ATECC608A-MAH4I"), Some("1"))
    );
    let note = first.note.as_deref().expect("a note");
    for part in
        ["expired since, on 2020-08-15", "slot 0 is enrolled, not 1, 2, 3, 4", "Signer 2C00"]
    {
        assert!(note.contains(part), "{note}");
    }
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&bytes).expect("JSON");
    let text = |name: &str| entries[0][name].as_str().expect("text");
    let whole = format!("{}.{}.{}", text("protected"), text("payload"), text("signature"));
    let Verdict::Key { key, by, digest } = &first.verdict else { panic!("a key") };
    assert_eq!((*by, *digest), (VouchedBy::VendorManifest, sha256(&[whole.as_bytes()])));
    let payload = BASE64URL_NOPAD.decode(text("payload").as_bytes()).expect("base64url");
    let payload: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    let x = payload["publicKeySet"]["keys"][0]["x"].as_str().expect("text");
    assert_eq!(BASE64URL_NOPAD.encode(&key.raw()[1..]), x);
}

#[test]
fn another_slot_of_the_vendors_manifest_can_be_named() {
    let Some(file) = shared("microchip-manifest-608a/manifest_ATECC608A-MAH4I.json") else {
        return;
    };
    let Some(signers) = shared("microchip-manifest/signers") else { return };
    let bytes = std::fs::read(file).expect("readable");
    let default = judge(&bytes, &sources(&[&signers]));
    let options = SourceOptions { signers: vec![signers], slot: Some(3), ..Default::default() };
    let third = judge(&bytes, &options.load(NOW).expect("loaded"));
    assert_eq!(words(&third), ["ok", "ok"]);
    assert_ne!(finding(&third[0]).verdict, finding(&default[0]).verdict);
    let none = SourceOptions { slot: Some(7), ..options };
    assert_eq!(words(&judge(&bytes, &none.load(NOW).expect("loaded"))), ["slot", "slot"]);
}

#[test]
fn the_vendors_manifest_without_keys_waits() {
    let Some(file) = shared("microchip-manifest/ECC608-TMNGTLSS-B.json") else { return };
    let Some(signers) = shared("microchip-manifest/signers") else { return };
    let bytes = std::fs::read(file).expect("readable");
    let judged = judge(&bytes, &sources(&[&signers]));
    assert_eq!(words(&judged), ["no-key"; 10]);
    let note = &finding(&judged[0]).note;
    assert!(note.is_none(), "its signer does not expire: {note:?}");
    // With the other signers only, none is known.
    let dir = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(&signers).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        if !name.contains("signer_5") {
            std::fs::copy(&path, dir.path().join(name)).expect("copied");
        }
    }
    let judged = judge(&bytes, &sources(&[dir.path()]));
    assert_eq!(words(&judged), ["unknown-signer"; 10]);
    let Verdict::Waiting(fault) = &finding(&judged[0]).verdict else { panic!("waiting") };
    assert!(fault.reason.contains("TCnpnzYB8M3CO776ByPJ2yX3KYo"), "{}", fault.reason);
}

#[test]
fn no_member_of_a_vendors_entry_can_be_changed() {
    let Some(signers) = shared("microchip-manifest/signers") else { return };
    let sources = sources(&[&signers]);
    for file in [
        "microchip-manifest-608a/manifest_ATECC608A-MAH4I.json",
        "microchip-manifest/ECC608-TMNGTLSS-B.json",
    ] {
        let Some(file) = shared(file) else { return };
        let bytes = std::fs::read(file).expect("readable");
        let whole: Vec<serde_json::Value> = serde_json::from_slice(&bytes).expect("JSON");
        for place in ["payload", "protected", "signature", "uniqueId"] {
            let text = match place {
                "uniqueId" => whole[1]["header"]["uniqueId"].as_str(),
                _ => whole[1][place].as_str(),
            };
            let text = text.expect("text").to_owned();
            for at in (0..text.len()).step_by(text.len() / 40 + 1) {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).expect("ASCII");
                let mut damaged = whole.clone();
                match place {
                    "uniqueId" => damaged[1]["header"]["uniqueId"] = changed.into(),
                    _ => damaged[1][place] = changed.into(),
                }
                let judged = judge(&serde_json::to_vec(&damaged).expect("JSON"), &sources);
                let words = words(&judged);
                assert_ne!(words[1], words[0], "{place} at {at}");
                assert_ne!(
                    words[1], "unknown-signer",
                    "{place} at {at}: it is damaged, not strange"
                );
                assert_eq!(words.iter().filter(|w| **w == words[0]).count(), words.len() - 1);
            }
        }
    }
}

#[test]
fn a_vendors_file_cut_anywhere_gives_the_entries_before() {
    let Some(file) = shared("microchip-manifest/ECC608-TMNGTLSS-B.json") else { return };
    let Some(signers) = shared("microchip-manifest/signers") else { return };
    let sources = sources(&[&signers]);
    let bytes = std::fs::read(file).expect("readable");
    for at in (10..bytes.len() - 2).step_by(97) {
        let words = words(&judge(&bytes[..at], &sources));
        let (last, before) = words.split_last().expect("a row at least");
        assert_eq!(last, "cut-short", "at {at}");
        assert!(before.iter().all(|w| w == "no-key"), "at {at}: {before:?}");
        assert!(at < 8_000 || before.len() >= 6, "at {at}: {}", before.len());
    }
}

#[test]
fn every_damage_gets_its_word() {
    let vendor = Vendor::new(1).expect("a vendor");
    let (_dir, sources) = trusting(&vendor);
    let damage = [
        (2, Damage::BadSignature, "bad-signature"),
        (4, Damage::OtherId, "unique-id-mismatch"),
        (5, Damage::UnknownSigner, "unknown-signer"),
        (6, Damage::NoKeys, "no-key"),
        (7, Damage::Duplicate, "ok"),
        (8, Damage::TooEarly, "signer-expired"),
        (10, Damage::CutShort, "cut-short"),
    ];
    let of = |row| damage.iter().find(|(at, ..)| *at == row);
    let bytes = made(&vendor, 12, |row| of(row).map(|(_, damage, _)| *damage));
    let judged = judge(&bytes, &sources);
    let expected: Vec<_> = (0..11).map(|row| of(row).map_or("ok", |(.., word)| word)).collect();
    assert_eq!(words(&judged), expected);
    assert_eq!(
        judged.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        (1..12).collect::<Vec<_>>()
    );
    assert_eq!(finding(&judged[7]).serial, finding(&judged[0]).serial);
    assert_eq!(made(&vendor, 12, |_| None), made(&Vendor::new(1).expect("it"), 12, |_| None));
}

#[test]
fn what_is_generated_names_the_chips_key_and_a_known_chain() {
    let vendor = Vendor::new(2).expect("a vendor");
    let (dir, sources) = trusting(&vendor);
    let bytes = made(&vendor, 3, |_| None);
    let judged = judge(&bytes, &sources);
    let first = finding(&judged[2]);
    assert_eq!(first.note.as_deref(), Some("slot 0 is enrolled, not 1, 2"));
    let Verdict::Key { key, .. } = first.verdict else { panic!("a key") };
    assert_eq!(key, vendor.device_key(2, 0).public_key());
    // Without the root the chain is not known, which is said and refuses nothing.
    std::fs::remove_file(dir.path().join("root.cer")).expect("removed");
    let judged = judge(&bytes, &self::sources(&[dir.path()]));
    assert_eq!(words(&judged), ["ok"; 3]);
    let note = finding(&judged[0]).note.as_deref().expect("a note");
    assert!(note.contains("CN=Sample issuer, whose issuer is not known"), "{note}");
}

#[test]
fn one_bad_signature_in_many_is_found() {
    let vendor = Vendor::new(3).expect("a vendor");
    let (_dir, sources) = trusting(&vendor);
    let shape = Shape { version: 1, slots: 1, x5c: false };
    let mut bytes = Vec::new();
    let damage = |row| (row == 411).then_some(Damage::BadSignature);
    vendor.write_manifest(&mut bytes, 500, &shape, damage).expect("written");
    let judged = judge(&bytes, &sources);
    assert_eq!(judged.len(), 500);
    let bad: Vec<_> = judged.iter().filter(|entry| word(entry) != "ok").collect();
    assert_eq!((bad.len(), bad[0].0, word(bad[0])), (1, 412, "bad-signature".into()));
}

#[test]
fn signer_folders_are_read_with_care() {
    let dir = tempfile::tempdir().expect("a folder");
    let load =
        || SourceOptions { signers: vec![dir.path().into()], ..Default::default() }.load(NOW);
    let error = load().expect_err("nothing there").to_string();
    assert!(error.contains("--signer") && error.contains(".crt"), "{error}");
    std::fs::write(dir.path().join("notes.txt"), "x").expect("written");
    std::fs::write(dir.path().join("broken.pem"), "x").expect("written");
    assert!(load().is_err());
    let vendor = Vendor::new(4).expect("a vendor");
    let der = vendor.signer_certificate().expect("a certificate");
    std::fs::write(dir.path().join("good.CRT"), &der).expect("written");
    let sources = load().expect("one is good");
    assert_eq!(sources.warnings.len(), 1, "{:?}", sources.warnings);
    assert!(sources.warnings[0].contains("broken.pem"), "{:?}", sources.warnings);
    let missing = SourceOptions { signers: vec![dir.path().join("absent")], ..Default::default() };
    assert!(missing.load(NOW).is_err());
}
