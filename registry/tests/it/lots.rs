//! Lots: words of the line, against what is enrolled and valid.

use crate::network::{Device, Network, rows};
use muster_api::{LineRecord, LineRecords, LineResult, LotQuery, LotView};
use muster_ledger::{Action, EvidencePolicy, Revoke, Target};
use std::time::Instant;

fn word(serial: &str, lot: &str, result: LineResult, before: u64) -> LineRecord {
    LineRecord {
        serial: serial.into(),
        result,
        lot: Some(lot.into()),
        order: None,
        station: Some("S".into()),
        before: Some(before),
        after: Some(before + 1),
    }
}

async fn tell(network: &Network, records: Vec<LineRecord>) -> Vec<usize> {
    let upload = network.upload(1).await;
    let noted = network.registry.note_line(&upload, LineRecords(records)).await.unwrap();
    network.registry.drop_upload(&upload).await.unwrap();
    noted.scrapped
}

async fn lot(network: &Network, lot: &str) -> LotView {
    let query = LotQuery { lot: Some(lot.into()), ..LotQuery::default() };
    network.registry.lots(&query).await.unwrap().lots.pop().unwrap_or_default()
}

fn sums(lot: &LotView) -> [u64; 7] {
    let LotView { made, shipped, rework, scrap, scrap_valid, revoked, not_enrolled, .. } = *lot;
    [made, shipped, rework, scrap, scrap_valid, revoked, not_enrolled]
}

