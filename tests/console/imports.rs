//! Imports in the console: a file with errors, private keys, a node that proposes something else,
//! two files, cancelling, a page that is loaded again.

use crate::accessible;
use crate::bench::Bench;
use crate::browser::Browser;
use crate::fleet::Fleet;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_identity::{Algorithm, SecretKey, Signer as _};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A row of a device that nobody else has: `n` makes its key.
fn row(serial: &str, n: u32) -> String {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&n.to_be_bytes());
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &secret.into()).expect("a key");
    let key = key.public_key().to_multikey();
    json!({ "serial": serial, "publicKey": key, "model": "pump", "lot": "reel 7" }).to_string()
}

fn rows(prefix: &str, first: u32, count: u32) -> Vec<String> {
    (first..first + count).map(|n| row(&format!("{prefix}-{n}"), n)).collect()
}

fn write(folder: &Path, name: &str, rows: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, rows.join("\n") + "\n").expect("a file");
    path
}

/// Chooses files and has a dry run made.
fn send(browser: &Browser, fleet: &Fleet, files: &[&PathBuf]) {
    browser.open(&fleet.url("/import"));
    let paths: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    browser.find("#manifest").type_text(&paths.join("\n"));
    browser.control("Send, and make a dry run").click();
}

/// Devices on the ledger, by the node's own word to everybody.
fn devices(browser: &Browser) -> u64 {
    let body = "return fetch('/v1/network').then((r) => r.json()).then((n) => n.devices)";
    browser.script(body, &[]).as_u64().expect("a number")
}

/// A file that a run left, as the link on the page gives it.
fn fetched(browser: &Browser, name: &str) -> String {
    let body = "const link = [...document.querySelectorAll('a[download]')].find((a) => a.textContent === arguments[0]);
        return fetch(link.href).then((r) => r.ok ? r.text() : `status ${r.status}`)";
    browser.script(body, &[json!(name)]).as_str().expect("a text").to_owned()
}

/// Runs a script in every page that is opened from now on, until it is taken away.
fn in_every_page(browser: &Browser, source: &str) -> Value {
    let name = "Page.addScriptToEvaluateOnNewDocument";
    browser.devtools(name, json!({ "source": source }))["identifier"].clone()
}

fn no_more(browser: &Browser, script: Value) {
    let name = "Page.removeScriptToEvaluateOnNewDocument";
    browser.devtools(name, json!({ "identifier": script }));
}

/// No page is wider than the narrowest screen, and nobody is kept out of it.
fn is_for_everybody(browser: &Browser) {
    for dark in [false, true] {
        browser.dark(dark);
        // Colours that still change are neither.
        browser.wait_until("colours that stay", || {
            browser.script("return document.getAnimations().length", &[]) == json!(0)
        });
        accessible::check(browser);
    }
    browser.size(320, 640);
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.script(wide, &[]), json!(0), "{}", browser.url());
    browser.size(1440, 900);
}

