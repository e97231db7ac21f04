use super::fleet::{Fleet, HOSTILE, all};
use crate::network::{Network, START};
use muster_ledger::{Status, Time};
use muster_registry::{DeviceSearch, Subject};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// A fleet in which standings come from devices, batches, both, and holds that ended.
async fn mixed() -> Fleet {
    let mut fleet = Fleet::new().await;
    fleet.enrol(700, "T-1").await;
    let held = fleet.enrol(90, "T-2").await;
    fleet.enrol(600, "T-1").await;
    fleet.enrol(40, "T-2").await;
    for n in [3, 14, 15, 92, 700, 1_390] {
        fleet.revoke(n).await;
    }
    for n in [4, 15_usize.wrapping_sub(9), 701, 1_395] {
        fleet.hold(n, None).await;
    }
    fleet.hold_batch(held).await;
    for n in [8, 800, 1_391] {
        fleet.rotate(n).await;
    }
    fleet.revoke_key(9).await;
    fleet
}

async fn same(fleet: &Fleet, search: &DeviceSearch) {
    let (rows, total) = all(&fleet.network.registry, search).await;
    let expected = fleet.expected(search);
    let found: Vec<&str> = rows.iter().map(|row| row.did.as_str()).collect();
    let wanted: Vec<String> = expected.iter().map(|known| known.did.to_string()).collect();
    assert_eq!(found, wanted, "{search:?}");
    assert!(total.is_none_or(|total| total == expected.len() as u64), "{search:?}: {total:?}");
    let private = search.organisation == Some(fleet.network.owner());
    for (row, known) in rows.iter().zip(expected) {
        assert_eq!(row.state, known.state.word(), "{search:?}");
        assert_eq!((&*row.model, &*row.batch), (known.model, &*known.batch.to_string()));
        assert_eq!(row.serial, Some(known.serial.clone()).filter(|_| private));
        assert_eq!(row.lot, known.lot.clone().filter(|_| private));
        assert!(row.changed.is_some_and(|entry| entry >= known.entry));
    }
}

/// Searches of every kind, many of them with answers.
fn searches(fleet: &Fleet) -> impl Strategy<Value = DeviceSearch> + use<> {
    let owner = fleet.network.owner();
    let known = fleet.known.clone();
    let (some, others) = (known.len(), known.clone());
    let cut = |text: String, at: usize| -> String { text.chars().take(at).collect() };
    let text = prop_oneof![
        4 => Just(None),
        3 => (0..some, 0usize..10).prop_map(move |(n, at)| Some(cut(others[n].serial.clone(), at))),
        2 => {
            let known = known.clone();
            (0..some, 11usize..60, any::<bool>()).prop_map(move |(n, at, whole)| {
                let did = known[n].did.to_string();
                Some(cut(if whole { did } else { did[11..].into() }, at - if whole { 0 } else { 10 }))
            })
        },
        3 => {
            let known = known.clone();
            (0..some, 0usize..9, 1usize..50).prop_map(move |(n, last, at)| {
                // Rotated devices are asked for more often than their number has it.
                let n = [8, 800, 1_391, n, n, n, n, n, n][last];
                Some(cut(known[n].keys.last().unwrap().clone(), at))
            })
        },
        2 => prop::sample::select(vec!["lot 3", "SN-0", "lot 9", "z", "zQm", "did:", "d", " SN-1 "])
            .prop_map(|text| Some(text.to_owned())),
        1 => prop::sample::select(HOSTILE.to_vec()).prop_map(|text| Some(text.to_owned())),
        1 => any::<String>().prop_map(Some),
    ];
    let lots = vec![Some("lot 2"), Some("SN-0"), Some("lot 99"), None, None, None];
    let models = vec![Some("T-1"), Some("T-2"), Some("t-1"), None, None, None];
    let states = vec![
        Some(Status::Active),
        Some(Status::Held),
        Some(Status::Revoked),
        Some(Status::Deactivated),
        None,
        None,
        None,
    ];
    let batches: BTreeSet<_> = known.iter().map(|k| k.batch).collect();
    let mut batches: Vec<_> = batches.into_iter().map(Some).collect();
    batches.extend([None; 8]);
    let stranger = Network::owner_of_nobody();
    (
        text,
        prop::sample::select(lots),
        prop::sample::select(models),
        prop::sample::select(states),
        prop::sample::select(batches),
        prop::sample::select(vec![Some(owner), Some(owner), Some(owner), None, Some(stranger)]),
        prop::sample::select(vec![None, None, Some(owner), Some(stranger)]),
        prop::sample::select(vec![0u64, 1, 7, 33, 100, 1_000]),
    )
        .prop_map(|(text, lot, model, state, batch, organisation, owner, limit)| {
            DeviceSearch {
                organisation,
                text,
                lot: lot.map(String::from),
                model: model.map(String::from),
                owner,
                batch,
                state,
                after: None,
                // Pages of one are asked for where few are found.
                limit: if limit == 1 && batch.is_none() { 13 } else { limit },
            }
        })
}

