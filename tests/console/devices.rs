//! Devices in the console: found, proved, held, released, revoked, with a gateway that follows.

use crate::accessible;
use crate::bench::Bench;
use crate::browser::{Browser, key};
use crate::fleet::Fleet;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A name that would be markup, a formula, and is written from right to left. (Marks that only
/// turn the direction, no import takes.)
const HOSTILE: &str = "=<img src=x onerror=alert(1)>\u{5e9}\u{5dc}<script>a()</script>";

fn open(browser: &Browser, fleet: &Fleet, n: usize) {
    browser.open(&fleet.url(&format!("/devices/{}", fleet.did(n))));
    browser.find("#standing");
}

fn sign(browser: &Browser) {
    browser.find("dialog.sign [type=submit]").click();
    browser.wait_gone("dialog.sign");
}

fn answer(fleet: &Fleet, browser: &Browser, n: usize, status: u16) {
    browser.wait_until(&format!("the gateway's {status}"), || fleet.shown(n).0 == status);
}

#[test]
fn a_device_is_found_proved_held_released_and_revoked() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100", "P-101", "Q-200"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    assert_eq!(fleet.shown(1).0, 200);

    // Search as one types; the address says what is shown.
    browser.open(&fleet.url("/devices"));
    browser.wait_for_text("#found", "3 devices");
    browser.find("#q").type_text("P-1");
    browser.wait_for_text("#found", "2 devices");
    assert!(browser.url().ends_with("/devices?q=P-1"), "{}", browser.url());
    browser.find("#q").type_text("01");
    browser.wait_for_text("#found", "1 device");
    browser.control("P-101").click();
    browser.wait_for_text("h1", "P-101");
    assert!(browser.url().ends_with(&format!("/devices/{}", fleet.did(1))));

    browser.control("Check this proof in my browser").click();
    browser.wait_for_text("#proof .verdict", "Proved");
    assert_eq!(browser.find_all("#proof .steps li").len(), 8);
    assert!(browser.find("#proof .steps").text().contains(&fleet.did(1)));

    browser.script("scrollTo(0, 0)", &[]);
    browser.control("Hold").click();
    browser.find("#reason").type_text("left in the van");
    browser.control("Read what will be signed").click();
    browser.wait_for_text("dialog.sign .says", "Reason: left in the van.");
    sign(&browser);
    browser.wait_for_text("#standing .tag", "held");
    browser.wait_for_text("#told", "of the ledger");
    browser.wait_for_text("#standing .reasons", "The reason given: left in the van.");
    browser.wait_for_text("#coverage .covered", "1 of 1");
    browser.wait_for_text("#coverage tbody", "refuses it");
    answer(&fleet, &browser, 1, 403);
    browser.wait_for_text("#history", "Ada");

    browser.control("Release").click();
    sign(&browser);
    browser.wait_for_text("#standing .tag", "active");
    browser.wait_for_text("#coverage h2", "let it in again");
    answer(&fleet, &browser, 1, 200);

    browser.find("#do-revoke").click();
    browser.find("#reason").type_text("sold on");
    browser.control("Read what will be signed").click();
    browser.wait_for_text("dialog.sign", "This cannot be undone.");
    sign(&browser);
    browser.wait_for_text("#standing .tag", "revoked");
    browser.wait_for_text("#coverage .covered", "1 of 1");
    answer(&fleet, &browser, 1, 403);
    assert!(!browser.has("#do-hold") && !browser.has("#do-release") && !browser.has("#do-revoke"));

    browser.open(&fleet.url("/devices?state=revoked"));
    browser.wait_for_text("#found", "1 device");

    // Gateways tell what they saw twice a minute.
    let patience = Instant::now() + Duration::from_secs(90);
    open(&browser, &fleet, 1);
    while !browser.find("#standing").text().contains("by gateway store-1") {
        assert!(Instant::now() < patience, "{}", browser.find("#standing").text());
        std::thread::sleep(Duration::from_millis(500));
        browser.reload();
    }
}

#[test]
fn a_key_is_revoked_and_a_did_ended_each_for_good() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100", "P-101"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    open(&browser, &fleet, 0);
    browser.control("Revoke this key").click();
    browser.wait_for_text("dialog.sign .says", "Revoke for good one key");
    sign(&browser);
    browser.wait_for_text("#keys .tag", "revoked");
    answer(&fleet, &browser, 0, 401);

    open(&browser, &fleet, 1);
    browser.control("Deactivate").click();
    browser.wait_for_text("dialog.sign .says", "Its document becomes empty");
    // Whoever cancels changed nothing.
    browser.find("dialog.sign [data-close]").click();
    browser.wait_gone("dialog.sign");
    assert_eq!(browser.find("#standing .tag").text(), "active");
    browser.control("Deactivate").click();
    sign(&browser);
    browser.wait_for_text("#standing .tag", "deactivated");
    assert!(!browser.has("[data-do]"), "nothing is left to do");
    answer(&fleet, &browser, 1, 403);
}

