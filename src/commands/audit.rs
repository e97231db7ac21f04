//! `muster ledger audit`.

use super::Session;
use super::ledger_move::store_of;
use crate::cli::StoreArg;
use anyhow::Result;
use data_encoding::BASE64;
use serde_json::json;
use std::process::ExitCode;

/// Replays the node's folder from genesis; exit status 1 if anything is not what it must be.
pub(super) async fn run(session: &Session, store: &StoreArg) -> Result<ExitCode> {
    let genesis = session.home.genesis()?;
    let dir = session.home.path("node");
    let report = muster_registry::audit_store(&dir, &store_of(&store.url)?, &genesis).await?;
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|f| json!({ "table": f.table, "row": f.row, "what": f.what }))
        .collect();
    let clean = findings.is_empty();
    let mut words = format!(
        "replayed {} entries in {} blocks, {} devices\nlog root   {}\nstate root {}\n",
        report.entries,
        report.blocks,
        report.devices,
        BASE64.encode(&report.log_root),
        BASE64.encode(&report.state_root),
    );
    for finding in &report.findings {
        words.push_str(&format!("ALTERED  {} {}: {}\n", finding.table, finding.row, finding.what));
    }
    words.push_str(if clean {
        "Every row of every ledger table is what the operations give."
    } else {
        "The store was altered or damaged; the operations decide what is true."
    });
    session.output.result(
        &json!({
            "clean": clean,
            "entries": report.entries,
            "blocks": report.blocks,
            "devices": report.devices,
            "log_root": BASE64.encode(&report.log_root),
            "state_root": BASE64.encode(&report.state_root),
            "findings": findings,
        }),
        words,
    );
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