#[test]
fn a_file_with_errors_is_looked_at_then_enrolled_and_its_rejects_come_back() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let mut lines = rows("I", 1, 12);
    lines.insert(3, lines[0].clone());
    let bad = row("<script>document.title='hit'</script>", 99);
    let bad = bad.replace("\"lot\"", &format!("\"possession\":\"{}\",\"lot\"", "A".repeat(86)));
    lines.insert(5, bad.clone());
    lines.push(r#"{"serial":"I-waits","model":"pump"}"#.into());
    let file = write(bench.folder(), "run 7.jsonl", &lines);

    is_for_everybody_at(&browser, &fleet, "/import");
    send(&browser, &fleet, &[&file]);
    browser.find("#plan-t");
    let tiles = browser.find("dl.tiles").text();
    let tiles: Vec<&str> = tiles.lines().collect();
    assert_eq!(
        tiles,
        ["To enrol", "12", "Enrolled already", "0", "Waiting for something", "1", "Refused", "2"]
    );
    browser.wait_for_text(".faults", "the same row stands in line 1");
    browser.wait_for_text(".faults", "bad-possession");
    browser.wait_for_text(".faults", "<script>document.title='hit'</script>");
    assert_eq!(devices(&browser), 1, "a dry run enrols nothing");
    assert_eq!(fetched(&browser, "run 7.jsonl.rejects.jsonl"), format!("{bad}\n"));
    is_for_everybody(&browser);

    browser.control("Enrol 12 devices").click();
    browser.wait_for_text("dialog.sign .says", "Enrol 12 devices of model pump under grant");
    browser.find("dialog.sign [type=submit]").click();
    browser.find("#batches-t");
    assert_eq!(devices(&browser), 13);
    assert_eq!(fetched(&browser, "run 7.jsonl.rejects.jsonl"), format!("{bad}\n"));
    let results = fetched(&browser, "run 7.jsonl.results.jsonl");
    assert_eq!(results.lines().filter(|line| line.contains("\"enrolled\"")).count(), 12);
    assert_eq!(fetched(&browser, "run 7.jsonl.receipts.jsonl").lines().count(), 12);
    assert!(fetched(&browser, "run 7.jsonl.missing.csv").contains("I-waits"));
    assert!(!browser.title().contains("hit"));

    // The batch knows where it came from, and is found in the list.
    browser.find("section[aria-labelledby=batches-t] a.id").click();
    browser.wait_for_text("h1", "12 × pump");
    browser.wait_for_text(".facts", "done at this console");
    browser.wait_for_text(".timeline", "signed by Ada");
    is_for_everybody(&browser);
    browser.control("Hold").click();
    browser.wait_for_text("#devices", "12");
    browser.open(&fleet.url("/batches?model=pump"));
    browser.wait_for_text("tbody tr:first-child", "Ada");
    browser.wait_for_text("main", "2 batches, 13 devices");
    is_for_everybody(&browser);

    // The same file again: nothing is left to do.
    send(&browser, &fleet, &[&file]);
    browser.wait_for_text("#plan-t", "Nothing to enrol");
}

fn is_for_everybody_at(browser: &Browser, fleet: &Fleet, path: &str) {
    browser.open(&fleet.url(path));
    is_for_everybody(browser);
}

#[test]
fn a_page_that_is_loaded_again_goes_on_and_shows_how_far_it_is() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let (a, b) = (rows("A", 1_000, 700), rows("B", 2_000, 500));
    let files = [write(bench.folder(), "a.jsonl", &a), write(bench.folder(), "b.jsonl", &b)];
    // As in another tab: what was chosen is not known there.
    let script = in_every_page(&browser, "sessionStorage.clear()");
    send(&browser, &fleet, &[&files[0], &files[1]]);
    for _ in 0..2 {
        browser.wait_for_text("[data-counts]", "1,200 rows");
        browser.wait_for_text("[data-ask-words]", "waits for a signature");
        browser.reload();
    }
    browser.control("Look at it, and sign").click();
    browser.wait_for_text("dialog.sign .says", "Look at up to 1,200 rows of model pump");
    browser.wait_for_text("dialog.sign .says", "nothing is enrolled");
    browser.find("dialog.sign [type=submit]").click();
    browser.wait_for_text("dl.tiles", "1,200");
    no_more(&browser, script);

    // Cancelled while the run waits for its first signature: nothing is enrolled, nothing is lost.
    let script = in_every_page(&browser, "sessionStorage.clear()");
    browser.control("Enrol 1,200 devices").click();
    browser.find("dialog.sign [type=submit]").click();
    browser.wait_for_text("[data-ask-words]", "waits for a signature");
    browser.control("Cancel").click();
    browser.wait_for_text("#trouble-t", "It was cancelled");
    no_more(&browser, script);
    assert_eq!(devices(&browser), 1);

    browser.control("Make a dry run").click();
    browser.control("Enrol 1,200 devices").click();
    browser.find("dialog.sign [type=submit]").click();
    browser.find("#batches-t");
    assert_eq!(devices(&browser), 1_201);
    let results = fetched(&browser, "a.jsonl.results.jsonl");
    let of = |file: &str| {
        results.lines().filter(|l| l.contains(&format!("\"file\":\"{file}\""))).count()
    };
    assert_eq!((of("a.jsonl"), of("b.jsonl"), results.lines().count()), (700, 500, 1_200));
    browser.control("Remove").click();
    browser.wait_for_text("#told", "removed from this node");
    browser.wait_for_text("section[aria-labelledby=jobs-t]", "None yet");
}

