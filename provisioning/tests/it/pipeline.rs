//! The pipeline, from the file to the checked acknowledgement.

use crate::made::{CHALLENGE, enrolment, file, genesis, manifest, outcomes};
use crate::node::{Fault, Node};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::Decode;
use muster_ledger::{DevicePart, Genesis, Receipt};
use muster_provisioning::{Counts, Enrolment, Error, Finished, Outcome, Phase, RowOutcome};
use std::path::PathBuf;

async fn run(enrolment: Enrolment, inputs: Vec<PathBuf>) -> Result<Finished, Error> {
    enrolment.run(inputs, None, &mut |_| {}).await
}

fn code(row: &RowOutcome<'_>) -> String {
    row.code.as_deref().unwrap_or("-").into()
}

fn counts(finished: &Finished) -> (u64, u64, u64, u64, u64) {
    let Counts { enrolled, already, waiting, refused, rows } = finished.summary().counts;
    (enrolled, already, waiting, refused, rows)
}

struct Setting {
    dir: tempfile::TempDir,
    genesis: Genesis,
    node: Node,
}

async fn setting(count: u64, fault: Fault) -> Setting {
    let genesis = genesis(&["sensor"], count);
    let node = Node::start(&genesis, fault, 16).await;
    Setting { dir: tempfile::tempdir().expect("a folder"), genesis, node }
}

impl Setting {
    fn devices(&self, from: u32, to: u32) -> Vec<PathBuf> {
        let name = format!("{from}-{to}.jsonl");
        vec![file(self.dir.path(), &name, manifest(&self.genesis, from, to, None))]
    }
}

#[tokio::test]
async fn a_file_is_enrolled_and_its_receipts_stand_alone() {
    let s = setting(1_000, Fault::None).await;
    let mut phases = Vec::new();
    let inputs = s.devices(0, 50);
    let finished = enrolment(&s.node)
        .run(inputs, None, &mut |p| {
            if phases.last() != Some(&p.phase) {
                phases.push(p.phase);
            }
        })
        .await
        .expect("enrolled");
    assert_eq!(counts(&finished), (50, 0, 0, 0, 50));
    assert_eq!(phases[phases.len() - 3..], [Phase::Staging, Phase::Sealing, Phase::Acknowledging]);
    assert_eq!(s.node.grant().used, 50);
    assert_eq!(s.node.look(|n| n.uploads.len()), 0);

    let batch = finished.batches().next().expect("one batch").clone();
    assert_eq!(finished.batches().count(), 1);
    let mut out = Vec::new();
    finished.write_receipts(&mut out).expect("memory");
    let lines: Vec<_> = out.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 50);
    for line in lines {
        let line: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        let part = BASE64URL_NOPAD.decode(line["receipt"].as_str().expect("text").as_bytes());
        let device = DevicePart::from_cbor(&part.expect("base64url")).expect("a device part");
        let receipt = Receipt { device, batch: batch.proof.clone() };
        let verified = receipt.verify(&s.genesis).expect("from the genesis alone");
        assert_eq!(verified.device.did().to_string(), line["did"]);
        assert!(line["serial"].as_str().expect("text").starts_with("SN-"));
    }
}

#[tokio::test]
async fn the_same_file_twice_changes_nothing() {
    let s = setting(50, Fault::None).await;
    run(enrolment(&s.node), s.devices(0, 50)).await.expect("enrolled");
    let size = s.node.look(|n| n.chain.size());
    // The grant is used up, and that does not matter.
    let again = run(enrolment(&s.node), s.devices(0, 50)).await.expect("nothing to do");
    assert_eq!(counts(&again), (0, 50, 0, 0, 50));
    assert_eq!(s.node.look(|n| (n.chain.size(), n.uploads.len())), (size, 0));
    assert_eq!(again.batches().count(), 0);
    let rows = outcomes(&again);
    assert!(rows.iter().all(|row| row.outcome == Outcome::Already && row.did.is_some()));
}

