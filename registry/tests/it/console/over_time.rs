use super::fleet::Fleet;
use crate::coverage::{add, say, statement};
use crate::network::{Device, Network, START, admin};
use muster_api::{Event, StateCounts};
use muster_identity::{Report, SecretKey, Signer as _, Statement};
use muster_ledger::{Release, Status, Target, Time};
use muster_registry::LogFilter;

const HOUR: u64 = 3_600_000;

fn report(uptime: u64, accepted: u64, refused: u64) -> Report {
    Report {
        uptime,
        roll_age: 5,
        accepted,
        refused: vec![("expired".into(), refused)].into_iter().filter(|(_, n)| *n > 0).collect(),
        forks: 0,
        seen: Vec::new(),
    }
}

/// A gateway reports, some time later by every clock.
async fn tell(network: &Network, key: &SecretKey, later: u64, report: Report) {
    network.host.sleep(later);
    let said = Statement { report: Some(report), ..statement(network, 0) };
    say(network, key, &said).await.unwrap();
}

/// Authentications and refusals of each hour since the start.
async fn traffic(network: &Network, hours: u64) -> Vec<(u64, u64)> {
    let (from, to) = (Time(START), Time(START + hours * HOUR - START % HOUR));
    let points = network.registry.activity(from, to, HOUR).await.unwrap();
    points.iter().map(|point| (point.authentications, point.refusals)).collect()
}

#[tokio::test]
async fn gateways_are_counted_between_reports() {
    let mut network = Network::new().await;
    let (a, b) = (add(&network, "a").await, add(&network, "b").await);
    // START is 800 s into an hour: 2,800 s are left of it.
    assert_eq!(START % HOUR, 800_000);
    tell(&network, &a, 1_000, report(10, 5, 1)).await;
    // `b` ran for a day before it was registered.
    tell(&network, &b, 0, report(86_400, 1_000_000, 7)).await;
    assert_eq!(traffic(&network, 1).await, [(5, 1)]);
    tell(&network, &a, 30_000, report(40, 8, 1)).await;
    tell(&network, &b, 1_000, report(86_431, 1_000_020, 9)).await;
    assert_eq!(traffic(&network, 1).await, [(28, 3)]);
    // A word that comes twice changes nothing, nor does one without a report.
    let said = Statement { report: Some(report(41, 9, 1)), ..statement(&network, 0) };
    network.host.advance(10);
    for _ in 0..2 {
        say(&network, &a, &Statement { made: said.made + 9, ..said.clone() }).await.unwrap();
    }
    network.host.advance(10);
    say(&network, &a, &statement(&network, 0)).await.unwrap();
    assert_eq!(traffic(&network, 1).await, [(29, 3)]);

    // Node and gateways start anew, in another hour: `a` comes to the number it had before.
    network.registry.close().await;
    network.host.sleep(HOUR);
    network.reopen().await.unwrap();
    tell(&network, &a, 0, report(60, 9, 1)).await;
    // `b` went on.
    tell(&network, &b, 0, report(86_431 + 3_600, 1_000_050, 9)).await;
    for _ in 0..2 {
        assert_eq!(traffic(&network, 2).await, [(29, 3), (39, 1)]);
        network.registry.close().await;
        network.reopen().await.unwrap();
    }
    // Longer steps hold the sums; 90 days later the old hours are gone.
    let (from, to) = (Time(START), Time(START + 2 * HOUR));
    let day = network.registry.activity(from, to, 24 * HOUR).await.unwrap();
    assert_eq!((day.len(), day[0].authentications, day[0].refusals), (1, 68, 4));
    tell(&network, &a, 91 * 24 * HOUR, report(91 * 86_400, 10, 1)).await;
    assert_eq!(traffic(&network, 2).await, [(0, 0), (0, 0)]);
    let endless = network.registry.activity(Time(0), to, HOUR).await.unwrap_err();
    assert_eq!((endless.status, endless.code()), (400, "too-many-points"));
}

