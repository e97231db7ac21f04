//! The same enrolment at a node whose ledger is in a PostgreSQL server, beside the one with files.

use super::once::Once;
use crate::bench::figure::{Figure, quantile};
use crate::bench::folder;
use crate::commands::store_of;
use crate::home::Home;
use anyhow::{Result, ensure};
use muster_registry::StoreUrl;
use std::fs;
use std::path::Path;

/// An empty database.
pub(super) struct InServer(String);

impl InServer {
    /// Refuses at once what the node would refuse after minutes.
    pub(super) fn at(url: &str) -> Result<Self> {
        let place = store_of(url)?;
        ensure!(
            !matches!(place, StoreUrl::Folder),
            "--store {url}: a node with files is measured anyway; name an empty database of a \
             PostgreSQL server"
        );
        Ok(Self(url.to_owned()))
    }

    /// What `serve` is told.
    pub(super) fn args(&self) -> [&str; 2] {
        ["--store", &self.0]
    }
}

/// The folder once more, before a node ran in it: so one manifest is good for both.
pub(super) fn same_network(home: &Home, to: &Path) -> Result<Home> {
    copy(home.dir(), to)?;
    Ok(Home::at(to))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    folder::make(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Each beside the node with files.
pub(super) fn figures(server: &Once, files: &Once, rows: f64) -> Vec<Figure> {
    let rate = |once: &Once| rows / once.client.took.as_secs_f64();
    let mut figures = vec![
        Figure::new("enrol: in PostgreSQL, rate, against SQLite", rate(server), "rows/s")
            .limit(rate(files))
            .more_is_better(),
    ];
    for (what, q) in [("p50", 0.50), ("p99", 0.99)] {
        let name = format!("enrol: in PostgreSQL, revocation, {what}, against SQLite");
        let ours = quantile(&server.acknowledged, q);
        figures.push(Figure::new(name, ours, "ms").limit(quantile(&files.acknowledged, q)));
    }
    if let (Some(ours), Some(other)) = (server.node_peak, files.node_peak) {
        let name = "enrol: in PostgreSQL, node, peak memory, against SQLite";
        figures.push(Figure::new(name, ours, "MiB").limit(other));
    }
    figures
}
