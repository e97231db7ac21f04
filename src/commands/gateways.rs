//! `muster gateways`: which there are, and who registered them.

use super::{Session, moment};
use crate::cli::{Gateways, GatewaysAdd, GatewaysCommand, GatewaysRemove, ReadArg, SignArg};
use crate::host::Machine;
use crate::keys::KeyPlace;
use crate::reading;
use crate::signing::Desk;
use anyhow::{Context as _, Error, Result};
use muster_api::{GatewayView, GatewaysView, Host as _};
use muster_identity::{Holder, PublicKey, Registered, register};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The daily key has the capability `gateway`.
const OPERATOR: &str = "keys/admin.pem";

pub(super) async fn run(session: &Session, arg: Gateways) -> Result<ExitCode> {
    match arg.command {
        None => list(session, &arg.read).await,
        Some(GatewaysCommand::Add(arg)) => add(session, arg).await,
        Some(GatewaysCommand::Remove(arg)) => remove(session, arg).await,
    }
}

async fn list(session: &Session, read: &ReadArg) -> Result<ExitCode> {
    let view = reading::client(&session.home, read)?.gateways().await?;
    let words = table(&view);
    Ok(session.output.result(&json!(view), words))
}

fn table(view: &GatewaysView) -> String {
    let mut words = format!(
        "{} gateways registered, {} acknowledge; the node has {} log entries, head of {}",
        view.registered,
        view.acknowledging,
        view.size,
        moment(view.checkpoint)
    );
    if view.gateways.is_empty() {
        return words + "\nRegister one with `muster gateways add NAME KEY`.";
    }
    let _ = write!(
        words,
        "\n\n{:<24} {:<8} {:>7} {:>8} {:>10} {:>10}  {:<20} site",
        "name", "state", "lacks", "behind", "accepted", "refused", "last heard"
    );
    for gateway in &view.gateways {
        let _ = write!(words, "\n{}", row(gateway));
    }
    words
}

fn row(gateway: &GatewayView) -> String {
    let or_none = |n: Option<String>| n.unwrap_or_else(|| "-".into());
    let report = gateway.report.as_ref();
    format!(
        "{:<24} {:<8} {:>7} {:>8} {:>10} {:>10}  {:<20} {}",
        gateway.gateway,
        gateway.state,
        or_none(gateway.lag_entries.map(|n| n.to_string())),
        or_none(gateway.lag_ms.map(|ms| format!("{} s", ms / 1_000))),
        or_none(report.map(|r| r.accepted.to_string())),
        or_none(report.map(|r| r.refused.values().sum::<u64>().to_string())),
        or_none(gateway.heard.map(moment)),
        gateway.site,
    )
}

async fn add(session: &Session, arg: GatewaysAdd) -> Result<ExitCode> {
    let key = match PublicKey::from_multikey(&arg.key) {
        Ok(key) => key,
        Err(_) => {
            let place = arg.key.parse::<KeyPlace>().map_err(Error::msg).context("the key")?;
            session.home.keys().open_or_make(&place)?.public_key()
        }
    };
    let holder = Holder { key, site: arg.site };
    let view = tell(session, &arg.sign, arg.name, Some(holder)).await?;
    let words = format!(
        "gateway {} is registered with key {}\n\
         It acknowledges once it runs with that key: muster gateway --key FILE ...",
        view.gateway, view.key
    );
    Ok(session.output.result(&json!(view), words))
}

async fn remove(session: &Session, arg: GatewaysRemove) -> Result<ExitCode> {
    let view = tell(session, &arg.sign, arg.name, None).await?;
    let words = format!("gateway {} is registered no more", view.gateway);
    Ok(session.output.result(&json!(view), words))
}

/// Signs a word about a gateway as an operator of this organisation, and hands it to the node.
async fn tell(
    session: &Session,
    sign: &SignArg,
    gateway: String,
    holder: Option<Holder>,
) -> Result<GatewayView> {
    let said = Registered { gateway, holder, made: Machine.now().0 };
    said.check()?;
    let desk = Desk::open(&session.home, sign, OPERATOR)?;
    let token = register(&desk.organisation(), &said, &*desk.key)?;
    Ok(desk.client.register_gateway(token).await?)
}
