//! Whether people with other eyes, hands or tools can use a page: axe-core, by the rules of WCAG
//! 2.2 AA. It is a tool of the tests alone, and no part of the console.

use crate::bench::Bench;
use crate::browser::Browser;
use crate::site::Site;
use serde_json::{Value, json};
use std::path::Path;

/// Success criteria of WCAG 2.0 to 2.2, levels A and AA.
const TAGS: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const RUN: &str = "; return axe.run(document, { runOnly: { type: 'tag', values: arguments[0] } })\
    .then((result) => result.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help, \
    nodes: v.nodes.map((n) => n.target.join(' ') + ': ' + n.failureSummary) })))";

/// What is wrong with the present page: everything that axe-core finds under these criteria.
pub(crate) fn findings(browser: &Browser) -> Vec<Value> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(path).expect("axe-core: cargo xtask test installs it");
    let found = browser.script(&format!("{axe}{RUN}"), &[json!(TAGS)]);
    found.as_array().expect("a list").clone()
}

/// Fails if anybody is kept out: findings of impact serious and critical. Others are printed.
pub(crate) fn check(browser: &Browser) {
    let (bad, other): (Vec<Value>, Vec<Value>) = findings(browser)
        .into_iter()
        .partition(|finding| matches!(finding["impact"].as_str(), Some("serious" | "critical")));
    if !other.is_empty() {
        println!("{}: {other:#?}", browser.url());
    }
    assert!(bad.is_empty(), "{} keeps people out: {bad:#?}", browser.url());
}

#[test]
fn a_page_that_keeps_people_out_is_found() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    check(&browser);
    browser.open(&site.url("/unreadable"));
    let ids: Vec<_> = findings(&browser).into_iter().map(|f| f["id"].clone()).collect();
    for id in ["color-contrast", "button-name", "html-has-lang", "image-alt"] {
        assert!(ids.contains(&json!(id)), "{id} in {ids:?}");
    }
}
