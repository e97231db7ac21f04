use crate::network::{Device, Network, rows};
use muster_ledger::EvidencePolicy;
use std::time::Duration;

const DAY: u64 = 24 * 3_600_000;

/// Leaves are listed as an upload's, become a batch's, and are thrown away by the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_purge_leaves_live_batches_alone() {
    let mut network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    for trial in 0..6_u64 {
        let slow = network.upload(2_048).await;
        let many: Vec<Device> = (1_000..3_048).map(Device::vouched).collect();
        network.registry.stage(&slow, rows(&many)).await.unwrap();
        let upload = network.upload(3).await;
        let mine: Vec<Device> = (trial * 3..trial * 3 + 3).map(Device::vouched).collect();
        network.registry.stage(&upload, rows(&mine)).await.unwrap();
        network.registry.seal(&upload).await.unwrap();
        // A clock may only move so far while the node runs.
        network.registry.close().await;
        network.host.advance(DAY - 1);
        network.reopen().await.unwrap();
        let request = network.request(1, false);
        let purge = async {
            tokio::time::sleep(Duration::from_micros(500 * (trial + 1))).await;
            network.host.advance(1);
            network.registry.open_upload(&request).await
        };
        let (submitted, purged) = tokio::join!(network.submit_batch(&upload, &mine), purge);
        network.registry.drop_upload(&purged.unwrap().upload).await.unwrap();
        let found = network.registry.device(&mine[0].did).await.unwrap().is_some();
        assert_eq!(found, submitted.is_ok(), "trial {trial}");
    }
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_leaves_live_batches_alone() {
    let network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    for trial in 0..60_u64 {
        let upload = network.upload(3).await;
        let mine: Vec<Device> = (trial * 3..trial * 3 + 3).map(Device::vouched).collect();
        network.registry.stage(&upload, rows(&mine)).await.unwrap();
        network.registry.seal(&upload).await.unwrap();
        let (registry, id) = (network.registry.clone(), upload.clone());
        let dropping = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(50 * trial)).await;
            for _ in 0..40 {
                let dropped = registry.drop_upload(&id).await;
                if !dropped.is_err_and(|p| p.code() == "under-way") {
                    break;
                }
            }
        });
        let submitted = network.submit_batch(&upload, &mine).await.is_ok();
        dropping.await.unwrap();
        let found = network.registry.device(&mine[0].did).await.unwrap().is_some();
        assert_eq!(found, submitted, "trial {trial}");
    }
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn a_request_opens_one_upload_whatever_becomes_of_it() {
    let network = Network::new().await;
    let open = async |request: &[u8]| {
        let opened = network.registry.open_upload(request).await;
        opened.map(|o| o.upload).map_err(|p| p.code().to_owned())
    };
    let (request, other) = (network.request(3, false), network.request(3, false));
    let first = open(&request).await.unwrap();
    let second = open(&other).await.unwrap();
    assert_eq!(open(&request).await.unwrap_err(), "replayed");
    let devices = network.devices(0..3);
    network.registry.stage(&first, rows(&devices)).await.unwrap();
    network.registry.seal(&first).await.unwrap();
    network.submit_batch(&first, &devices).await.unwrap();
    network.registry.drop_upload(&second).await.unwrap();
    for request in [&request, &other] {
        assert_eq!(open(request).await.unwrap_err(), "replayed");
    }
    // To the last moment of its life; then it is of no use, and forgotten.
    network.pass(3_600_000).await;
    assert_eq!(open(&request).await.unwrap_err(), "replayed");
    network.pass(1).await;
    assert_eq!(open(&request).await.unwrap_err(), "expired");
    open(&network.request(1, false)).await.unwrap();
    network.registry.close().await;
    let url = format!("sqlite://{}", network.dir.path().join("ledger.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM used_requests").fetch_one(&pool).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn a_batch_keeps_its_number_to_itself() {
    let mut network = Network::new().await;
    let devices = network.devices(0..3);
    network.enrol(&devices).await;
    network.registry.close().await;
    // Whatever becomes of SQLite's own counter.
    let url = format!("sqlite://{}", network.dir.path().join("ledger.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("DELETE FROM sqlite_sequence").execute(&pool).await.unwrap();
    pool.close().await;
    network.reopen().await.unwrap();
    let upload = network.upload(3).await;
    network.registry.stage(&upload, rows(&network.devices(5..8))).await.unwrap();
    network.registry.drop_upload(&upload).await.unwrap();
    assert!(network.registry.device(&devices[0].did).await.unwrap().is_some());
    network.enrol(&network.devices(5..8)).await;
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}