async fn revoke(network: &Network, target: Target) {
    let revoke = Revoke { target, reason: String::new() };
    network.act(Action::Revoke(revoke)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lots_follow_the_ledger() {
    use LineResult::{Pass, Rework, Scrap};
    let mut network = Network::with(100, EvidencePolicy::Enroller).await;
    let fleet: Vec<_> = (0..4).map(Device::vouched).collect();
    let serial = |n: usize| fleet[n].serial.clone();
    // Told while one stands in an upload, before it is live.
    let upload = network.upload(4).await;
    network.registry.stage(&upload, rows(&fleet)).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    let told: Vec<_> = (0..4).map(|n| word(&serial(n), "A", Pass, n as u64)).collect();
    assert!(tell(&network, told.clone()).await.is_empty());
    assert_eq!(sums(&lot(&network, "A").await), [4, 0, 0, 0, 0, 0, 4]);
    network.submit_batch(&upload, &fleet).await.unwrap();
    assert_eq!(sums(&lot(&network, "A").await), [4, 4, 0, 0, 0, 0, 0]);
    assert!(lot(&network, "A").await.balanced);

    // Told again: nothing changes. One comes again, from repair, and one is revoked.
    tell(&network, told.clone()).await;
    tell(&network, vec![word(&serial(0), "A", Rework, 4), word("new", "A", Rework, 5)]).await;
    tell(&network, told.clone()).await;
    let view = lot(&network, "A").await;
    assert_eq!((sums(&view), view.reruns), ([5, 3, 2, 0, 0, 0, 0], 1));
    revoke(&network, network.target(&fleet[1]).await).await;
    assert_eq!(sums(&lot(&network, "A").await), [5, 2, 2, 0, 0, 1, 0]);

    // Scrapped: valid until it is revoked, and nothing takes it back.
    let scrap = word(&serial(2), "A", Scrap, 6);
    assert!(tell(&network, vec![scrap]).await.is_empty());
    assert_eq!(tell(&network, vec![word(&serial(2), "A", Pass, 7)]).await, [0]);
    let view = lot(&network, "A").await;
    assert_eq!((sums(&view), view.balanced), ([5, 1, 2, 0, 1, 1, 0], false));
    let query = LotQuery { state: Some("scrap-valid".into()), ..LotQuery::default() };
    let listed = network.registry.lot_devices(&query).await.unwrap();
    assert_eq!(listed.devices.len(), 1);
    assert_eq!(listed.devices[0].did, Some(fleet[2].did.to_string()));
    assert!(!listed.devices[0].scrap_batch);
    revoke(&network, network.target(&fleet[2]).await).await;
    assert_eq!(sums(&lot(&network, "A").await), [5, 1, 2, 1, 0, 1, 0]);

    // Enrolled by a manifest that says nothing of the line, after its row came.
    tell(&network, vec![word("SN-0000050", "B", Pass, 90)]).await;
    assert_eq!(sums(&lot(&network, "B").await), [1, 0, 0, 0, 0, 0, 1]);
    let late = [Device::vouched(50)];
    network.enrol(&late).await;
    assert_eq!(sums(&lot(&network, "B").await), [1, 1, 0, 0, 0, 0, 0]);

    // Counts of a lot are the same whether it is asked for alone or with all.
    let alone = [lot(&network, "A").await, lot(&network, "B").await];
    assert_eq!(network.registry.lots(&LotQuery::default()).await.unwrap().lots, alone);
    assert_eq!(alone[0].counters[0].fault, "between");

    // Kept over a restart; another organisation has none of it.
    network.registry.close().await;
    network.reopen().await.unwrap();
    let all = network.registry.lots(&LotQuery::default()).await.unwrap();
    let names: Vec<_> = all.lots.iter().map(|lot| lot.lot.as_str()).collect();
    assert_eq!((names, all.next), (vec!["A", "B"], None));
    let organisation = Some(fleet[0].did.to_string());
    let query = LotQuery { organisation, ..LotQuery::default() };
    assert!(network.registry.lots(&query).await.unwrap().lots.is_empty());
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_scrap_is_known_as_one() {
    let network = Network::with(100, EvidencePolicy::Enroller).await;
    let scrap: Vec<_> = (0..3).map(Device::vouched).collect();
    let upload = network.upload(3).await;
    network.registry.stage(&upload, rows(&scrap)).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    let told = scrap.iter().map(|d| word(&d.serial, "A", LineResult::Scrap, d.number)).collect();
    tell(&network, told).await;
    let batch = network.submit_batch(&upload, &scrap).await.unwrap();
    assert_eq!(sums(&lot(&network, "A").await), [3, 0, 0, 0, 3, 0, 0]);
    let query = LotQuery { state: Some("scrap-valid".into()), ..LotQuery::default() };
    let listed = network.registry.lot_devices(&query).await.unwrap().devices;
    assert!(listed.iter().all(|d| d.scrap_batch && d.batch == Some(batch.to_string())));
    revoke(&network, Target::Batch(batch)).await;
    let view = lot(&network, "A").await;
    assert_eq!((sums(&view), view.balanced), ([3, 0, 0, 3, 0, 0, 0], true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_tell() {
    let network = Network::with(100, EvidencePolicy::Enroller).await;
    let records = || LineRecords(vec![word("s", "A", LineResult::Pass, 1)]);
    let problem = network.registry.note_line(&"0".repeat(32), records()).await.unwrap_err();
    assert_eq!(problem.code(), "unknown-upload");
    let request = network.request(1, true);
    let rehearsal = network.registry.open_upload(&request).await.unwrap().upload;
    let problem = network.registry.note_line(&rehearsal, records()).await.unwrap_err();
    assert_eq!(problem.code(), "rehearsal");
    let upload = network.upload(1).await;
    let mut backwards = records();
    backwards.0[0].after = Some(0);
    assert!(network.registry.note_line(&upload, backwards).await.is_err());
    let query = LotQuery { state: Some("lost".into()), ..LotQuery::default() };
    assert_eq!(network.registry.lot_devices(&query).await.unwrap_err().code(), "state");
}

/// As many as you like: `MUSTER_WORDS=1000000 cargo test --release -p muster-registry -- --nocapture
/// many_words`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_words_are_balanced() {
    let count = std::env::var("MUSTER_WORDS").ok().and_then(|n| n.parse().ok());
    let count: u64 = count.unwrap_or(20_000);
    let of_a_lot = count / 10;
    let network = Network::with(count, EvidencePolicy::Enroller).await;
    let upload = network.upload(1).await;
    let started = Instant::now();
    for from in (0..count).step_by(4_000) {
        let words = (from..count.min(from + 4_000)).map(|n| {
            let (serial, lot) = (format!("SN-{n:08}"), format!("lot {}", n / of_a_lot));
            word(&serial, &lot, LineResult::Pass, n)
        });
        network.registry.note_line(&upload, LineRecords(words.collect())).await.unwrap();
    }
    eprintln!("noted in {:?}", started.elapsed());
    for which in [None, Some("lot 3")] {
        let started = Instant::now();
        let query = LotQuery { lot: which.map(Into::into), ..LotQuery::default() };
        let lots = network.registry.lots(&query).await.unwrap().lots;
        let took = started.elapsed();
        eprintln!("{} lots balanced in {took:?}", lots.len());
        assert_eq!(sums(&lots[0])[0], of_a_lot);
    }
    let size = std::fs::metadata(network.dir.path().join("directory.db")).unwrap().len();
    eprintln!("{} bytes a word", size / count);
}
