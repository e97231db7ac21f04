//! Whether lots add up, and the end of what was scrapped (`docs/formats/lots.md`).

mod scrap;
mod words;

pub(super) use scrap::after_enrol;

use super::Session;
use crate::cli::{Lot, LotReport};
use crate::reading;
use anyhow::Result;
use muster_api::{Client, LotDeviceView, LotQuery, LotView};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// What is listed: every state but that of a shipped device.
const NOT_SHIPPED: [&str; 5] = ["scrap-valid", "not-enrolled", "rework", "scrap", "revoked"];

pub(super) async fn run(session: &Session, command: Lot) -> Result<ExitCode> {
    match command {
        Lot::Report(arg) => report(session, arg).await,
        Lot::Scrap(arg) => scrap::run(session, arg).await,
    }
}

async fn report(session: &Session, arg: LotReport) -> Result<ExitCode> {
    let client = reading::client(&session.home, &arg.read)?;
    let organisation = session.home.organisation()?.to_string();
    let (lot, order) = (arg.lot.clone(), arg.order.clone());
    let query = LotQuery { organisation: Some(organisation), lot, order, ..LotQuery::default() };
    let lots = lots(&client, query.clone()).await?;
    anyhow::ensure!(
        !lots.is_empty() || arg.lot.is_none() && arg.order.is_none(),
        "the line told of no such lot or order; rows need one of the columns order, station, \
         result, counterBefore, counterAfter"
    );
    let mut listed = Vec::new();
    if arg.list {
        for state in NOT_SHIPPED {
            listed.extend(devices(&client, &query, state).await?);
        }
    }
    let balanced = lots.iter().all(|lot| lot.balanced);
    let mut object = json!({ "balanced": balanced, "lots": lots });
    let mut text: String = lots.iter().map(words::table).collect::<Vec<_>>().join("\n");
    if lots.is_empty() {
        text.push_str("The line told of no lot yet.\n");
    }
    if arg.list {
        for device in &listed {
            let did = device.did.as_deref().unwrap_or("");
            let line = format!("{:13} {}  {}  {did}", device.state, device.lot, device.serial);
            writeln!(text, "{}", line.trim_end())?;
        }
        object["devices"] = json!(listed);
    }
    session.output.result(&object, text.trim_end());
    Ok(if balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All pages of lots.
async fn lots(client: &Client, mut query: LotQuery) -> Result<Vec<LotView>> {
    let mut all = Vec::new();
    loop {
        let page = client.lots(&query).await?;
        all.extend(page.lots);
        let Some((lot, order)) = page.next else { return Ok(all) };
        (query.after_lot, query.after_order) = (Some(lot), Some(order));
    }
}

/// All pages of devices of a state.
async fn devices(client: &Client, query: &LotQuery, state: &str) -> Result<Vec<LotDeviceView>> {
    let mut query = LotQuery { state: Some(state.into()), ..query.clone() };
    let mut all = Vec::new();
    loop {
        let page = client.lot_devices(&query).await?;
        all.extend(page.devices);
        let Some(next) = page.next else { return Ok(all) };
        query.after = Some(next);
    }
}
