//! Devices that change hands between two organisations, as their people would type it.

use crate::door::Door;
use crate::muster::{Muster, Server};
use serde_json::Value;
use std::fs;

struct Two {
    north: Muster,
    east: Muster,
    node: Server,
    east_did: String,
}

impl Two {
    fn new() -> Self {
        let (north, east) = (Muster::new(), Muster::new());
        north.json(&["init", "--unsealed", "--label", "North"]);
        let node = north.serve(&["serve"]);
        let genesis = north.home().join("genesis.cbor").display().to_string();
        east.json(&["init", "--unsealed", "--genesis", &genesis, "--org", "East"]);
        let request = east.home().join("admission.cbor").display().to_string();
        north.json(&["org", "admit", "--yes", &request, "--node", &node.url]);
        let told = fs::read_to_string(east.home().join("organisation")).expect("its DID");
        Self { north, east, node, east_did: told.trim().to_owned() }
    }

    fn at(&self, who: &Muster, args: &[&str]) -> Value {
        who.json(&[args, &["--node", &self.node.url]].concat())
    }

    fn refused(&self, who: &Muster, args: &[&str]) -> String {
        who.refused(&[args, &["--node", &self.node.url]].concat(), 1)
    }

    /// Enrols so many devices of the north, and says the batch and their DIDs.
    fn enrol(&self, devices: usize) -> (String, Vec<String>) {
        let (mut rows, mut dids) = (String::new(), Vec::new());
        for n in 0..devices {
            let row = self.north.line(&["device", "new", &format!("d{n}.pem"), "--model", "pump"]);
            let parsed: Value = serde_json::from_str(&row).expect("JSON");
            dids.push(parsed["did"].as_str().map(str::to_owned));
            rows.push_str(&format!("{row}\n"));
        }
        fs::write(self.north.path("mine.jsonl"), rows).expect("the manifest is written");
        let told = self.at(&self.north, &["enrol", "mine.jsonl"]);
        assert_eq!(told["enrolled"], devices);
        let of = |n: usize| self.north.line(&["device", "did", &format!("d{n}.pem")]);
        let dids = dids.into_iter().enumerate().map(|(n, did)| did.unwrap_or_else(|| of(n)));
        (told["batches"][0].as_str().expect("a batch").to_owned(), dids.collect())
    }

    fn owner(&self, of: &str) -> String {
        let told = self.at(&self.north, &["show", of]);
        let view = if of.starts_with("did:") { &told["device"] } else { &told["batch"] };
        view["owner"].as_str().expect("an owner").to_owned()
    }
}

#[test]
fn a_device_and_a_batch_are_handed_over() {
    let two = Two::new();
    let (north, east) = (&two.north, &two.east);
    let (batch, dids) = two.enrol(3);
    let device = dids[0].as_str();
    let before = two.owner(&batch);

    // Offered, ended by the receiver, offered again, taken over.
    let offer = ["transfer", "offer", device, "--to", &two.east_did];
    two.at(north, &offer);
    let words = two.refused(north, &offer);
    assert!(words.contains("end it before another is made"), "{words}");
    let words = two.refused(north, &["transfer", "accept", device]);
    assert!(words.contains("another organisation"), "{words}");
    two.at(east, &["transfer", "cancel", device]);
    let words = two.refused(east, &["transfer", "accept", device]);
    assert!(words.contains("no offer"), "{words}");
    two.at(north, &offer);
    let told = two.at(east, &["transfer", "accept", device]);
    assert_eq!(told["owner"], two.east_did.as_str());
    assert_eq!((two.owner(device), two.owner(&batch)), (two.east_did.clone(), before));

    // The old owner is out; its batch does not reach the device any more.
    let words = two.refused(north, &["revoke", device]);
    assert!(words.contains("only the owner"), "{words}");
    two.at(north, &["hold", &batch]);
    let standing = |did: &str| two.at(north, &["show", did])["device"]["standing"].clone();
    assert_eq!((standing(device), standing(&dids[1])), ("active".into(), "held".into()));
    let words = two.refused(north, &["transfer", "offer", &batch, "--to", &two.east_did]);
    assert!(words.contains("held"), "{words}");
    two.at(north, &["release", &batch]);

    // The batch follows, with the devices that are left in it.
    two.at(north, &["transfer", "offer", &batch, "--to", &two.east_did, "--days", "1"]);
    two.at(east, &["transfer", "accept", &batch]);
    assert_eq!(two.owner(&dids[1]), two.east_did);
    two.refused(north, &["hold", &dids[1]]);
    two.at(east, &["revoke", &dids[1]]);
    assert_eq!(standing(&dids[1]), "revoked");

    // None of these devices declared that anybody may give it another key.
    let new = ["device", "new", "new.pem", "--model", "pump"];
    east.line(&new);
    let words = two.refused(east, &["recover", &dids[2], "--new", "new.pem"]);
    assert!(words.contains("declared no recovery"), "{words}");

    // What happened is told, the batch's later history apart from the device that left it.
    let history = two.at(north, &["show", device])["history"].clone();
    let actions: Vec<&str> =
        history.as_array().expect("a list").iter().filter_map(|c| c["action"].as_str()).collect();
    assert_eq!(
        actions,
        ["enrol", "offer-transfer", "cancel-transfer", "offer-transfer", "accept-transfer"]
    );
    north.json(&["ledger", "status", "--node", &two.node.url]);
    two.node.stop();
    let audit = north.json(&["ledger", "audit"]);
    assert_eq!(audit["findings"].as_array().map_or(0, Vec::len), 0, "{audit:#}");
}

