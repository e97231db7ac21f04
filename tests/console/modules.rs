//! The modules against the project's vectors, and the bench against itself.

use crate::bench::Bench;
use crate::site::{Site, vectors};
use serde_json::{Value, json};

/// Runs the suite on every vector whose kind a browser reads; `[name, difference]` of each.
const SUITE: &str = "
    const { difference, integers, ELSEWHERE } = await import('/suite/vectors.js');
    const results = [];
    for (const [folder, name, file] of await (await fetch('/vectors.json')).json()) {
      if (ELSEWHERE.includes(file.kind)) continue;
      results.push([name, await difference(name, folder, file)]);
    }
    return { results, integers: integers() };";

#[test]
fn every_vector_has_the_same_verdict_in_a_browser() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let answer = browser.script(&format!("return (async () => {{ {SUITE} }})()"), &[]);
    let results = answer["results"].as_array().expect("results");
    let wrong: Vec<_> = results.iter().filter(|result| !result[1].is_null()).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), results.len());
    // As many as there are of these kinds: none was left out.
    let kinds = [
        "agreement-key",
        "checkpoint",
        "device-part",
        "did",
        "entry-proof",
        "genesis",
        "inception",
        "leaf",
        "log",
        "multikey",
        "operation",
        "possession",
        "public-key",
        "receipt",
        "state-proof",
        "upload",
    ];
    let expected =
        vectors().iter().filter(|v| kinds.contains(&v[2]["kind"].as_str().unwrap())).count();
    assert_eq!(results.len(), expected);
    assert!(expected > 200, "{expected} vectors");
    assert_eq!(answer["integers"], 13);
}

/// What a receipt is checked for, in the words that a page shows.
#[test]
fn a_receipt_is_checked_step_by_step() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let vectors = vectors();
    let receipt = vectors.iter().find(|v| v[1] == "ledger-receipt.json").expect("a receipt");
    let script = "
        const [{ check }, { unhex, hex, sha256 }] =
          await Promise.all([import('/js/receipt.js'), import('/js/bytes.js')]);
        const [receipt, genesis] = [unhex(arguments[0].receipt), unhex(arguments[0].genesis)];
        const network = hex(await sha256(genesis));
        const good = await check(receipt, genesis, network);
        const other = await check(receipt, genesis, network.replace(/./, (c) => (c === '0' ? '1' : '0')))
          .catch((error) => error.message);
        let refused = 0;
        for (let at = 0; at < receipt.length; at++) {
          const altered = receipt.slice();
          altered[at] ^= 1;
          await check(altered, genesis, network).catch((e) => { if (e.name === 'Fault') refused += 1; });
        }
        return { steps: good.steps, other, refused, length: receipt.length };";
    let script = format!("return (async function () {{ {script} }}).apply(null, arguments)");
    let answer = browser.script(&script, std::slice::from_ref(&receipt[2]));
    let steps = answer["steps"].as_array().expect("steps");
    let words: Vec<_> = steps.iter().map(|s| s["check"].as_str().expect("words")).collect();
    assert_eq!(
        words,
        [
            "The genesis is the one this browser has pinned",
            "A quorum of the validators signed this state of the ledger",
            "The entry is in that log",
            "The operation is signed",
            "It enrols the batch of this device",
            "The device is in that batch",
            "The device itself signed to be enrolled",
            "The DID is the hash of the device's inception",
        ]
    );
    assert!(answer["other"].as_str().expect("words").contains("another network"), "{answer}");
    // A note with signatures to spare bears one damaged one (docs/formats/receipt.md); of four
    // validators three are needed, and each line has fewer than 170 bytes.
    let count = |name: &str| answer[name].as_u64().expect("a number");
    let (refused, length) = (count("refused"), count("length"));
    assert!(length > 1_000 && refused >= length - 170, "{refused} of {length}");
}

#[test]
fn the_bench_sees_violations() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/inline"));
    assert_eq!(browser.title(), "Inline", "the policy holds");
    let faults = browser.faults();
    assert!(faults.iter().any(|f| f.contains("securitypolicyviolation")), "{faults:#?}");
    // They are kept when the page is left.
    browser.open(&site.url("/plain"));
    assert!(!browser.faults().is_empty());
    browser.forgive("securitypolicyviolation");
    browser.forgive("Content Security Policy");
    assert_eq!(browser.faults(), Vec::<String>::new());
    // And errors that no script caught.
    browser.script("setTimeout(() => { throw new Error('lost') }, 0)", &[]);
    browser.wait_until("the error", || browser.faults().iter().any(|f| f.contains("lost")));
    browser.forgive("lost");
    // Text never becomes markup.
    let html = browser.try_script("document.body.innerHTML = '<b>x</b>'", &[]);
    assert!(html.is_err_and(|fault| fault.contains("TrustedHTML")));
    browser.forgive("TrustedHTML");
}

#[test]
fn two_browsers_share_nothing_and_a_page_has_any_size() {
    let (bench, site) = (Bench::take(), Site::start());
    let (one, two) = (bench.browser(), bench.browser());
    for browser in [&one, &two] {
        browser.open(&site.url("/plain"));
        assert_eq!(browser.find("#out").text(), "ready");
    }
    one.script("localStorage.setItem('a', '1')", &[]);
    assert_eq!(one.script("return localStorage.getItem('a')", &[]), "1");
    assert_eq!(two.script("return localStorage.getItem('a')", &[]), Value::Null);
    for (width, dark) in [(360, true), (3_840, false)] {
        one.size(width, 800);
        one.dark(dark);
        assert_eq!(one.script("return innerWidth", &[]), json!(width));
        let seen = "return matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(one.script(seen, &[]), json!(dark));
        let picture = std::fs::read(one.screenshot(&format!("plain-{width}"))).expect("a picture");
        assert_eq!(picture[16..20], width.to_be_bytes(), "the width of the picture");
    }
}
