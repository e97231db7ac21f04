use crate::network::{Device, Network, codes, rows};
use muster_ledger::{Action, EvidencePolicy, Revoke};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rows() {
    let network = Network::new().await;
    let devices = network.devices(0..1_000);
    let started = Instant::now();
    network.enrol(&devices).await;
    let took = started.elapsed();
    eprintln!("1,000 rows with possession, open to acknowledged: {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

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
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    importer.await.unwrap();
    network.submit_batch(&upload, &import).await.unwrap();
    let view = network.registry.network().await.unwrap();
    assert_eq!((view.size, view.devices), (42, 8_040));
    // Waiting operations shared blocks.
    assert!(view.height <= 42);
    let report = muster_registry::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}

/// Prints what `docs/formats/store.md` says: `cargo test -p muster-registry -- --ignored
/// --nocapture bytes_per_device`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bytes_per_device() {
    let network = Network::new().await;
    let devices = network.devices(0..10_000);
    let started = Instant::now();
    network.enrol(&devices).await;
    println!("10,000 rows with possession: {:?}", started.elapsed());
    let started = Instant::now();
    for device in &devices[..1_000] {
        network.registry.receipt(&device.did).await.unwrap().unwrap();
    }
    println!("a receipt: {:?}", started.elapsed() / 1_000);
    network.registry.close().await;
    for file in ["ledger.db", "directory.db"] {
        let size = std::fs::metadata(network.dir.path().join(file)).unwrap().len();
        println!("{file}: {} bytes a device", size / 10_000);
    }
    println!("by table: sqlite3_analyzer, or `SELECT name, sum(pgsize) FROM dbstat GROUP BY name`");
    println!("kept in {}", network.dir.keep().display());
}
