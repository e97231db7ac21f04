//! What takes a second person, and a protocol version to come: with the real node, the real
//! gateway and the commands as a user would type them.

use crate::muster::{Muster, Server, get};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// Longest wait for anything here, on a machine with other work to do.
const PATIENCE: Duration = Duration::from_secs(60);

const ROOT: [&str; 2] = ["--sign-with", "home/keys/root.pem"];

struct Site {
    muster: Muster,
    node: Server,
    gateway: Server,
}

impl Site {
    fn new(gateway: &[&str]) -> Self {
        let muster = Muster::new();
        muster.json(&["init", "--unsealed"]);
        let node = muster.serve(&["serve"]);
        let args = ["gateway", "--audience", "pumps.example", "--node", &node.url];
        let gateway = muster.serve(&[&args[..], gateway].concat());
        Self { muster, node, gateway }
    }

    /// Enrols so many devices in one batch, and says which batch.
    fn enrol(&self, devices: std::ops::Range<usize>) -> String {
        let mut rows = String::new();
        for n in devices.clone() {
            let key = format!("d{n}.pem");
            let row = self.muster.line(&["device", "new", &key, "--model", "pump"]);
            rows.push_str(&format!("{row}\n"));
        }
        fs::write(self.muster.path("mine.jsonl"), rows).expect("the manifest is written");
        let told = self.at(&["enrol", "mine.jsonl"]);
        assert_eq!(told["enrolled"], devices.len());
        told["batches"][0].as_str().expect("a batch").to_owned()
    }

    fn at(&self, args: &[&str]) -> Value {
        self.muster.json(&[args, &["--node", &self.node.url]].concat())
    }

    fn refused(&self, args: &[&str]) -> String {
        self.muster.refused(&[args, &["--node", &self.node.url]].concat(), 1)
    }

