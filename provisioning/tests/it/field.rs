//! Files as other tools write them, whole and with what they should not hold.

use crate::formats::read;
use crate::made::p256;
use crate::made_x509::*;
use crate::x509::{NOW, judge_as, line_ca, nobody, signed, trusting, words};
use data_encoding::{BASE64, HEXLOWER};
use muster_identity::Signer as _;
use muster_provisioning::formats::{Finding, Format, Item};
use muster_provisioning::{Error, SourceOptions, Sources};

fn lines() -> Sources {
    trusting(&[("line.der", line_ca())])
}

/// As the command does it: recognised, then read.
fn auto(text: &[u8], sources: &Sources) -> Vec<(u64, Result<Finding, String>)> {
    let format = Format::detect(text).expect("recognised");
    judge_as(format, text, sources).expect("readable")
}

fn serials(judged: &[(u64, Result<Finding, String>)]) -> Vec<&str> {
    judged.iter().filter_map(|(_, row)| row.as_ref().ok()?.serial.as_deref()).collect()
}

fn warnings(text: &str) -> Vec<String> {
    read(Format::detect(text.as_bytes()).expect("recognised"), text.as_bytes())
        .expect("readable")
        .warnings
}

fn refusal(text: &[u8]) -> Error {
    let format = Format::detect(text).expect("recognised");
    judge_as(format, text, &nobody()).expect_err("refused as a whole")
}