#[tokio::test]
async fn operations_are_counted_by_the_hour() {
    let mut fleet = Fleet::new().await;
    fleet.enrol(10, "T-1").await;
    let batch = fleet.enrol(4, "T-1").await;
    fleet.revoke(1).await;
    fleet.network.host.sleep(HOUR);
    let hold = fleet.hold(2, None).await;
    fleet.hold_batch(batch).await;
    let target = Target::Device(muster_ledger::DeviceRef { did: fleet.known[2].did, part: None });
    let release = Release { target, hold, seq: 1 };
    fleet.network.act(muster_ledger::Action::Release(release)).await.unwrap();
    fleet.settle().await;
    for lose in [false, true] {
        let registry = &fleet.network.registry;
        let points = registry.activity(Time(START), Time(START + HOUR), HOUR).await.unwrap();
        let told: Vec<_> =
            points.iter().map(|p| (p.enrolled, p.held, p.released, p.revoked)).collect();
        assert_eq!(told, [(14, 0, 0, 1), (0, 5, 1, 0)]);
        assert_eq!(points[1].time, START / HOUR * HOUR + HOUR);
        fleet.network.registry.close().await;
        if lose {
            std::fs::remove_file(fleet.network.dir.path().join("index.db")).unwrap();
        }
        fleet.network.reopen().await.unwrap();
        fleet.settle().await;
    }
}

#[tokio::test]
async fn counts_follow_every_change() {
    let mut fleet = Fleet::new().await;
    fleet.enrol(10, "T-1").await;
    let batch = fleet.enrol(4, "T-2").await;
    add(&fleet.network, "a").await;
    for n in [1, 2, 11] {
        fleet.revoke(n).await;
    }
    fleet.hold(3, None).await;
    fleet.hold(10, None).await;
    fleet.hold_batch(batch).await;
    let a = crate::network::secret("a");
    say(&fleet.network, &a, &statement(&fleet.network, 0)).await.unwrap();
    fleet.network.upload(5).await;
    for _ in 0..2 {
        let counts = fleet.network.registry.overview_counts().await.unwrap();
        assert_eq!(counts.size, fleet.network.registry.head().unwrap().head().size);
        let of = |model: &str| {
            let mut of = StateCounts::default();
            fleet.known.iter().filter(|k| k.model == model).for_each(|k| of.add(k.state.word()));
            of
        };
        assert_eq!((counts.models["T-1"], counts.models["T-2"]), (of("T-1"), of("T-2")));
        assert_eq!(counts.models["T-2"], StateCounts { held: 3, revoked: 1, ..Default::default() });
        assert_eq!((counts.devices.all(), counts.batches, counts.uploads), (14, 2, 1));
        assert_eq!((counts.gateways.registered, counts.gateways.fresh), (1, 1));
        fleet.network.registry.close().await;
        fleet.network.reopen().await.unwrap();
    }
    assert!(fleet.known.iter().any(|known| known.state == Status::Active));
}

