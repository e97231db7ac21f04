//! Rows of devices that declare who may recover them.

use crate::made::{CHALLENGE, enrolment, file, genesis, key, outcomes, p256};
use crate::node::{Fault, Node};
use muster_identity::{Did, Inception, Recovery, Signer};
use muster_provisioning::SourceOptions;
use muster_provisioning::sample::{Order, row_declaring};
use serde_json::Value;

struct Line {
    dir: tempfile::TempDir,
    node: Node,
}

impl Line {
    async fn new() -> Self {
        let node = Node::start(&genesis(&["sensor"], 100), Fault::None, 16).await;
        Self { dir: tempfile::tempdir().expect("a folder"), node }
    }

    /// The row of a device that signed for what it declares.
    fn row(&self, device: &dyn Signer, serial: &str, recovery: Option<Recovery>) -> Value {
        let (network, manufacturer) =
            (self.node.genesis.network(), self.node.genesis.organisation_did());
        let order = Order {
            network: &network,
            manufacturer: &manufacturer,
            challenge: CHALLENGE,
            model: None,
            lot: None,
        };
        let row = row_declaring(device, serial, &order, recovery).expect("a row");
        serde_json::from_str(&row).expect("JSON")
    }

    /// What became of the rows: their DIDs, or why not.
    async fn run(&self, name: &str, text: String, keys: Option<String>) -> Vec<String> {
        let keys = keys.map(|text| file(self.dir.path(), "keys.csv", text));
        let sources = SourceOptions { keys, ..SourceOptions::default() };
        let enrolment = muster_provisioning::Enrolment { sources, ..enrolment(&self.node) };
        let path = file(self.dir.path(), name, text);
        let finished = enrolment.run(vec![path], None, &mut |_| {}).await.expect("the good rows");
        let told = |row: muster_provisioning::RowOutcome<'_>| match (&row.code, row.did) {
            (None, Some(did)) => did.to_string(),
            (code, _) => code.as_deref().unwrap_or("-").to_owned(),
        };
        outcomes(&finished).into_iter().map(told).collect()
    }
}

fn did(device: &dyn Signer, recovery: Option<Recovery>) -> String {
    let inception = Inception { recovery, ..Inception::from_key(device.public_key()) };
    Did::of(&inception).to_string()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_device_declares_it_and_signs_for_it() {
    let line = Line::new().await;
    let safe = Some(Recovery::Key(p256("safe").public_key()));
    let owner = Some(Recovery::Owner);
    let [a, b, c, d, e, f, g] = ["a", "b", "c", "d", "e", "f", "g"].map(key);
    let mut rows = vec![line.row(&a, "a", owner), line.row(&b, "b", safe)];
    // Claimed, and not signed for; signed for, and another claimed; signed for, and left away.
    let claim = |mut row: Value, recovery: Option<Recovery>| {
        let fields = row.as_object_mut().expect("an object");
        fields.remove("recovery");
        if let Some(recovery) = recovery {
            fields.insert("recovery".into(), recovery.to_string().into());
        }
        row
    };
    rows.push(claim(line.row(&c, "c", None), owner));
    rows.push(claim(line.row(&d, "d", owner), safe));
    rows.push(claim(line.row(&e, "e", owner), None));
    // Nobody but the enroller says so.
    for (device, recovery) in [(&f, owner), (&g, safe)] {
        let mut row = claim(line.row(device, &did(device, None)[12..30], None), recovery);
        row.as_object_mut().expect("an object").remove("possession");
        rows.push(row);
    }
    let mut odd = line.row(&f, "f", None);
    odd["recovery"] = "anybody".into();
    rows.push(odd);
    let own = Some(Recovery::Key(g.public_key()));
    rows.push(line.row(&g, "g", own));
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let told = line.run("run.jsonl", lines, None).await;
    let bad = "bad-possession";
    let expected = [
        // The owner's stands in the leaf: the DID is that of the bare key.
        &*did(&a, None),
        &*did(&b, safe),
        bad,
        bad,
        bad,
        "recovery",
        "recovery",
        "recovery",
        "recovery",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn tables_and_keys_of_the_line_declare_it_too() {
    let line = Line::new().await;
    let safe = Some(Recovery::Key(key("safe").public_key()));
    let (a, b) = (p256("a"), key("b"));
    let cells = |row: &Value| {
        let fields = ["serial", "publicKey", "possession", "recovery"];
        fields.map(|field| text(row, field)).join(",") + "\n"
    };
    let header = "serial,publicKey,possession,Recovery\n";
    let (first, second) = (line.row(&a, "a", safe), line.row(&b, "b", Some(Recovery::Owner)));
    let told = line.run("table.csv", format!("{header}{}", cells(&first)), None).await;
    assert_eq!(told, [did(&a, safe)]);
    let keys = format!("{header}{}", cells(&second));
    let told = line.run("rows.jsonl", "{\"serial\":\"b\"}\n".into(), Some(keys)).await;
    assert_eq!(told, [did(&b, None)]);
}