#[tokio::test]
async fn a_dry_run_enrols_nothing_and_says_what_would_be() {
    let s = setting(50, Fault::None).await;
    let dry = Enrolment { dry_run: true, ..enrolment(&s.node) };
    let finished = run(dry, s.devices(0, 50)).await.expect("a rehearsal");
    assert_eq!(counts(&finished), (50, 0, 0, 0, 50));
    assert!(finished.summary().dry_run);
    assert_eq!(s.node.look(|n| (n.chain.size(), n.uploads.len(), n.opened)), (0, 0, 1));
    assert!(outcomes(&finished).iter().all(|row| row.batch.is_none()));
}

#[tokio::test]
async fn a_grant_exceeded_refuses_the_whole_file_with_the_numbers() {
    let s = setting(60, Fault::None).await;
    run(enrolment(&s.node), s.devices(0, 20)).await.expect("enrolled");
    for dry_run in [true, false] {
        let enrolment = Enrolment { dry_run, ..enrolment(&s.node) };
        let error = run(enrolment, s.devices(10, 61)).await.err().expect("41 of 40");
        let Error::GrantExceeded { allowed, used, asked, .. } = error else {
            panic!("another error: {error}")
        };
        assert_eq!((allowed, used, asked), (60, 20, 41));
        assert_eq!(s.node.look(|n| (n.chain.size(), n.uploads.len())), (1, 0));
    }
    let rest = run(enrolment(&s.node), s.devices(10, 60)).await.expect("exactly the rest");
    assert_eq!(counts(&rest), (40, 10, 0, 0, 50));
}

#[tokio::test]
async fn a_node_that_refuses_by_the_grant_has_its_numbers_said() {
    let s = setting(10, Fault::Grant).await;
    let error = run(enrolment(&s.node), s.devices(0, 11)).await.err().expect("11 of 10");
    let Error::GrantExceeded { allowed: 10, used: 0, asked: 11, .. } = error else {
        panic!("another error: {error}")
    };
}

#[tokio::test]
async fn every_row_has_its_outcome() {
    let s = setting(1_000, Fault::None).await;
    run(enrolment(&s.node), s.devices(0, 1)).await.expect("enrolled");
    let mut text = manifest(&s.genesis, 0, 3, Some("sensor"));
    text += "{\"serial\":\"SN-waits\"}\n";
    // Signed for another order.
    text += &manifest(&s.genesis, 3, 4, None).replace(CHALLENGE, "order-4712");
    // The key of device 1 with another serial number, and the same row once more.
    text += &manifest(&s.genesis, 1, 2, None).replace("SN-000001", "SN-other");
    text += &manifest(&s.genesis, 2, 3, None);
    // The serial number of device 1 with another key.
    text += &manifest(&s.genesis, 4, 5, None).replace("SN-000004", "SN-000001");
    text += "{\"serial\":\"SN-cut";
    let finished = run(enrolment(&s.node), vec![file(s.dir.path(), "m.jsonl", text)]).await;
    let finished = finished.expect("the good rows");
    assert_eq!(counts(&finished), (2, 1, 1, 5, 9));
    let found: Vec<_> = outcomes(&finished).into_iter().map(|row| (row.line, code(&row))).collect();
    let expected = [
        (1, "-"),
        (2, "-"),
        (3, "-"),
        (4, "-"),
        (5, "bad-possession"),
        (6, "duplicate-key"),
        (7, "duplicate-row"),
        (8, "duplicate-serial"),
        (9, "not-json"),
    ];
    assert_eq!(found, expected.map(|(line, code)| (line, code.to_owned())));
    let mut out = Vec::new();
    finished.write_results(&mut out, 0).expect("memory");
    let lines: Vec<serde_json::Value> = out
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    assert_eq!(lines[1]["outcome"], "enrolled");
    assert_eq!(lines[1]["batch"], finished.batches().next().expect("a batch").batch.to_string());
    assert_eq!(lines[3]["outcome"], "waiting");
    assert_eq!(lines[3]["serial"], "SN-waits");
    assert_eq!(lines[4]["field"], "possession");
    assert_eq!(lines[7]["reason"], "the same serial number stands with another key in line 2");
    assert!(lines[4]["cure"].as_str().is_some_and(|cure| cure.contains("challenge")));
}

