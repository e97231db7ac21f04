//! Which gateways go by the last change of a device's standing. What one's own gateways do, one
//! sees; of others' only how many.

use super::history::Change;
use super::standing::is_stricter;
use crate::Console;
use crate::frame::Moment;
use crate::session::Visitor;
use muster_api::{CoverageView, CoveredView, DeviceView, Problem};
use muster_registry::Covered;

/// Gateways that are listed, those that wait first; the page of gateways has all.
const LISTED: usize = 100;

pub(super) struct Coverage {
    pub(super) entry: u64,
    /// It ended or suspended something, so that they refuse.
    pub(super) refuses: bool,
    pub(super) registered: u64,
    pub(super) acknowledged: u64,
    pub(super) waiting: u64,
    pub(super) silent: u64,
    pub(super) slowest: Option<String>,
    pub(super) gateways: Vec<Line>,
    /// Gateways that are not listed.
    pub(super) others: u64,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) site: String,
    pub(super) state: String,
    pub(super) goes: bool,
    pub(super) since: Option<Moment>,
    pub(super) delay: Option<String>,
}

/// Of the last change that a gateway must know of; none if there never was one, or if it is over
/// by itself.
pub(super) async fn of(
    console: &Console,
    who: &Visitor,
    view: &DeviceView,
    history: &[Change],
) -> Result<Option<Coverage>, Problem> {
    let told = ["hold", "release", "revoke", "deactivate", "revoke-key"];
    let Some(last) = history.iter().find(|c| told.contains(&c.action.as_str())) else {
        return Ok(None);
    };
    let lifted = last.action == "release" && !is_stricter(&view.standing);
    if !lifted && last.action != "revoke-key" && !is_stricter(&view.standing) {
        return Ok(None);
    }
    let coverage = console.registry().coverage(Covered::Entry(last.entry)).await?;
    let own = who.session.organisation.to_string();
    Ok(Some(shown(coverage, &own, !lifted)))
}

fn shown(coverage: CoverageView, own: &str, refuses: bool) -> Coverage {
    let all = coverage.gateways.len();
    let mut lines: Vec<CoveredView> =
        coverage.gateways.into_iter().filter(|g| g.organisation == own).collect();
    lines.sort_by_key(|g| (g.refuses, std::cmp::Reverse(g.since)));
    lines.truncate(LISTED);
    Coverage {
        entry: coverage.entry,
        refuses,
        registered: coverage.registered,
        acknowledged: coverage.acknowledged,
        waiting: coverage.waiting,
        silent: coverage.silent,
        slowest: coverage.p99_ms.map(within),
        others: (all - lines.len()) as u64,
        gateways: lines.into_iter().map(Line::of).collect(),
    }
}

impl Line {
    fn of(view: CoveredView) -> Self {
        Self {
            name: view.gateway,
            site: view.site,
            state: view.state,
            goes: view.refuses,
            since: view.since.map(Moment),
            delay: view.delay_ms.map(within),
        }
    }
}

/// A span as people say it.
fn within(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (ms, text) in [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (150_000, "2 min")] {
            assert_eq!(within(ms), text);
        }
    }

    #[test]
    fn those_that_wait_come_first_and_others_gateways_are_only_counted() {
        let gateway = |gateway: &str, organisation: &str, refuses| CoveredView {
            gateway: gateway.into(),
            organisation: organisation.into(),
            refuses,
            ..CoveredView::default()
        };
        let gateways = vec![
            gateway("a", "own", true),
            gateway("b", "own", false),
            gateway("c", "other", false),
        ];
        let found = shown(CoverageView { gateways, ..CoverageView::default() }, "own", true);
        let names: Vec<_> = found.gateways.iter().map(|g| g.name.as_str()).collect();
        assert_eq!((names, found.others), (vec!["b", "a"], 1));
    }
}
