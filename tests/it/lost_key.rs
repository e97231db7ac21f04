//! Devices that lose their key, and what they declared for that day.

use crate::door::Door;
use crate::muster::{Muster, lines};
use std::fs;

#[test]
fn a_device_that_declared_it_gets_another_key() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];
    muster.json(&["key", "new", "safe.pem", "--unsealed"]);
    let safe = muster.json(&["key", "show", "safe.pem"])["key"].as_str().expect("it").to_owned();

    // Three devices: one whose owner may, one that names a recovery key, one that declares nothing.
    let new = |name: &str, recovery: &[&str]| {
        let key = format!("{name}.pem");
        muster.line(&[&["device", "new", &key, "--model", "pump"], recovery].concat())
    };
    let rows = [
        new("owned", &["--recovery", "owner"]),
        new("keyed", &["--recovery", &safe]),
        new("plain", &[]),
    ];
    fs::write(muster.path("run.jsonl"), rows.join("\n")).expect("the manifest is written");
    let words = muster.refused(&["device", "new", "no.pem", "--recovery", "anybody"], 1);
    assert!(words.contains("owner") && words.contains("Multikey"), "{words}");
    let told = muster.json(&[&["enrol", "run.jsonl"], &at_node[..]].concat());
    assert_eq!(told["enrolled"], 3);

    // What the device computes alone is what was enrolled.
    let owned = muster.line(&["device", "did", "owned.pem"]);
    let keyed = muster.line(&["device", "did", "keyed.pem", "--recovery", &safe]);
    let plain = muster.line(&["device", "did", "plain.pem"]);
    assert_eq!(owned, muster.line(&["device", "did", "owned.pem", "--recovery", "owner"]));
    let results = lines(&muster.path("run.jsonl.results.jsonl"));
    let dids: Vec<_> = results.iter().map(|row| row["did"].as_str().expect("a DID")).collect();
    assert_eq!(dids, [&owned, &keyed, &plain]);

    let door = Door::open(&muster, &at_node);
    for (key, did) in [("owned.pem", &owned), ("keyed.pem", &keyed), ("plain.pem", &plain)] {
        door.hears(&muster, key, did, "let through");
    }

    // The keys are lost: somebody else may have them.
    for name in ["owned", "keyed", "plain"] {
        muster.line(&["device", "new", &format!("{name}-2.pem")]);
    }
    let recover = |did: &str, new: &str, by: &[&str]| {
        [&["recover", did, "--new", new], by, &at_node].concat().join(" ")
    };
    let refused = |line: String| muster.refused(&line.split(' ').collect::<Vec<_>>(), 1);
    let done = |line: String| muster.json(&line.split(' ').collect::<Vec<_>>());
    // Not for whom nobody was declared, nor by whom was not.
    let (none, stranger) = ("no-recovery", "unknown-author");
    for (did, new, by, why) in [
        (&plain, "plain-2.pem", &[][..], none),
        (&plain, "plain-2.pem", &["--with", "safe.pem"], none),
        (&keyed, "keyed-2.pem", &[], none),
        (&keyed, "keyed-2.pem", &["--with", "keyed.pem"], none),
        (&owned, "owned-2.pem", &["--with", "safe.pem"], stranger),
    ] {
        let words = refused(recover(did, new, by));
        assert!(words.contains(why), "{did} {by:?}: {words}");
    }
    done(recover(&owned, "owned-2.pem", &[]));
    done(recover(&keyed, "keyed-2.pem", &["--with", "safe.pem"]));

    for (name, did) in [("owned", &owned), ("keyed", &keyed)] {
        door.hears(&muster, &format!("{name}.pem"), did, "key-revoked");
        door.hears(&muster, &format!("{name}-2.pem"), did, "let through");
        // It stays visible for ever, with the key that went.
        let first = &muster.json(&["key", "show", &format!("{name}.pem")])["key"];
        let device = muster.json(&[&["show", did], &at_node[..]].concat())["device"].clone();
        assert_eq!(&device["recovered"][0], first, "{device}");
    }
    assert_eq!(door.knock(&muster, "plain.pem", &plain), "let through");

    // The file once more changes nothing, and a key that went does not come back.
    let told = muster.output(&[&["enrol", "run.jsonl", "--json"], &at_node[..]].concat());
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("one object");
    assert_eq!((&told["enrolled"], &told["already"]), (&0.into(), &3.into()));
    let words = refused(recover(&owned, "owned.pem", &[]));
    assert!(words.contains("key"), "{words}");
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
