//! The root key is lost, the daily key is stolen: the recovery key is the way back.

use crate::muster::Muster;
use serde_json::Value;
use std::fs;

fn keys(muster: &Muster, node: &str) -> Vec<(String, String)> {
    let list = muster.json(&["org", "key", "list", "--node", node]);
    let words = |k: &Value| {
        let can = k["capabilities"].as_array().expect("a list").iter();
        can.map(|c| c.as_str().expect("a word")).collect::<Vec<_>>().join(",")
    };
    let keys = list["keys"].as_array().expect("keys").iter();
    keys.map(|k| (k["key"].as_str().expect("a key").to_owned(), words(k))).collect()
}

#[test]
fn root_lost_admin_stolen_and_all_is_well_again() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];
    for (name, model) in [("a", "m"), ("b", "m")] {
        let row = muster.line(&["device", "new", &format!("{name}.pem"), "--model", model]);
        fs::write(muster.path(&format!("{name}.jsonl")), row).expect("written");
    }
    muster.json(&[&["enrol", "a.jsonl"], &at_node[..]].concat());
    let did = muster.line(&["device", "did", "a.pem"]);
    let before = keys(&muster, &node.url);
    let can: Vec<&str> = before.iter().map(|(_, can)| can.as_str()).collect();
    assert_eq!(
        can,
        ["root,approve", "root", "enrol,operate,gateway", "operate,approve", "validator"]
    );

    // The root key is gone, the thief has the daily key, the recovery key comes from its safe.
    let home = muster.home();
    fs::remove_file(home.join("keys/root.pem")).expect("lost");
    fs::rename(home.join("keys/admin.pem"), muster.path("stolen.pem")).expect("stolen");
    fs::rename(home.join("keys/recovery.pem"), muster.path("recovery.pem")).expect("moved");

    // Until then the second admin stops the worst alone: no more enrolments under the grant.
    let second = ["--sign-with", "home/keys/admin2.pem"];
    let organisations = muster.json(&[&["org", "show"], &at_node[..]].concat());
    let grant = organisations["grants"][0]["grant"].as_str().expect("a grant").to_owned();
    muster.json(&[&["org", "withdraw", &grant], &second[..], &at_node].concat());
    let stolen = ["--sign-with", "stolen.pem"];
    let theft = muster.output(&[&["enrol", "b.jsonl"], &stolen[..], &at_node].concat());
    assert!(!theft.status.success(), "the grant is withdrawn");

    let recover = [
        &["org", "recover", "--with", "recovery.pem", "--new-root", "home/keys/root.pem"][..],
        &["--new-admin", "home/keys/admin.pem", "--keep", &before[3].0],
        &at_node,
    ]
    .concat();
    // Not by a key that may not, not without a word, and nothing is made on the way.
    let by_thief: Vec<&str> =
        recover.iter().map(|a| if *a == "recovery.pem" { "stolen.pem" } else { a }).collect();
    let words = muster.refused(&[&by_thief[..], &["--yes"]].concat(), 1);
    assert!(words.contains("not a present key") && words.contains("root"), "{words}");
    let words = muster.refused(&recover, 1);
    assert!(words.contains("--yes"), "{words}");
    assert!(!home.join("keys/root.pem").exists());
    muster.json(&[&recover[..], &["--yes"]].concat());

    let after = keys(&muster, &node.url);
    let is = |can: &str| after.iter().filter(|(_, c)| c == can).map(|(k, _)| k).collect::<Vec<_>>();
    let new =
        |file: &str| muster.json(&["key", "show", file])["key"].as_str().expect("a key").to_owned();
    assert_eq!(is("root,approve"), [&new("home/keys/root.pem")]);
    assert_eq!(is("enrol,operate,gateway"), [&new("home/keys/admin.pem")]);
    assert_eq!(is("operate,approve"), [&before[3].0]);
    assert_eq!(is("validator"), [&before[4].0]);
    assert_eq!(is("root"), [&before[1].0]);
    assert_eq!(after.len(), 5);

    // The thief's key signs nothing more; whatever it signed before has no power left either,
    // because an operation is judged by the keys of the moment it enters the log.
    for command in [
        &["revoke", &did][..],
        &["hold", &did],
        &["org", "key", "add", "mine.pem", "--can", "root"],
        &["org", "grant", "--devices", "5"],
    ] {
        let words = muster.refused(&[command, &stolen[..], &at_node].concat(), 1);
        assert!(words.contains("not a present key"), "{command:?}: {words}");
    }
    // The new keys do.
    muster.json(&[&["org", "grant", "--devices", "5"], &at_node[..]].concat());
    let told = muster.json(&[&["enrol", "b.jsonl"], &at_node[..]].concat());
    assert_eq!(told["enrolled"], 1);
    muster.json(&[&["revoke", &did], &at_node[..]].concat());

    // A recovery key that was used has been online: it is replaced by the same command.
    let again = [
        &["org", "recover", "--with", "recovery.pem", "--new-root", "root3.pem"][..],
        &["--new-admin", "admin3.pem", "--new-recovery", "recovery3.pem", "--yes"],
        &at_node,
    ]
    .concat();
    muster.json(&again);
    let after = keys(&muster, &node.url);
    assert!(after.iter().all(|(key, _)| *key != before[1].0), "{after:?}");
    assert_eq!(after.len(), 4, "the second admin was not kept: {after:?}");
    let words = muster.refused(
        &[&["org", "key", "remove", &after[0].0, "--sign-with", "recovery.pem"], &at_node[..]]
            .concat(),
        1,
    );
    assert!(words.contains("not a present key"), "{words}");
    // A key that was removed never returns.
    let back = ["org", "key", "add", "stolen.pem", "--can", "operate", "--sign-with", "root3.pem"];
    let words = muster.refused(&[&back[..], &at_node].concat(), 1);
    assert!(words.contains("already") || words.contains("used"), "{words}");
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
