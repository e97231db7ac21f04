//! What the formats read.

use crate::made::{key, p256};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use muster_identity::Signer;
use muster_provisioning::Error;
use muster_provisioning::formats::{Draft, Format, Item};

/// Drafts, refusals as (line, code), warnings.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) refused: Vec<(u64, String)>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn read(format: Format, bytes: &[u8]) -> Result<Read, Error> {
    let mut all = Read::default();
    for item in format.read("test", bytes) {
        match item? {
            Item::Draft(draft) => all.drafts.push(draft),
            Item::Refused { line, fault } => all.refused.push((line, fault.code.into_owned())),
            Item::Warning(text) => all.warnings.push(text),
        }
    }
    Ok(all)
}

fn one(format: Format, text: &str) -> Draft {
    let mut read = read(format, text.as_bytes()).expect("readable");
    assert_eq!((read.drafts.len(), &read.refused[..]), (1, &[][..]), "{read:?}");
    read.drafts.remove(0)
}

#[test]
fn formats_are_recognised() {
    let cases: [(&[u8], Option<Format>); 11] = [
        (b"{\"serial\":1}", Some(Format::Jsonl)),
        (b"\xef\xbb\xbf \n{\"serial\":1}", Some(Format::Jsonl)),
        (b"serial,publicKey\n", Some(Format::Csv)),
        (b"\xef\xbb\xbfserial;publicKey\n", Some(Format::Csv)),
        (b"", Some(Format::Csv)),
        (b"[{\"serial\":1}]", Some(Format::Json)),
        (b"{\n  \"serial\": 1\n}", Some(Format::Json)),
        (b"{\"serial\":\"1\n{\"serial\":2}", Some(Format::Jsonl)),
        (b"[1, 2]", None),
        (b"-----BEGIN CERTIFICATE-----", Some(Format::X509)),
        (b"PK\x03\x04\x00\x00", None),
    ];
    for (head, expected) in cases {
        assert_eq!(Format::detect(head), expected, "{}", String::from_utf8_lossy(head));
    }
}

