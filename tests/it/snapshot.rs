//! What a running node serves to whoever begins: the ledger in one piece, and proof of what it
//! goes on from.

use crate::muster::Muster;
use muster_api::Client;
use muster_ledger::{Alone, Checkpoint, Snapshot, View as _};
use std::fs;

#[test]
fn a_node_serves_its_ledger_in_one_piece() {
    let muster = Muster::new();
    muster.json(&["init", "--label", "Test Devices"]);
    let node = muster.serve(&["serve"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let client = Client::new(&node.url).expect("an address on this machine");
    let empty = runtime.block_on(client.snapshot()).expect_err("nothing to tell yet");
    assert!(empty.to_string().contains("no entries"), "{empty}");

    let row = |n: u32| {
        let (key, serial) = (format!("{n}.pem"), format!("SN-{n}"));
        muster.line(&["device", "new", &key, "--serial", &serial, "--model", "pump"]) + "\n"
    };
    fs::write(muster.path("a.jsonl"), (0..3).map(row).collect::<String>()).expect("written");
    muster.json(&["enrol", "a.jsonl", "--node", &node.url]);
    let before = runtime.block_on(client.checkpoint()).expect("a note");
    let before = *Checkpoint::parse(&before).expect("a note").head();
    let did = muster.line(&["device", "did", "1.pem"]);
    muster.json(&["revoke", &did, "--node", &node.url]);

    let bytes = runtime.block_on(client.snapshot()).expect("a snapshot");
    let genesis = runtime.block_on(client.genesis()).expect("a genesis");
    let snapshot = Snapshot::parse(&bytes).expect("well-formed");
    let checked = snapshot.check(&genesis.network(), &genesis.validators, &Alone);
    let (chain, quorum) = checked.expect("true");
    let record = chain.state().device(&did.parse().expect("a DID")).expect("readable");
    assert!(record.expect("it changed").standing.revoked);
    let head = quorum.head();
    let proof = runtime.block_on(client.consistency(before.size, head.size)).expect("a proof");
    assert_eq!(proof.verify(before.size, &before.log_root, head), Ok(()));
    let beyond = runtime.block_on(client.consistency(1, head.size + 1)).expect_err("too many");
    assert!(beyond.to_string().contains("entries"), "{beyond}");
    node.stop();
}
