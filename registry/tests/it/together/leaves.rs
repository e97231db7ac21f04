//! Leaves come from other nodes: late, twice, or not at all.

use super::cluster::{Cluster, genesis, shown, until};
use super::lockstep::{BINDS_MS, Lockstep};
use crate::network::{Device, Network, admin, codes, rows};
use muster_api::Problem;
use muster_ledger::{Action, BatchId, Bundle, EntryProof, Revoke};
use muster_registry::Refused;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Uploads and seals; gives the id of the upload.
async fn uploaded(node: &Network, devices: &[Device]) -> String {
    let upload = node.upload(devices.len() as u64).await;
    let verdicts = node.registry.stage(&upload, rows(devices)).await.unwrap();
    assert_eq!(codes(&verdicts), vec!["staged"; devices.len()]);
    node.registry.seal(&upload).await.unwrap();
    upload
}

type Waits = JoinHandle<Result<EntryProof, Problem>>;

/// Submits the enrolment of an upload, and waits for it elsewhere.
fn submitted(node: &Network, upload: &str, devices: &[Device]) -> (BatchId, Waits) {
    let enrol = node.enrolment(devices);
    let id = enrol.batch(&node.genesis.network());
    let signed = node.operation(node.owner(), Action::Enrol(enrol), &admin());
    let (registry, upload) = (node.registry.clone(), upload.to_owned());
    (id, tokio::spawn(async move { registry.submit(signed, Some(&upload)).await }))
}

/// A batch is decided without one node: it fetches the leaves later, and signs nothing before.
#[tokio::test]
async fn missing_leaves_are_fetched() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    cluster.starve(3, true);
    let first = cluster.node(0);
    let devices = first.devices(0..300);
    let batch = first.enrol(&devices).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;
    let (poor, lacking) = (cluster.application(3), cluster.node(3));
    assert!(poor.lacks_leaves());
    let wanted = poor.wanted();
    assert_eq!((wanted.len(), wanted[0].batch, wanted[0].decided), (1, batch, true));
    assert_eq!(lacking.registry.device_part(&devices[0].did).await.unwrap(), None);
    assert_eq!(poor.bundle(&batch, 0).await, Ok(None));
    // Nothing new is enrolled by it meanwhile.
    let others = lacking.devices(1_000..1_001);
    let upload = uploaded(lacking, &others).await;
    let problem = lacking.submit_batch(&upload, &others).await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (503, "leaves-missing"));
    // A restart forgets nothing.
    let mut cluster = cluster;
    drop(poor);
    cluster.stop(3).await;
    cluster.start(3).await;
    let poor = cluster.application(3);
    assert!(poor.lacks_leaves());
    cluster.starve(3, false);
    until("the leaves are here", async || !poor.lacks_leaves()).await;
    let lacking = cluster.node(3);
    shown(&cluster, &[0, 1, 2, 3], 1).await;
    let part = lacking.registry.device_part(&devices[299].did).await.unwrap();
    assert_eq!(part.expect("a part").leaf, devices[299].leaf);
    let other = poor.bundle(&batch, 1).await.unwrap();
    assert_eq!(other, cluster.application(0).bundle(&batch, 1).await.unwrap());
    lacking.submit_batch(&upload, &others).await.unwrap();
}

/// A bundle is the batch's or is refused, and they come in their order.
#[tokio::test]
async fn a_bundle_is_checked_before_it_is_staged() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    (1..4).for_each(|node| cluster.starve(node, true));
    let first = cluster.node(0);
    let devices = first.devices(0..600);
    let upload = uploaded(first, &devices).await;
    let (batch, waits) = submitted(first, &upload, &devices);
    let (owner, other) = (cluster.application(0), cluster.application(1));
    until("it is heard of", async || other.wanted().iter().any(|w| w.batch == batch)).await;
    let good = owner.bundle(&batch, 0).await.unwrap().unwrap();
    let second = owner.bundle(&batch, 1).await.unwrap().unwrap();
    assert_eq!(owner.bundle(&batch, 3).await, Ok(None));
    let mut bent = good.clone();
    bent.leaves[3] = bent.leaves[4].clone();
    for wrong in [bent, second.clone(), Bundle { path: Vec::new(), ..good.clone() }] {
        let taken = other.take_bundles(&batch, 0, vec![wrong]).await;
        assert!(matches!(taken, Err(Refused::Peer(_))), "{taken:?}");
    }
    let early = other.take_bundles(&batch, 1, vec![second.clone()]).await;
    assert!(matches!(early, Err(Refused::Here(_))), "{early:?}");
    assert_eq!(other.next_bundle(&batch).await, Ok(0));
    assert_eq!(other.take_bundles(&batch, 0, vec![good.clone()]).await, Ok(false));
    assert!(matches!(other.take_bundles(&batch, 0, vec![good]).await, Err(Refused::Here(_))));
    assert_eq!(other.next_bundle(&batch).await, Ok(1));
    assert!(other.ready_here().is_empty());
    let early = other.promise(&batch, muster_ledger::Time(cluster.node(0).host_now())).await;
    assert!(early.is_err(), "nothing is promised of leaves that are not here");
    assert_eq!(other.take_bundles(&batch, 1, vec![second]).await, Ok(false));
    let last = owner.bundle(&batch, 2).await.unwrap().unwrap();
    assert_eq!(other.take_bundles(&batch, 2, vec![last]).await, Ok(true));
    assert_eq!(other.ready_here(), [batch]);
    assert!(!waits.is_finished(), "two of four are no quorum");
    cluster.starve(2, false);
    waits.await.unwrap().unwrap();
}

