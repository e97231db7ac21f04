//! People: who joins, who signs in, who is turned away, and what ends it.

use crate::bench::Bench;
use crate::browser::Browser;
use crate::fleet::Fleet;
use crate::muster::get;
use serde_json::{Value, json};

/// What a request of the page's own scripts is answered.
fn asked(browser: &Browser, path: &str, csrf: &str, body: &Value) -> (u64, String) {
    let told = browser.script(
        "return fetch(arguments[0], { method: 'POST', headers: { 'Content-Type': 'application/json', \
         'Muster-Csrf': arguments[1] }, body: JSON.stringify(arguments[2]) })\
         .then(async (a) => [a.status, await a.text()])",
        &[json!(path), json!(csrf), body.clone()],
    );
    (told[0].as_u64().expect("a status"), told[1].as_str().expect("a text").to_owned())
}

fn csrf(browser: &Browser) -> String {
    let token = "return document.querySelector('meta[name=muster]').dataset.csrf";
    browser.script(token, &[]).as_str().expect("a token").to_owned()
}

#[test]
fn a_viewer_looks_and_changes_nothing() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    browser.open(&fleet.link("Vic", "viewer"));
    browser.wait_for_text("#invitation", "viewer");
    browser.control("Make my key and join").click();
    // Nobody admits a viewer: the ledger need not know the key.
    browser.find("nav#nav");
    browser.open(&fleet.url(&format!("/revoke?did={}", fleet.did(0))));
    browser.wait_for_text("main", "You can look here");
    assert!(!browser.has("form#do"));
    let intent = json!({ "action": "revoke", "targets": [fleet.did(0)], "reason": "" });
    let (status, told) = asked(&browser, "/console/prepare", &csrf(&browser), &intent);
    assert!(status == 403 && told.contains("problem:role"), "{status} {told}");
    browser.open(&fleet.url("/audit"));
    browser.wait_for_text("main", "Auditors and admins see this.");
    browser.forgive("403");
}

#[test]
fn an_invitation_is_good_once_and_for_its_network() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let (first, second) = (bench.browser(), bench.browser());
    let link = fleet.link("Vic", "viewer");
    let (place, network) = link.rsplit_once('.').expect("two parts");
    // The link's network is what the browser holds the server to.
    let other = format!("{place}.{}", network.chars().rev().collect::<String>());
    first.open(&other);
    first.wait_for_text("#fault", "another network");
    first.open("about:blank");
    first.open(&link);
    first.control("Make my key and join").click();
    first.find("nav#nav");
    second.open(&link);
    second.wait_for_text("#fault", "this invitation is over");
    second.open("about:blank");
    second.open(&fleet.url("/join#half"));
    second.wait_for_text("#fault", "not whole");
    second.forgive("410");
}

#[test]
fn strangers_other_names_and_other_sites_are_turned_away() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let (status, told) = get(&fleet.url("/devices?q=a%26b"), &[]);
    assert_eq!(status, 303, "{told}");
    assert!(told.contains("location: /sign-in?next=/devices%3Fq%3Da%2526b"), "{told}");
    assert!(told.contains("content-security-policy: default-src 'none'"), "{told}");
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    let settle = json!({ "recovery": "z" });
    let (status, told) = asked(&browser, "/console/settle", "", &settle);
    assert!(status == 403 && told.contains("problem:csrf"), "{status} {told}");
    let (status, told) = asked(&browser, "/console/settle", "guessed", &settle);
    assert!(status == 403 && told.contains("problem:csrf"), "{status} {told}");
    // A page of another site may send forms and simple requests; none is listened to.
    let port = fleet.url("").rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
    browser.open("about:blank");
    browser.open(&format!("http://localhost:{port}/sign-in"));
    let other = format!("http://127.0.0.1:{port}/console/sign-out");
    browser.script(
        "return fetch(arguments[0], { method: 'POST', mode: 'no-cors', credentials: 'include' })\
         .then(() => 0, () => 0)",
        &[json!(other)],
    );
    browser.forgive("console/sign-out");
    browser.open(&fleet.url("/organisation"));
    browser.wait_for_text("#sessions-t", "Your sessions");
    browser.forgive("403");
}

#[test]
fn sessions_end_where_their_owner_says_so() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    // What was told of joining is gone with the page.
    browser.open(&fleet.url("/organisation"));
    browser.control("Sign out everywhere").click();
    browser.wait_for_text("h1", "Sign in");
    // The cookie of before is worth nothing, and a page leads back to where it was asked for.
    browser.open(&fleet.url("/devices?q=P"));
    browser.wait_for_text("h1", "Sign in");
    browser.find("#keys button").click();
    browser.wait_until("the page that was asked for", || browser.url().ends_with("/devices?q=P"));
    // A key that is not in the browser signs nobody in.
    browser.script(
        "return new Promise((done) => { indexedDB.deleteDatabase('muster').onsuccess = done })",
        &[],
    );
    browser.open(&fleet.url("/organisation"));
    browser.control("Sign out everywhere").click();
    browser.wait_for_text("#keys", "no key of this network");
}

