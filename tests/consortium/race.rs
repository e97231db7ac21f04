//! Those who race each other: two factories with one key, a thief and an owner.

use crate::cluster::Cluster;
use crate::link::Flow;
use crate::load::{Outcome, Pen, Written};
use crate::network::{NODES, Network};
use muster_identity::{Did, SecretKey, Signer as _};
use muster_ledger::{Action, DeviceRef, NewKey, Revoke, Rotate, SignedOperation, Target};
use serde_json::Value;
use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The device that both factories have.
const SHARED: &str = "SHARED-1";
const SIDES: [&str; 2] = ["left", "right"];

/// Two factories enrol at two nodes at once: each nine devices of its own, and one that both have.
async fn race(cluster: &Cluster) -> [Output; 2] {
    let enrol = async |node: usize| {
        let side = SIDES[node];
        let own = (0..9).map(|n| format!("{side}-{n}"));
        let serials: Vec<_> = [SHARED.to_owned()].into_iter().chain(own).collect();
        let file = cluster.path(&format!("{side}.jsonl"));
        cluster.network.manifest(&file, &serials);
        let (file, url) = (file.to_str().expect("text").to_owned(), cluster.nodes[node].url());
        cluster.run(node, &["enrol", &file, "--node", &url, "--json"]).await
    };
    tokio::join!(enrol(0), enrol(1)).into()
}

/// One of the two is enrolled as a whole, and the other one not at all.
async fn is_enrolled_once(mut cluster: Cluster, outputs: [Output; 2]) {
    let enrolled = outputs.each_ref().map(|output| {
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        output.status.success() && told["enrolled"] == 10
    });
    let words = outputs.each_ref().map(|o| String::from_utf8_lossy(&o.stderr).into_owned());
    assert_eq!(enrolled.iter().filter(|e| **e).count(), 1, "one of the two is enrolled: {words:?}");
    let [loser, winner] = if enrolled[0] { [SIDES[1], SIDES[0]] } else { SIDES };
    cluster.agree(&[0, 1, 2, 3]).await;
    for node in 0..NODES {
        let batch = async |serial: &str| {
            let did = cluster.network.did(serial);
            cluster.client(node).device(&did).await.ok().map(|device| device.batch)
        };
        cluster
            .until("the device is in the batch that won", || async {
                match (batch(SHARED).await, batch(&format!("{winner}-3")).await) {
                    (Some(one), Some(other)) if one == other => Ok(()),
                    other => Err(format!("node {}: {other:?}", node + 1)),
                }
            })
            .await;
        assert_eq!(batch(&format!("{loser}-3")).await, None);
    }
    cluster.is_sound(&Written::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_in_two_batches_is_enrolled_once() {
    let cluster = Cluster::running().await;
    let outputs = race(&cluster).await;
    is_enrolled_once(cluster, outputs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_that_are_divided_about_two_batches_end_that() {
    let cluster = Cluster::running().await;
    cluster.part(&[0, 3], Flow::Cut);
    let divided = async {
        cluster
            .until("half of the validators promised each of the batches", || async {
                for (n, node) in cluster.nodes.iter().enumerate() {
                    let promises = fs::read_to_string(node.home.join("node/promises"));
                    if promises.unwrap_or_default().is_empty() {
                        return Err(format!("node {} promised nothing", n + 1));
                    }
                }
                Ok(())
            })
            .await;
        cluster.heal();
    };
    // They keep what they promised until that has run out.
    let (outputs, ()) = tokio::join!(race(&cluster), divided);
    is_enrolled_once(cluster, outputs).await;
}

/// The device's key is replaced by another one, as whoever has the key says.
fn rotation(
    pen: &Pen,
    network: &Network,
    device: DeviceRef,
    seq: u64,
    keys: [&SecretKey; 2],
) -> SignedOperation {
    let [old, new] = keys;
    let (did, public) = (device.did, new.public_key());
    let message = NewKey::message(&network.genesis.network(), &did, seq, &public);
    let key = NewKey { key: public, proof: new.sign(&message).expect("it signs") };
    pen.sign(did, old, Action::Rotate(Rotate { device, seq, key, next_key: None }))
}

/// Rotates for as long as it is let; how many times it was.
async fn steal(pen: Pen, network: Arc<Network>, did: Did, first: DeviceRef) -> (u64, String) {
    let mut key = network.device("STOLEN-0000");
    for seq in 0.. {
        let new = network.device(&format!("thief {seq}"));
        let part = first.part.clone().filter(|_| seq == 0);
        let device = DeviceRef { did, part };
        let signed = rotation(&pen, &network, device, seq, [&key, &new]);
        match pen.submit(&signed, &[1, 2], 0, || true).await {
            Outcome::Acknowledged(_) | Outcome::There => key = new,
            Outcome::Refused(code, _) => return (seq, code),
            Outcome::Left => unreachable!("it goes on"),
        }
    }
    unreachable!("it is stopped")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thief_who_keeps_rotating_does_not_outrun_its_owner() {
    let mut cluster = Cluster::running().await;
    cluster.enrol(0, "STOLEN", 1).await;
    cluster.agree(&[0, 1, 2, 3]).await;
    let (pen, network) = (Pen::of(&cluster), cluster.network.clone());
    let did = network.did("STOLEN-0000");
    let part = cluster.client(0).device_part(&did).await.expect("it is enrolled");
    let device = DeviceRef { did, part: Some(Box::new(part)) };
    let thief = tokio::spawn(steal(pen.clone(), network.clone(), did, device.clone()));
    cluster
        .until("the thief has rotated", || async {
            let device = cluster.client(3).device(&did).await.map_err(|e| e.to_string())?;
            if device.seq >= 3 { Ok(()) } else { Err(format!("{} times", device.seq)) }
        })
        .await;
    // Whatever the device's counter is by now, which the owner cannot know.
    let revoke =
        Revoke { target: Target::Device(DeviceRef { did, part: None }), reason: "stolen".into() };
    let author = network.genesis.organisation_did();
    let revoke = pen.sign(author, &network.admin(), Action::Revoke(revoke));
    let asked = AtomicBool::new(true);
    let outcome = pen.submit(&revoke, &[3], 0, || asked.swap(false, Ordering::Relaxed)).await;
    let Outcome::Acknowledged(revoked) = outcome else { panic!("the owner is heard at once") };
    let (rotated, why) = thief.await.expect("the thief is stopped");
    assert!(rotated >= 3);
    // A rotation that was on its way meets another counter, every other one a revoked device.
    assert!(["standing", "sequence"].contains(&&*why), "{why}");
    let written = Written { acknowledged: vec![revoked], ..Written::default() };
    cluster.is_sound(&written).await;
    for node in 0..NODES {
        let device = cluster.client(node).device(&did).await.expect("it is shown");
        assert_eq!(device.standing, "revoked", "node {}", node + 1);
        // The revocation is the last word: no rotation came behind it.
        assert_eq!(device.seq, rotated + 1, "node {}", node + 1);
    }
}
