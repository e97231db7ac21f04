//! `muster coverage`: which gateways already refuse what was held or ended.

use super::{Session, moment};
use crate::cli::{Coverage, WatchArg};
use crate::reading;
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use muster_api::{Client, ClientError, CoverageView, CoveredView};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two looks: short enough to see who comes when.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(session: &Session, arg: &Coverage) -> Result<ExitCode> {
    let client = reading::client(&session.home, &arg.read)?;
    let view = match arg.watch.watch {
        true => watch(session, &client, &arg.target, arg.watch).await?,
        false => client.coverage(&arg.target).await?,
    };
    let mut words = format!(
        "{}: log entry {}, {}\n{}",
        view.action,
        view.entry,
        moment(view.time),
        line(&view)
    );
    for gateway in &view.gateways {
        write!(words, "\n{}", row(gateway))?;
    }
    session.output.result(&json!(view), words);
    Ok(exit(&view, arg.watch))
}

/// Whether nobody is left who was waited for.
pub(super) fn exit(view: &CoverageView, watch: WatchArg) -> ExitCode {
    if watch.watch && view.waiting > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Waits until no gateway is left that follows and does not go by it yet.
pub(super) async fn watch(
    session: &Session,
    client: &Client,
    target: &str,
    arg: WatchArg,
) -> Result<CoverageView> {
    let until = Instant::now() + Duration::from_secs(arg.within);
    let mut view = client.coverage(target).await?;
    // Drawn on a terminal only.
    let bar = match session.output.is_json() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(view.registered),
    };
    bar.set_style(ProgressStyle::with_template("{bar:40} {msg}")?);
    while view.waiting > 0 && Instant::now() < until {
        bar.set_position(view.acknowledged);
        bar.set_message(line(&view));
        tokio::time::sleep(LOOK).await;
        view = client.coverage(target).await?;
    }
    bar.finish_and_clear();
    Ok(view)
}

/// What is known of a device or batch, where something was held or ended and gateways are
/// registered.
pub(super) async fn known(client: &Client, target: &str) -> Result<Option<CoverageView>> {
    match client.coverage(target).await {
        Ok(view) => Ok(Some(view).filter(|view| view.registered > 0)),
        Err(ClientError::Refused(problem)) if matches!(problem.status, 401 | 404) => Ok(None),
        // What the node says of gateways is for their organisation; the rest is for everybody.
        Err(ClientError::NotSigned { .. }) => Ok(None),
        Err(error) => bail!(error),
    }
}

/// The whole in one line.
pub(super) fn line(view: &CoverageView) -> String {
    if view.registered == 0 {
        return "no gateway is registered at this node".into();
    }
    let mut words = format!("{} of {} gateways refuse", view.acknowledged, view.registered);
    if let (Some(half), Some(most)) = (view.p50_ms, view.p99_ms) {
        let _ = write!(words, ", half within {half} ms, 99 of 100 within {most} ms");
    }
    if view.waiting > 0 {
        let _ = write!(words, "; {} not yet", view.waiting);
    }
    if view.silent > 0 {
        let _ = write!(words, "; {} silent", view.silent);
    }
    words
}

fn row(gateway: &CoveredView) -> String {
    let when = match (gateway.refuses, gateway.since, gateway.delay_ms) {
        (true, Some(since), Some(delay)) => format!("since {}, after {delay} ms", moment(since)),
        (true, Some(since), None) => format!("since {} at the latest", moment(since)),
        (true, None, _) => "refuses".into(),
        (false, ..) => "not yet".into(),
    };
    let site = match gateway.site.as_str() {
        "" => String::new(),
        site => format!("  ({site})"),
    };
    format!("{:<24} {:<8} {when}{site}", gateway.gateway, gateway.state)
}