#[test]
fn signing_in_leads_to_no_other_site() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    // Parsers drop tabs, take `\` for `/`, and resolve dots before slashes that name a host.
    for next in ["/%09/127.0.0.1:1/", "/%5C127.0.0.1:1/", "/.//127.0.0.1:1/", "http://[", "//a/"] {
        browser.open(&fleet.url(&format!("/sign-in?next={next}")));
        browser.find("#keys button").click();
        let ours = fleet.url("/");
        browser.wait_until("a page of this console", || {
            let url = browser.url();
            url.starts_with(&ours) && !url.contains("/sign-in")
        });
    }
    browser.forgive("404");
}

#[test]
fn each_invitation_gets_a_key_of_its_own() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    // Both by the same name of this browser.
    for name in ["Vic", "Wim"] {
        browser.open(&fleet.link(name, "viewer"));
        browser.wait_for_text("#invitation", name);
        browser.control("Make my key and join").click();
        browser.wait_for_text(".person .name", name);
    }
    browser.open(&fleet.url("/sign-in"));
    browser.wait_until("two keys", || browser.find_all("#keys button").len() == 2);
}

#[test]
fn a_key_that_is_nobodys_can_be_removed_from_its_browser() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    browser.open(&fleet.url("/sign-in"));
    browser.wait_for_text("#keys", "no key of this network");
    browser.script(
        "const source = document.querySelector('script[src$=\"/sign_in.js\"]').src;
         const { network } = document.querySelector('meta[name=muster]').dataset;
         return import(source.replace('sign_in', 'keys')).then(async (keys) => {
           const { organisation } = await (await fetch('/console/organisation')).json();
           await keys.make({ network, organisation, origin: location.origin, label: 'old', role: 'admin' }) })",
        &[],
    );
    browser.reload();
    browser.find("#keys .key").click();
    browser.wait_for_text("#fault", "nobody's here");
    browser.find("#keys [data-remove]").click();
    browser.wait_for_text("#keys", "Press again");
    browser.find("#keys [data-remove]").click();
    browser.wait_for_text("#keys", "no key of this network");
    browser.forgive("403");
}

#[test]
fn a_page_whose_session_ended_leads_to_the_sign_in_and_back() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let browser = bench.browser();
    fleet.join(&browser, "Ada", "admin");
    browser.open(&fleet.url("/devices?q=P"));
    browser.find(".live[data-live=on]");
    let (status, told) =
        asked(&browser, "/console/sign-out", &csrf(&browser), &json!({ "which": null }));
    assert_eq!(status, 200, "{told}");
    // Seen again after a while: the stream that begins anew is refused.
    browser.script(
        "for (const hidden of [true, false]) {
           Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
           document.dispatchEvent(new Event('visibilitychange')); }",
        &[],
    );
    browser.wait_for_text("h1", "Sign in");
    browser.find("#keys .key").click();
    browser.wait_until("the page that was left", || browser.url().ends_with("/devices?q=P"));
    browser.forgive("401");
}

#[test]
fn an_admin_invites_admits_and_removes() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1"]));
    let (admin, guest) = (bench.browser(), bench.browser());
    admin.size(1_440, 900);
    fleet.join(&admin, "Ada", "admin");
    admin.control("Invite somebody").click();
    admin.find("#invite-name").type_text("Bob");
    admin.control("Make a link").click();
    admin.wait_for_text("dialog .link", "/join#");
    let link = admin.find("dialog .link").text();
    admin.control("Done").click();
    guest.open(&link);
    guest.control("Make my key and join").click();
    guest.wait_for_text("#invitation", "admits it to the ledger");
    admin.open(&fleet.url("/organisation"));
    admin.control("Admit").click();
    admin.wait_for_text("dialog.sign .says", "1 key comes in");
    admin.find("dialog.sign [type=submit]").click();
    // The guest's page goes on by itself.
    guest.find("nav#nav");
    guest.open(&fleet.url("/organisation"));
    guest.wait_for_text("main", "Bob");
    admin.open(&fleet.url("/organisation"));
    admin.wait_for_text(".person-line h3", "Bob");
    let remove = "[...document.querySelectorAll('[data-remove-key]')]\
                  .find((b) => b.dataset.whose === 'Bob').click()";
    admin.script(remove, &[]);
    admin.wait_for_text("dialog.sign .says", "1 key ends for good");
    admin.find("dialog.sign [type=submit]").click();
    admin.wait_for_text("#told", "is removed");
    guest.open(&fleet.url("/"));
    guest.wait_for_text("h1", "Sign in");
}
