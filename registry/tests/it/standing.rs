use crate::network::{Device, Network, secret};
use muster_api::Resolve as _;
use muster_identity::{Document, Relationships, Signer as _};
use muster_ledger::{
    Action, Deactivate, Hold, HoldId, NewKey, Power, Release, Revoke, RevokeKey, Rotate, Target,
    Time,
};

async fn standing(network: &Network, device: &Device) -> String {
    network.registry.device(&device.did).await.unwrap().unwrap().standing
}

async fn document(network: &Network, device: &Device) -> Document {
    let resolution = network.registry.resolve(&device.did).await;
    serde_json::from_value(resolution.did_document.unwrap()).unwrap()
}

fn hold(target: Target, id: u8, seen: u64, until: Option<Time>) -> Action {
    let (id, power, reason) = (HoldId([id; 16]), Power::Owner, "stolen".into());
    Action::Hold(Hold { target, id, power, until, seen, reason })
}

#[tokio::test]
async fn hold_release_revoke() {
    let network = Network::new().await;
    let devices = network.devices(0..3);
    let batch = network.enrol(&devices).await;
    let target = network.target(&devices[0]).await;
    let bare = Target::Device(muster_ledger::DeviceRef { did: devices[0].did, part: None });
    let early = network.act(hold(bare.clone(), 1, 1, None)).await.unwrap_err();
    assert_eq!(early.code(), "device-part-missing");
    network.host.advance(5_000);
    network.act(hold(target.clone(), 1, 1, None)).await.unwrap();
    assert_eq!(standing(&network, &devices[0]).await, "held");
    assert_eq!(standing(&network, &devices[1]).await, "active");
    let held = document(&network, &devices[0]).await;
    assert_eq!(held.relationships(), Relationships::Withheld);
    assert_eq!(held.authentication_keys().len(), 1);
    let view = network.registry.device(&devices[0].did).await.unwrap().unwrap();
    assert!(view.changed);
    assert_eq!((view.seq, view.holds.len(), view.holds[0].power.as_str()), (1, 1, "owner"));
    let metadata = network.registry.resolve(&devices[0].did).await.did_document_metadata;
    assert_eq!(metadata.updated.as_deref(), Some("2023-11-14T22:13:25Z"));
    assert_eq!(metadata.standing.as_deref(), Some("held"));
    let release = Release { target: bare.clone(), hold: HoldId([1; 16]), seq: 1 };
    network.act(Action::Release(release)).await.unwrap();
    assert_eq!(standing(&network, &devices[0]).await, "active");
    // The whole batch, for a while.
    let until = Time(crate::network::START + 60_000);
    network.act(hold(Target::Batch(batch), 2, 3, Some(until))).await.unwrap();
    assert_eq!(standing(&network, &devices[2]).await, "held");
    assert_eq!(network.registry.batch(&batch).await.unwrap().unwrap().holds.len(), 1);
    network.pass(70_000).await;
    let revoke = Revoke { target: bare, reason: String::new() };
    network.act(Action::Revoke(revoke)).await.unwrap();
    assert_eq!(standing(&network, &devices[2]).await, "active");
    assert_eq!(standing(&network, &devices[0]).await, "revoked");
    let revoke = Revoke { target: Target::Batch(batch), reason: "recall".into() };
    network.act(Action::Revoke(revoke)).await.unwrap();
    assert_eq!(standing(&network, &devices[2]).await, "revoked");
    let words: Vec<_> = network
        .registry
        .history(devices[0].did.digest())
        .await
        .unwrap()
        .into_iter()
        .map(|change| (change.entry, change.action, change.reason))
        .collect();
    let word = |entry, action: &str, reason: Option<&str>| {
        (entry, action.to_string(), reason.map(String::from))
    };
    let expected = [
        word(0, "enrol", None),
        word(1, "hold", Some("stolen")),
        word(2, "release", None),
        word(3, "hold", Some("stolen")),
        word(4, "revoke", None),
        word(5, "revoke", Some("recall")),
    ];
    assert_eq!(words, expected);
}

#[tokio::test]
async fn keys_change_and_end() {
    let network = Network::new().await;
    let devices = network.devices(0..3);
    network.enrol(&devices).await;
    let device = &devices[0];
    let rotate = |key: &muster_identity::SecretKey, seq, reference| {
        let (public, id) = (key.public_key(), network.genesis.network());
        let message = NewKey::message(&id, &device.did, seq, &public);
        let key = NewKey { key: public, proof: key.sign(&message).unwrap() };
        Action::Rotate(Rotate { device: reference, seq, key, next_key: None })
    };
    let reference = network.reference(device).await;
    // Another device's key, enrolled in a leaf that the state does not know.
    let stolen = rotate(&devices[1].key(), 0, reference.clone());
    let signed = network.operation(device.did, stolen, &device.key());
    let problem = network.registry.submit(signed, None).await.unwrap_err();
    assert_eq!(problem.code(), "key-used");
    let fresh = secret("fresh");
    let signed = network.operation(device.did, rotate(&fresh, 0, reference.clone()), &device.key());
    network.registry.submit(signed.clone(), None).await.unwrap();
    let view = network.registry.device(&device.did).await.unwrap().unwrap();
    assert_eq!(view.key, Some(fresh.public_key().to_multikey()));
    assert_eq!(view.retired, [device.key().public_key().to_multikey()]);
    assert_eq!(document(&network, device).await.authentication_keys(), [fresh.public_key()]);
    // The same bytes again.
    let again = network.registry.submit(signed, None).await.unwrap_err();
    assert_eq!(again.status, 403);
    // The receipt still verifies: it says how the device was enrolled.
    let receipt = network.registry.receipt(&device.did).await.unwrap().unwrap();
    receipt.verify(&network.genesis).unwrap();
    let revoke = RevokeKey { device: reference.clone(), key: fresh.public_key() };
    network.act(Action::RevokeKey(revoke)).await.unwrap();
    assert!(document(&network, device).await.authentication_keys().is_empty());
    let end = Deactivate { target: Target::Device(reference) };
    network.act(Action::Deactivate(end)).await.unwrap();
    let resolution = network.registry.resolve(&device.did).await;
    assert_eq!(resolution.http_status(), 410);
    assert_eq!(resolution.did_document_metadata.version_id.as_deref(), Some("3"));
    assert_eq!(document(&network, device).await, Document::deactivated(&device.did));
}
