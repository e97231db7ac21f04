//! What the line says: results, re-runs, counters, and when the node hears of it.

use crate::made::{enrolment, file, genesis, key, outcomes};
use crate::node::{Fault, Node};
use muster_api::LineResult;
use muster_identity::Signer as _;
use muster_provisioning::{Error, Finished, Outcome};

/// A CSV of serial, key (by name), result and the rest of a row.
const HEADER: &str =
    "serial,publicKey,testResult,work order,station,counter_before,counterAfter,lot";

struct Line {
    dir: tempfile::TempDir,
    node: Node,
}

impl Line {
    async fn new() -> Self {
        let node = Node::start(&genesis(&["sensor"], 100), Fault::None, 16).await;
        Self { dir: tempfile::tempdir().expect("a folder"), node }
    }

    async fn run(&self, rows: &[&str], dry_run: bool) -> Result<Finished, Error> {
        let mut text = format!("{HEADER}\n");
        for row in rows {
            let (serial, rest) = row.split_once(',').expect("a serial number");
            let (name, rest) = rest.split_once(',').expect("a key");
            let key =
                if name.is_empty() { String::new() } else { key(name).public_key().to_multikey() };
            text.push_str(&format!("{serial},{key},{rest}\n"));
        }
        let path = file(self.dir.path(), "line.csv", text);
        let mut enrolment = enrolment(&self.node);
        enrolment.dry_run = dry_run;
        enrolment.run(vec![path], None, &mut |_| {}).await
    }

    /// What the node was told, and before which operation.
    fn told(&self) -> Vec<(String, LineResult, usize)> {
        self.node.look(|inner| {
            let told = inner.told.drain(..);
            told.map(|(record, entries)| (record.serial, record.result, entries)).collect()
        })
    }
}

fn words(finished: &Finished) -> Vec<(Outcome, String)> {
    let code = |row: muster_provisioning::RowOutcome<'_>| {
        (row.outcome, row.code.as_deref().unwrap_or("-").to_owned())
    };
    outcomes(finished).into_iter().map(code).collect()
}

#[tokio::test]
async fn results_decide_what_becomes_of_a_row() {
    let line = Line::new().await;
    let rows = [
        "s0,k0,PASS,PO,S,0,1,L",
        "s1,k1,,PO,S,1,2,L",
        "s2,k2,re-work,PO,S,2,3,L",
        "s3,k3,SCRAP,PO,S,3,4,L",
        "s4,,scrapped,PO,S,,,L",
        "s5,,ok,PO,S,,,L",
        "s6,k6,FAIL,PO,S,,,L",
        "s7,k7,pass,PO,S,9,8,L",
        "s8,k8,pass,PO,S,1.5,,L",
        "s9,k9,pass,,,,-1,L",
    ];
    let rehearsed = line.run(&rows, true).await.expect("rehearsed");
    assert_eq!((rehearsed.summary().counts.enrolled, line.told()), (3, vec![]));
    let finished = line.run(&rows, false).await.expect("enrolled");
    use Outcome::{Enrolled, Refused, Waiting};
    let expected = [
        (Enrolled, "-"),
        (Enrolled, "-"),
        (Waiting, "in-rework"),
        (Enrolled, "-"),
        (Waiting, "scrap-without-key"),
        (Waiting, "-"),
        (Refused, "result"),
        (Refused, "counter"),
        (Refused, "counter"),
        (Refused, "counter"),
    ];
    let expected: Vec<_> = expected.iter().map(|(o, code)| (*o, (*code).to_owned())).collect();
    assert_eq!(words(&finished), expected);
    let fields: Vec<_> = outcomes(&finished).iter().filter_map(|row| row.field).collect();
    assert_eq!(fields[fields.len() - 3..], ["counterAfter", "counterBefore", "counterAfter"]);
    // Scrap stands in a batch of its own.
    let sizes: Vec<u64> = finished.batches().map(|batch| batch.enrol.count).collect();
    assert_eq!(sizes, [2, 1]);
    let scrap: Vec<_> = finished.scrap_batches().map(|batch| batch.enrol.count).collect();
    assert_eq!(scrap, [1]);
    assert_eq!(finished.lots().collect::<Vec<_>>(), [("L", "PO")]);
    // Told before anything was signed; refused rows are not.
    use LineResult::{Pass, Rework, Scrap};
    let results = [Pass, Pass, Rework, Scrap, Scrap, Pass];
    let told = results.into_iter().zip(0..).map(|(r, n)| (format!("s{n}"), r, 0));
    assert_eq!(line.told(), told.collect::<Vec<_>>());
    assert_eq!(line.node.look(|inner| inner.uploads.len()), 0);
}

#[tokio::test]
async fn the_last_row_of_a_device_counts_and_a_scrap_before_all() {
    let line = Line::new().await;
    let rows = [
        "a,ka,rework,,S,0,1,",
        "a,ka,pass,,S,1,2,",
        "b,kb,scrap,,S,2,3,",
        "b,kb,pass,,S,3,4,",
        // Another key is no re-run.
        "c,kc,pass,,S,4,5,",
        "c,kd,pass,,S,5,6,",
        // Without a word of the line, the same row twice is a fault as ever.
        "e,ke,,,,,,L",
        "e,ke,,,,,,L",
    ];
    let finished = line.run(&rows, false).await.expect("enrolled");
    use Outcome::{Already, Enrolled, Refused};
    let expected = [
        (Already, "-"),
        (Enrolled, "-"),
        (Enrolled, "-"),
        (Already, "-"),
        (Enrolled, "-"),
        (Refused, "duplicate-serial"),
        (Enrolled, "-"),
        (Refused, "duplicate-row"),
    ];
    let expected: Vec<_> = expected.iter().map(|(o, code)| (*o, (*code).to_owned())).collect();
    assert_eq!(words(&finished), expected);
    let notes = outcomes(&finished);
    assert!(notes[0].note.as_deref().is_some_and(|note| note.contains("line 3")));
    assert!(notes[3].note.as_deref().is_some_and(|note| note.contains("line 4")));
    let told: Vec<_> =
        line.told().into_iter().map(|(serial, result, _)| (serial, result)).collect();
    use LineResult::{Pass, Scrap};
    let expected = [("a", Pass), ("b", Scrap), ("c", Pass)].map(|(s, r)| (s.to_owned(), r));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn rows_of_nothing_but_rework_are_told_too() {
    let line = Line::new().await;
    line.run(&["a,ka,rework,,S,0,1,", "dead,kb,rework,,S,1,2,"], false).await.expect("told");
    assert_eq!(line.told().len(), 2);
    let finished = line.run(&["dead,kb,pass,,S,2,3,"], false).await.expect("told");
    let note = outcomes(&finished)[0].note.clone().expect("a note");
    assert!(note.contains("stays scrapped"), "{note}");
    // No word of the line: the node is asked nothing.
    line.told();
    let finished = line.run(&["z,kz,,,,,,L"], false).await.expect("enrolled");
    assert_eq!((finished.summary().counts.enrolled, line.told().len()), (1, 0));
    assert_eq!(finished.lots().count(), 0);
}