#[test]
fn bulk_registration_of_aws() {
    let pem = cert_pem(&signed("A")).replace('\n', "\\n");
    let text = format!(
        "{{\"ThingName\":\"t1\",\"SerialNumber\":17,\"PEM\":\"{pem}\"}}\n\
         {{\"ThingName\":\"t2\",\"CertificateId\":\"{}\"}}\n\
         {{\"ThingName\":\"t3\",\"SerialNumber\":null,\"CSR\":null}}\n\
         {{\"ThingName\":\"t4\",\"SerialNumber\":true}}\n\
         {{\"ThingName\":\"t5\",\"SerialNumber\":1.5}}\n",
        "ab".repeat(32)
    );
    let judged = auto(text.as_bytes(), &lines());
    assert_eq!(words(&judged), ["ok", "no-key", "no-key", "type", "type"]);
    assert_eq!(serials(&judged), ["17", "t2", "t3"]);
    let warnings = warnings(&text);
    assert!(warnings[0].contains("`ThingName` is not used"), "{warnings:?}");
    assert!(warnings[1].contains("`CertificateId` names a certificate"), "{warnings:?}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    // The same as an array.
    let array = format!("[{}]", text.trim_end().replace('\n', ",\n"));
    assert_eq!(Format::detect(array.as_bytes()), Some(Format::Json));
    let judged = auto(array.as_bytes(), &lines());
    assert_eq!(words(&judged), ["ok", "no-key", "no-key", "type", "type"]);
    assert_eq!(judged.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn enrolments_and_imports_of_azure() {
    let cert = BASE64.encode(&signed("A"));
    let enrolment = |attestation: &str| {
        format!("{{\n  \"registrationId\": \"My-Device\",\n  \"attestation\": {attestation}\n}}\n")
    };
    let x509 = |certificate: &str| {
        enrolment(&format!(
            "{{\"type\":\"x509\",\"x509\":{{\"clientCertificates\":{{\"primary\":\
             {{\"certificate\":{certificate},\"info\":{{}}}}}}}},\"symmetricKey\":null}}"
        ))
    };
    let cases = [
        (x509(&format!("\"{cert}\"")), "ok"),
        (x509("null"), "no-key"),
        (enrolment("{\"tpm\":{\"endorsementKey\":\"AToAAQALAAMAsg==\"}}"), "endorsement-key"),
        (
            "{\"enrollmentGroupId\":\"g\",\"attestation\":{\"type\":\"x509\"}}".to_owned(),
            "serial-missing",
        ),
    ];
    for (text, expected) in &cases {
        let judged = auto(text.as_bytes(), &lines());
        assert_eq!(words(&judged), [*expected], "{text}");
        if matches!(*expected, "ok" | "no-key") {
            assert_eq!(serials(&judged), ["my-device"]);
        }
    }
    let all: String = cases.iter().map(|(text, _)| text.as_str()).collect();
    let expected: Vec<_> = cases.iter().map(|(_, word)| *word).collect();
    assert_eq!(words(&auto(all.as_bytes(), &lines())), expected);
    let hub = |id: &str, key: &str| {
        format!(
            "{{\"id\":\"{id}\",\"importMode\":\"create\",\"status\":\"enabled\",\
             \"authentication\":{{\"type\":\"selfSigned\",\"symmetricKey\":{{\"primaryKey\":{key},\
             \"secondaryKey\":{key}}},\"x509Thumbprint\":{{\"primaryThumbprint\":\"AB\"}}}}}}\r\n"
        )
    };
    let text = hub("Dev-1", "null") + &hub("Dev-2", "\"\"");
    assert_eq!(words(&auto(text.as_bytes(), &lines())), ["no-key", "no-key"]);
    assert_eq!(serials(&auto(text.as_bytes(), &lines())), ["Dev-1", "Dev-2"]);
    let warnings = warnings(&text);
    assert!(matches!(&warnings[..], [one] if one.contains("a thumbprint is no key")));
    let error = refusal((text + &hub("Dev-3", "\"c2VjcmV0\"")).as_bytes());
    assert!(matches!(error, Error::PrivateKey { line: 3, .. }), "{error}");
    let sas = "\u{feff}IOTC_DEVICEID,IOTC_SASKEY_PRIMARY\r\nd1,\r\nd2,c2VjcmV0\r\n";
    let error = refusal(sas.as_bytes());
    assert!(
        matches!(&error, Error::PrivateKey { line: 3, field, .. } if field == "IOTC_SASKEY_PRIMARY"),
        "{error}"
    );
    let text = "{\"serial\":\"1\",\"c\":\"HostName=h;DeviceId=d;SharedAccessKey=c2Vj\"}\n";
    assert!(matches!(refusal(text.as_bytes()), Error::PrivateKey { .. }));
}

#[test]
fn tables_without_a_header() {
    let nordic = |id: &str, tags: &str| {
        format!("{id},gateway,{tags},APP|MODEM,\"{}\"\r\n", cert_pem(&signed(id)))
    };
    let text = nordic("nrf-1", "a|b|c|d|e|f|g") + &nordic("nrf-2", "");
    let judged = auto(text.as_bytes(), &lines());
    assert_eq!((words(&judged), serials(&judged)), (vec!["ok".into(); 2], vec!["nrf-1", "nrf-2"]));
    assert_eq!(judged.iter().map(|(line, _)| *line).collect::<Vec<_>>()[0], 1);
    assert!(warnings(&text)[0].contains("has no header"));
    // Of another table nothing is guessed.
    let text = format!("58BF,a,\"{}\"\n", cert_pem(&signed("A")));
    let error = refusal(text.as_bytes()).to_string();
    assert!(error.contains("column 3 of 3") && error.contains("certificate=#3"), "{error}");
    // Names decide about the delimiter before numbers do.
    let text = "serial|public key, PEM, or other|lot\n1||A\n";
    let drafts = read(Format::Csv, text.as_bytes()).expect("readable").drafts;
    assert_eq!(drafts[0].lot.as_deref(), Some("A"));
}

#[test]
fn lorawan_tables() {
    let text = "id;dev_eui;join_eui;app_key\nd1;0011223344556677;70B3D57ED0000000;\n";
    let judged = auto(text.as_bytes(), &lines());
    assert_eq!(serials(&judged), ["0011223344556677"]);
    let text = text.replace("0000;\n", "0000;00112233445566778899AABBCCDDEEFF\n");
    let error = refusal(text.as_bytes());
    assert!(
        matches!(&error, Error::PrivateKey { line: 2, field, .. } if field == "app_key"),
        "{error}"
    );
    // Without a serial number the secret is the worse news.
    let text = "name;app_key\nx;00112233445566778899AABBCCDDEEFF\n";
    assert!(matches!(refusal(text.as_bytes()), Error::PrivateKey { line: 2, .. }));
}

#[test]
fn attestation_files_of_matter() {
    let paa: &[(&[u8], &str)] = &[(CN, "PAA")];
    let pai: &[(&[u8], &str)] = &[(CN, "PAI"), (VENDOR, "FFF1"), (PRODUCT, "8000")];
    let root = Cert::new(paa, paa, &p256("paa")).ca(Some(1)).sign(&p256("paa"));
    let issuer = Cert::new(pai, paa, &p256("pai")).ca(Some(0)).sign(&p256("paa"));
    let dac = Cert::new(&[(CN, "DAC 1"), (VENDOR, "FFF1"), (PRODUCT, "8000")], pai, &p256("dac"))
        .sign(&p256("pai"));
    let sources = trusting(&[("paa.der", root.clone())]);
    let json = |secret: &str| {
        format!(
            "{{\n  \"serial_num\": \"SN-9\",\n  \"dac_cert\": \"hex:{}\",\n  \"pai_cert\": \"{}\"{secret}\n}}\n",
            HEXLOWER.encode(&dac),
            BASE64.encode(&issuer)
        )
    };
    let judged = auto(json("").as_bytes(), &sources);
    assert_eq!((words(&judged), serials(&judged)), (vec!["ok".into()], vec!["SN-9"]));
    for name in ["dac_private_key", "dac_key"] {
        let error = refusal(json(&format!(",\n  \"{name}\": \"hex:0a0b\"")).as_bytes());
        assert!(matches!(&error, Error::PrivateKey { field, .. } if field == name), "{error}");
    }
    // Whatever it is called: a key in hexadecimal.
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let error = refusal(json(&format!(",\"x\": \"{}\"", HEXLOWER.encode(&sec1))).as_bytes());
    assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
    // Issuers before, behind and on both sides of a device are its chain.
    let (p, i, d) = (cert_pem(&root), cert_pem(&issuer), cert_pem(&dac));
    for text in
        [format!("{p}{i}{d}"), format!("{i}{d}"), format!("{d}{i}{p}"), format!("{i}{d}{p}")]
    {
        assert_eq!(words(&auto(text.as_bytes(), &sources)), ["ok"]);
    }
    // Without a device they are rows, each with its word; so they are behind a row.
    let text = format!("{p}{i}");
    assert_eq!(words(&auto(text.as_bytes(), &sources)), ["ca-certificate", "ca-certificate"]);
    let text = format!("{p}{}", pem("PUBLIC KEY", &spki(&p256("x").public_key())));
    assert_eq!(words(&auto(text.as_bytes(), &sources)), ["ca-certificate", "bare-key"]);
    assert_eq!(words(&auto(p.repeat(6).as_bytes(), &sources)), ["ca-certificate"; 6]);
}

#[test]
fn keys_of_a_tpm_that_do_not_sign() {
    let tpm = name(&[(b"\x67\x81\x05\x02\x01", "id:414D4400"), (b"\x67\x81\x05\x02\x03", "id:13")]);
    let names = extension(b"\x55\x1d\x11", true, &tlv(0x30, &[&tlv(0xa4, &[&tpm])]));
    let with = |extensions: Vec<Vec<u8>>| {
        let mut cert = Cert::new(&[], &[(CN, "Line CA")], &p256("tpm"));
        cert.extensions = extensions;
        words(&auto(&cert.sign(&p256("line")), &lines())).remove(0)
    };
    assert_eq!(with(vec![usage(0x08), names.clone()]), "endorsement-key");
    assert_eq!(with(vec![usage(KEY_ENCIPHERMENT)]), "key-usage");
    // One that signs may name its TPM.
    assert_eq!(with(vec![usage(DIGITAL_SIGNATURE), names]), "ok");
    let attestation = tlv(0x30, &[&tlv(6, &[b"\x67\x81\x05\x08\x03"])]);
    let purpose = extension(b"\x55\x1d\x25", false, &attestation);
    assert_eq!(with(vec![usage(DIGITAL_SIGNATURE), purpose]), "endorsement-key");
}

#[test]
fn files_of_other_kinds_are_named_with_a_cure() {
    let whole: [(&[u8], &str); 9] = [
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"7z\xbc\xaf\x27\x1c\x00", "7-Zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"<?xml version=\"1.0\"?>", "XML"),
        (b"\xff\xfes\x00e\x00r\x00", "UTF-16"),
        (b"{\x00\"\x00s\x00", "UTF-16"),
        (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "key store"),
    ];
    for (bytes, part) in whole {
        let error = refusal(bytes).to_string();
        assert!(error.contains(part) && error.contains("; "), "{error}");
    }
    let vouchers: [&[u8]; 3] = [
        b"\x85\x18\x65\x58\xe9\x86\x18\x65",
        b"\x84\x86\x18\x64\x50\x56\xd8\x24",
        b"\x84\x58\x90\x86\x18\x64\x50\x56",
    ];
    for voucher in vouchers {
        assert_eq!(words(&auto(voucher, &nobody())), ["fdo-voucher"]);
    }
    let mut rows: Vec<(Vec<u8>, &str)> = vec![
        (pem("OWNERSHIP VOUCHER", vouchers[0]).into(), "fdo-voucher"),
        (pem("PUBLIC KEY", &spki(&p256("x").public_key())).into(), "bare-key"),
        (spki(&p256("x").public_key()), "bare-key"),
        (tlv(0x30, &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", &[5; 200]]), "pkcs7"),
    ];
    let list = list(&[(CN, "Line CA")], "20270101000000Z", &[&[7]], &p256("line"));
    rows.push((pem("X509 CRL", &list).into(), "revocation-list"));
    rows.push((list, "revocation-list"));
    for (bytes, code) in rows {
        assert_eq!(words(&auto(&bytes, &nobody())), [code], "{bytes:x?}");
        let format = Format::detect(&bytes).expect("recognised");
        for item in format.read("test", &bytes[..]) {
            let Ok(Item::Refused { fault, .. }) = item else { panic!("{item:?}") };
            assert!(!fault.cure.is_empty() && fault.cure != "see the reason");
        }
    }
    // A private key behind a voucher is the worse news, and says where it stands.
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let text = pem("OWNERSHIP VOUCHER", vouchers[0]) + &pem("EC PRIVATE KEY", &sec1);
    let error = refusal(text.as_bytes()).to_string();
    assert!(error.contains("behind a FIDO ownership voucher"), "{error}");
}

#[test]
fn text_before_a_block_is_no_table() {
    let text = format!("subject=O = \"Acme, Inc\"\nissuer=x\n\n{}", cert_pem(&signed("A")));
    assert_eq!(words(&auto(text.as_bytes(), &lines())), ["ok"]);
    let text = format!("{}-----BEGIN CERTIF\nMIIB\n", cert_pem(&signed("A")));
    assert_eq!(words(&auto(text.as_bytes(), &lines())), ["ok", "cut-short"]);
}

#[test]
fn a_refused_document_still_says_whose_it_is() {
    let rsa = request(&[(SERIAL, "R-1")], &rsa_spki(), &p256("B"));
    let judged = auto(&rsa, &nobody());
    assert_eq!((words(&judged), serials(&judged)), (vec!["rsa-key".into()], vec!["R-1"]));
}

#[test]
fn small_habits_of_tools() {
    // Excel says what parts the cells.
    let drafts = read(Format::Csv, b"\xef\xbb\xbfsep=;\r\nserial;lot, or so\r\n1;a,b\r\n");
    assert_eq!(drafts.expect("readable").drafts[0].serial.as_deref(), Some("1"));
    // A list within an object is told from a row.
    let judged = auto(b"{\n\"devices\": [{\"serial\": 1}]\n}", &nobody());
    assert_eq!(words(&judged), ["nested-list"]);
}

#[test]
fn documents_without_armour() {
    let wrapped = |der: &[u8], width: usize| {
        let text = BASE64.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(width).map(|l| str::from_utf8(l).expect("text")).collect();
        lines.join("\n") + "\n"
    };
    for width in [64, 76] {
        assert_eq!(words(&auto(wrapped(&signed("A"), width).as_bytes(), &lines())), ["ok"]);
        let cut = &wrapped(&signed("A"), width)[..300];
        let cut = words(&auto(cut.as_bytes(), &lines()));
        assert!(matches!(&cut[..], [one] if one == "certificate" || one == "pem"), "{cut:?}");
        let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 90]])]);
        let error = refusal(wrapped(&sec1, width).as_bytes());
        assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
    }
    // DER one behind the other, and a line end that an editor put there.
    let two = [signed("A"), line_ca(), signed("B"), b"\r\n".to_vec()].concat();
    let judged = auto(&two, &trusting(&[("line.der", line_ca())]));
    assert_eq!((words(&judged), serials(&judged)), (vec!["ok".into(); 2], vec!["A", "B"]));
    assert_eq!(judged.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
    let judged = auto(&[signed("A"), b"junk".to_vec()].concat(), &lines());
    assert_eq!(words(&judged), ["ok", "certificate"]);
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let error = refusal(&[signed("A"), sec1].concat());
    assert!(matches!(error, Error::PrivateKey { line: 2, .. }), "{error}");
}

#[test]
fn lines_of_old_macintosh_are_named() {
    for text in ["serial,lot\r1,a\r", "{\"serial\":1}\r{\"serial\":2}\r"] {
        let error = refusal(text.as_bytes()).to_string();
        assert!(error.contains("CR alone"), "{error}");
    }
}

#[test]
fn a_private_key_among_issuers_is_refused() {
    let sec1 = tlv(0x30, &[b"\x02\x01\x01", &tlv(4, &[&[0x42; 32]])]);
    let both = cert_pem(&line_ca()) + &pem("EC PRIVATE KEY", &sec1);
    for bytes in [both.into_bytes(), sec1] {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("line.pem"), bytes).expect("written");
        let here = vec![dir.path().to_path_buf()];
        let trust = SourceOptions { trust: here.clone(), ..SourceOptions::default() };
        let signers = SourceOptions { signers: here, ..SourceOptions::default() };
        for options in [trust, signers] {
            let error = options.load(NOW).expect_err("refused");
            assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
        }
    }
}