fn agree(fleet: &Fleet, cases: u32) {
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    let search = searches(fleet);
    tokio::task::block_in_place(|| {
        let tried = runner.run(&search, |search| {
            handle.block_on(same(fleet, &search));
            Ok(())
        });
        tried.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_what_a_filter_finds() {
    let mut fleet = mixed().await;
    fleet.settle().await;
    agree(&fleet, 192);
    // After a restart, and with an index that is made anew.
    for lose in [false, true] {
        fleet.network.registry.close().await;
        if lose {
            std::fs::remove_file(fleet.network.dir.path().join("index.db")).unwrap();
        }
        fleet.network.reopen().await.unwrap();
        fleet.settle().await;
        agree(&fleet, 48);
    }
}

/// Damages pages of the index behind the first ones, as a failing disk does.
fn spoil(index: &std::path::Path) {
    let mut bytes = std::fs::read(index).unwrap();
    let from = 8 * 4096;
    assert!(bytes.len() > from + 4096, "{} bytes", bytes.len());
    bytes[from..].fill(0xa5);
    let file = std::fs::OpenOptions::new().write(true).open(index).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
}

/// A damaged index is made anew at the next start; until then searches do without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_anew() {
    let mut fleet = mixed().await;
    fleet.settle().await;
    let index = fleet.network.dir.path().join("index.db");
    fleet.network.registry.close().await;
    spoil(&index);
    fleet.network.reopen().await.unwrap();
    fleet.settle().await;
    agree(&fleet, 48);
    assert!(index.exists());
    // While it runs: readers that begin now find nonsense, and answer all the same.
    fleet.network.registry.close().await;
    fleet.network.reopen().await.unwrap();
    spoil(&index);
    let organisation = Some(fleet.network.owner());
    for lot in ["lot 3", "lot 1"] {
        let search =
            DeviceSearch { organisation, lot: Some(lot.into()), ..DeviceSearch::default() };
        same(&fleet, &search).await;
    }
    let part = DeviceSearch { text: Some("z6Mk".into()), ..DeviceSearch::default() };
    fleet.network.registry.find_devices(&part).await.unwrap();
    assert!(!index.exists(), "it is taken away");
    fleet.network.registry.close().await;
    fleet.network.reopen().await.unwrap();
    fleet.settle().await;
    agree(&fleet, 48);
}

/// Where the index cannot be made, everything but a part of a key is found all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_do_without_the_index() {
    let mut fleet = Fleet::new().await;
    fleet.network.registry.close().await;
    let index = fleet.network.dir.path().join("index.db");
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    fleet.network.reopen().await.unwrap();
    fleet.enrol(1_100, "T-1").await;
    fleet.enrol(30, "T-2").await;
    fleet.revoke(3).await;
    fleet.rotate(8).await;
    let ours = Some(fleet.network.owner());
    let key = |n: usize| Some(fleet.known[n].keys.last().unwrap().clone());
    let texts = [None, key(3), key(8), key(1_129), Some("SN-00".into()), Some("lot 3".into())];
    for text in texts {
        for lot in [None, Some("lot 3".to_owned())] {
            for state in [None, Some(Status::Active), Some(Status::Revoked)] {
                let (text, lot) = (text.clone(), lot.clone());
                let search = DeviceSearch {
                    organisation: ours,
                    text,
                    lot,
                    state,
                    ..DeviceSearch::default()
                };
                same(&fleet, &search).await;
            }
        }
    }
    let part = DeviceSearch { text: Some("z6Mk".into()), ..DeviceSearch::default() };
    assert!(fleet.network.registry.find_devices(&part).await.unwrap().building);
}

#[tokio::test]
async fn hostile_texts_are_only_data() {
    let mut fleet = Fleet::new().await;
    fleet.enrol(1_100, "T-1").await;
    fleet.settle().await;
    let organisation = Some(fleet.network.owner());
    let long = [&"a".repeat(10_000), &"z".repeat(10_000), &"did:muster:z".repeat(900)];
    let texts = HOSTILE.into_iter().chain(long.map(String::as_str));
    for text in texts.chain(["\u{202e}", "\0", "", " ", "%'", "did:muster:z6Mk#x", "'' OR 1=1"]) {
        let text = Some(text.to_owned());
        let search = DeviceSearch { organisation, text: text.clone(), ..DeviceSearch::default() };
        same(&fleet, &search).await;
        let narrow = DeviceSearch { lot: text.clone(), model: text.clone(), ..search.clone() };
        assert_eq!(all(&fleet.network.registry, &narrow).await.0, []);
        let lot = DeviceSearch { organisation, lot: text.clone(), ..DeviceSearch::default() };
        same(&fleet, &lot).await;
        // As a cursor it is refused, or a place.
        let after = DeviceSearch { after: text, ..DeviceSearch::default() };
        if let Err(problem) = fleet.network.registry.find_devices(&after).await {
            assert_eq!((problem.status, problem.code()), (400, "cursor"));
        }
    }
}

/// Who pages while batches arrive and devices change sees each device that was there, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_gaps_while_batches_arrive() {
    let mut fleet = Fleet::new().await;
    fleet.enrol(1_200, "T-1").await;
    fleet.settle().await;
    let organisation = Some(fleet.network.owner());
    let of = |text: &str| DeviceSearch {
        organisation,
        text: Some(text.to_owned()).filter(|text| !text.is_empty()),
        limit: 90,
        ..DeviceSearch::default()
    };
    let mut searches = [of(""), of("SN-0"), of("zQm"), of("z6Mk"), of("lot 3")];
    let before: Vec<BTreeSet<String>> = searches
        .iter()
        .map(|s| fleet.expected(s).iter().map(|known| known.did.to_string()).collect())
        .collect();
    let mut seen = vec![Vec::new(); searches.len()];
    let mut open = vec![true; searches.len()];
    let mut round = 0;
    while open.iter().any(|open| *open) {
        for (n, search) in searches.iter_mut().enumerate() {
            if !open[n] {
                continue;
            }
            let page = fleet.network.registry.find_devices(search).await.unwrap();
            seen[n].extend(page.rows.into_iter().map(|row| row.did));
            open[n] = page.next.is_some();
            search.after = page.next;
        }
        if round < 6 {
            fleet.enrol(3 + round, "T-1").await;
            fleet.revoke(100 * round as usize).await;
        }
        round += 1;
    }
    assert!(round > 6);
    for (seen, before) in seen.into_iter().zip(before) {
        let once: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len());
        assert!(before.is_subset(&once));
    }
}