#[test]
fn names_do_not_depend_on_case_and_separators() {
    let draft = one(Format::Jsonl, r#"{"SERIAL":"1","public_key":"z1","Key-Type":"p-256"}"#);
    assert_eq!(draft.serial.as_deref(), Some("1"));
    assert_eq!(draft.key_type.as_deref(), Some("p-256"));
    let draft = one(Format::Csv, "Serial,Public Key,LOT\n1,z1,A\n");
    assert_eq!((draft.serial.as_deref(), draft.lot.as_deref()), (Some("1"), Some("A")));
    assert_eq!(draft.line, 2);
}

#[test]
fn numbers_where_text_is_wanted_are_taken_as_text() {
    assert_eq!(one(Format::Jsonl, r#"{"serial":123}"#).serial.as_deref(), Some("123"));
    assert_eq!(one(Format::Jsonl, r#"{"serial":-7}"#).serial.as_deref(), Some("-7"));
    // But not one that a reader rounds.
    for number in ["1.5", "1e3", "123456789012345678901234567890"] {
        let read = read(Format::Jsonl, format!("{{\"serial\":{number}}}").as_bytes());
        assert_eq!(read.expect("a row").refused, [(1, "type".to_owned())], "{number}");
    }
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    let (ed, p) = (key("form").public_key(), p256("form").public_key());
    let spki = |head: &str, raw: &[u8]| {
        let der = [HEXLOWER.decode(head.as_bytes()).expect("hex"), raw.to_vec()].concat();
        let body = BASE64.encode(&der);
        let (a, b) = body.split_at(40);
        format!("-----BEGIN PUBLIC KEY-----\\n{a}\\n{b}\\n-----END PUBLIC KEY-----\\n")
    };
    let ed_pem = spki("302a300506032b6570032100", ed.raw());
    let p_pem = spki("3039301306072a8648ce3d020106082a8648ce3d030107032200", p.raw());
    let x = BASE64URL_NOPAD.encode(ed.raw());
    let cases = [
        (format!("\"{}\"", ed.to_multikey()), None, ed),
        (format!("\"{}\"", p.to_multikey()), None, p),
        (format!("\"{}\"", HEXLOWER.encode(ed.raw())), Some("Ed25519"), ed),
        (format!("\"{}\"", BASE64.encode(ed.raw())), Some("ed25519"), ed),
        (format!("\"{}\"", BASE64URL_NOPAD.encode(ed.raw())), Some("Ed25519"), ed),
        (format!("\"{}\"", HEXLOWER.encode(p.raw())), Some("P-256"), p),
        (format!("\"{}\"", BASE64.encode(p.raw())), Some("secp256r1"), p),
        (format!("\"{ed_pem}\""), None, ed),
        (format!("\"{p_pem}\""), None, p),
        (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#), None, ed),
    ];
    for (text, kind, expected) in cases {
        let kind = kind.map(|k| format!(",\"keyType\":\"{k}\"")).unwrap_or_default();
        let draft = one(Format::Jsonl, &format!("{{\"serial\":\"1\",\"publicKey\":{text}{kind}}}"));
        let found = draft.public_key.expect("a key").read(draft.key_type.as_deref());
        assert_eq!(found, Ok(expected), "{text}");
    }
}

#[test]
fn a_key_that_is_none_is_refused_with_a_cure() {
    let weak = format!("01{}", "00".repeat(31));
    let hex = HEXLOWER.encode(key("raw").public_key().raw());
    let multikey = key("raw").public_key().to_multikey();
    let x25519 = "z6LSmArkPSdTKjEESsExHRrSwUzYUHgDuWDewXc4nocasvFU";
    let cases = [
        ("\"z6Mkbroken\"".to_owned(), None, "public-key"),
        (format!("\"{x25519}\""), None, "public-key"),
        (format!("\"{hex}\""), None, "key-type"),
        (format!("\"{hex}\""), Some("RSA"), "key-type"),
        (format!("\"{multikey}\""), Some("P-256"), "key-type"),
        (format!("\"{weak}\""), Some("Ed25519"), "public-key"),
        ("\"no key at all\"".to_owned(), Some("Ed25519"), "public-key"),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(), None, "public-key"),
        ("\"-----BEGIN PUBLIC KEY-----\"".to_owned(), None, "public-key"),
    ];
    for (text, kind, code) in cases {
        let draft = one(Format::Jsonl, &format!("{{\"serial\":\"1\",\"publicKey\":{text}}}"));
        let fault = draft.public_key.expect("a text").read(kind).expect_err("no key");
        assert_eq!(fault.code, code, "{text}");
        assert!(!fault.cure.is_empty() && !fault.reason.contains(&hex));
    }
}

#[test]
fn csv_cells_hold_what_spreadsheets_put_in() {
    let pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
    let text = format!("serial,publicKey,lot\n\"a\"\"b\",\"{pem}\",\"x, y\"\nc,,5\" pipe\n");
    let read = read(Format::Csv, text.as_bytes()).expect("readable");
    assert_eq!(read.refused, []);
    assert_eq!(read.drafts[0].serial.as_deref(), Some("a\"b"));
    assert_eq!(read.drafts[0].lot.as_deref(), Some("x, y"));
    assert!(read.drafts[0].public_key.is_some());
    let second = &read.drafts[1];
    assert_eq!((second.line, second.lot.as_deref()), (5, Some("5\" pipe")));
    assert_eq!(second.public_key, None);
    for delimiter in [';', '\t', ','] {
        let text =
            format!("serial{delimiter}lot\r\n1{delimiter}A\r\n\r\n{delimiter}\r\n2{delimiter}B");
        let read = self::read(Format::Csv, text.as_bytes()).expect("readable");
        let lots: Vec<_> = read.drafts.iter().map(|d| (d.line, d.lot.as_deref())).collect();
        assert_eq!(lots, [(2, Some("A")), (5, Some("B"))], "{delimiter:?}");
    }
}
