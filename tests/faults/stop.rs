//! A stop under load.

use crate::fleet::{enrolled, standing};
use crate::muster::Muster;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const DEVICES: u32 = 48;
const LINES: usize = 8;
/// Acknowledged holds after which the node is asked to stop.
const ENOUGH: usize = 10;

#[test]
fn a_stop_under_load_loses_nothing_that_was_asked() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let dids = enrolled(&muster, &node, DEVICES);
    let (url, done) = (node.url.clone(), AtomicUsize::new(0));
    let line = |part: &[String]| -> Vec<(String, bool)> {
        let hold = |did: &String| {
            let held = muster.output(&["hold", did, "--node", &url]);
            let words = String::from_utf8_lossy(&held.stderr).into_owned();
            assert!(held.status.success() || words.contains("muster: "), "{words}");
            done.fetch_add(usize::from(held.status.success()), SeqCst);
            (did.clone(), held.status.success())
        };
        part.iter().map(hold).collect()
    };
    let told: Vec<(String, bool)> = std::thread::scope(|scope| {
        let size = dids.len().div_ceil(LINES);
        let lines: Vec<_> = dids.chunks(size).map(|part| scope.spawn(move || line(part))).collect();
        while done.load(SeqCst) < ENOUGH {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        node.stop();
        lines.into_iter().flat_map(|line| line.join().expect("a line ends")).collect()
    });
    let acknowledged = told.iter().filter(|(_, held)| *held).count();
    assert!(acknowledged >= ENOUGH && acknowledged < dids.len(), "{acknowledged}");
    // Whoever was told so is held; whoever was not told is not.
    let node = muster.serve(&["serve"]);
    for (did, held) in &told {
        let expected = if *held { "held" } else { "active" };
        assert_eq!(standing(&muster, &node, did), expected, "{did}");
    }
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
