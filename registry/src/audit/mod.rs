//! The audit: from the genesis file on, everything in the ledger's tables is computed once more
//! and compared, column by column. It trusts nothing but the genesis.

mod batches;
mod log;
mod source;

use crate::Error;
use crate::folder::SIGNED_HEAD;
use crate::signed_head::SignedHead;
use crate::store::StoreUrl;
use muster_ledger::Genesis;
use source::Source;
use std::fmt::Display;
use std::path::Path;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries read.
    pub entries: u64,
    /// Blocks they make.
    pub blocks: u64,
    /// Devices enrolled by them.
    pub devices: u64,
    /// Root of the log.
    pub log_root: [u8; 32],
    /// Root of the state.
    pub state_root: [u8; 32],
    /// What is not as it should be; nothing, if all is well. At most 1,000.
    pub findings: Vec<Finding>,
}

/// One thing that is not what the entries give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table (or file) it stands in.
    pub table: &'static str,
    /// The row.
    pub row: String,
    /// What is wrong with it.
    pub what: String,
}

/// More findings than these say nothing new.
const FINDINGS: usize = 1_000;

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, table: &'static str, row: impl Display, what: impl Display) {
        if self.0.len() < FINDINGS {
            self.0.push(Finding { table, row: row.to_string(), what: what.to_string() });
        }
    }

    /// Adds a finding if two columns differ.
    fn compare<T: PartialEq>(
        &mut self,
        table: &'static str,
        row: impl Display,
        column: &str,
        found: &T,
        computed: &T,
    ) {
        if found != computed {
            self.add(table, row, format!("`{column}` is not what the entries give"));
        }
    }
}

/// Audits the ledger in a folder, reading only. The node may be running or stopped.
pub async fn audit(dir: &Path, genesis: &Genesis) -> Result<AuditReport, Error> {
    audit_store(dir, &StoreUrl::Folder, genesis).await
}

/// The same of a node whose store is in its folder or elsewhere.
pub async fn audit_store(
    dir: &Path,
    store: &StoreUrl,
    genesis: &Genesis,
) -> Result<AuditReport, Error> {
    // Read first: the ledger only grows beyond what was signed.
    let signed = SignedHead::read(dir.join(SIGNED_HEAD))?;
    let mut snapshot = Source::open(dir, store).await?;
    let mut findings = Findings::default();
    snapshot.check_schema(&mut findings).await?;
    let replayed = log::replay(&mut snapshot, genesis, &mut findings).await?;
    if let Some(last) = signed.last() {
        let root = replayed.tree.root_at(last.size);
        if replayed.complete && root != Some(last.log_root) {
            findings.add("entries", last.size, "the log is not the one this node signed");
        }
    } else if replayed.tree.size() > 0 {
        let what = "it is missing: nothing keeps this node from signing another ledger";
        findings.add(SIGNED_HEAD, "", what);
    }
    let mut devices = 0;
    if replayed.complete {
        log::check(&mut snapshot, &replayed, &mut findings).await?;
        devices = batches::check(&mut snapshot, genesis, &replayed, &mut findings).await?;
    } else {
        findings.add("entries", replayed.tree.size(), "nothing after it can be compared");
    }
    snapshot.close().await?;
    Ok(AuditReport {
        entries: replayed.tree.size(),
        blocks: replayed.chain.height(),
        devices,
        log_root: replayed.tree.root(),
        state_root: replayed.chain.state().root(),
        findings: findings.0,
    })
}
