use super::shown;
use crate::Console;
use crate::frame::{Count, Frame};
use crate::session::Visitor;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{GatewayView, Problem};

#[derive(Template)]
#[template(path = "gateways.html")]
struct Gateways {
    frame: Frame,
    size: u64,
    acknowledging: u64,
    registered: u64,
    rows: Vec<Row>,
}

struct Row {
    view: GatewayView,
    /// Class of the tag, beside the word of the state.
    tag: &'static str,
    refused: u64,
    reasons: Vec<(String, u64)>,
    behind: Option<String>,
    age: Option<String>,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/gateways", "Gateways", Some(&who));
    shown(build(&console, frame.clone(), &who).await, || frame)
}

async fn build(console: &Console, frame: Frame, who: &Visitor) -> Result<Gateways, Problem> {
    let view = console.read_as(who.session.organisation).gateways()?;
    let ours = who.session.organisation.to_string();
    let rows: Vec<Row> =
        view.gateways.into_iter().filter(|g| g.organisation == ours).map(row).collect();
    let registered = rows.iter().filter(|r| r.view.state != "void").count() as u64;
    let acknowledging = rows.iter().filter(|r| r.tag == "active").count() as u64;
    Ok(Gateways { frame, size: view.size, acknowledging, registered, rows })
}

fn row(view: GatewayView) -> Row {
    let tag = match view.state.as_str() {
        "live" => "active",
        "stale" | "silent" => "held",
        "stopped" | "void" => "bad",
        _ => "",
    };
    let reasons: Vec<_> = view.report.iter().flat_map(|r| r.refused.clone()).collect();
    Row {
        tag,
        refused: reasons.iter().map(|(_, n)| n).sum(),
        reasons,
        behind: view.lag_entries.map(|n| match n {
            0 => "none".into(),
            1 => "1 entry".into(),
            n => format!("{} entries", Count(n)),
        }),
        age: view.report.as_ref().map(|r| span(r.roll_age_ms)),
        view,
    }
}

/// A span of time in the unit that fits.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let told = [0, 999, 1_500, 90_000, 7_200_000, 200_000_000].map(span);
        assert_eq!(told, ["0 ms", "999 ms", "1.5 s", "1 min", "2 h", "2 days"]);
    }
}