#[test]
fn whoever_owns_a_device_decides_who_passes() {
    let two = Two::new();
    let (north, east) = (&two.north, &two.east);
    let (batch, dids) = two.enrol(4);
    let door = Door::open(north, &["--node", &two.node.url]);
    let hears = |n: usize, wanted: &str| {
        door.hears(north, &format!("d{n}.pem"), &dids[n], wanted);
    };
    (0..4).for_each(|n| hears(n, "let through"));

    // One device by itself, then its batch with the devices that are left in it.
    for target in [dids[0].as_str(), &batch] {
        two.at(north, &["transfer", "offer", target, "--to", &two.east_did]);
        two.at(east, &["transfer", "accept", target]);
    }
    (0..4).for_each(|n| hears(n, "let through"));

    // The old owner's word stops nobody any more, by whichever way it names them.
    for target in [dids[0].as_str(), &dids[1], &batch] {
        for command in ["hold", "revoke", "deactivate"] {
            let words = two.refused(north, &[command, target]);
            assert!(words.contains("only the owner"), "{command} {target}: {words}");
        }
    }
    let size = two.at(north, &["ledger", "status"])["size"].clone();
    (0..4).for_each(|n| hears(n, "let through"));

    // The new owner's does, at the gateway too.
    let held = two.at(east, &["hold", &dids[0]]);
    assert_eq!(held["entry"], size, "nothing of the old owner's came before it");
    hears(0, "held");
    two.at(east, &["release", &dids[0]]);
    hears(0, "let through");
    two.at(east, &["revoke", &dids[0]]);
    hears(0, "revoked");
    // Its batch has another life than the device that left it.
    two.at(east, &["hold", &batch]);
    (1..4).for_each(|n| hears(n, "held"));
    two.at(east, &["release", &batch]);
    (1..4).for_each(|n| hears(n, "let through"));
    two.at(east, &["revoke", &dids[1]]);
    two.at(east, &["deactivate", &dids[2]]);
    hears(1, "revoked");
    hears(2, "deactivated");
    hears(3, "let through");
    two.node.stop();
    assert_eq!(north.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn two_organisations_decide_by_a_table() {
    let two = Two::new();
    let (north, east) = (&two.north, &two.east);
    let told = two.at(north, &["org", "rules"]);
    let table = told["rules"]["table"].as_array().expect("a table").clone();
    assert_eq!(table.len(), 7);
    assert_eq!(table[0]["matter"], "admit");
    assert_eq!(table[0]["threshold"], "more than two thirds");
    assert_eq!((&table[0]["organisations"], &table[0]["stated"]), (&2.into(), &false.into()));
    let root = ["--sign-with", "home/keys/root.pem"];
    let set = ["org", "rules", "set", "--decide", "grant=1", "--decide", "hold=all"];
    let words = two.refused(north, &[&set[..], &root].concat());
    assert!(words.contains("approve"), "{words}");
    let proposed = two.at(north, &[&set[..], &root, &["--propose"]].concat());
    let id = proposed["proposal"].as_str().expect("an id");
    let waits = two.at(east, &["approve", "--list"]);
    assert_eq!(waits["proposals"][0]["matter"], "rules");
    assert_eq!(waits["proposals"][0]["needed"], 1);
    // Another key of the same organisation counts for nothing.
    let words = two.refused(north, &["approve", id, "--yes"]);
    assert!(words.contains("counts already"), "{words}");
    let words = two.refused(east, &["approve", id, "--reject"]);
    assert!(words.contains("only"), "{words}");
    assert_eq!(two.at(east, &["approve", id, "--yes"])["outcome"], "carried out");
    let told = two.at(north, &["org", "rules"]);
    let of = |n: usize| told["rules"]["table"][n].clone();
    assert_eq!((of(2)["threshold"].clone(), of(2)["stated"].clone()), ("1".into(), true.into()));
    assert_eq!(of(6)["threshold"], "all");
    // One is enough for a grant now; a table that locks is none.
    two.at(north, &["org", "grant", "--to", &two.east_did, "--devices", "5"]);
    let lock = ["org", "rules", "set", "--decide", "expel=all", "--decide", "rules=all"];
    let words = two.refused(north, &[&lock[..], &root, &["--propose"]].concat());
    assert!(words.contains("end all governance"), "{words}");
    let words = two.refused(north, &["org", "rules", "set", "--decide", "all=2"]);
    assert!(words.contains("MATTER=HOW"), "{words}");
}
