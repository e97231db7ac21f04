//! Holding and revoking many: by search, by batch, with the approval of somebody else, and what a
//! page does when the server builds something else than was asked for.

use crate::bench::Bench;
use crate::browser::Browser;
use crate::fleet::Fleet;

fn sign(browser: &Browser) {
    browser.find("dialog.sign [type=submit]").click();
    browser.wait_gone("dialog.sign");
}

fn choose(browser: &Browser, action: &str, reason: &str) {
    browser.find(&format!("input[name=action][value={action}]")).click();
    browser.find("#reason").type_text(reason);
    browser.control("Review and sign").click();
}

#[test]
fn many_are_held_and_released_by_as_few_presses_as_one() {
    let serials: Vec<String> = (0..90).map(|n| format!("{}-{n:03}", ["A", "B"][n / 80])).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let (bench, fleet) = (Bench::take(), Fleet::start(&serials));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    // More than one request takes, and not the whole batch.
    browser.open(&fleet.url("/revoke?q=A-"));
    browser.wait_for_text("#devices", "80");
    choose(&browser, "hold", "recall of A");
    browser.wait_for_text("dialog.sign", "80 operations");
    sign(&browser);
    browser.wait_for_text("h1", "held a device");
    browser.wait_for_text("#coverage", "1 of 1 gateways");
    browser.wait_until("the gateway's 403", || fleet.shown(79).0 == 403);
    assert_eq!(fleet.shown(0).0, 403);
    assert_eq!(fleet.shown(80).0, 200, "not of the search");
    browser.open(&fleet.url("/revoke?q=A-&action=release"));
    browser.control("Review and sign").click();
    browser.wait_for_text("dialog.sign", "80 operations");
    sign(&browser);
    browser.wait_for_text("h1", "released a hold");
    browser.wait_until("the gateway's 200", || fleet.shown(79).0 == 200);
}

#[test]
fn a_search_releases_devices_and_batches_each_where_it_is_held() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1", "P-2", "Q-1"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    let batch = fleet.batch();
    // All devices, but one by one; and then the batch as well.
    let each: Vec<_> = (0..3).map(|n| format!("did={}", fleet.did(n))).collect();
    for named in [each.join("&"), format!("target={batch}")] {
        browser.open(&fleet.url(&format!("/revoke?{named}")));
        choose(&browser, "hold", "recall");
        browser.find("dialog.sign");
        sign(&browser);
        browser.wait_for_text("h1", "held");
    }
    browser.wait_until("the gateway's 403", || fleet.shown(2).0 == 403);
    // Whoever finds a part of the batch lifts no hold of the rest.
    browser.open(&fleet.url("/revoke?q=P-&action=release"));
    browser.control("Review and sign").click();
    browser.wait_for_text("dialog.sign", "2 operations");
    sign(&browser);
    browser.wait_for_text("h1", "released a hold");
    assert_eq!(fleet.shown(0).0, 403, "by its batch");
    browser.open(&fleet.url(&format!("/revoke?batch={batch}&action=release")));
    browser.control("Review and sign").click();
    browser.wait_for_text("dialog.sign", "2 operations");
    sign(&browser);
    browser.wait_for_text("h1", "released a hold");
    browser.wait_until("the gateway's 200", || (0..3).all(|n| fleet.shown(n).0 == 200));
}

#[test]
fn what_was_done_is_told_when_a_later_part_fails() {
    let serials: Vec<String> = (0..71).map(|n| format!("{}-{n:03}", ["A", "B"][n / 70])).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let (bench, fleet) = (Bench::take(), Fleet::start(&serials));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    browser.open(&fleet.url("/revoke?q=A-"));
    browser.wait_for_text("#devices", "70");
    // The line drops while the second request is on its way.
    browser.script(
        "const real = window.fetch; let n = 0; window.fetch = (url, asked) => \
         String(url).endsWith('/console/submit') && (n += 1) === 2 \
         ? Promise.reject(new TypeError('dropped')) : real(url, asked)",
        &[],
    );
    choose(&browser, "hold", "recall of A");
    sign(&browser);
    browser.wait_for_text("#told", "64 held, 0 not, of 6 it is not known");
}

#[test]
fn a_batch_is_ended_by_two_people() {
    let serials: Vec<String> = (0..30).map(|n| format!("R-{n:03}")).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let (bench, fleet) = (Bench::take(), Fleet::start(&serials));
    let (ada, bob) = (bench.browser(), bench.browser());
    ada.size(1_440, 900);
    bob.size(1_440, 900);
    fleet.join(&ada, "Ada", "admin");
    fleet.join(&bob, "Bob", "admin");
    let set = ["org", "rules", "set", "--approve-above", "10", "--approvals", "1"];
    fleet.operator(&[&set[..], &["--sign-with", "home/keys/root.pem"]].concat());
    let batch = fleet.batch();
    ada.open(&fleet.url(&format!("/revoke?target={batch}")));
    ada.wait_for_text("#do", "must be approved by one other person");
    choose(&ada, "revoke", "unsafe battery");
    ada.wait_for_text("dialog.sign", "The rules ask for the approval of somebody else");
    sign(&ada);
    ada.wait_for_text("h1", "Approvals");
    ada.wait_for_text("#open", "You proposed this");
    assert!(!ada.has("[data-approve]"));
    assert_eq!(fleet.shown(3).0, 200, "nothing happened yet");

    bob.open(&fleet.url("/approvals"));
    bob.control("Look at it and approve").click();
    bob.wait_for_text("dialog.sign", "Revoke for good: every device of batch");
    bob.wait_for_text("dialog.sign", "unsafe battery");
    sign(&bob);
    bob.wait_for_text("h1", "approved, and so carried out");
    bob.wait_for_text("#coverage", "1 of 1 gateways");
    bob.wait_until("the gateway's 403", || fleet.shown(3).0 == 403);
    // The first page hears of it by itself.
    ada.wait_for_text("#open", "Nothing waits for approval.");
}

#[test]
fn what_was_not_asked_for_is_not_signed() {
    let (bench, fleet) = (Bench::take(), Fleet::start(&["P-1", "P-2"]));
    let browser = bench.browser();
    browser.size(1_440, 900);
    fleet.join(&browser, "Ada", "operator");
    let swaps = [
        ("another device", format!("body.targets = ['{}']", fleet.did(1))),
        ("another reason", "body.reason = 'other'".into()),
        ("another end", "body.action = 'revoke'; delete body.hours".into()),
        ("a longer hold", "body.hours = 9999".into()),
    ];
    for (what, swap) in swaps {
        browser.open(&fleet.url(&format!("/revoke?did={}", fleet.did(0))));
        browser.find("#do");
        // A server that builds something else, by a hand between the page and it.
        let between = format!(
            "const real = window.fetch; window.fetch = (url, asked) => {{ \
             if (!String(url).endsWith('/console/prepare')) return real(url, asked); \
             const body = JSON.parse(asked.body); {swap}; \
             return real(url, {{ ...asked, body: JSON.stringify(body) }}) }}"
        );
        browser.script(&between, &[]);
        browser.find("#hours").type_text("5");
        choose(&browser, "hold", "lost");
        browser.wait_for_text("#told", "Not signed.");
        assert!(!browser.has("dialog.sign"), "{what}");
    }
    for n in [0, 1] {
        assert_eq!(fleet.shown(n).0, 200);
    }
    let log = fleet.operator(&["show", &fleet.did(0)]).to_string();
    assert!(!log.contains("revoke"), "{log}");
}
