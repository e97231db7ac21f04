//! Files that go wrong, as FIELD names them.

use crate::formats::read;
use muster_provisioning::Error;
use muster_provisioning::formats::Format;
use muster_provisioning::limits::ROW_BYTES;

fn refused(format: Format, text: &[u8]) -> Vec<(u64, String)> {
    read(format, text).expect("the rest is readable").refused
}

#[test]
fn a_row_that_is_too_long_is_refused_and_reading_goes_on() {
    let long = "x".repeat(ROW_BYTES * 3);
    let text = format!("{{\"serial\":\"1\"}}\n{{\"serial\":\"{long}\"}}\n{{\"serial\":\"3\"}}\n");
    let read = read(Format::Jsonl, text.as_bytes()).expect("readable");
    assert_eq!(read.refused, [(2, "row-too-long".to_owned())]);
    let found: Vec<_> = read.drafts.iter().map(|d| d.line).collect();
    assert_eq!(found, [1, 3]);
    // The bound is a bound, not nearly one.
    let fits = format!("{{\"serial\":\"{}\"}}", "x".repeat(ROW_BYTES - 13));
    assert_eq!(fits.len(), ROW_BYTES);
    assert_eq!(refused(Format::Jsonl, fits.as_bytes()), []);
    let over = format!("{fits} ");
    assert_eq!(refused(Format::Jsonl, over.as_bytes()), [(1, "row-too-long".to_owned())]);
}

#[test]
fn a_quote_that_is_never_closed_costs_one_row() {
    let rows: String = (0..5_000).map(|i| format!("SN-{i},lot\n")).collect();
    let text = format!("serial,lot\nA,\"open\n{rows}");
    let read = read(Format::Csv, text.as_bytes()).expect("readable");
    assert_eq!(read.refused, [(2, "unclosed-quote".to_owned())]);
    assert_eq!(read.drafts.len(), 5_000);
    assert_eq!(read.drafts.last().map(|d| d.line), Some(5_002));
}

#[test]
fn a_file_of_open_quotes_ends_early() {
    let text = format!("a,serial,b\n{}", "x\",y,\"z\n".repeat(200_000));
    let error = read(Format::Csv, text.as_bytes()).expect_err("hopeless").to_string();
    assert!(error.contains("1,000 quotes"), "{error}");
}

