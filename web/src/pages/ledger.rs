use super::shown;
use crate::Console;
use crate::frame::{Frame, Moment};
use crate::people::names;
use crate::session::Visitor;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::HEXLOWER;
use muster_api::{LogRow, Problem};
use muster_identity::Did;
use muster_ledger::{StateKey, View as _};
use muster_registry::LogFilter;

/// Newest entries that are shown.
const ENTRIES: u64 = 25;

#[derive(Template)]
#[template(path = "ledger.html")]
struct Ledger {
    frame: Frame,
    size: u64,
    height: u64,
    time: Moment,
    log_root: String,
    state_root: String,
    note: String,
    validators: Vec<ValidatorLine>,
    quorum: usize,
    trust_days: u64,
    forks: Vec<(String, u64)>,
    rows: Vec<(LogRow, String)>,
}

struct ValidatorLine {
    key: String,
    organisation: String,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/ledger", "Ledger", Some(&who));
    shown(build(&console, frame.clone(), &who).await, || frame)
}

async fn build(console: &Console, frame: Frame, who: &Visitor) -> Result<Ledger, Problem> {
    let registry = console.registry();
    let (checkpoint, chain) = (registry.head()?, registry.chain()?);
    let head = checkpoint.head();
    let set = chain.state().validators()?;
    let label = |key: &muster_identity::PublicKey| {
        let owner = chain.state().read::<Did>(StateKey::of_key(key)).ok().flatten();
        let record = owner.and_then(|did| chain.state().organisation(&did).ok().flatten());
        record.map(|record| record.label).unwrap_or_default()
    };
    let validators: Vec<_> = set
        .0
        .iter()
        .map(|key| ValidatorLine { key: key.to_multikey(), organisation: label(key) })
        .collect();
    let page = registry.log_page(None, &LogFilter::default(), ENTRIES).await?;
    let names = names(&*console.book().await, &who.session.organisation.to_string());
    let forks =
        console.read_as(who.session.organisation).gateways()?.gateways.into_iter().filter_map(
            |g| {
                let forks = g.report.map_or(0, |r| r.forks);
                (forks > 0).then_some((g.gateway, forks))
            },
        );
    Ok(Ledger {
        frame,
        size: head.size,
        height: head.height,
        time: Moment(head.time.0),
        log_root: HEXLOWER.encode(&head.log_root),
        state_root: HEXLOWER.encode(&head.state_root),
        note: checkpoint.to_note(),
        quorum: set.quorum(),
        validators,
        trust_days: chain.state().rules()?.trust_period_ms / 86_400_000,
        forks: forks.collect(),
        rows: page
            .rows
            .into_iter()
            .map(|r| (names.of(&r.change.key), r))
            .map(|(n, r)| (r, n))
            .collect(),
    })
}
