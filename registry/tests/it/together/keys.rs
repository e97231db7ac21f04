//! Keys that come by operations, and keys that are staged.

use super::cluster::{Cluster, genesis, shown};
use super::lockstep::Lockstep;
use crate::network::{admin, codes, rows};
use muster_identity::Signer as _;
use muster_ledger::{Action, Capabilities, Capability, ChangeKeys, NewKey};

/// The organisation takes the key of a device that another node has staged: the ledger comes
/// first, and the row leaves.
#[tokio::test]
async fn a_key_of_the_ledger_leaves_what_is_staged() {
    let cluster = Lockstep::new(&genesis(), 4).await;
    shown(&cluster, &[0, 1, 2, 3], 0).await;
    let (one, two) = (cluster.node(0), cluster.node(1));
    let devices = two.devices(0..5);
    let upload = two.upload(5).await;
    let staged = two.registry.stage(&upload, rows(&devices)).await.unwrap();
    assert_eq!(codes(&staged), ["staged"; 5]);
    assert_eq!(two.registry.seal(&upload).await.unwrap().count, 5);
    let taken = devices[3].key();
    let network = one.genesis.network();
    let message = NewKey::message(&network, &one.owner(), 1, &taken.public_key());
    let proof = taken.sign(&message).unwrap();
    let key = NewKey { key: taken.public_key(), proof };
    let capabilities = Capabilities::of(&[Capability::Operate]);
    let action =
        Action::ChangeKeys(ChangeKeys { seq: 1, add: vec![(key, capabilities)], remove: vec![] });
    one.act_by(action, &admin()).await.unwrap();
    shown(&cluster, &[0, 1, 2, 3], 1).await;
    let problem = two.submit_batch(&upload, &devices).await.unwrap_err();
    assert_eq!(problem.code(), "leaves", "{problem}");
    assert_eq!(two.registry.seal(&upload).await.unwrap().count, 4);
    let rest: Vec<_> = devices.into_iter().filter(|d| d.number != 3).collect();
    two.submit_batch(&upload, &rest).await.unwrap();
    shown(&cluster, &[0, 1, 2, 3], 2).await;
}
