use crate::network::{Device, Network, codes, open, rows};
use muster_api::Feed;
use muster_ledger::{Action, Revoke};
use muster_registry::{Error, Restored, Restoring, copy};
use std::path::Path;
use std::time::Duration;

async fn revoke(network: &Network, n: u64) {
    let target = network.target(&network.device(n)).await;
    network.act(Action::Revoke(Revoke { target, reason: String::new() })).await.unwrap();
}

async fn feed(network: &Network, from: u64) -> Feed {
    network.registry.feed(from, 0, Duration::ZERO).await.unwrap()
}

/// Brings the copies in a folder up to what a network has.
async fn restore(dir: &Path, from: &Network) -> Restored {
    let mut restoring = Restoring::open(dir, &from.genesis).await.unwrap();
    let feed = feed(from, restoring.next()).await;
    assert!(restoring.absorb(&feed).await.unwrap());
    restoring.finish(None).await.unwrap()
}

/// The network on another folder, after its own was lost.
async fn replace(network: &mut Network, dir: tempfile::TempDir) {
    network.registry.close().await;
    network.registry = open(dir.path(), &network.genesis, &network.host, &network.signer)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    network.dir = dir;
}

#[tokio::test]
async fn uploads_of_the_backup_become_what_they_became() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    // Sealed and signed after the backup.
    let whole = network.devices(10..13);
    let sealed = network.upload(3).await;
    network.registry.stage(&sealed, rows(&whole)).await.unwrap();
    network.registry.seal(&sealed).await.unwrap();
    // Half of it came before the backup; it was thrown away, and its rows went elsewhere.
    let half = network.devices(20..24);
    let open_upload = network.upload(4).await;
    network.registry.stage(&open_upload, rows(&half[..2])).await.unwrap();
    let saved = tempfile::tempdir().unwrap();
    let copied = copy(network.dir.path(), &network.genesis, saved.path()).await.unwrap();
    assert_eq!(
        (copied.size, copied.log_root),
        (1, network.registry.head().unwrap().head().log_root)
    );

    let first = network.submit_batch(&sealed, &whole).await.unwrap();
    network.registry.drop_upload(&open_upload).await.unwrap();
    let second = network.enrol(&half).await;
    revoke(&network, 1).await;
    let restored = restore(saved.path(), &network).await;
    assert_eq!((restored.taken, restored.size), (3, 4));
    let lost: Vec<_> = restored.lost.iter().map(|lost| (lost.batch, lost.count)).collect();
    assert_eq!(lost, [(second, 4)]);

    let head = *network.registry.head().unwrap().head();
    replace(&mut network, saved).await;
    assert!(network.registry.head().unwrap().head().same_ledger(&head));
    assert!(network.registry.metrics().await.contains("\nmuster_lost_batches 1\n"));
    let view = |n: u64| network.device(n).did;
    let found = network.registry.device(&view(11)).await.unwrap().unwrap();
    assert_eq!(found.batch, first.to_string());
    assert_eq!(network.registry.device(&view(1)).await.unwrap().unwrap().standing, "revoked");
    assert!(network.registry.device(&view(21)).await.unwrap().is_none());
    assert_eq!(network.registry.batch(&second).await.unwrap().unwrap().count, 4);
    assert!(network.registry.leaves(&second, None).await.unwrap().unwrap().0.is_empty());
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    let named: Vec<_> = report.findings.iter().map(|f| (f.table, f.row.clone())).collect();
    assert_eq!(named, [("batches", second.to_string())]);

    // Nothing else is enrolled until the leaves are back; a rehearsal brings nothing back.
    let others = network.devices(30..32);
    let upload = network.upload(2).await;
    network.registry.stage(&upload, rows(&others)).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    let refused = network.submit_batch(&upload, &others).await.unwrap_err();
    assert_eq!(refused.code(), "leaves-lost");
    let rehearsal = network.registry.open_upload(&network.request(4, true)).await.unwrap().upload;
    network.registry.stage(&rehearsal, rows(&half)).await.unwrap();
    network.registry.seal(&rehearsal).await.unwrap();
    network.registry.drop_upload(&rehearsal).await.unwrap();
    assert!(network.registry.device(&view(21)).await.unwrap().is_none());
    // Neither does a part of it.
    let part = network.upload(3).await;
    network.registry.stage(&part, rows(&half[..3])).await.unwrap();
    network.registry.seal(&part).await.unwrap();
    assert!(network.registry.device(&view(21)).await.unwrap().is_none());
    network.registry.drop_upload(&part).await.unwrap();

    let again = network.upload(4).await;
    let verdicts = network.registry.stage(&again, rows(&half)).await.unwrap();
    assert_eq!(codes(&verdicts), ["staged"; 4]);
    network.registry.seal(&again).await.unwrap();
    let found = network.registry.device(&view(21)).await.unwrap().unwrap();
    assert_eq!((found.batch, found.serial), (second.to_string(), Some("SN-0000021".into())));
    let refused = network.submit_batch(&again, &half).await.unwrap_err();
    assert_eq!(refused.code(), "batch-exists");
    network.submit_batch(&upload, &others).await.unwrap();
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.devices, 12);
}