#[tokio::test]
async fn the_log_is_told_in_words() {
    let mut fleet = Fleet::new().await;
    let batch = fleet.enrol(300, "T-1").await;
    for n in 0..140 {
        fleet.revoke(n).await;
        if n == 69 {
            fleet.network.host.sleep(HOUR);
        }
    }
    fleet.rotate(200).await;
    fleet.hold_batch(batch).await;
    let registry = &fleet.network.registry;
    let size = registry.head().unwrap().head().size;
    let pages = async |filter: LogFilter, limit: u64| {
        let (mut rows, mut before) = (Vec::new(), None);
        loop {
            let page = registry.log_page(before, &filter, limit).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => before = Some(next),
                None => return rows,
            }
        }
    };
    for limit in [0, 1, 7, 1_000] {
        let rows = pages(LogFilter::default(), limit).await;
        let entries: Vec<u64> = rows.iter().map(|row| row.change.entry).collect();
        assert_eq!(entries, (0..size).rev().collect::<Vec<_>>(), "{limit}");
    }
    let rows = pages(LogFilter::default(), 0).await;
    assert_eq!(
        (&*rows[1].words, &*rows[1].subject_kind),
        ("replaced the key of a device", "device")
    );
    assert_eq!((&*rows[0].words, rows[0].devices), ("held a batch of 300 devices", 300));
    assert_eq!((rows[0].subject.clone(), &*rows[0].subject_kind), (batch.to_string(), "batch"));
    assert_eq!(rows[2].change.reason.as_deref(), Some("lost"));
    assert_eq!(rows.last().unwrap().words, "enrolled a batch of 300 devices of model T-1");
    let root = muster_ledger::merkle::leaf_hash(
        &registry.feed(0, 0, Default::default()).await.unwrap().entries[0],
    );
    assert_eq!(rows.last().unwrap().leaf_hash, data_encoding::HEXLOWER.encode(&root));

    let revoked = LogFilter { action: Some("revoke".into()), ..LogFilter::default() };
    assert_eq!(pages(revoked.clone(), 33).await.len(), 140);
    let hour = Time(START + HOUR);
    let early = LogFilter { to: Some(hour), ..revoked.clone() };
    let late = LogFilter { from: Some(hour), ..revoked };
    assert_eq!((pages(early, 9).await.len(), pages(late, 9).await.len()), (70, 70));
    let key = LogFilter { key: Some(admin().public_key()), ..LogFilter::default() };
    assert_eq!(pages(key, 0).await.len() as u64, size - 1);
    let subject = LogFilter { subject: Some(*fleet.known[7].did.digest()), ..LogFilter::default() };
    assert_eq!(pages(subject, 0).await.len(), 1);
    let batch = LogFilter { subject: Some(batch.0), ..LogFilter::default() };
    assert_eq!(pages(batch, 1).await.len(), 2);
    let last = registry.last_changes(3).await.unwrap();
    assert_eq!(last.iter().map(|c| &*c.action).collect::<Vec<_>>(), ["hold", "rotate", "revoke"]);
}

#[tokio::test]
async fn news_come_as_they_happen() {
    let mut fleet = Fleet::new().await;
    let a = add(&fleet.network, "a").await;
    let mut watch = fleet.network.registry.watch();
    let batch = fleet.enrol(3, "T-1").await;
    say(&fleet.network, &a, &statement(&fleet.network, 0)).await.unwrap();
    let mut kinds = Vec::new();
    loop {
        match watch.next().await.unwrap() {
            Event::Upload { staged, rows, .. } => {
                assert_eq!((staged, rows), (3, 3));
                kinds.push("upload");
            }
            Event::Enrolled { batch: of, model, devices } => {
                assert_eq!((of, &*model, devices), (batch.to_string(), "T-1", 3));
                kinds.push("enrolled");
            }
            Event::Head { size: 1, .. } => kinds.push("head"),
            Event::Coverage { gateway, size, .. } => {
                assert_eq!((&*gateway, size), ("a", 1));
                kinds.push("coverage");
                break;
            }
            _ => {}
        }
    }
    kinds.dedup();
    assert_eq!(kinds, ["upload", "head", "enrolled", "coverage"]);

    // Whoever does not listen is told what was left out, and the node does not wait for him.
    let late = muster_api::limits::WAITING_EVENTS as u64 + 20;
    let upload = fleet.network.upload(late).await;
    for n in 0..late {
        let row = crate::network::rows(&[Device::vouched(1_000 + n)]);
        fleet.network.registry.stage(&upload, row).await.unwrap();
    }
    let Some(Event::Missed { events }) = watch.next().await else { panic!("it missed some") };
    assert!((20..60).contains(&events), "{events}");
    let mut last = 0;
    while last < late {
        if let Some(Event::Upload { staged, .. }) = watch.next().await {
            assert!(staged > last);
            last = staged;
        }
    }
    // It ends with the node.
    fleet.network.registry.close().await;
    drop(fleet);
    while watch.next().await.is_some() {}
}