/// What a node would send that was built for something else: other bytes in what it asks a page to
/// sign. `arguments`: what is replaced by what, as text of one byte a character, in which kind.
fn another(kind: &str, from: &[u8], to: &[u8]) -> String {
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let (from, to) = (text(from), text(to));
    format!(
        "{{ const plain = (t) => atob(t.replaceAll('-', '+').replaceAll('_', '/'));
        const parse = JSON.parse;
        JSON.parse = (...given) => {{
            const value = parse(...given);
            const bytes = value?.ask && plain(value.ask.bytes);
            if (bytes && bytes.includes('{kind}')) {{
                const other = bytes.replace(plain('{from}'), () => plain('{to}'));
                if (other === bytes) throw new Error('nothing to tamper with');
                value.ask.bytes = btoa(other).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
            }}
            return value;
        }}; }}"
    )
}

#[test]
fn a_page_signs_nothing_but_what_was_agreed() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let file = write(bench.folder(), "lot.jsonl", &rows("T", 3_000, 5));
    let (upload, operation) = ("muster-upload+cose", "muster-op+cose");
    browser.open(&fleet.url("/import"));
    let grant = browser.find("#grant option").attribute("value");
    let grant = HEXLOWER.decode(grant.as_bytes()).expect("an id");
    let refused = |why: &str| {
        browser.wait_for_text("#trouble-t", "It did not work");
        browser.wait_for_text(".fault", why);
        assert_eq!(devices(&browser), 1, "nothing was enrolled");
    };
    let again = || {
        browser.control("Make a dry run").click();
        browser.control("Enrol 5 devices").click();
    };

    // A dry run under another grant than the one that was chosen.
    let script = in_every_page(&browser, &another(upload, &grant, &[1; 32]));
    send(&browser, &fleet, &[&file]);
    refused("you chose");
    no_more(&browser, script);
    // A run that sends rows of another model.
    again();
    let plan =
        browser.script("return JSON.parse(document.getElementById('job').dataset.plan)", &[]);
    let root = plan["batches"][0]["root"].as_str().expect("a root").to_owned();
    let root = HEXLOWER.decode(root.as_bytes()).expect("a root");
    let script = in_every_page(&browser, &another(upload, b"pump", b"pimp"));
    browser.find("dialog.sign [type=submit]").click();
    refused("which the dry run did not name");
    no_more(&browser, script);
    // An enrolment of other devices, of another model, under another grant, of more of them.
    let count = [&[3, 5, 4, 0x58, 0x20][..], &root].concat();
    let more = [&[3, 6, 4, 0x58, 0x20][..], &root].concat();
    for (from, to, why) in [
        (&root[..], &[2; 32][..], "root: you asked for"),
        (b"pump", b"pimp", "model: you asked for"),
        (&grant, &[1; 32], "grant: you asked for"),
        (&count, &more, "count: you asked for"),
    ] {
        again();
        let script = in_every_page(&browser, &another(operation, from, to));
        browser.find("dialog.sign [type=submit]").click();
        refused(why);
        no_more(&browser, script);
    }
    // An operation of another kind is no enrolment, whoever asks for it.
    let bytes = "return import(`${document.querySelector('link[rel=stylesheet]').href.replace('console.css', '')}js/import_signs.js`)
        .then((m) => m.enrolDifferences({ action: { kind: 'revoke' } }, { dryRun: true, grant: '', model: '' }, {}, 0))";
    assert_eq!(browser.script(bytes, &[]), json!(["an operation, and a dry run needs none"]));

    // And with nothing in the way, the same import goes through.
    again();
    browser.find("dialog.sign [type=submit]").click();
    browser.find("#batches-t");
    assert_eq!(devices(&browser), 6);
}

