use crate::network::{Device, Network, admin, codes, rows, secret};
use muster_api::{Resolve as _, Verdict};
use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Document};
use muster_ledger::{
    Action, Capabilities, Capability, ChangeKeys, EvidencePolicy, NewKey, UploadRequest, View as _,
};

#[tokio::test]
async fn from_row_to_receipt() {
    let network = Network::new().await;
    let mut devices = network.devices(0..7);
    devices.push(Device::new(&network, 7, Algorithm::P256));
    let batch = network.enrol(&devices).await;
    let registry = &network.registry;
    for device in &devices {
        let receipt = registry.receipt(&device.did).await.unwrap().unwrap();
        assert!(receipt.device.to_cbor().len() < 900);
        let verified = receipt.verify(&network.genesis).unwrap();
        assert_eq!(verified.device.did(), device.did);
        assert_eq!(verified.manufacturer, network.owner());
        let view = registry.device(&device.did).await.unwrap().unwrap();
        assert_eq!(view.batch, batch.to_string());
        assert_eq!(view.index, verified.device.index());
        assert_eq!((view.standing.as_str(), view.changed, view.seq), ("active", false, 0));
        assert_eq!(
            view.key,
            Some(muster_identity::Signer::public_key(&device.key()).to_multikey())
        );
        assert_eq!(view.serial.as_deref(), Some(device.serial.as_str()));
        assert_eq!(view.lot.as_deref(), Some("lot 7"));
        let resolution = registry.resolve(&device.did).await;
        assert_eq!(resolution.http_status(), 200);
        let metadata = &resolution.did_document_metadata;
        assert_eq!(metadata.created.as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!((&metadata.updated, metadata.version_id.as_deref()), (&None, Some("0")));
        let text = resolution.did_document.unwrap();
        assert!(text.get("controller").is_none());
        let document: Document = serde_json::from_value(text).unwrap();
        let key = muster_identity::Signer::public_key(&device.key());
        assert_eq!(document.authentication_keys(), [key]);
    }
    let view = registry.batch(&batch).await.unwrap().unwrap();
    assert_eq!((view.count, view.entry, view.standing.as_str()), (8, 0, "active"));
    assert_eq!(registry.batches().await.unwrap(), [view]);
    let glance = registry.network().await.unwrap();
    assert_eq!((glance.size, glance.height, glance.devices), (1, 1, 8));
    assert_eq!(glance.grants[0].used, 8);
    let stranger = network.device(99).did;
    assert_eq!(registry.resolve(&stranger).await.http_status(), 404);
    assert!(registry.device(&stranger).await.unwrap().is_none());
    assert!(registry.receipt(&stranger).await.unwrap().is_none());
    let history = registry.history(devices[0].did.digest()).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].action, "enrol");
    assert_eq!(history, registry.history(&batch.0).await.unwrap());
    assert_eq!(history, registry.history(network.owner().digest()).await.unwrap());
    let metrics = registry.metrics().await;
    assert!(metrics.contains("\nmuster_devices 8\n"), "{metrics}");
    for metric in muster_registry::metrics::METRICS {
        let line = format!("# TYPE {} {}\n", metric.name, metric.kind.word());
        assert!(metrics.contains(&line), "{} is declared and never said", metric.name);
    }
    assert!(metrics.contains("\nmuster_operations_total{result=\"accepted\"} 1\n"), "{metrics}");
    assert!(registry.ready().await);
}

#[tokio::test]
async fn a_file_above_the_grant_is_refused_with_the_numbers() {
    let network = Network::with(5, EvidencePolicy::Possession).await;
    network.enrol(&network.devices(0..3)).await;
    let (over, three) = (network.upload(3).await, network.devices(3..6));
    network.registry.stage(&over, rows(&three)).await.unwrap();
    network.registry.seal(&over).await.unwrap();
    let problem = network.submit_batch(&over, &three).await.unwrap_err();
    assert_eq!(problem.code(), "grant-exceeded");
    assert_eq!(problem.title, "the grant allows 5 devices, 3 are used, the batch has 3");
    network.registry.drop_upload(&over).await.unwrap();
    // The same file again is no overdraft: its rows are enrolled already.
    let again = network.upload(6).await;
    let verdicts = network.registry.stage(&again, rows(&network.devices(0..3))).await.unwrap();
    assert!(verdicts.verdicts.iter().all(|v| v.verdict == Verdict::Already));
    // Two uploads that fit one by one and not together: the second operation is refused.
    let (a, b) = (network.upload(2).await, network.upload(2).await);
    let (first, second) = (network.devices(10..12), network.devices(12..14));
    for (upload, devices) in [(&a, &first), (&b, &second)] {
        network.registry.stage(upload, rows(devices)).await.unwrap();
        network.registry.seal(upload).await.unwrap();
    }
    network.submit_batch(&a, &first).await.unwrap();
    let problem = network.submit_batch(&b, &second).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("grant-exceeded", 409));
    network.registry.drop_upload(&b).await.unwrap();
    assert_eq!(network.registry.drop_upload(&b).await.unwrap_err().code(), "unknown-upload");
}