/// What is fetched from a path is another thing from now on.
fn tamper(browser: &Browser, path: &str, change: &str) {
    let script = "const [path, change] = arguments; window.honest ??= window.fetch;
        const changes = {
            flip: (bytes, at) => { bytes[Math.floor(bytes.length * at)] ^= 1; return bytes; },
            cut: (bytes, at) => bytes.slice(0, Math.floor(bytes.length * at)),
        };
        const [how, at] = change.split(' ');
        window.fetch = async (url, ...rest) => {
            const answer = await window.honest.call(window, how === 'other' && String(url).includes(path) ? at : url, ...rest);
            if (!String(url).includes(path) || how === 'other') return answer;
            return new Response(changes[how](new Uint8Array(await answer.arrayBuffer()), Number(at)));
        };";
    browser.script(script, &[json!(path), json!(change)]);
}

#[test]
fn a_proof_that_was_touched_is_refused_loudly() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-100", "P-101", "P-102"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    open(&browser, &fleet, 0);
    let check = || {
        browser.script("document.getElementById('proof').replaceChildren()", &[]);
        browser.control("Check this proof in my browser").click();
        browser.wait_until("a verdict", || browser.has("#proof .verdict, #proof .fault"));
        let bad = browser.has("#proof .fault[role=alert]");
        assert_ne!(bad, browser.has("#proof .verdict"), "one of both");
        browser.find("#proof").text()
    };
    assert!(check().starts_with("Proved"));
    // Wherever a bit of the receipt turned: device part, entry, path, checkpoint.
    for at in ["0.01", "0.1", "0.25", "0.4", "0.5", "0.6", "0.75", "0.9", "0.98"] {
        tamper(&browser, "/receipt", &format!("flip {at}"));
        let said = check();
        assert!(said.starts_with("NOT PROVED."), "at {at}: {said}");
    }
    tamper(&browser, "/receipt", "cut 0.9");
    assert!(check().starts_with("NOT PROVED."));
    // A good receipt, of another device.
    let other = format!("/v1/devices/{}/receipt", fleet.did(1));
    tamper(&browser, "/receipt", &format!("other {other}"));
    let said = check();
    assert!(said.contains("of another thing") && said.contains(&fleet.did(1)), "{said}");
    // A server that names another beginning.
    tamper(&browser, "/v1/genesis", "flip 0.5");
    let said = check();
    assert!(said.contains("the genesis is that of another network"), "{said}");
    tamper(&browser, "/nothing", "cut 1");
    assert!(check().starts_with("Proved"), "it holds when nobody touches it");
}

#[test]
fn names_are_text_and_the_pages_fit_every_eye_and_screen() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&[HOSTILE, "P-101"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    let unknown = "/devices/did:muster:zQmVHtKzbEN2cFZSuSnGBS2Fs6SSnWk1ktDFmm4Ck6kcSvW";
    let own = format!("/devices/{}", fleet.did(0));
    for path in ["/devices", "/devices?q=none", "/devices?state=lost", &own, unknown] {
        browser.open(&fleet.url(path));
        browser.find("main h1");
        for (dark, width) in [(false, 1_440), (true, 360), (false, 320)] {
            browser.dark(dark);
            browser.size(width, 800);
            accessible::check(&browser);
            let wide = "return document.documentElement.scrollWidth > innerWidth";
            assert_eq!(browser.script(wide, &[]), json!(false), "{path} at {width}");
            let name = path.split(['/', '?']).next_back().unwrap_or_default();
            browser.screenshot(&format!("devices-{}-{width}", name.replace(':', "_")));
        }
    }
    browser.open(&fleet.url("/devices"));
    browser.size(1_440, 900);
    let name = browser.script(
        "return [...document.querySelectorAll('tbody th')].map((th) => th.textContent)",
        &[],
    );
    assert!(name.as_array().expect("names").contains(&json!(HOSTILE)), "{name}");
    browser.open(&fleet.url(&own));
    assert_eq!(browser.script("return document.querySelector('h1 bdi').textContent", &[]), HOSTILE);
    assert!(browser.title().starts_with("Device =<img"), "{}", browser.title());
    assert!(!browser.has("main img") && !browser.has("main script"));
    browser.open(&fleet.url(unknown));
    browser.wait_for_text("h1", "not on the ledger");
    browser.forgive("404");
}