#[test]
fn broken_rows_are_refused_each_for_itself() {
    let cases: [(&[u8], &str); 8] = [
        (b"{\"serial\":\"\xff\"}", "encoding"),
        (b"{\"serial\":\"cut", "not-json"),
        (b"\"text\"", "not-json"),
        (b"{\"serial\":\"1\",\"serial\":\"2\"}", "duplicate-field"),
        (b"{\"serial\":\"1\",\"Serial\":\"1\"}", "duplicate-field"),
        (b"{\"serial\":[1]}", "type"),
        (b"{\"serial\":{\"x\":1}}", "type"),
        (b"{\"serial\":true}", "type"),
    ];
    for (row, code) in cases {
        let text = [b"{\"serial\":\"first\"}\n", row, b"\n{\"serial\":\"last\"}"].concat();
        let read = read(Format::Jsonl, &text).expect("readable");
        assert_eq!(read.refused, [(2, code.to_owned())]);
        assert_eq!(read.drafts.len(), 2);
    }
    let cases: [(&[u8], &str); 4] = [
        (b"1,2,3", "columns"),
        (b"1", "columns"),
        (b"\"1\"x,2", "unclosed-quote"),
        (b"\xff,2", "encoding"),
    ];
    for (row, code) in cases {
        let text = [b"serial,lot\n", row, b"\nlast,1\n"].concat();
        let read = read(Format::Csv, &text).expect("readable");
        assert_eq!((&read.refused[..], read.drafts.len()), (&[(2, code.to_owned())][..], 1));
    }
    let deep = format!("{{\"serial\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(refused(Format::Jsonl, deep.as_bytes()), [(1, "not-json".to_owned())]);
}

#[test]
fn private_keys_refuse_the_whole_file() {
    let pem = "-----BEGIN EC PRIVATE KEY-----\\nc2VjcmV0\\n-----END EC PRIVATE KEY-----";
    let multikey = "z3u2en7t5LR2WtQH5PfFqMqwVHgeXouLzo6haApm8XHqvjxq";
    let rows = [
        format!(r#"{{"serial":"1","publicKey":"{pem}"}}"#),
        format!(r#"{{"serial":"1","note":{{"deep":["{pem}"]}}}}"#),
        format!(r#"{{"serial":"1","note":"{}"}}"#, pem.replace("PRIVATE", "PRI\\u0056ATE")),
        format!(r#"{{"serial":"1","publicKey":"{multikey}"}}"#),
        r#"{"serial":"1","publicKey":{"kty":"OKP","crv":"Ed25519","x":"AA","d":"c2VjcmV0"}}"#
            .into(),
        r#"{"serial":"1","publicKey":{"kty":"oct","k":"c2VjcmV0"}}"#.into(),
        r#"{"serial":"1","jwk":"{\"kty\":\"EC\",\"d\":\"c2VjcmV0\"}"}"#.into(),
        r#"{"serial":"1","private_key":"c2VjcmV0"}"#.into(),
        r#"{"serial":"1","dac_private_key":"c2VjcmV0"}"#.into(),
        r#"{"serial":"1","keys":[{"secret":"c2VjcmV0"}]}"#.into(),
        r#"{"serial":"1","seed":"c2VjcmV0","seed":null}"#.into(),
        r#"{"serial":"1","privateKey":"c2VjcmV0"#.into(),
    ];
    for row in rows {
        let text = format!("{{\"serial\":\"0\"}}\n{row}\n");
        let error = read(Format::Jsonl, text.as_bytes()).expect_err("a private key");
        assert!(matches!(error, Error::PrivateKey { line: 2, .. }), "{row}: {error}");
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
    let pem = pem.replace("\\n", "\n");
    let files = [
        format!("serial,publicKey\n1,\"{pem}\"\n"),
        "serial,Private Key\n1,c2VjcmV0\n".into(),
        "dev_eui;serial;app_key\n1;2;c2VjcmV0\n".into(),
        "serial,jwk\n1,\"{\"\"kty\"\":\"\"EC\"\",\"\"d\"\":\"\"c2VjcmV0\"\"}\"\n".into(),
        format!("serial,publicKey\n1,{multikey}\n"),
        format!("serial,x\n1,\"{}{pem}\n", "x".repeat(ROW_BYTES * 2)),
    ];
    for text in files {
        let error = read(Format::Csv, text.as_bytes()).expect_err("a private key");
        assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
    // A vendor's encrypted keys are not private keys of ours.
    let row = r#"{"serial":"1","encryptedSecretKeySet":{"keys":[{"kid":"1"}]},"d":1,"k":2}"#;
    assert_eq!(read(Format::Jsonl, row.as_bytes()).expect("readable").drafts.len(), 1);
}

#[test]
fn a_private_key_across_the_cut_of_a_long_row_is_found() {
    for shift in 0..80 {
        let text = format!(
            "{{\"x\":\"{}-----BEGIN PRIVATE KEY-----{}\"}}",
            "x".repeat(ROW_BYTES - shift),
            "y".repeat(ROW_BYTES)
        );
        assert!(matches!(read(Format::Jsonl, text.as_bytes()), Err(Error::PrivateKey { .. })));
    }
}

#[test]
fn files_that_are_no_manifest_are_refused_with_a_cure() {
    let missing = read(Format::Csv, b"id,key\n1,2\n").expect_err("no serial").to_string();
    assert!(missing.contains("`serial` is missing; found `id`, `key`"), "{missing}");
    let twice = read(Format::Csv, b"serial,Serial\n1,2\n").expect_err("twice").to_string();
    assert!(twice.contains("stands twice"), "{twice}");
    let utf16 = read(Format::Jsonl, b"\xff\xfe{\x00").expect_err("UTF-16").to_string();
    assert!(utf16.contains("UTF-8"), "{utf16}");
    assert_eq!(read(Format::Csv, b"").expect("empty").drafts.len(), 0);
}

#[test]
fn an_unknown_name_is_one_warning_that_names_a_near_match() {
    let text =
        "{\"serial\":\"1\",\"pubkey\":\"z\"}\n{\"serial\":\"2\",\"pubkey\":\"z\",\"shift\":1}\n";
    let read = read(Format::Jsonl, text.as_bytes()).expect("readable");
    assert_eq!(
        read.warnings,
        [
            "line 1: `pubkey` is unknown and ignored; did you mean `publicKey`?",
            "line 2: `shift` is unknown and ignored",
        ]
    );
    let csv = self::read(Format::Csv, b"serial,serialNumber,modell\n1,2,3\n").expect("readable");
    assert_eq!(csv.warnings.len(), 2);
    assert!(csv.warnings[0].contains("another name gives the `serial`"), "{:?}", csv.warnings);
    assert!(csv.warnings[1].ends_with("did you mean `model`?"), "{:?}", csv.warnings);
}
