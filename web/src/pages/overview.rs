use super::shown;
use crate::Console;
use crate::chart::{Bars, Series};
use crate::frame::{Count, Frame, Moment};
use crate::people::{Invited, names};
use crate::session::Visitor;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{ActivityPoint, CoverageView, OverviewCounts, Problem};
use muster_ledger::Time;
use muster_registry::Covered;
use serde::Deserialize;

/// Revocations whose coverage is shown.
const RESTRICTIONS: usize = 5;

/// Newest changes that are looked through for them.
const LOOKED_AT: u64 = 50;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    counts: OverviewCounts,
    head: Moment,
    alarms: Vec<Alarm>,
    spans: [(&'static str, &'static str, bool); 3],
    changes: Bars,
    gates: Bars,
    restrictions: Vec<Restriction>,
}

struct Alarm {
    words: String,
    path: &'static str,
}

struct Restriction {
    entry: u64,
    action: String,
    time: Moment,
    by: String,
    reason: Option<String>,
    coverage: Option<CoverageView>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Span {
    span: Option<String>,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(Span { span }): Query<Span>,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/", "Overview", Some(&who));
    shown(build(&console, frame.clone(), span.as_deref(), &who).await, || frame)
}

const HOUR: u64 = 3_600_000;

async fn build(
    console: &Console,
    frame: Frame,
    span: Option<&str>,
    who: &Visitor,
) -> Result<Overview, Problem> {
    let registry = console.registry();
    let (span, hours, step) = match span {
        Some("week") => ("week", 7 * 24, 6),
        Some("quarter") => ("quarter", 90 * 24, 24),
        _ => ("day", 24, 1),
    };
    let now = console.now();
    let to = (now / HOUR + 1) * HOUR;
    let from = Time(to.saturating_sub(hours * HOUR));
    let points =
        console.read_as(who.session.organisation).activity(from, Time(to), step * HOUR).await?;
    let counts = registry.overview_counts().await?;
    let mut alarms = alarms(&counts, now);
    alarms.extend(waiting(console, who).await);
    let head = registry.head()?;
    Ok(Overview {
        frame,
        counts,
        head: Moment(head.head().time.0),
        alarms,
        spans: [
            ("day", "24 hours", span == "day"),
            ("week", "7 days", span == "week"),
            ("quarter", "90 days", span == "quarter"),
        ],
        changes: bars(
            "Devices enrolled and revoked over time",
            &points,
            &[("enrolled", |p| p.enrolled), ("revoked", |p| p.revoked), ("held", |p| p.held)],
        ),
        gates: bars(
            "Presentations that gateways let through and refused over time",
            &points,
            &[("let through", |p| p.authentications), ("refused", |p| p.refusals)],
        ),
        restrictions: restrictions(console, who).await?,
    })
}

type Pick = fn(&ActivityPoint) -> u64;

fn bars(label: &str, points: &[ActivityPoint], series: &[(&'static str, Pick)]) -> Bars {
    Bars {
        label: label.into(),
        times: points.iter().map(|p| p.time).collect(),
        series: series
            .iter()
            .map(|(name, pick)| Series { name, values: points.iter().map(pick).collect() })
            .collect(),
    }
}

fn alarms(counts: &OverviewCounts, now: u64) -> Vec<Alarm> {
    let mut all = Vec::new();
    let age = now.saturating_sub(counts.time);
    if age > 3 * muster_ledger::limits::HEARTBEAT_MS {
        let words = format!(
            "The head was last signed {} ago: the node does not commit at present.",
            super::gateways::span(age)
        );
        all.push(Alarm { words, path: "/ledger" });
    }
    for (n, what) in [
        (counts.gateways.stale, "stale: they refuse devices, or soon will"),
        (counts.gateways.silent, "silent: nobody knows what they go by"),
    ] {
        if n > 0 {
            let are = if n == 1 { "gateway is" } else { "gateways are" };
            all.push(Alarm { words: format!("{} {are} {what}.", Count(n)), path: "/gateways" });
        }
    }
    all
}

/// Whether somebody used an invitation and waits to be admitted, for those who admit.
async fn waiting(console: &Console, who: &Visitor) -> Option<Alarm> {
    if !crate::people::administers(who.role) {
        return None;
    }
    let (book, now) = (console.book().await, console.now());
    let ours = |i: &&Invited| {
        let invite = i.invite().filter(|_| i.expires > now && i.claim.is_some());
        invite.is_some_and(|t| *t.organisation() == who.session.organisation)
    };
    let n = book.invites.iter().filter(ours).count() as u64;
    let words = match n {
        0 => return None,
        1 => "Somebody used an invitation and waits to be admitted.".to_owned(),
        n => format!("{} people used an invitation and wait to be admitted.", Count(n)),
    };
    Some(Alarm { words, path: "/organisation" })
}

/// The last holds and ends, and who refuses already.
async fn restrictions(console: &Console, who: &Visitor) -> Result<Vec<Restriction>, Problem> {
    let names = names(&*console.book().await, &who.session.organisation.to_string());
    let changes = console.registry().last_changes(LOOKED_AT).await?;
    let restricts = |action: &str| {
        matches!(action, "hold" | "revoke" | "deactivate" | "revoke-key" | "approve")
    };
    let reading = console.read_as(who.session.organisation);
    let mut found = Vec::new();
    for change in changes.into_iter().filter(|c| restricts(&c.action)).take(RESTRICTIONS) {
        let coverage = reading.coverage(Covered::Entry(change.entry)).await.ok();
        found.push(Restriction {
            entry: change.entry,
            time: Moment(change.time),
            by: names.of(&change.key),
            action: change.action,
            reason: change.reason,
            coverage,
        });
    }
    Ok(found)
}