    /// Knocks with the first device until the gateway answers like this.
    fn expect(&self, code: u16, reason: &str) {
        let door = format!("{}/v1/authenticate", self.gateway.url);
        let end = Instant::now() + PATIENCE;
        loop {
            let present = ["device", "present", "d0.pem", "--audience", "pumps.example"];
            let token = self.muster.line(&present);
            let (status, text) = get(&door, &[("authorization", &format!("Muster {token}"))]);
            if status == code && text.contains(reason) {
                return;
            }
            assert!(Instant::now() < end, "{code} {reason}: {status} {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn status(&self) -> Value {
        let (_, text) = get(&format!("{}/v1/status", self.gateway.url), &[]);
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

#[test]
fn a_batch_above_the_threshold_is_ended_by_two_people() {
    let site = Site::new(&[]);
    assert_eq!(site.at(&["org", "rules"])["rules"]["approval"], Value::Null);
    let set = ["org", "rules", "set", "--approve-above", "10", "--approvals", "1"];
    // Only the root key changes rules.
    let words = site.refused(&[&set[..], &["--sign-with", "home/keys/admin.pem"]].concat());
    assert!(words.contains("lacks the capability `root`"), "{words}");
    site.at(&[&set[..], &ROOT].concat());
    let told = site.at(&["org", "rules"]);
    assert_eq!(
        (&told["rules"]["approval"]["devices"], &told["protocol"]["version"]),
        (&10.into(), &1.into())
    );
    let batch = site.enrol(0..50);
    site.expect(200, "");

    // Refused, with what to do instead; a hold is done at once.
    let words = site.refused(&["revoke", &batch]);
    for part in [
        "this ends 50 devices",
        "an organisation ends 10 a day",
        "[needs-approval]",
        "--propose",
        "muster approve",
        "you may hold at once",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    site.expect(200, "");
    site.at(&["hold", &batch, "--reason", "recall"]);
    site.expect(403, "held");

    let told = site.at(&["revoke", &batch, "--reason", "recall 7", "--propose"]);
    let proposal = told["proposal"].as_str().expect("an id").to_owned();
    let listed = site.at(&["approve", "--list"]);
    assert_eq!(listed["proposals"][0]["devices"], 50);
    let words = site.muster.line(&["approve", "--node", &site.node.url]);
    for part in
        ["1 proposal waits", &proposal, &format!("revoke of batch {batch}: 50 devices"), "recall 7"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    // Neither the one who proposed, nor a key that may not, nor without a word.
    let by = |key: &'static str| ["--yes", "--sign-with", key];
    let words =
        site.refused(&[&["approve", &proposal[..8]], &by("home/keys/admin.pem")[..]].concat());
    assert!(words.contains("proposed this itself"), "{words}");
    let words =
        site.refused(&[&["approve", &proposal], &by("home/keys/recovery.pem")[..]].concat());
    assert!(words.contains("lacks the capability `approve`"), "{words}");
    let words = site.refused(&["approve", &proposal]);
    assert!(words.contains("revoke of batch") && words.contains("--yes"), "{words}");
    site.expect(403, "held");

    let told = site.at(&["approve", &proposal[..8], "--yes"]);
    assert_eq!(told["outcome"], "carried out");
    site.expect(403, "revoked");
    let words = site.refused(&["approve", &proposal, "--yes"]);
    assert!(words.contains("no proposal"), "{words}");
    let did = site.muster.line(&["device", "did", "d1.pem"]);
    let shown = site.at(&["show", &did]);
    let last = shown["history"].as_array().and_then(|all| all.last()).expect("a history").clone();
    assert_eq!(
        (&last["action"], &last["approved"]["action"]),
        (&"approve".into(), &"revoke".into())
    );
    assert_eq!(last["reason"], "recall 7");
    assert_eq!(site.at(&["coverage", &did])["action"], "revoke");
    let words = site.muster.line(&["show", &did, "--node", &site.node.url]);
    assert!(words.contains("[did revoke, proposed by"), "{words}");

    // All that a stolen key enrolled, proposed at once.
    let keys = site.at(&["org", "key", "list"])["keys"].clone();
    let enrols = |key: &&Value| key["capabilities"][0] == "enrol";
    let admin = keys.as_array().and_then(|all| all.iter().find(enrols)).expect("the daily key");
    let admin = admin["key"].as_str().expect("a Multikey").to_owned();
    site.enrol(50..61);
    let cohort = ["cohort", "--signed-by", &admin, "--revoke", "--yes"];
    let words = site.refused(&cohort);
    assert!(words.contains("this ends 11 devices") && words.contains("--propose"), "{words}");
    let told = site.at(&[&cohort[..], &["--propose"]].concat());
    assert_eq!((&told["done"], &told["already"]), (&1.into(), &1.into()));
    let waits = site.at(&["approve"])["proposals"][0]["proposal"].clone();
    let told = site.at(&["approve", waits.as_str().expect("an id"), "--yes"]);
    assert_eq!(told["outcome"], "carried out");
    assert_eq!(site.at(&[&cohort[..], &["--propose"]].concat())["already"], 2);

    // Governance, too, takes two once the rules say so, and lets nobody lock himself out.
    let words = site.refused(&[&["org", "rules", "set", "--approvals", "3"][..], &ROOT].concat());
    assert!(words.contains("too-few-approvers"), "{words}");
    site.at(&[&["org", "rules", "set", "--approve-governance", "true"][..], &ROOT].concat());
    let add = ["org", "key", "add", "line.pem", "--can", "enrol"];
    let words = site.refused(&[&add[..], &ROOT].concat());
    assert!(words.contains("a change of keys needs a proposal that others approve"), "{words}");
    let told = site.at(&[&add[..], &ROOT, &["--propose"]].concat());
    let proposal = told["proposal"].as_str().expect("an id").to_owned();
    let told = site.at(&["approve", &proposal, "--yes"]);
    assert_eq!(told["outcome"], "carried out");
    let keys = site.at(&["org", "key", "list"])["keys"].as_array().map(Vec::len);
    assert_eq!(keys, Some(6));
    // Withdrawn, it is over.
    let lift = ["org", "rules", "set", "--approve-governance", "false", "--propose"];
    let told = site.at(&[&lift[..], &ROOT].concat());
    let proposal = told["proposal"].as_str().expect("an id").to_owned();
    site.at(&["approve", &proposal, "--reject"]);
    let words = site.refused(&["approve", &proposal, "--yes"]);
    assert!(words.contains("no proposal"), "{words}");
    site.gateway.stop();
    site.node.stop();
    assert_eq!(site.muster.json(&["ledger", "audit"])["clean"], true);
}

/// That it comes once it is confirmed, a day later, is tried where a clock can be set:
/// `registry/tests/it/governance.rs`, `gateway/tests/it/upgrade.rs`.
#[test]
fn a_version_that_is_announced_and_not_confirmed_stops_nothing() {
    let site = Site::new(&[]);
    site.enrol(0..2);
    let announce = |height: &'static str| {
        let version = ["org", "protocol", "2", "--height", height];
        [&version[..], &ROOT].concat()
    };
    let refused = site.refused(&announce("9"));
    assert!(refused.contains("from block 9 on") && refused.contains("--yes"), "{refused}");
    site.at(&[&announce("9")[..], &["--yes"]].concat());
    let refused = site.refused(&[&announce("9")[..], &["--yes"]].concat());
    assert!(refused.contains("confirmed 24 hours after that or later"), "{refused}");
    // Another height takes its place, and is passed.
    site.at(&[&announce("4")[..], &["--yes"]].concat());
    let protocol = site.at(&["org", "rules"])["protocol"].clone();
    let ahead =
        "protocol 2 is announced for height 4 and not confirmed; this program knows up to 1";
    assert_eq!(protocol["upgrade"], ahead);
    assert!(protocol["next"]["confirm_from"].is_u64(), "{protocol:#}");
    let did = site.muster.line(&["device", "did", "d0.pem"]);
    site.at(&["revoke", &did]);
    let end = Instant::now() + PATIENCE;
    while site.status()["upgrade"]["words"] != ahead {
        assert!(Instant::now() < end, "{:#}", site.status());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(site.status()["upgrade"]["needed"], false);
    site.at(&[&["org", "protocol", "--cancel"][..], &ROOT].concat());
    assert!(site.at(&["org", "rules"])["protocol"]["upgrade"].is_null());
    site.gateway.stop();
    site.node.stop();
}