#[tokio::test]
async fn holds_end_by_themselves() {
    let mut fleet = Fleet::new().await;
    fleet.enrol(20, "T-1").await;
    fleet.hold(2, Some(Time(START + 60_000))).await;
    fleet.hold(3, None).await;
    let held = DeviceSearch { state: Some(Status::Held), ..DeviceSearch::default() };
    same(&fleet, &held).await;
    let counts = fleet.network.registry.overview_counts().await.unwrap();
    assert_eq!((counts.devices.active, counts.devices.held), (18, 2));
    fleet.network.pass(61_000).await;
    while fleet.network.registry.head().unwrap().head().time < Time(START + 61_000) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    fleet.known[2].state = Status::Active;
    same(&fleet, &held).await;
    let active = DeviceSearch { state: Some(Status::Active), ..DeviceSearch::default() };
    same(&fleet, &active).await;
    let counts = fleet.network.registry.overview_counts().await.unwrap();
    assert_eq!((counts.devices.active, counts.devices.held), (19, 1));
}

#[tokio::test]
async fn exports_and_selections_cover_a_search() {
    let fleet = mixed().await;
    fleet.settle().await;
    let registry = &fleet.network.registry;
    let organisation = Some(fleet.network.owner());
    let everything = DeviceSearch { organisation, ..DeviceSearch::default() };
    let mut export = registry.export(&everything).unwrap();
    let mut rows = Vec::new();
    while let Some(page) = export.next().await.unwrap() {
        rows.extend(page);
    }
    assert_eq!(rows, all(registry, &everything).await.0);

    let batches: BTreeSet<_> = fleet.known.iter().map(|k| k.batch).collect();
    let chosen = registry.select(&everything).await.unwrap();
    assert_eq!((chosen.count, chosen.devices.len(), chosen.more), (1_430, 0, false));
    assert_eq!(chosen.batches.iter().copied().collect::<BTreeSet<_>>(), batches);

    // Devices that ended one by one do not break a batch up; devices that are held do.
    let active = DeviceSearch { state: Some(Status::Active), ..everything.clone() };
    let text = DeviceSearch { text: Some("SN-".into()), ..everything.clone() };
    let lot = DeviceSearch { lot: Some("lot 3".into()), ..everything };
    for search in [active, text, lot] {
        let expected = fleet.expected(&search);
        let chosen = registry.select(&search).await.unwrap();
        assert_eq!(chosen.count, expected.len() as u64, "{search:?}");
        let mut wanted: BTreeSet<_> = expected.iter().map(|known| known.did).collect();
        for batch in &chosen.batches {
            for known in fleet.known.iter().filter(|known| known.batch == *batch) {
                let in_it = wanted.remove(&known.did);
                assert!(in_it || known.state >= Status::Revoked, "{search:?}: {known:?}");
            }
        }
        assert_eq!(wanted, chosen.devices.iter().copied().collect(), "{search:?}");
    }
    let whole: Vec<_> =
        chosen_of(&fleet, DeviceSearch { state: Some(Status::Active), ..DeviceSearch::default() })
            .await;
    // Its first batch has devices that are held; its third has none, and none that ended.
    assert!(!whole.contains(&fleet.known[0].batch) && whole.contains(&fleet.known[800].batch));
}

