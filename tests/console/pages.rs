//! Every page, in light and dark, wide and narrow: readable, reachable by keyboard, small.

use crate::accessible;
use crate::bench::Bench;
use crate::browser::{Browser, key};
use crate::fleet::Fleet;

/// All pages that the navigation leads to.
const PAGES: [&str; 10] = [
    "/",
    "/devices",
    "/batches",
    "/import",
    "/revoke",
    "/approvals",
    "/gateways",
    "/ledger",
    "/organisation",
    "/audit",
];

/// Bytes that a page takes in all, cold.
const PAGE_BYTES: u64 = 100_000;

fn no_sideways(browser: &Browser, page: &str) {
    let wide = browser.script("return document.documentElement.scrollWidth - innerWidth", &[]);
    assert!(wide.as_i64().is_some_and(|n| n <= 0), "{page} scrolls sideways by {wide}");
}

#[test]
fn every_page_is_readable_by_everybody() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1", "P-2"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    for (dark, width, height) in [(false, 1_440, 900), (true, 360, 800), (true, 3_840, 2_160)] {
        browser.dark(dark);
        browser.size(width, height);
        for page in PAGES {
            browser.open(&fleet.url(page));
            browser.find("h1");
            no_sideways(&browser, page);
            if width < 3_840 {
                accessible::check(&browser);
            }
            let name = if page == "/" { "overview" } else { &page[1..] };
            browser.screenshot(&format!("{name}-{width}-{}", if dark { "dark" } else { "light" }));
            // Those of docs/console, written anew by `MUSTER_PICTURES=docs/console`.
            if let Some(folder) = std::env::var_os("MUSTER_PICTURES").filter(|_| width == 1_440) {
                let folder = crate::site::root().join(folder);
                std::fs::create_dir_all(&folder).expect("a folder");
                for (dark, word) in [(true, "dark"), (false, "light")] {
                    browser.dark(dark);
                    browser.picture(&folder.join(format!("{name}-{word}.webp")));
                }
            }
        }
    }
}

#[test]
fn a_page_is_small() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1", "P-2"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    for page in PAGES {
        browser.devtools("Network.clearBrowserCache", serde_json::json!({}));
        browser.open(&fleet.url(page));
        browser.find("h1");
        let bytes = browser.script(
            "return performance.getEntriesByType('resource')\
             .concat(performance.getEntriesByType('navigation'))\
             .reduce((n, e) => n + e.transferSize, 0)",
            &[],
        );
        let bytes = bytes.as_u64().expect("bytes");
        assert!(bytes > 5_000 && bytes < PAGE_BYTES, "{page} takes {bytes} bytes");
    }
}

#[test]
fn a_keyboard_is_enough() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1", "P-2"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    browser.open(&fleet.url("/"));
    browser.find("h1");
    // The first stop leads past the navigation.
    browser.press(key::TAB);
    assert!(browser.focused().attribute("href").ends_with("#main"));
    // The search is one key away, and what is found one more.
    browser.press("/");
    assert_eq!(browser.focused().attribute("id"), "find");
    browser.press("P-2");
    browser.press(key::ENTER);
    browser.wait_for_text("#found", "1 device");
    // A dialog is left by Escape, and nothing happened.
    browser.open(&fleet.url(&format!("/devices/{}", fleet.did(0))));
    browser.find("#do-hold");
    browser.script("document.querySelector('#do-hold').focus()", &[]);
    browser.press(key::ENTER);
    browser.find("dialog[open]");
    browser.press(key::ESCAPE);
    browser.wait_gone("dialog[open]");
    assert_eq!(browser.find("#standing .tag").text(), "active");
}

#[test]
fn dark_and_light_are_kept() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "operator");
    let theme =
        |browser: &Browser| browser.script("return document.documentElement.dataset.theme", &[]);
    assert_eq!(theme(&browser), "auto");
    browser.dark(false);
    browser.find("[data-theme-switch]").click();
    assert_eq!(theme(&browser), "dark");
    browser.open(&fleet.url("/devices"));
    // It comes with the page: nothing flashes.
    assert_eq!(theme(&browser), "dark");
    browser.find("[data-theme-switch]").click();
    assert_eq!(theme(&browser), "light");
}