#[tokio::test]
async fn only_granted_keys_open_uploads() {
    let network = Network::new().await;
    let registry = &network.registry;
    let base = UploadRequest {
        network: network.genesis.network(),
        organisation: network.owner(),
        valid_until: muster_ledger::Time(crate::network::START + 1_000),
        grant: network.genesis.grant_id(),
        model: "T-1".into(),
        rows: 1,
        rehearsal: false,
        nonce: [1; 16],
    };
    let with = |f: fn(&mut UploadRequest)| {
        let mut request = base.clone();
        f(&mut request);
        request.sign(&admin()).unwrap()
    };
    let cases = [
        (with(|r| r.network.0[0] ^= 1), "wrong-network"),
        (with(|r| r.valid_until.0 = 1), "expired"),
        (with(|r| r.valid_until.0 += 90_000_000), "too-long-lived"),
        (with(|r| r.grant.0[0] ^= 1), "unknown-grant"),
        (with(|r| r.model = "T-2".into()), "model"),
        (with(|r| r.rows = 0), "limit"),
        (base.sign(&secret("stranger")).unwrap(), "not-a-key"),
        (base.sign(&secret("gateway")).unwrap(), "capability"),
        (vec![1, 2, 3], "malformed"),
    ];
    for (request, code) in cases {
        assert_eq!(registry.open_upload(&request).await.unwrap_err().code(), code);
    }
    let good = base.sign(&admin()).unwrap();
    registry.open_upload(&good).await.unwrap();
    assert_eq!(registry.open_upload(&good).await.unwrap_err().code(), "replayed");
}

#[tokio::test]
async fn an_operation_must_fit_its_upload() {
    let network = Network::new().await;
    let registry = &network.registry;
    let devices = network.devices(0..3);
    let enrol = network.enrolment(&devices);
    let sign = |enrol| network.operation(network.owner(), Action::Enrol(enrol), &admin());
    let problem = registry.submit(sign(enrol.clone()), None).await.unwrap_err();
    assert_eq!(problem.code(), "leaves");
    let upload = network.upload(3).await;
    registry.stage(&upload, rows(&devices)).await.unwrap();
    let problem = registry.submit(sign(enrol.clone()), Some(&upload)).await.unwrap_err();
    assert_eq!(
        (problem.code(), problem.title.as_str()),
        ("leaves", "leaves: the upload is not sealed")
    );
    registry.seal(&upload).await.unwrap();
    let mut other = enrol.clone();
    other.root[0] ^= 1;
    assert_eq!(registry.submit(sign(other), Some(&upload)).await.unwrap_err().code(), "leaves");
    let mut other = enrol.clone();
    other.count = 2;
    assert_eq!(registry.submit(sign(other), Some(&upload)).await.unwrap_err().code(), "leaves");
    let unknown = Some("00112233445566778899aabbccddeeff");
    let problem = registry.submit(sign(enrol.clone()), unknown).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("unknown-upload", 404));
    registry.submit(sign(enrol.clone()), Some(&upload)).await.unwrap();
    let again = registry.submit(sign(enrol), Some(&upload)).await.unwrap_err();
    assert_eq!((again.code(), again.status), ("batch-exists", 409));
    // A rehearsal gives the same verdicts and root, and never a batch.
    let more = network.devices(10..12);
    let request = network.request(2, true);
    let rehearsal = registry.open_upload(&request).await.unwrap().upload;
    let verdicts = registry.stage(&rehearsal, rows(&more)).await.unwrap();
    assert_eq!(codes(&verdicts), ["staged", "staged"]);
    assert_eq!(registry.seal(&rehearsal).await.unwrap().count, 2);
    let problem = network.submit_batch(&rehearsal, &more).await.unwrap_err();
    assert!(problem.title.contains("rehearsal"));
    // It does not stand in the way of the real thing.
    network.enrol(&more).await;
}

#[tokio::test]
async fn keys_are_unique_over_leaves_and_operations() {
    let network = Network::new().await;
    let devices = network.devices(0..2);
    network.enrol(&devices).await;
    let change = |key: &muster_identity::SecretKey, seq| {
        let public = muster_identity::Signer::public_key(key);
        let message = NewKey::message(&network.genesis.network(), &network.owner(), seq, &public);
        let proof = muster_identity::Signer::sign(key, &message).unwrap();
        let capabilities = Capabilities::of(&[Capability::Operate]);
        Action::ChangeKeys(ChangeKeys {
            seq,
            add: vec![(NewKey { key: public, proof }, capabilities)],
            remove: vec![],
        })
    };
    // A device's key cannot become an organisation's.
    let problem = network.act(change(&devices[0].key(), 1)).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("key-used", 409));
    // Nor one that is only staged.
    let upload = network.upload(2).await;
    let staged = network.device(5);
    network.registry.stage(&upload, rows(std::slice::from_ref(&staged))).await.unwrap();
    assert_eq!(network.act(change(&staged.key(), 1)).await.unwrap_err().code(), "key-used");
    // And an organisation's key cannot become a device's.
    let device = network.device(6);
    network.act(change(&device.key(), 1)).await.unwrap();
    let verdicts = network.registry.stage(&upload, rows(&[device])).await.unwrap();
    assert_eq!(codes(&verdicts), ["duplicate-key"]);
    assert_eq!(verdicts.verdicts[0].verdict, Verdict::Refused);
    let chain = network.registry.chain().unwrap();
    let record = chain.state().organisation(&network.owner()).unwrap().unwrap();
    assert_eq!(record.seq, 2);
}