#[tokio::test]
async fn several_files_and_models_make_a_batch_each() {
    let genesis = genesis(&["sensor", "meter"], 1_000);
    let node = Node::start(&genesis, Fault::None, 16).await;
    let dir = tempfile::tempdir().expect("a folder");
    let one = file(dir.path(), "one.jsonl", manifest(&genesis, 0, 10, Some("sensor")));
    let two = manifest(&genesis, 10, 20, Some("meter")) + &manifest(&genesis, 20, 21, None);
    let two = file(dir.path(), "two.jsonl", two);
    let finished = run(enrolment(&node), vec![one.clone(), two.clone()]).await.expect("enrolled");
    assert_eq!(counts(&finished), (20, 0, 0, 1, 21));
    let models: Vec<_> =
        finished.batches().map(|b| (b.enrol.model.as_str(), b.enrol.count)).collect();
    assert_eq!(models, [("sensor", 10), ("meter", 10)]);
    let last = outcomes(&finished).pop().expect("rows");
    assert_eq!((last.line, last.code.as_deref()), (11, Some("model-missing")));
    assert_eq!(last.file, Some(two.to_str().expect("UTF-8")));

    // With --model, rows of another one are refused.
    let named = Enrolment { model: Some("meter".into()), ..enrolment(&node) };
    let finished = run(named, vec![one, two]).await.expect("one more");
    assert_eq!(counts(&finished), (1, 10, 0, 10, 21));
    assert!(outcomes(&finished)[..10].iter().all(|row| row.code.as_deref() == Some("other-model")));

    let other = Enrolment { model: Some("toaster".into()), ..enrolment(&node) };
    let text = manifest(&genesis, 30, 31, None);
    let error = run(other, vec![file(dir.path(), "three.jsonl", text)]).await.err();
    assert!(matches!(error, Some(Error::Grant(_))), "{error:?}");
}

#[tokio::test]
async fn a_private_key_refuses_the_file_before_anything_is_sent() {
    let s = setting(1_000, Fault::None).await;
    let mut text = manifest(&s.genesis, 0, 5, None);
    text += "{\"serial\":\"SN-x\",\"privateKey\":\"hunter2\"}\n";
    let error = run(enrolment(&s.node), vec![file(s.dir.path(), "m.jsonl", text)]).await.err();
    let error = error.expect("refused");
    assert!(matches!(&error, Error::PrivateKey { line: 6, field, .. } if field == "privateKey"));
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(s.node.look(|n| n.opened), 0);
}

#[tokio::test]
async fn a_node_that_lies_is_found_out_and_nothing_is_left_behind() {
    let cases = [
        (Fault::Root, "peer", 0),
        (Fault::Count, "peer", 0),
        (Fault::Verdicts, "peer", 0),
        (Fault::HangUp, "node", 0),
        (Fault::Submit, "clash", 0),
        (Fault::Signer, "peer", 1),
    ];
    for (fault, code, size) in cases {
        let s = setting(1_000, fault).await;
        let error = run(enrolment(&s.node), s.devices(0, 50)).await.err().expect("an error");
        assert_eq!(error.code(), code, "{fault:?}: {error}");
        assert_eq!(s.node.look(|n| (n.chain.size(), n.uploads.len())), (size, 0), "{fault:?}");
    }
    let s = setting(1_000, Fault::Acknowledgement).await;
    run(enrolment(&s.node), s.devices(0, 5)).await.expect("the first is the first");
    let error = run(enrolment(&s.node), s.devices(5, 9)).await.err().expect("another operation");
    assert_eq!(error.code(), "peer", "{error}");
}

#[tokio::test]
async fn rows_that_the_node_refuses_do_not_stop_the_others() {
    let s = setting(1_000, Fault::Rows).await;
    let finished = run(enrolment(&s.node), s.devices(0, 50)).await.expect("the others");
    assert_eq!(counts(&finished), (25, 0, 0, 25, 50));
    let row = &outcomes(&finished)[1];
    assert_eq!((row.code.as_deref(), row.field), (Some("evidence"), Some("possession")));
}

