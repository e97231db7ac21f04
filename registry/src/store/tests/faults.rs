//! What only a server can do: end in the middle of a commit, be another node's, be set up so that
//! it loses what it acknowledged.

use super::proxy::{ANSWER_IS_LOST, Proxy, WORD_IS_LOST};
use super::server::{Server, shared, tell};
use super::{commit_of, open};
use crate::Error;
use crate::store::{BlockRow, Store as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

async fn blocks(store: &super::Postgres) -> Vec<u64> {
    let all: Vec<BlockRow> = store.blocks(0, 1_000_000).await.unwrap();
    all.into_iter().map(|block| block.height).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_acknowledged() {
    /// How often, and after how many blocks each time.
    const KILLS: u64 = 4;
    const BLOCKS: u64 = 12;
    let mut server = Server::start();
    let store = open(&server.url("postgres")).await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let seen = acknowledged.clone();
    let killing = std::thread::spawn(move || {
        for turn in 1..=KILLS {
            while seen.load(SeqCst) < turn * BLOCKS {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Not always at the same place of a commit.
            std::thread::sleep(Duration::from_micros(700 * turn));
            server.kill();
            server.run(&[]);
        }
        server
    });
    let mut height = 0;
    let mut here = Instant::now();
    while !killing.is_finished() || height < (KILLS + 1) * BLOCKS {
        match store.commit(vec![commit_of(height + 1)]).await {
            Ok(()) => {
                height += 1;
                here = Instant::now();
            }
            // Nothing of it is there: the same block is committed again, which would be refused.
            Err(Error::Away(_)) if here.elapsed() < Duration::from_secs(120) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("block {}: {error}", height + 1),
        }
        acknowledged.store(height, SeqCst);
    }
    let server = killing.join().unwrap();
    assert_eq!(blocks(&store).await, (1..=height).collect::<Vec<_>>());
    let entries = store.entries(0, 1_000_000).await.unwrap().len() as u64;
    assert_eq!(entries, 2 * height);
    store.close().await;
    let crashes = server.log().matches("database system was not properly shut down").count();
    assert_eq!(crashes as u64, KILLS);
    // A store that was opened anew has the same.
    let store = open(&server.url("postgres")).await.unwrap();
    assert_eq!(blocks(&store).await.len() as u64, height);
    store.close().await;
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    let url = shared().database();
    let (before, port) = url.rsplit_once(':').unwrap();
    let (port, database) = port.split_once('/').unwrap();
    let proxy = Proxy::to(port.parse().unwrap()).await;
    let store = open(&format!("{before}:{}/{database}", proxy.port)).await.unwrap();
    store.commit(vec![commit_of(1)]).await.unwrap();
    proxy.next.store(ANSWER_IS_LOST, SeqCst);
    store.commit(vec![commit_of(2)]).await.unwrap();
    proxy.next.store(WORD_IS_LOST, SeqCst);
    let refused = store.commit(vec![commit_of(3)]).await.unwrap_err();
    assert!(matches!(refused, Error::Away(_)), "{refused}");
    assert_eq!(blocks(&store).await, [1, 2]);
    store.commit(vec![commit_of(3)]).await.unwrap();
    assert_eq!(blocks(&store).await, [1, 2, 3]);
    store.close().await;
}

#[tokio::test]
async fn one_node_a_database() {
    let url = shared().database();
    let first = open(&url).await.unwrap();
    let refused = open(&url).await.err().unwrap().to_string();
    assert!(refused.contains("another node uses this database"), "{refused}");
    // Its connection ends, and another node comes in between.
    tell(
        &url,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    let second = open(&url).await.unwrap();
    let refused = first.commit(vec![commit_of(1)]).await.unwrap_err().to_string();
    assert!(refused.contains("another node uses this database"), "{refused}");
    second.commit(vec![commit_of(1)]).await.unwrap();
    second.close().await;
    // It is free again, but no longer as it was.
    let refused = first.commit(vec![commit_of(1)]).await.unwrap_err().to_string();
    assert!(refused.contains("another node opened this database"), "{refused}");
    first.close().await;
    let third = open(&url).await.unwrap();
    third.commit(vec![commit_of(2)]).await.unwrap();
    third.close().await;
}

#[tokio::test]
async fn a_connection_that_ended_while_nothing_happened_is_made_anew() {
    let url = shared().database();
    let store = open(&url).await.unwrap();
    for height in 1..4 {
        tell(
            &url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        if height == 2 {
            assert_eq!(store.claimed(commit_of(1).keys).await.unwrap().len(), 1);
        }
        store.commit(vec![commit_of(height)]).await.unwrap();
        assert_eq!(blocks(&store).await.len() as u64, height);
    }
    store.close().await;
}

#[tokio::test]
async fn a_server_that_could_lose_what_it_acknowledged_is_refused() {
    let server = Server::start_with(&["fsync=off"]);
    let refused = open(&server.url("postgres")).await.err().unwrap().to_string();
    assert!(refused.contains("`fsync` of the database is off"), "{refused}");
    let url = shared().database();
    let name = url.rsplit_once('/').unwrap().1;
    shared().tell(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let refused = open(&url).await.err().unwrap().to_string();
    assert!(refused.contains("`synchronous_commit` of the database is off"), "{refused}");
    shared().tell(&format!("ALTER DATABASE {name} SET synchronous_commit = local"));
    open(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_database_of_others_is_refused() {
    for (sql, words) in [
        (
            "UPDATE ledger.migrations SET sha256 = '\\x00'",
            "migration 1 of the database is not the one of this muster",
        ),
        (
            "INSERT INTO ledger.migrations VALUES (2, '\\x00')",
            "the database has migration 2, this is muster",
        ),
        ("UPDATE ledger.migrations SET number = 2", "migration 1 of the database is missing"),
        (
            "UPDATE ledger.meta SET value = '\\x00' WHERE key = 'network'",
            "the database belongs to another network",
        ),
    ] {
        let url = shared().database();
        open(&url).await.unwrap().close().await;
        tell(&url, sql);
        let refused = open(&url).await.err().unwrap().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn no_error_shows_a_password() {
    let url = shared().database();
    let wrong = url.replacen("a%3Ab", "geheim", 1);
    assert_ne!(wrong, url);
    for url in [wrong.clone(), wrong.replacen("127.0.0.1", "127.0.0.1:1/", 1)] {
        let refused = open(&url).await.err().unwrap().to_string();
        assert!(!refused.contains("geheim") && !refused.contains("d%3Fe"), "{refused}");
    }
    let refused = open(&wrong).await.err().unwrap();
    assert!(matches!(refused, Error::Operator { .. }), "{refused}");
}