#[test]
fn private_keys_are_refused_and_not_kept() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    browser.forgive("400 (Bad Request)");
    let pem = r#"{"serial":"K-1","key":"-----BEGIN PRIVATE KEY-----\nMC4CAQ=="}"#;
    let file = write(bench.folder(), "pem.jsonl", &[pem.into()]);
    send(&browser, &fleet, &[&file]);
    browser.wait_for_text("#new .fault", "pem.jsonl holds private key material; nothing was kept");
    let named = r#"{"serial":"K-1","privateKey":"c2VjcmV0"}"#;
    let file = write(bench.folder(), "named.jsonl", &[row("K-2", 4_000), named.into()]);
    send(&browser, &fleet, &[&file]);
    browser.wait_for_text(".fault", "named.jsonl, line 2: `privateKey` holds private key material");
    assert!(!browser.has("#in-t"), "the file is gone");
    assert!(!browser.has("[data-again]"), "so there is nothing to try again with");
    assert_eq!(devices(&browser), 1);
}

#[test]
fn a_foreign_table_is_read_once_its_columns_are_named() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let mut lines = vec!["Gerät;Schlüssel;Rolle".to_owned()];
    lines.extend(rows("F", 5_000, 3).iter().map(|row| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        let cell = |name: &str| row[name].as_str().expect("a text").to_owned();
        format!("{};{};{}", cell("serial"), cell("publicKey"), cell("lot"))
    }));
    let file = write(bench.folder(), "foreign.csv", &lines);
    send(&browser, &fleet, &[&file]);
    browser.find("[data-again]");
    browser.find("#model").type_text("pump");
    for (column, field) in [("c1", "serial"), ("c2", "publicKey"), ("c3", "lot")] {
        browser.find(&format!("#{column}")).type_text(field);
    }
    browser.control("Make a dry run").click();
    browser.control("Enrol 3 devices").click();
    browser.find("dialog.sign [type=submit]").click();
    browser.find("#batches-t");
    browser.open(&fleet.url("/batches"));
    browser.find("tbody tr:first-child a.id").click();
    browser.wait_for_text("section[aria-labelledby=devices-t]", "F-5001");
    browser.wait_for_text(".facts", "reel 7");
}

#[test]
fn scrap_is_enrolled_and_ended_in_one_go() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let mut lines = rows("S", 6_000, 3);
    lines[2] = lines[2].replace("\"lot\"", "\"result\":\"scrap\",\"lot\"");
    let file = write(bench.folder(), "scrap.jsonl", &lines);
    send(&browser, &fleet, &[&file]);
    browser.wait_for_text("#plan-t", "What would be enrolled");
    browser.wait_for_text("table", "scrap: to be revoked");
    browser.control("Enrol 3 devices").click();
    browser.wait_for_text("dialog.sign .says", "They are scrap: revoke them right after.");
    browser.find("dialog.sign [type=submit]").click();
    // The page asks by itself: until then what is scrap is valid.
    browser.wait_for_text("dialog.sign", "Revoke the scrap?");
    browser.wait_for_text("#scrap-t", "Scrap is valid");
    browser.find("dialog.sign [type=submit]").click();
    browser.wait_for_text("#told", "1 batches of scrap revoked");
    assert!(!browser.has("#scrap-t"));
    browser.open(&fleet.url("/batches"));
    browser.wait_for_text("tbody", "revoked");
    browser.find("tbody tr:nth-child(2) a.id").click();
    browser.find("section[aria-labelledby=devices-t]");
    browser.control("Do they add up?").click();
    browser.wait_for_text("tbody", "adds up");
    is_for_everybody(&browser);
}