#[tokio::test]
async fn another_network_is_refused_at_once() {
    let s = setting(1_000, Fault::None).await;
    let other = Genesis { nonce: [8; 16], ..s.genesis.clone() };
    let error =
        run(Enrolment { genesis: other, ..enrolment(&s.node) }, s.devices(0, 1)).await.err();
    assert!(matches!(error, Some(Error::Peer { what: "the network", .. })), "{error:?}");
}

#[tokio::test]
async fn a_run_through_csv_gives_the_same_batch() {
    let s = setting(1_000, Fault::None).await;
    let json = run(enrolment(&s.node), s.devices(0, 20)).await.expect("enrolled");
    let other = setting(1_000, Fault::None).await;
    let mut csv = String::from("\u{feff}Serial;Public Key;Possession;Lot\r\n");
    let text = manifest(&s.genesis, 0, 20, None);
    let mut lines: Vec<_> = text.lines().collect();
    lines.reverse();
    for line in lines {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let cell = |name: &str| row[name].as_str().expect("text").to_owned();
        let (serial, key, possession) = (cell("serial"), cell("publicKey"), cell("possession"));
        csv += &format!("{serial};{key};\"{possession}\";{}\r\n", cell("lot"));
    }
    let path = file(other.dir.path(), "m.csv", csv);
    let finished = run(enrolment(&other.node), vec![path]).await.expect("enrolled");
    let ids = |f: &Finished| f.batches().map(|b| b.batch).collect::<Vec<_>>();
    assert_eq!(ids(&json), ids(&finished));
}

/// Cut off after the acknowledgement and before the results: the run goes on to the same end, also
/// when its own devices used the grant up.
#[tokio::test]
async fn a_run_goes_on_under_a_grant_that_it_used_up() {
    let s = setting(10, Fault::None).await;
    let inputs = s.devices(0, 10);
    let journal = s.dir.path().join("journal");
    let go = |resume| {
        let enrolment = Enrolment { journal: Some(journal.clone()), resume, ..enrolment(&s.node) };
        run(enrolment, inputs.clone())
    };
    let first = go(false).await.expect("enrolled");
    let batch = first.batches().next().expect("a batch").batch;
    drop(first);
    assert!(journal.exists(), "the results are not written yet");
    let second = go(true).await.expect("goes on");
    assert_eq!(counts(&second), (10, 0, 0, 0, 10));
    assert_eq!(second.batches().next().expect("the same").batch, batch);
    second.close().expect("removed");
    assert!(!journal.exists());
}

/// What a journal says of rows that are not signed for is not believed: the node is asked.
#[tokio::test]
async fn a_journal_that_lies_is_found_out() {
    let s = setting(100, Fault::None).await;
    let inputs = s.devices(0, 10);
    let journal = s.dir.path().join("journal");
    let go = |node: Node, resume| {
        let enrolment = Enrolment { journal: Some(journal.clone()), resume, ..enrolment(&node) };
        run(enrolment, inputs.clone())
    };
    drop(go(s.node.clone(), false).await.expect("enrolled"));
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let lies: String = text
        .lines()
        .filter(|line| !line.contains("\"signed\"") && !line.contains("\"acknowledged\""))
        .map(|line| match line.contains("\"staged\"") {
            true => line.replace('}', ",\"already\":[0,1,2,3,4,5,6,7,8,9]}") + "\n",
            false => line.to_owned() + "\n",
        })
        .collect();
    std::fs::write(&journal, lies).expect("written");
    // Another node of the same network, which knows nothing.
    let fresh = Node::start(&s.genesis, Fault::None, 16).await;
    let second = go(fresh.clone(), true).await.expect("enrolled there");
    assert_eq!(counts(&second), (10, 0, 0, 0, 10));
    assert_eq!(fresh.look(|n| n.enrolled.len()), 10);
}
