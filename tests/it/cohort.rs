//! A factory's key is stolen: all that it enrolled since is held at once, and nothing else.

use crate::muster::Muster;
use std::fs;

#[test]
fn all_that_a_stolen_key_enrolled_is_held() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];
    let add =
        ["org", "key", "add", "line.pem", "--can", "enrol", "--sign-with", "home/keys/root.pem"];
    let line =
        muster.json(&[&add[..], &at_node].concat())["key"].as_str().expect("a key").to_owned();
    let mut dids = Vec::new();
    let mut enrol = |name: &str, model: &str, key: &str| {
        let row = muster.line(&["device", "new", &format!("{name}.pem"), "--model", model]);
        let file = format!("{name}.jsonl");
        fs::write(muster.path(&file), row).expect("written");
        let told = muster.json(&[&["enrol", &file, "--sign-with", key], &at_node[..]].concat());
        assert_eq!(told["enrolled"], 1);
        dids.push(muster.line(&["device", "did", &format!("{name}.pem")]));
        muster.json(&[&["ledger", "status"], &at_node[..]].concat())["height"]
            .as_u64()
            .expect("a height")
    };
    let good = enrol("honest", "pump", "line.pem");
    let theft = enrol("fake-1", "pump", "line.pem");
    enrol("other", "pump", "home/keys/admin.pem");
    enrol("fake-2", "valve", "line.pem");
    assert!(theft > good);
    let since = theft.to_string();
    let cohort = ["cohort", "--signed-by", &line, "--since", &since];
    let standing = |did: &String| {
        let view = muster.json(&[&["show", did], &at_node[..]].concat());
        view["device"]["standing"].as_str().expect("a standing").to_owned()
    };

    // Shown first, done only by a word.
    let told = muster.json(&[&cohort[..], &["--dry-run"], &at_node].concat());
    assert_eq!(
        (&told["batches"], &told["devices"], &told["done"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!(told["key_may_enrol"], true);
    let words = muster.refused(&[&cohort[..], &at_node].concat(), 1);
    assert!(words.contains("--yes") && words.contains("remove it first"), "{words}");
    assert!(dids.iter().all(|did| standing(did) == "active"));

    muster.json(
        &[&["org", "key", "remove", &line], &["--sign-with", "home/keys/root.pem"][..], &at_node]
            .concat(),
    );
    let told = muster.json(&[&cohort[..], &["--yes"], &at_node].concat());
    assert_eq!((&told["done"], &told["key_may_enrol"]), (&2.into(), &false.into()));
    let is: Vec<String> = dids.iter().map(standing).collect();
    assert_eq!(is, ["active", "held", "active", "held"]);

    // Again it finds nothing to do; revoking goes further, and from the beginning further back.
    let told = muster.json(&[&cohort[..], &["--yes"], &at_node].concat());
    assert_eq!((&told["batches"], &told["already"]), (&0.into(), &2.into()));
    let told = muster
        .json(&[&["cohort", "--signed-by", &line, "--revoke", "--yes"], &at_node[..]].concat());
    assert_eq!(told["done"], 3);
    let is: Vec<String> = dids.iter().map(standing).collect();
    assert_eq!(is, ["revoked", "revoked", "active", "revoked"]);
    // By a key that may not, it says so.
    let words = muster.refused(
        &[&["cohort", "--signed-by", &line, "--sign-with", "line.pem", "--dry-run"], &at_node[..]]
            .concat(),
        0,
    );
    assert!(words.is_empty(), "looking needs no power: {words}");
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
