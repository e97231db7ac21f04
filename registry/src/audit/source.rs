//! What an audit reads: the tables of either store, as they stand at one moment.

use super::Findings;
use crate::Error;
use crate::folder::{DIRECTORY, LEDGER};
use crate::store::StoreUrl;
use crate::store::columns::{BlockColumns, TileColumns};
use crate::store::sqlite;
use muster_ledger::Genesis;
use std::collections::BTreeMap;
use std::path::Path;

#[cfg(feature = "postgres")]
use crate::store::postgres;

type Bytes = Vec<u8>;

/// The tables of a store.
pub(super) enum Source {
    Files(sqlite::Snapshot),
    #[cfg(feature = "postgres")]
    Server(postgres::Snapshot),
}

macro_rules! read {
    ($($name:ident($($argument:ident: $of:ty),*) -> $row:ty;)*) => {
        impl Source {
            $(pub(super) async fn $name(&mut self, $($argument: $of),*) -> Result<Vec<$row>, Error> {
                match self {
                    Self::Files(snapshot) => snapshot.$name($($argument),*).await,
                    #[cfg(feature = "postgres")]
                    Self::Server(snapshot) => snapshot.$name($($argument),*).await,
                }
            })*
        }
    };
}

read! {
    meta() -> (Bytes, Bytes);
    entries(from: u64) -> (i64, Bytes);
    blocks() -> BlockColumns;
    state() -> (Bytes, Bytes);
    batches() -> (i64, Bytes);
    uploads() -> (i64,);
    leaves(after: Option<(i64, Bytes)>) -> (i64, Bytes, Bytes);
    tiled() -> (i64,);
    tiles(batch: i64) -> TileColumns;
    claims(after: Option<Bytes>) -> (Bytes, i64);
    touched() -> (Bytes, i64);
}

impl Source {
    pub(super) async fn open(dir: &Path, url: &StoreUrl) -> Result<Self, Error> {
        match url {
            StoreUrl::Folder => {
                let (ledger, directory) = (dir.join(LEDGER), dir.join(DIRECTORY));
                Ok(Self::Files(sqlite::Snapshot::open(&ledger, &directory).await?))
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(url) => Ok(Self::Server(postgres::Snapshot::open(url).await?)),
            #[cfg(not(feature = "postgres"))]
            StoreUrl::Postgres(url) => Err(crate::store::without(url)),
        }
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Files(snapshot) => snapshot.close().await,
            #[cfg(feature = "postgres")]
            Self::Server(snapshot) => snapshot.close().await,
        }
    }

    /// What the table `meta` must say.
    pub(super) fn expected_meta(&self, genesis: &Genesis) -> BTreeMap<Bytes, Bytes> {
        let bytes = |(key, value): (&str, Bytes)| (key.as_bytes().to_vec(), value);
        match self {
            Self::Files(_) => sqlite::meta(genesis).map(bytes).into_iter().collect(),
            #[cfg(feature = "postgres")]
            Self::Server(_) => postgres::meta(genesis).map(bytes).into_iter().collect(),
        }
    }

    /// What the database says of itself, and the declarations: a trigger or a view would change
    /// what every statement does.
    pub(super) async fn check_schema(&mut self, findings: &mut Findings) -> Result<(), Error> {
        match self {
            Self::Files(snapshot) => {
                for word in snapshot.integrity().await? {
                    findings.add("sqlite", "", word);
                }
                let by_name = |all: Vec<_>| -> BTreeMap<_, _> {
                    let one = |(file, kind, name, on, sql)| ((file, kind, name), (on, sql));
                    all.into_iter().map(one).collect()
                };
                let found = by_name(snapshot.schema().await?);
                let ours = by_name(sqlite::declared_by_us().await?);
                let name = |(file, kind, name): &(String, String, String)| {
                    format!("{file}, {kind} {name}")
                };
                super::log::differences("sqlite_schema", &found, &ours, name, findings);
            }
            #[cfg(feature = "postgres")]
            Self::Server(snapshot) => {
                for (kind, name, table) in snapshot.foreign().await? {
                    let what = "nothing says that it should be there";
                    findings.add("pg_catalog", format!("{kind} {name} of {table}"), what);
                }
            }
        }
        Ok(())
    }
}
