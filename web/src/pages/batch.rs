use super::shown;
use crate::frame::Frame;
use crate::people::{self, Names};
use crate::session::Visitor;
use crate::{Console, failure};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{
    BatchView, ChangeView, CoverageView, DeviceRow, LotQuery, LotView, Problem, limits,
};
use muster_ledger::BatchId;
use muster_registry::{Covered, DeviceSearch, Subject};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// Devices that are shown of a batch, and looked at for its lots.
const FIRST: u64 = 10;

/// Changes that are shown of a batch; the Audit page has all.
const HISTORY: usize = 50;

/// Reports of lots at once: over millions of counts one takes a reader for seconds.
static REPORTS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(limits::LOT_REQUESTS));

#[derive(Template)]
#[template(path = "batch.html")]
struct Batch {
    frame: Frame,
    batch: BatchView,
    /// It is the visitor's organisation's.
    own: bool,
    enrolled: Option<ChangeView>,
    history: Vec<ChangeView>,
    /// There is more of it.
    older: bool,
    /// Devices by standing, where that is counted.
    states: Vec<(&'static str, u64)>,
    devices: Vec<DeviceRow>,
    lots: Vec<String>,
    coverage: Option<CoverageView>,
    /// The import that enrolled it, and its files.
    import: Option<(String, Vec<String>)>,
    names: Names,
}

impl Batch {
    fn over(&self) -> bool {
        matches!(self.batch.standing.as_str(), "revoked" | "deactivated")
    }

    fn releasable(&self) -> bool {
        self.batch.holds.iter().any(|hold| hold.power == "owner")
    }
}

/// How a change is marked in a timeline.
fn mark(action: &str) -> &'static str {
    match action {
        "enrol" | "release" => "good",
        "hold" => "held",
        "revoke" | "deactivate" => "revoked",
        _ => "",
    }
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Path(id): Path<String>,
) -> Response {
    let frame = Frame::new(&console, &headers, "/batches", "Batch", Some(&who));
    shown(build(&console, frame.clone(), &who, &id).await, || frame)
}

async fn found(console: &Console, text: &str) -> Result<(BatchId, BatchView), Problem> {
    let unknown = || {
        Problem::new(404, "not-found", "There is no such batch on this ledger")
            .cure("All batches of your organisation are listed under Batches.")
    };
    let id: BatchId = text.parse().map_err(|_| unknown())?;
    let view = console.registry().batch(&id).await?.ok_or_else(unknown)?;
    Ok((id, view))
}

async fn build(
    console: &Console,
    frame: Frame,
    who: &Visitor,
    text: &str,
) -> Result<Batch, Problem> {
    let registry = console.registry();
    let (id, batch) = found(console, text).await?;
    let own = batch.owner == who.session.organisation.to_string();
    let mut history = registry.history(&id.0).await?;
    history.reverse();
    let enrolled = history.iter().find(|change| change.entry == batch.entry).cloned();
    let older = history.len() > HISTORY;
    history.truncate(HISTORY);
    let search = DeviceSearch {
        organisation: Some(who.session.organisation),
        batch: Some(id),
        limit: FIRST,
        ..DeviceSearch::default()
    };
    let devices = registry.find_devices(&search).await?.rows;
    let reading = console.read_as(who.session.organisation);
    let effect = reading.effect(&[Subject::Batch(id)]).await?;
    let states = super::batches::states(&effect.states);
    let lots: BTreeSet<String> = devices.iter().filter_map(|row| row.lot.clone()).collect();
    let coverage = reading.coverage(Covered::Batch(id)).await.ok();
    let imports = console.imports().filter(|_| people::acts(who.role));
    let jobs = imports.map(|all| all.of(&who.session.organisation)).unwrap_or_default();
    let import = jobs.iter().find_map(|job| {
        job.look(|state| {
            let report = state.report.as_ref()?;
            report.batches.iter().find(|(id, _)| id == text)?;
            let names = report.written.iter().map(|file| file.name.clone()).collect();
            Some((job.id.clone(), names))
        })
    });
    let lots = lots.into_iter().collect();
    let names = people::names(&*console.book().await, &who.session.organisation.to_string());
    Ok(Batch {
        names,
        frame,
        batch,
        own,
        enrolled,
        history,
        older,
        states,
        devices,
        lots,
        coverage,
        import,
    })
}

#[derive(Template)]
#[template(path = "batch_lots.html")]
struct BatchLots {
    frame: Frame,
    batch: String,
    lots: Vec<LotView>,
}

/// The balance of the lots that a batch's first devices are of: a page of its own, since it may
/// take a while.
pub(crate) async fn lots(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Path(id): Path<String>,
) -> Response {
    let frame = Frame::new(&console, &headers, "/batches", "Lots", Some(&who));
    let built = build_lots(&console, frame.clone(), &who, &id).await;
    match built {
        Ok(page) => failure::rendered(&page),
        Err(problem) => failure::page(frame, &problem),
    }
}

async fn build_lots(
    console: &Console,
    frame: Frame,
    who: &Visitor,
    text: &str,
) -> Result<BatchLots, Problem> {
    let (id, _) = found(console, text).await?;
    let organisation = who.session.organisation;
    let search = DeviceSearch {
        organisation: Some(organisation),
        batch: Some(id),
        limit: FIRST,
        ..DeviceSearch::default()
    };
    let devices = console.registry().find_devices(&search).await?.rows;
    let names: BTreeSet<String> = devices.into_iter().filter_map(|row| row.lot).collect();
    let _turn =
        REPORTS.acquire().await.map_err(|e| Problem::new(500, "internal", e.to_string()))?;
    let mut lots = Vec::new();
    for lot in names {
        let query = LotQuery {
            organisation: Some(organisation.to_string()),
            lot: Some(lot),
            ..LotQuery::default()
        };
        lots.extend(console.registry().lots(&query).await?.lots);
    }
    Ok(BatchLots { frame, batch: id.to_string(), lots })
}