#[test]
fn keys_move_select_and_open_and_a_selection_is_handed_over() {
    let serials: Vec<String> = (0..60).map(|n| format!("P-{n:03}")).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let (bench, fleet) = (Bench::take(), Fleet::start(&serials));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    browser.open(&fleet.url("/devices"));
    let chosen = |words: &str| browser.wait_for_text("[data-chosen]", words);

    // A letter in a field is a letter; in the list it selects.
    browser.find("#q").type_text("x");
    browser.wait_for_text("#found", "No device matches");
    browser.find("#q").clear();
    browser.find("#q").type_text("P-0");
    browser.wait_for_text("#found tbody", "P-000");
    browser.press(key::DOWN);
    assert_eq!(browser.focused().text(), "P-000");
    browser.press(key::DOWN);
    browser.press("x");
    chosen("1 device selected.");
    browser.press(&format!("{}x", key::DOWN));
    chosen("2 devices selected.");
    // It stays from page to page.
    browser.open(&fleet.url("/devices"));
    chosen("2 devices selected.");
    browser.find("[data-act]").click();
    browser.wait_until("the hand-over", || browser.url().contains("/revoke?did=did%3Amuster%3A"));
    assert_eq!(browser.url().matches("did=").count(), 2, "{}", browser.url());

    browser.open(&fleet.url("/devices"));
    browser.wait_for_text("#found", "60 devices");
    assert!(!browser.find("#chosen").attribute("hidden").is_empty(), "it was handed over");
    browser.find("[data-pick-all]").click();
    chosen("50 devices selected.");
    let more = browser.find("[data-choose-all]").attribute("hidden");
    assert!(!more.is_empty(), "the whole ledger is not selected by a slip");
    browser.find("[data-choose-none]").click();

    // Ten thousand take as few clicks as one: the search itself is handed over.
    browser.find("#model").type_text("pump");
    browser.wait_until("the address", || browser.url().ends_with("/devices?model=pump"));
    browser.find("[data-pick-all]").click();
    browser.control("Select all 60 that match this search").click();
    chosen("All 60 devices that match this search are selected.");
    browser.find("[data-act]").click();
    browser.wait_until("the hand-over", || browser.url().ends_with("/revoke?model=pump"));
    browser.wait_for_text("main", "60");

    // More than a link names go by this browser's memory.
    browser.open(&fleet.url("/devices?model=pump"));
    browser.find("[data-pick-all]").click();
    browser.find("[data-act]").click();
    browser.wait_until("the hand-over", || browser.url().ends_with("/revoke?list=1"));
    browser.wait_for_text("#listed", "50");

    browser.open(&fleet.url("/devices?model=pump"));
    browser.control("Next page").click();
    browser.wait_until("the second page", || browser.find_all("tr[data-did]").len() == 10);
    assert!(browser.url().contains("after="));
    browser.find("#q").clear();
    browser.script("document.querySelector('tr[data-did] a').focus()", &[]);
    browser.press(key::ENTER);
    browser.wait_for_text("#standing", "pump");
}

#[test]
fn what_is_seen_is_exported_whole_and_written_down() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&[HOSTILE, "P-1", "P-2", "a,\"b\""]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "admin");
    browser.open(&fleet.url("/devices?q=P"));
    browser.control("Export").click();
    let links = browser.script(
        "return [...document.querySelectorAll('[data-export]')].map((a) => a.getAttribute('href'))",
        &[],
    );
    assert_eq!(links, json!(["/devices/export.csv?q=P", "/devices/export.json?q=P"]));
    let fetched = |path: &str| -> String {
        let text =
            browser.script("return fetch(arguments[0]).then((a) => a.text())", &[json!(path)]);
        text.as_str().expect("a text").to_owned()
    };
    let some = fetched("/devices/export.csv?q=P");
    assert_eq!(some.lines().count(), 3, "{some}");
    let all = fetched("/devices/export.csv");
    assert!(all.contains("\r\n'=<img src=x"), "no formula: {all}");
    assert!(all.contains("\r\n\"a,\"\"b\"\"\","), "quoted: {all}");
    let rows: Value = serde_json::from_str(&fetched("/devices/export.json")).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(4));
    browser.open(&fleet.url("/audit"));
    browser.wait_for_text("main", "devices?q=P");
    // Whoever is not signed in gets none.
    let stranger =
        crate::muster::get(&fleet.url("/devices/export.csv"), &[("sec-fetch-mode", "cors")]);
    assert_eq!(stranger.0, 401);
}