#[tokio::test]
async fn another_history_is_not_taken() {
    let network = Network::new().await;
    let other = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    network.enrol(&network.devices(5..7)).await;
    other.enrol(&other.devices(0..3)).await;
    other.enrol(&other.devices(8..9)).await;
    let saved = tempfile::tempdir().unwrap();
    copy(network.dir.path(), &network.genesis, saved.path()).await.unwrap();
    let mut restoring = Restoring::open(saved.path(), &network.genesis).await.unwrap();
    let ours = restoring.head();
    // The same validator signed another log of the same size, and one that goes further.
    let Error::Peer(what) = restoring.absorb(&feed(&other, 2).await).await.unwrap_err() else {
        panic!("a peer is at fault")
    };
    assert!(what.contains("forked"), "{what}");
    revoke(&other, 0).await;
    let refused = restoring.absorb(&feed(&other, 2).await).await.unwrap_err();
    assert!(matches!(refused, Error::Peer(_)), "{refused}");
    assert_eq!(restoring.head(), ours);
    // An entry left out, an entry of one's own making, a head without entries.
    revoke(&network, 0).await;
    revoke(&network, 5).await;
    restoring.abandon();
    let (honest, foreign) = (feed(&network, 2).await, feed(&other, 2).await.entries);
    for wrong in [
        Feed {
            entries: vec![honest.entries[1].clone(), honest.entries[0].clone()],
            ..honest.clone()
        },
        Feed { entries: [&foreign[..], &foreign[..]].concat(), ..honest.clone() },
        Feed { entries: Vec::new(), ..honest.clone() },
        Feed { from: 3, ..honest.clone() },
        Feed { checkpoint: honest.checkpoint.replace("size", "sizes") + "x", ..honest.clone() },
    ] {
        let refused = restoring.absorb(&wrong).await.unwrap_err();
        assert!(matches!(refused, Error::Peer(_)), "{refused}");
        restoring.abandon();
        assert_eq!(restoring.head(), ours);
    }
    assert!(restoring.absorb(&honest).await.unwrap());
    // What it noted is what it never signs below.
    restoring.finish(None).await.unwrap();
    let said = std::fs::read_to_string(saved.path().join("signed-head")).unwrap();
    assert!(network.registry.head().unwrap().to_note().starts_with(&said), "{said}");
}

#[tokio::test]
async fn nobody_asked_and_nothing_known_is_refused() {
    let network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    let saved = tempfile::tempdir().unwrap();
    let copied = copy(network.dir.path(), &network.genesis, saved.path()).await.unwrap();
    for (known, works) in [
        (None, false),
        (Some((2, copied.log_root)), false),
        (Some((1, [1; 32])), false),
        (Some((1, copied.log_root)), true),
    ] {
        let restoring = Restoring::open(saved.path(), &network.genesis).await.unwrap();
        assert_eq!(restoring.finish(known).await.is_ok(), works);
        assert_eq!(saved.path().join("signed-head").exists(), works);
    }
}

#[tokio::test]
async fn numbers_of_a_younger_directory_are_not_given_again() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    let saved = tempfile::tempdir().unwrap();
    copy(network.dir.path(), &network.genesis, saved.path()).await.unwrap();
    // An upload whose serial numbers are in the directory, and which is in no ledger.
    let gone = network.devices(10..12);
    let upload = network.upload(2).await;
    network.registry.stage(&upload, rows(&gone)).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    let later = tempfile::tempdir().unwrap();
    copy(network.dir.path(), &network.genesis, later.path()).await.unwrap();
    let file = "directory.db";
    std::fs::copy(later.path().join(file), saved.path().join(file)).unwrap();
    restore(saved.path(), &network).await;
    replace(&mut network, saved).await;
    network.enrol(&network.devices(20..22)).await;
    // Another device has the serial number now: nobody is in its way.
    let mut new = network.device(30);
    new.serial = gone[0].serial.clone();
    let new: [Device; 1] = [new];
    let upload = network.upload(1).await;
    network.registry.stage(&upload, rows(&new)).await.unwrap();
    assert_eq!(network.registry.seal(&upload).await.unwrap().refused, []);
}