async fn chosen_of(fleet: &Fleet, search: DeviceSearch) -> Vec<muster_ledger::BatchId> {
    fleet.network.registry.select(&search).await.unwrap().batches
}

#[tokio::test]
async fn effects_count_each_device_once() {
    let mut fleet = mixed().await;
    let registry = fleet.network.registry.clone();
    let (first, second) = (fleet.known[0].batch, fleet.known[700].batch);
    let stranger = fleet.network.device(9_999_999).did;
    let device = |n: usize| Subject::Device(fleet.known[n].did);
    let targets = [
        Subject::Batch(second),
        device(0),
        device(0),
        device(3),
        device(4),
        device(701),
        device(800),
        Subject::Device(stranger),
        Subject::Batch(muster_ledger::BatchId([9; 32])),
    ];
    let effect = registry.effect(&targets).await.unwrap();
    assert_eq!((effect.devices, effect.looked_at), (94, 94));
    assert_eq!((effect.models["T-2"], effect.models["T-1"]), (90, 4));
    let states = effect.states;
    assert_eq!((states.active, states.held, states.revoked), (2, 90, 2));
    assert_eq!((states.all(), effect.unknown.len()), (94, 2));
    let whole = registry.effect(&[Subject::Batch(first)]).await.unwrap();
    assert_eq!((whole.devices, whole.states.revoked), (700, 4));
    fleet.settle().await;
    assert_eq!(registry.effect(&targets).await.unwrap().ended_today, 6);
    fleet.revoke(5).await;
    fleet.settle().await;
    assert_eq!(registry.effect(&[]).await.unwrap().ended_today, 7);
}
