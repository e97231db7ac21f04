use crate::network::{Network, open};
use muster_ledger::{Action, Deactivate, Revoke};
use muster_registry::Error;
use std::sync::atomic::Ordering::SeqCst;

async fn revoke(network: &Network, n: u64) -> Result<u64, muster_api::Problem> {
    let target = network.target(&network.device(n)).await;
    let action = Action::Revoke(Revoke { target, reason: String::new() });
    network.act(action).await.map(|proof| proof.index)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_again() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..300)).await;
    revoke(&network, 5).await.unwrap();
    let before = *network.registry.head().unwrap().head();
    let target = network.target(&network.device(6)).await;
    network.registry.close().await;
    let problem = network.registry.open_upload(&network.request(1, false)).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("closing", 503));
    let action = Action::Deactivate(Deactivate { target });
    assert_eq!(network.act(action).await.unwrap_err().code(), "closing");
    network.reopen().await.unwrap();
    let after = *network.registry.head().unwrap().head();
    assert!(after.same_ledger(&before));
    assert!(after.time >= before.time);
    assert_eq!(revoke(&network, 6).await, Ok(2));
    let receipt = network.registry.receipt(&network.device(7).did).await.unwrap().unwrap();
    receipt.verify(&network.genesis).unwrap();
}

#[tokio::test]
async fn staged_rows_outlive_a_restart() {
    let mut network = Network::new().await;
    let devices = network.devices(0..5);
    let upload = network.upload(5).await;
    network.registry.stage(&upload, crate::network::rows(&devices[..3])).await.unwrap();
    network.registry.close().await;
    network.reopen().await.unwrap();
    network.registry.stage(&upload, crate::network::rows(&devices[3..])).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    network.registry.close().await;
    network.reopen().await.unwrap();
    network.submit_batch(&upload, &devices).await.unwrap();
}

#[tokio::test]
async fn a_crash_between_commit_and_signature() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    network.signer.gone.store(true, SeqCst);
    let problem = revoke(&network, 0).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("unsigned", 503));
    assert!(!network.registry.ready().await);
    // Readers still have the last signed head.
    assert_eq!(network.registry.head().unwrap().head().size, 1);
    let did = network.device(0).did;
    assert_eq!(network.registry.device(&did).await.unwrap().unwrap().standing, "active");
    let fresh = Network::new().await;
    let running = std::mem::replace(&mut network.registry, fresh.registry.clone());
    drop(running);
    network.signer.gone.store(false, SeqCst);
    network.reopen().await.unwrap();
    assert_eq!(network.registry.head().unwrap().head().size, 2);
    assert_eq!(network.registry.device(&did).await.unwrap().unwrap().standing, "revoked");
    let said = std::fs::read_to_string(network.dir.path().join("signed-head")).unwrap();
    assert!(network.registry.head().unwrap().to_note().starts_with(&said));
}

#[tokio::test]
async fn an_older_copy_is_refused() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    let first = (1, network.registry.head().unwrap().head().log_root);
    network.registry.close().await;
    let (ledger, copy) = (network.dir.path().join("ledger.db"), network.dir.path().join("copy"));
    std::fs::copy(&ledger, &copy).unwrap();
    network.reopen().await.unwrap();
    revoke(&network, 0).await.unwrap();
    network.registry.close().await;
    let newest = network.dir.path().join("newest");
    std::fs::rename(&ledger, &newest).unwrap();
    std::fs::copy(&copy, &ledger).unwrap();
    let refused = network.reopen().await.unwrap_err();
    let Error::Operator { what, cure } = refused else { panic!("{refused}") };
    assert!(what.contains("signed a head with more entries"), "{what}");
    assert!(cure.contains("restore the newest copy"), "{cure}");
    // The same number of entries, another history.
    std::fs::copy(&copy, &ledger).unwrap();
    let head = network.dir.path().join("signed-head");
    let signed = std::fs::read(&head).unwrap();
    std::fs::remove_file(&head).unwrap();
    network.reopen_restored(first).await.unwrap();
    revoke(&network, 1).await.unwrap();
    network.registry.close().await;
    std::fs::write(&head, &signed).unwrap();
    let refused = network.reopen().await.unwrap_err();
    assert!(refused.to_string().contains("other roots"), "{refused}");
    // More entries, on another history.
    std::fs::remove_file(&head).unwrap();
    network.reopen_restored(first).await.unwrap();
    revoke(&network, 2).await.unwrap();
    network.registry.close().await;
    std::fs::write(&head, &signed).unwrap();
    let refused = network.reopen().await.unwrap_err();
    assert!(refused.to_string().contains("another log of 2 entries"), "{refused}");
    std::fs::rename(&newest, &ledger).unwrap();
    network.reopen().await.unwrap();
}

