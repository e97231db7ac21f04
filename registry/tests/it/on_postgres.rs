//! The tests of this program once more, on a PostgreSQL server; and a node whose server ends.

use crate::network::{Network, open_at};
use crate::server::{Server, shared, tell};
use muster_ledger::{Action, Revoke};
use muster_registry::StoreUrl;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Whoever runs the tests says by this variable that ledgers are to be in PostgreSQL.
pub(crate) const ASKED: &str = "MUSTER_TEST_POSTGRES";

/// Modules whose tests say nothing of files.
const MODULES: [&str; 15] = [
    "attacks::",
    "clock::",
    "coverage::",
    "console::",
    "durability::",
    "enrol::",
    "feed::",
    "governance::",
    "load::",
    "lots::",
    "readers::",
    "standing::",
    "together::",
    "uploads::",
    "verdicts::",
];

/// Tests that look into SQLite's files, or put copies of them back.
const OF_FILES: [&str; 9] = [
    "attacks::half_an_eviction",
    "durability::a_backup_without_a_signed_head_needs_the_newest_head",
    "durability::a_damaged_ledger_is_not_opened",
    "durability::an_older_copy_is_refused",
    "load::bytes_of_a_device",
    "lots::many_words_are_balanced",
    "readers::none_sees_the_others_rows",
    "uploads::a_batch_keeps_its_number_to_itself",
    "uploads::a_request_opens_one_upload_whatever_becomes_of_it",
];

#[test]
fn the_same_tests_pass() {
    if std::env::var_os(ASKED).is_some() {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.env(ASKED, "1").args(MODULES);
    for name in OF_FILES {
        again.args(["--skip", name]);
    }
    let done = again.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // It did run them.
    let ran = said.lines().find(|line| line.starts_with("test result: ok. ")).unwrap();
    let count: u32 = ran.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(count > 50, "{ran}");
}

/// A network on a database of this URL.
async fn network_on(url: &str) -> (Network, StoreUrl) {
    let mut network = Network::new().await;
    network.registry.close().await;
    let url: StoreUrl = url.parse().unwrap();
    network.dir = tempfile::tempdir().unwrap();
    network.registry = open_at(network.dir.path(), &url, &network, None).await.unwrap();
    (network, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_outlives_its_server() {
    const DEVICES: u64 = 45;
    let mut server = Server::start();
    let (mut network, url) = network_on(&server.url("postgres")).await;
    network.enrol(&network.devices(0..DEVICES)).await;
    let mut targets = Vec::new();
    for device in network.devices(0..DEVICES) {
        targets.push(network.target(&device).await);
    }
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let seen = acknowledged.clone();
    let killing = std::thread::spawn(move || {
        for enough in [15, 30] {
            while seen.load(SeqCst) < enough {
                std::thread::sleep(Duration::from_millis(1));
            }
            server.kill();
            std::thread::sleep(Duration::from_millis(300));
            server.run(&[]);
        }
        server
    });
    let mut revoked = Vec::new();
    for n in 0..DEVICES {
        // Until it is done: nothing that was refused may stand in its way.
        while !revoked.contains(&n) {
            let away = |problem: &muster_api::Problem| {
                assert_eq!((problem.status, problem.code()), (503, "store-away"), "{problem:?}");
            };
            let found = network.registry.device(&network.device(n).did).await;
            if let Err(problem) = &found {
                away(problem);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let target = targets[n as usize].clone();
            let action = Action::Revoke(Revoke { target, reason: String::new() });
            match network.act(action).await {
                Ok(_) => revoked.push(n),
                Err(problem) => {
                    away(&problem);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            acknowledged.store(revoked.len(), SeqCst);
        }
    }
    let server = killing.join().unwrap();
    let crashes = server.log().matches("database system was not properly shut down").count();
    assert_eq!(crashes, 2);
    network.registry.close().await;
    network.registry = open_at(network.dir.path(), &url, &network, None).await.unwrap();
    for n in 0..DEVICES {
        let view = network.registry.device(&network.device(n).did).await.unwrap().unwrap();
        assert_eq!(view.standing, "revoked", "device {n}");
    }
    network.registry.close().await;
    let store = server.url("postgres").parse().unwrap();
    let report =
        muster_registry::audit_store(network.dir.path(), &store, &network.genesis).await.unwrap();
    assert_eq!((report.findings, report.devices), (vec![], DEVICES));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_a_full_disk() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let url = shared().database();
    let name = url.rsplit_once('/').unwrap().1;
    let (network, _) = network_on(&url).await;
    network.enrol(&network.devices(0..3)).await;
    let set =
        |value: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
    shared().tell(&set("on"));
    // Whoever is connected keeps the setting that it came with.
    let url = shared().url(name);
    tell(&url, END);
    let target = network.target(&network.device(0)).await;
    let revoke = || {
        let (target, reason) = (target.clone(), String::new());
        network.act(Action::Revoke(Revoke { target, reason }))
    };
    let problem = revoke().await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (507, "disk-full"));
    assert_eq!(network.registry.head().unwrap().head().size, 1);
    let view = network.registry.device(&network.device(0).did).await.unwrap().unwrap();
    assert_eq!(view.standing, "active");
    shared().tell(&set("off"));
    tell(&url, &format!("SET default_transaction_read_only = off; {END}"));
    assert_eq!(revoke().await.unwrap().index, 1);
    network.registry.close().await;
}

#[tokio::test]
async fn an_audit_finds_what_was_altered_in_a_database() {
    let url = shared().database();
    let (network, store) = network_on(&url).await;
    network.enrol(&network.devices(0..5)).await;
    network.registry.close().await;
    let dir = network.dir.path();
    let report = muster_registry::audit_store(dir, &store, &network.genesis).await.unwrap();
    assert_eq!(report.findings, []);
    for (sql, table) in [
        ("UPDATE ledger.claims SET batch = 7 WHERE batch = 1", "claims"),
        ("UPDATE ledger.touched SET entry = 9", "touched"),
        ("UPDATE ledger.tiles SET hashes = '\\x00'", "tiles"),
        (
            "DELETE FROM ledger.state WHERE key = (SELECT key FROM ledger.state ORDER BY key DESC LIMIT 1)",
            "state",
        ),
        ("UPDATE ledger.blocks SET time = time + 1", "blocks"),
        ("CREATE VIEW ledger.more AS SELECT 1", "pg_catalog"),
    ] {
        let copy = shared().database();
        let (name, from) = (copy.rsplit_once('/').unwrap().1, url.rsplit_once('/').unwrap().1);
        shared().tell(&format!("DROP DATABASE {name}"));
        shared().tell(&format!("CREATE DATABASE {name} TEMPLATE {from}"));
        tell(&copy, sql);
        let (dir, copy) = (network.dir.path(), copy.parse().unwrap());
        let report = muster_registry::audit_store(dir, &copy, &network.genesis).await.unwrap();
        assert!(report.findings.iter().any(|finding| finding.table == table), "{sql}");
    }
    // None of that stands in the way of what the node itself finds when it starts.
    tell(&url, "UPDATE ledger.state SET value = '\\x00' WHERE key = '\\x01'");
    let refused = open_at(network.dir.path(), &store, &network, None).await.err().unwrap();
    assert!(matches!(refused, muster_registry::Error::Damaged(_)), "{refused}");
}
