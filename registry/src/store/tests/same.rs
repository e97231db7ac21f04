//! One suite for both databases: the same calls, drawn at random, give the same answers, and the
//! same rows in every table whose numbers the databases do not give themselves.

mod drawn;
mod reading;
mod writing;

use super::{open, server};
use crate::store::tables::{self, Rows, Table};
use crate::store::*;
use crate::tests::genesis;
use drawn::{Drawn, commit_of};
use reading::read;
use std::fmt::Debug;
use writing::write;

/// Both stores of one network.
struct Both {
    sqlite: Arc<dyn Store>,
    postgres: Arc<dyn Store>,
    _dir: tempfile::TempDir,
}

impl Both {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, directory) = (dir.path().join("l"), dir.path().join("d"));
        let sqlite = sqlite::Sqlite::open(&ledger, &directory, &genesis()).await.unwrap();
        let postgres = open(&server::shared().database()).await.unwrap();
        Self { sqlite: Arc::new(sqlite), postgres: Arc::new(postgres), _dir: dir }
    }

    /// The same call of both gives the same answer.
    async fn same<T: Debug>(&self, call: impl for<'a> Fn(&'a dyn Store) -> BoxFuture<'a, T>) -> T {
        let (one, other) = (call(&*self.sqlite).await, call(&*self.postgres).await);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        one
    }

    /// The same rows, in whatever order.
    async fn same_rows<T: Debug>(
        &self,
        call: impl for<'a> Fn(&'a dyn Store) -> Answer<'a, Vec<T>>,
    ) {
        let sorted = |rows: Vec<T>| {
            let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            rows
        };
        let (one, other) = (call(&*self.sqlite).await, call(&*self.postgres).await);
        assert_eq!(sorted(one.unwrap()), sorted(other.unwrap()));
    }

    async fn all(store: &dyn Store, table: &'static Table) -> Rows {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.rows(table, after, 7).await.unwrap();
            let Some(last) = page.last() else { return all };
            after = Some(last.clone());
            all.extend(page);
        }
    }

    /// Gives the tables that have rows.
    async fn compare(&self) -> Vec<&'static str> {
        let mut filled = Vec::new();
        // Their numbers are given by the databases, each in its own way.
        let own = ["gateways", "gateway_sizes", "seen", "gateway_hours"];
        for table in tables::ALL.iter().filter(|table| !own.contains(&table.name)) {
            let (one, other) =
                (Self::all(&*self.sqlite, table).await, Self::all(&*self.postgres, table).await);
            assert_eq!(one, other, "{}", table.name);
            if !one.is_empty() {
                filled.push(table.name);
            }
        }
        filled
    }
}

#[tokio::test]
async fn both_databases_keep_the_same() {
    let mut filled = Vec::new();
    for seed in 1..=3 {
        let both = Both::new().await;
        let (mut drawn, mut height) = (Drawn(seed), 0);
        for turn in 0..120 {
            write(&both, &mut drawn, turn, &mut height).await;
            if turn.is_multiple_of(10) {
                read(&both, &mut drawn).await;
            }
        }
        filled.extend(both.compare().await);
        assert!(height > 3, "blocks were committed");
        both.sqlite.close().await;
        both.postgres.close().await;
        let closed = both.postgres.commit(vec![commit_of(99, vec![], &mut drawn)]).await;
        assert_eq!(closed, Err(Error::Closing));
    }
    filled.sort_unstable();
    filled.dedup();
    assert_eq!(filled.len(), tables::ALL.len() - 4, "every table was written: {filled:?}");
}
