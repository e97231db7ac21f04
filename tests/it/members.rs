//! Several organisations in one network: how they come in, and what they may do then.

use crate::muster::Muster;
use serde_json::Value;
use std::fs;

/// A folder of an organisation that asks to be admitted to a network.
fn asks(genesis: &str, label: &str) -> Muster {
    let muster = Muster::new();
    let told = muster.json(&["init", "--unsealed", "--genesis", genesis, "--org", label]);
    assert_eq!(told["request"], muster.home().join("admission.cbor").display().to_string());
    let peer = told["peer"].as_str().expect("a peer id");
    assert!(peer.starts_with("12D3KooW") && peer.len() == 52, "{peer}");
    muster
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("text")
}

/// The ids of those who are members, with how many keys they have.
fn members(muster: &Muster, node: &str) -> Vec<(String, usize)> {
    let told = muster.json(&["org", "show", "--node", node]);
    let of = |one: &Value| {
        let keys = one["keys"].as_array().expect("keys").len();
        (one["label"].as_str().expect("a label").to_owned(), keys)
    };
    let mut all: Vec<_> =
        told["organisations"].as_array().expect("organisations").iter().map(of).collect();
    all.sort();
    all
}

#[test]
fn organisations_are_admitted_by_those_that_are_there() {
    let north = Muster::new();
    north.json(&["init", "--unsealed", "--label", "North"]);
    let server = north.serve(&["serve"]);
    let node = server.url.as_str();
    let genesis = north.home().join("genesis.cbor");
    let (east, south) = (asks(text(&genesis), "East"), asks(text(&genesis), "South"));
    let request = |of: &Muster| of.home().join("admission.cbor").display().to_string();

    // Only what the organisation itself signed, for this network.
    let altered = north.path("altered.cbor");
    let mut bytes = fs::read(request(&east)).expect("the request");
    let at = bytes.windows(4).position(|four| four == b"East").expect("its name");
    bytes[at] = b'B';
    fs::write(&altered, &bytes).expect("written");
    let words = north.refused(&["org", "admit", "--yes", text(&altered), "--node", node], 1);
    assert!(words.contains("was altered"), "{words}");
    let other = Muster::new();
    other.json(&["init", "--unsealed"]);
    let stranger = asks(text(&other.home().join("genesis.cbor")), "Stranger");
    let words = north.refused(&["org", "admit", "--yes", &request(&stranger), "--node", node], 1);
    assert!(words.contains("asks for another network"), "{words}");
    let words = north.refused(&["org", "admit", &request(&east), "--node", node], 1);
    assert!(words.contains("say --yes"), "{words}");

    // Alone the first decides alone; then both.
    north.json(&["org", "admit", "--yes", &request(&east), "--node", node]);
    assert_eq!(members(&north, node), [("East".into(), 5), ("North".into(), 5)]);
    let words = north.refused(&["org", "admit", "--yes", &request(&south), "--node", node], 1);
    assert!(words.contains("approval"), "{words}");
    let proposed =
        north.json(&["org", "admit", "--yes", &request(&south), "--propose", "--node", node]);
    let id = proposed["proposal"].as_str().expect("an id");
    assert_eq!(members(&north, node).len(), 2, "a proposal alone admits nobody");
    let approved = east.json(&["approve", id, "--yes", "--node", node]);
    assert_eq!(approved["outcome"], "carried out");
    assert_eq!(members(&north, node).len(), 3);

    // What is asked in its folder is about the new organisation.
    let own = east.json(&["org", "key", "list", "--node", node]);
    let told = fs::read_to_string(east.home().join("organisation")).expect("its DID");
    assert_eq!(own["organisation"], told.trim());
    east.json(&["org", "key", "add", "fresh.pem", "--can", "operate", "--node", node]);

    // It enrols its own devices once the others let it.
    let row = east.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(east.path("a.jsonl"), row).expect("written");
    east.refused(&["enrol", "a.jsonl", "--node", node], 1);
    let grant = ["org", "grant", "--to", told.trim(), "--devices", "10", "--node", node];
    let words = north.refused(&grant, 1);
    assert!(words.contains("approval"), "{words}");
    server.stop();
}

#[test]
fn a_joined_folder_is_not_begun_again() {
    let north = Muster::new();
    north.json(&["init", "--unsealed"]);
    let genesis = north.home().join("genesis.cbor");
    let east = asks(text(&genesis), "East");
    let words = east.refused(&["init", "--genesis", text(&genesis), "--org", "East"], 1);
    assert!(words.contains("already holds a network"), "{words}");
    assert_eq!(
        fs::read(east.home().join("genesis.cbor")).expect("read"),
        fs::read(&genesis).expect("read")
    );
    // What is for a founder is not for one that joins.
    east.refused(&["init", "--genesis", text(&genesis), "--label", "East"], 2);
    east.refused(&["init", "--org", "East"], 2);
    // A node alone has no keys of an organisation.
    let access = Muster::new();
    let told = access.json(&["init", "--genesis", text(&genesis)]);
    assert_eq!(told["organisation"], Value::Null);
    let keys = fs::read_dir(access.home().join("keys")).expect("a folder").count();
    assert_eq!(keys, 0);
    assert!(access.home().join("node/node.pem").exists());
}

#[test]
fn a_node_says_how_it_decides() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed", "--label", "North"]);
    let node = muster.serve(&["serve"]);
    let told = muster.json(&["ledger", "status", "--node", &node.url]);
    let consensus = &told["consensus"];
    assert_eq!(consensus["role"], "solo");
    assert_eq!(consensus["quorum"], serde_json::json!({ "needed": 1, "present": 1, "of": 1 }));
    assert_eq!(consensus["validators"][0]["label"], "North");
    assert_eq!(consensus["validators"][0]["key"], told["validators"][0]);
    assert_eq!(consensus["state_root"], told["state_root"]);
    let words = muster.line(&["ledger", "status", "--node", &node.url]);
    assert!(words.ends_with("The node decides alone (solo)."), "{words}");
    let metrics = node.metrics();
    for line in [
        "muster_consensus_role{role=\"solo\"} 1",
        "muster_consensus_role{role=\"validator\"} 0",
        "muster_consensus_quorum 1",
        "muster_consensus_evidence 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[cfg(not(feature = "consortium"))]
#[test]
fn a_build_that_decides_alone_says_how_to_get_the_other() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let build = "cargo build --release --features consortium";
    let words = muster.refused(&["serve", "--consortium", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains(build), "{words}");
    let words = Muster::new().refused(&["demo", "--nodes", "4", "--exit", "--port", "0"], 1);
    assert!(words.contains(build), "{words}");
    fs::write(muster.path("m.toml"), "[consortium]\n").expect("written");
    let told = muster.output(&["config", "check", "m.toml", "--json"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains(build));
}