#[tokio::test]
async fn one_node_a_folder() {
    let network = Network::new().await;
    let (dir, host) = (network.dir.path(), &network.host);
    let again = open(dir, &network.genesis, host, &network.signer).await;
    assert!(again.err().unwrap().to_string().contains("another node runs in"));
    network.registry.close().await;
    drop(network.registry);
    let mut other = network.genesis.clone();
    other.nonce = [8; 16];
    let refused = open(dir, &other, host, &network.signer).await.err().unwrap();
    assert!(refused.to_string().contains("another network"), "{refused}");
}

#[tokio::test]
async fn a_damaged_ledger_is_not_opened() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    network.registry.close().await;
    let url = format!("sqlite://{}", network.dir.path().join("ledger.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE state SET value = x'00' WHERE key = x'01'").execute(&pool).await.unwrap();
    pool.close().await;
    let refused = network.reopen().await.unwrap_err();
    assert!(matches!(refused, Error::Damaged(_)), "{refused}");
}

#[tokio::test]
async fn a_backup_without_a_signed_head_needs_the_newest_head() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    let first = (1, network.registry.head().unwrap().head().log_root);
    network.registry.close().await;
    let file = |name: &str| network.dir.path().join(name);
    let (ledger, copy, head) = (file("ledger.db"), file("copy"), file("signed-head"));
    std::fs::copy(&ledger, &copy).unwrap();
    network.reopen().await.unwrap();
    revoke(&network, 0).await.unwrap();
    let second = (2, network.registry.head().unwrap().head().log_root);
    network.registry.close().await;
    let newest = network.dir.path().join("newest");
    std::fs::rename(&ledger, &newest).unwrap();
    std::fs::copy(&copy, &ledger).unwrap();
    std::fs::remove_file(&head).unwrap();
    let Error::Operator { what, cure } = network.reopen().await.unwrap_err() else { panic!() };
    assert!(what.contains("no signed-head says what this node signed"), "{what}");
    assert!(cure.contains("newest head that a gateway"), "{cure}");
    // An audit says so too.
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    let named: Vec<_> = report.findings.iter().map(|f| f.table).collect();
    assert_eq!(named, ["signed-head"]);
    // Older than the head that others have, or another ledger.
    for other in [second, (1, second.1), (0, first.1)] {
        let refused = network.reopen_restored(other).await.unwrap_err();
        assert!(refused.to_string().contains("does not contain the head"), "{refused}");
        assert!(!head.exists());
    }
    std::fs::rename(&newest, &ledger).unwrap();
    network.reopen_restored(first).await.unwrap();
    assert_eq!(revoke(&network, 1).await, Ok(2));
    // From now on the folder says it itself.
    network.registry.close().await;
    network.reopen().await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_task_that_died() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..3)).await;
    network.signer.deadly.store(true, SeqCst);
    let limit = std::time::Duration::from_secs(20);
    for n in 0..2 {
        let problem = tokio::time::timeout(limit, revoke(&network, n)).await.unwrap().unwrap_err();
        assert_eq!((problem.code(), problem.status), ("internal", 500));
    }
    assert!(!network.registry.ready().await);
    // It still closes, and lets go of its folder.
    network.registry.close().await;
    network.signer.deadly.store(false, SeqCst);
    network.reopen().await.unwrap();
    assert_eq!(network.registry.head().unwrap().head().size, 2);
}