/// Two batches with one device: one is enrolled, and the other's client is told.
#[tokio::test]
async fn of_two_batches_with_one_device_one_is_enrolled() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    let (one, two) = (cluster.node(0), cluster.node(1));
    let (left, right) = (one.devices(0..300), one.devices(299..600));
    let (left_upload, right_upload) = (uploaded(one, &left).await, uploaded(two, &right).await);
    cluster.pause(true);
    let (left_id, left_waits) = submitted(one, &left_upload, &left);
    let (right_id, right_waits) = submitted(two, &right_upload, &right);
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.pause(false);
    let (left_done, right_done) = (left_waits.await.unwrap(), right_waits.await.unwrap());
    let (won, lost) = match (&left_done, &right_done) {
        (Ok(_), Err(problem)) => (left_id, problem),
        (Err(problem), Ok(_)) => (right_id, problem),
        other => panic!("{other:?}"),
    };
    assert_eq!((lost.status, lost.code()), (409, "leaves"), "{lost}");
    let head = shown(&cluster, &[0, 1, 2, 3], 1).await;
    assert_eq!(head.size, 1);
    for n in 0..4 {
        let node = cluster.node(n);
        let batches = node.registry.batches().await.unwrap();
        assert_eq!(batches.iter().map(|b| b.batch.clone()).collect::<Vec<_>>(), [won.to_string()]);
        until("its leaves are here", async || !cluster.application(n).lacks_leaves()).await;
        let part = node.registry.device_part(&left[299].did).await.unwrap();
        assert_eq!(part.expect("the device of both").batch, won);
    }
    // The rest of the other file is enrolled by the same upload.
    let (rest, upload, place) = match won == left_id {
        true => (&right[1..], right_upload, 1),
        false => (&left[..299], left_upload, 0),
    };
    let node = cluster.node(place);
    assert_eq!(node.registry.seal(&upload).await.unwrap().count, rest.len() as u64);
    node.submit_batch(&upload, rest).await.unwrap();
    shown(&cluster, &[0, 1, 2, 3], 2).await;
}

/// What a node voted for stays, also through a restart, and is decided though its promise ran out.
#[tokio::test]
async fn a_restart_forgets_nothing_that_was_voted_for() {
    let mut cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    cluster.pause(true);
    let one = cluster.node(0);
    let files = [one.devices(0..20), one.devices(19..40)];
    let id = |devices: &[Device]| one.enrolment(devices).batch(&one.genesis.network());
    // The one that comes first by its id is told of later.
    let [early, late] = if id(&files[0]) < id(&files[1]) { [1, 0] } else { [0, 1] };
    let (early, late) = (&files[early], &files[late]);
    let upload = uploaded(one, early).await;
    let (early_id, early_waits) = submitted(one, &upload, early);
    let third = cluster.application(2);
    until("it is voted for", async || third.ready_here() == [early_id]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(third);
    // The first node and its operation go; the second has another file with the same device.
    cluster.stop(0).await;
    assert_eq!(early_waits.await.unwrap().unwrap_err().code(), "closing");
    cluster.stop(2).await;
    cluster.start(2).await;
    cluster.starve(1, true);
    let third = cluster.application(2);
    until("it is known again", async || third.ready_here() == [early_id]).await;
    let file = std::fs::read_to_string(cluster.node(2).dir.path().join("promises")).unwrap();
    assert!(file.contains(&early_id.to_string()), "{file}");
    let two = cluster.node(1);
    let upload = two.upload(late.len() as u64).await;
    let staged = two.registry.stage(&upload, rows(late)).await.unwrap();
    assert!(codes(&staged).contains(&"uploading-elsewhere"), "what it voted for stays");
    two.registry.drop_upload(&upload).await.unwrap();
    // Time goes on, by heads that are signed.
    cluster.node(1).host.advance(BINDS_MS + 1_000);
    let time = cluster.node(1).host_now();
    until("a later head is signed", async || {
        third.published().is_some_and(|head| head.head().time.0 >= time)
    })
    .await;
    cluster.pause(false);
    // Three nodes know of the early operation still, and have its leaves: it is decided.
    until("it is decided", async || third.chain().size() == 1).await;
    cluster.start(0).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;
}

/// A batch of which one leaf is bad is refused by every other node, whatever the first one says.
#[tokio::test]
async fn what_is_on_the_ledger_is_not_enrolled_again() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    let one = cluster.node(0);
    let devices = one.devices(0..10);
    // Staged before the others enrol one of its devices: only the ledger knows of both.
    let upload = uploaded(one, &devices).await;
    cluster.node(1).enrol(&cluster.node(1).devices(9..12)).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;
    let problem = one.submit_batch(&upload, &devices).await.unwrap_err();
    assert_eq!(problem.code(), "leaves", "{problem}");
    let sealed = one.registry.seal(&upload).await.unwrap();
    assert_eq!(sealed.count, 9, "the row that is on the ledger has left");
    one.submit_batch(&upload, &devices[..9]).await.unwrap();
    shown(&cluster, &[0, 1, 2, 3], 2).await;
    let target = cluster.node(3).target(&devices[9]).await;
    let action = Action::Revoke(Revoke { target, reason: String::new() });
    cluster.node(3).act(action).await.unwrap();
}
