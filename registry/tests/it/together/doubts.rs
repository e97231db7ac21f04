//! What a node refuses because of itself is no refusal: it is behind, or its clock is wrong.

use super::cluster::{Cluster, genesis, shown, until};
use super::lockstep::Lockstep;
use crate::network::{Network, TestHost, admin, secret};
use muster_api::{Host as _, Problem};
use muster_identity::{SecretKey, Signer as _};
use muster_ledger::{
    Action, Capabilities, Capability, ChangeKeys, NewKey, Operation, Revoke, SignedOperation, Time,
    UploadRequest,
};
use std::sync::Arc;

const HOUR: u64 = 3_600_000;

/// Brings an operation that no block is made of, and gives what its client hears.
async fn refused(cluster: &Lockstep, node: usize, signed: &SignedOperation) -> Problem {
    let (at, application) = (cluster.node(node), cluster.application(node));
    let (registry, operation) = (at.registry.clone(), signed.clone());
    let waits = tokio::spawn(async move { registry.submit(operation, None).await });
    until("it is answered", async || {
        application.propose(at.host.now(), &|_| false).await;
        waits.is_finished()
    })
    .await;
    waits.await.unwrap().unwrap_err()
}

fn told(problem: &Problem) -> (u16, &str) {
    (problem.status, problem.code())
}

async fn revoke(node: &Network, device: u64) -> Action {
    let target = node.target(&node.device(device)).await;
    Action::Revoke(Revoke { target, reason: String::new() })
}

/// A request for an upload, by this key and until then.
fn request(node: &Network, key: &SecretKey, valid_until: Time) -> Vec<u8> {
    let request = UploadRequest {
        network: node.genesis.network(),
        organisation: node.owner(),
        valid_until,
        grant: node.genesis.grant_id(),
        model: "T-1".into(),
        rows: 3,
        rehearsal: false,
        nonce: node.random(),
    };
    request.sign(key).unwrap()
}

#[tokio::test]
async fn a_node_that_is_behind_says_so() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    let (first, last) = (cluster.node(0), cluster.node(3));
    first.enrol(&first.devices(0..3)).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;

    // While the last one is cut off, the organisation takes a new key.
    cluster.cut(Some(3)).await;
    let new = secret("new");
    let message = NewKey::message(&first.genesis.network(), &first.owner(), 1, &new.public_key());
    let key = NewKey { key: new.public_key(), proof: new.sign(&message).unwrap() };
    let can = Capabilities::of(&[Capability::Operate, Capability::Enrol]);
    let change = ChangeKeys { seq: 1, add: vec![(key, can)], remove: vec![] };
    first.act_by(Action::ChangeKeys(change), &admin()).await.unwrap();
    shown(&cluster, &[0, 1, 2], 2).await;

    let signed = first.operation(first.owner(), revoke(first, 0).await, &new);
    let upload = request(first, &new, Time(first.host_now() + HOUR));
    // Nothing tells it so yet.
    assert_eq!(told(&refused(&cluster, 3, &signed).await), (403, "not-a-key"));
    let height = cluster.application(0).chain().height();
    cluster.application(3).peers_at(height);
    let problem = refused(&cluster, 3, &signed).await;
    assert_eq!(told(&problem), (503, "behind"));
    assert!(problem.title.contains("not a present key"), "{problem}");
    assert!(problem.detail.unwrap().contains("another node"));
    let problem = last.registry.open_upload(&upload).await.unwrap_err();
    assert_eq!(told(&problem), (503, "behind"));
    // An enrolment, which is judged before it waits.
    let staged = last.upload(1).await;
    let devices = last.devices(7..8);
    last.registry.stage(&staged, crate::network::rows(&devices)).await.unwrap();
    last.registry.seal(&staged).await.unwrap();
    let enrol = Action::Enrol(last.enrolment(&devices));
    let signed_enrol = last.operation(last.owner(), enrol, &new);
    let problem = last.registry.submit(signed_enrol.clone(), Some(&staged)).await.unwrap_err();
    assert_eq!(told(&problem), (503, "behind"));
    // For another network is for another network, whatever anybody has.
    let other = Operation {
        network: muster_ledger::Network([9; 32]),
        ..signed.verify().unwrap().operation().clone()
    };
    let problem = refused(&cluster, 3, &other.sign(&new).unwrap()).await;
    assert_eq!(told(&problem), (409, "wrong-network"));

    // It catches up, and takes the very same.
    cluster.cut(None).await;
    shown(&cluster, &[0, 1, 2, 3], 2).await;
    last.registry.submit(signed, None).await.unwrap();
    last.registry.open_upload(&upload).await.unwrap();
    last.registry.submit(signed_enrol, Some(&staged)).await.unwrap();
    // What is refused by what all have is refused.
    shown(&cluster, &[0, 1, 2, 3], 4).await;
    let stranger = last.operation(last.owner(), revoke(last, 1).await, &secret("stranger"));
    assert_eq!(told(&refused(&cluster, 3, &stranger).await), (403, "not-a-key"));
}

#[tokio::test]
async fn a_node_with_a_wrong_clock_says_so() {
    let mut cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    let first = cluster.node(0);
    first.enrol(&first.devices(0..3)).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;
    cluster.stop(3).await;
    let ahead = Arc::new(TestHost::new());
    ahead.advance(2 * HOUR);
    cluster.start_with_clock(3, ahead).await;
    shown(&cluster, &[0, 1, 2, 3], 1).await;

    let (first, last) = (cluster.node(0), cluster.node(3));
    cluster.pause(true);
    let signed = first.operation(first.owner(), revoke(first, 0).await, &admin());
    let problem = refused(&cluster, 3, &signed).await;
    assert_eq!(told(&problem), (503, "clock"));
    assert!(problem.title.contains(" s ahead of") && problem.title.contains("expired"));
    let problem = last.registry.open_upload(&first.request(3, false)).await.unwrap_err();
    assert_eq!(told(&problem), (503, "clock"));
    // What the clock has no part in is refused by it as by any other.
    let stranger = last.operation(last.owner(), revoke(last, 1).await, &secret("stranger"));
    assert_eq!(told(&refused(&cluster, 3, &stranger).await), (403, "not-a-key"));
    // What ran out by the network's time ran out, whoever is asked.
    let over = Operation {
        valid_until: Time(first.host_now() - 1),
        ..signed.verify().unwrap().operation().clone()
    };
    let over = over.sign(&admin()).unwrap();
    for node in [0, 3] {
        assert_eq!(told(&refused(&cluster, node, &over).await), (409, "expired"), "{node}");
    }
    cluster.pause(false);
    first.registry.submit(signed, None).await.unwrap();
    shown(&cluster, &[0, 1, 2, 3], 2).await;

    // One that is slow takes what would live for too long by its clock.
    cluster.stop(3).await;
    let slow = Arc::new(TestHost::new());
    slow.set_back(2 * HOUR);
    cluster.start_with_clock(3, slow).await;
    shown(&cluster, &[0, 1, 2, 3], 2).await;
    let (first, last) = (cluster.node(0), cluster.node(3));
    let until = Time(first.host_now() + 23 * HOUR);
    last.registry.open_upload(&request(first, &admin(), until)).await.unwrap();
    let (author, network) = (first.owner(), first.genesis.network());
    let action = revoke(first, 1).await;
    let signed = Operation { network, author, valid_until: until, action }.sign(&admin()).unwrap();
    last.registry.submit(signed, None).await.unwrap();
}
