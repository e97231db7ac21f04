use crate::network::{Device, Network, codes, rows};
use muster_ledger::{Action, EvidencePolicy, Revoke};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_do_not_wait_for_an_import() {
    let network = std::sync::Arc::new(Network::with(100_000, EvidencePolicy::Enroller).await);
    let fleet: Vec<_> = (0..40).map(Device::vouched).collect();
    network.enrol(&fleet).await;
    let import: Vec<_> = (1_000..9_000).map(Device::vouched).collect();
    let upload = network.upload(8_000).await;
    let importer = {
        let (network, upload, import) = (network.clone(), upload.clone(), import.clone());
        tokio::spawn(async move {
            for part in import.chunks(1_000) {
                let verdicts = network.registry.stage(&upload, rows(part)).await.unwrap();
                assert_eq!(codes(&verdicts), vec!["staged"; part.len()]);
            }
            network.registry.seal(&upload).await.unwrap();
        })
    };
    let mut revoked = Vec::new();
    for device in fleet {
        let network = network.clone();
        revoked.push(tokio::spawn(async move {
            let target = network.target(&device).await;
            let action = Action::Revoke(Revoke { target, reason: String::new() });
            let started = Instant::now();
            network.act(action).await.unwrap();
            started.elapsed()
        }));
    }
    let mut slowest = Duration::ZERO;
    for one in revoked {
        slowest = slowest.max(one.await.unwrap());
    }
    eprintln!("slowest of 40 revocations beside an import: {slowest:?}");
    importer.await.unwrap();
    network.submit_batch(&upload, &import).await.unwrap();
    let view = network.registry.network().await.unwrap();
    assert_eq!((view.size, view.devices), (42, 8_040));
    // Waiting operations shared blocks.
    assert!(view.height <= 42);
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}

/// The figures of `docs/formats/store.md`: a device costs so many bytes on disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_a_device() {
    let network = Network::new().await;
    // As an importer sends them: in the order of the leaves.
    let mut devices = network.devices(0..10_000);
    devices.sort_by_key(|device| device.did);
    network.enrol(&devices).await;
    network.registry.close().await;
    for (file, most) in [("ledger.db", 275), ("directory.db", 95)] {
        let size = std::fs::metadata(network.dir.path().join(file)).unwrap().len();
        let each = size / devices.len() as u64;
        eprintln!("{file}: {each} bytes a device");
        assert!(each <= most, "{file}: {each} bytes a device");
    }
}

/// As an importer sends them, save that requests overtake each other: what was kept while they
/// came is what the store would say.
#[tokio::test]
async fn rows_in_the_order_of_leaves_are_sealed_from_memory() {
    let network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    let mut devices: Vec<_> = (0..1_500).map(Device::vouched).collect();
    devices.sort_by_key(|device| device.did);
    let upload = network.upload(1_500).await;
    let mut parts: Vec<_> = devices.chunks(200).collect();
    parts.swap(1, 5);
    for part in &parts {
        let verdicts = network.registry.stage(&upload, rows(part)).await.unwrap();
        assert_eq!(codes(&verdicts), vec!["staged"; part.len()]);
    }
    network.registry.seal(&upload).await.unwrap();
    network.submit_batch(&upload, &devices).await.unwrap();
    // The same with a part that is sent twice, and one that another upload takes over.
    for trial in 0..2_u64 {
        let from = 10_000 * (trial + 1);
        let mut devices: Vec<_> = (from..from + 300).map(Device::vouched).collect();
        devices.sort_by_key(|device| device.did);
        let upload = network.upload(300).await;
        for part in devices.chunks(100) {
            network.registry.stage(&upload, rows(part)).await.unwrap();
        }
        let (first, rest) = devices.split_at(100);
        let kept = if trial == 0 {
            network.registry.stage(&upload, rows(first)).await.unwrap();
            &devices[..]
        } else {
            network.pass(muster_api::limits::UPLOAD_IDLE_MS + 1).await;
            let other = network.upload(100).await;
            network.registry.stage(&other, rows(first)).await.unwrap();
            rest
        };
        assert_eq!(network.registry.seal(&upload).await.unwrap().count, kept.len() as u64);
        network.submit_batch(&upload, kept).await.unwrap();
    }
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
    for device in devices.iter().step_by(97) {
        let receipt = network.registry.receipt(&device.did).await.unwrap().unwrap();
        receipt.verify(&network.genesis).unwrap();
    }
    // Their serial numbers are entered: another device may not have one.
    let upload = network.upload(1).await;
    let mut other = Device::vouched(77_000);
    other.serial = devices[3].serial.clone();
    network.registry.stage(&upload, rows(&[other])).await.unwrap();
    let refused = network.registry.seal(&upload).await.unwrap().refused;
    assert_eq!(refused[0].code.as_deref(), Some("duplicate-serial"));
}
