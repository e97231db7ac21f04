use super::shown;
use crate::Console;
use crate::frame::Frame;
use crate::people::{has, names};
use crate::session::Visitor;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{Problem, ProposalView};
use muster_ledger::{Capabilities, Capability};

#[derive(Template)]
#[template(path = "approvals.html")]
struct Approvals {
    frame: Frame,
    /// What needs approval, in words.
    rules: Option<String>,
    rows: Vec<Row>,
}

struct Row {
    view: ProposalView,
    by: String,
    approved_by: Vec<String>,
    /// The visitor's key proposed it, or its organisation what concerns all.
    own: bool,
    /// The visitor's key approved it already.
    done: bool,
    /// The visitor's organisation proposed it.
    ends: bool,
    may: bool,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/approvals", "Approvals", Some(&who));
    shown(build(&console, frame.clone(), &who).await, || frame)
}

async fn build(console: &Console, frame: Frame, who: &Visitor) -> Result<Approvals, Problem> {
    let view = console.registry().proposals().await?;
    let ours = who.session.organisation.to_string();
    let key = who.session.key.to_multikey();
    let names = names(&*console.book().await, &ours);
    let record = console.organisation_record(&who.session.organisation)?;
    let approves = Capabilities::of(&[Capability::Approve]);
    let may = who.settled && record.is_some_and(|r| has(&r, &who.session.key, approves));
    let rows = view
        .proposals
        .into_iter()
        .filter(|p| p.organisation == ours || p.matter.is_some())
        .map(|p| Row {
            by: names.of(&p.key),
            approved_by: p.approvals.iter().map(|k| names.of(k)).collect(),
            own: p.key == key || p.matter.is_some() && p.organisation == ours,
            done: p.approvals.contains(&key) || p.approved_by.contains(&ours),
            ends: p.organisation == ours,
            may,
            view: p,
        })
        .collect();
    let rules = rules(&console.registry().network().await?.rules);
    Ok(Approvals { frame, rules, rows })
}

/// What needs the approval of others, in words; none if nothing does.
pub(super) fn rules(rules: &muster_api::RulesView) -> Option<String> {
    let approval = rules.approval.as_ref()?;
    let mut what = Vec::new();
    if let Some(n) = approval.devices {
        let devices = if n == 1 { "device" } else { "devices" };
        let n = crate::frame::count(n);
        what.push(format!("ending more than {n} {devices} in a day (UTC)"));
    }
    if approval.governance {
        what.push("changes of keys, rules and protocol version".into());
    }
    let others = match approval.people {
        1 => "one other person".into(),
        n => format!("{n} other people"),
    };
    Some(format!(
        "By the rules of the network, {} must be approved by {others}.",
        what.join(" and ")
    ))
}
