use super::shown;
use crate::frame::Frame;
use crate::people::names;
use crate::session::Visitor;
use crate::{Console, Failure};
use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use muster_api::{CoverageView, EffectView, HoldView, LogRow, Problem, limits};
use muster_identity::Did;
use muster_ledger::{BatchId, Power, Standing, Status, Time, View as _};
use muster_registry::{Covered, DeviceSearch, LogFilter, Selection, Subject};
use serde::Deserialize;
use serde_json::json;

/// Devices and batches that a URL names; more are handed over by the page before.
const NAMED: usize = 100;

/// Gateways that the page of an entry lists.
const LISTED: usize = 100;

/// Names and values of a query.
type Pairs = Vec<(String, String)>;

/// What is chosen: by name, or by a search.
#[derive(Debug, Default)]
struct Chosen {
    named: Vec<Subject>,
    search: Option<DeviceSearch>,
    /// The search in words.
    words: Vec<(&'static str, String)>,
    action: String,
}

impl Chosen {
    /// Reads a query: `did` and `batch` name, all else searches.
    fn of(query: Pairs, who: &Visitor) -> Result<Self, Problem> {
        let mut chosen = Self::default();
        let mut search = DeviceSearch {
            organisation: Some(who.session.organisation),
            ..DeviceSearch::default()
        };
        for (name, value) in query {
            if value.is_empty() {
                continue;
            }
            let fault = |what: &str| {
                Problem::new(400, "query", format!("{what} in this link cannot be read"))
                    .cure("choose the devices again")
            };
            let word: &'static str = match name.as_str() {
                "did" => {
                    let did = value.parse().map_err(|_| fault("a DID"))?;
                    chosen.named.push(Subject::Device(did));
                    continue;
                }
                "target" => {
                    let id = value.parse().map_err(|_| fault("a batch"))?;
                    chosen.named.push(Subject::Batch(id));
                    continue;
                }
                "action" => {
                    chosen.action = value;
                    continue;
                }
                "q" => {
                    search.text = Some(value.clone());
                    "Search"
                }
                "model" => {
                    search.model = Some(value.clone());
                    "Model"
                }
                "lot" => {
                    search.lot = Some(value.clone());
                    "Lot"
                }
                "owner" => {
                    search.owner = Some(value.parse().map_err(|_| fault("the owner"))?);
                    "Owner"
                }
                "batch" => {
                    search.batch = Some(value.parse().map_err(|_| fault("the batch"))?);
                    "Batch"
                }
                "state" => {
                    search.state = Some(status(&value).ok_or_else(|| fault("the state"))?);
                    "State"
                }
                // Places and columns of the list.
                _ => continue,
            };
            chosen.words.push((word, value));
        }
        if chosen.named.len() > NAMED {
            let title = format!("a link names at most {NAMED} devices");
            return Err(Problem::new(400, "query", title).cure("choose them by a search"));
        }
        if !chosen.words.is_empty() {
            chosen.search = Some(search);
        }
        Ok(chosen)
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.search.is_none()
    }

    /// Devices and batches to name in operations.
    async fn subjects(&self, console: &Console) -> Result<(Vec<Subject>, bool), Problem> {
        let mut all = self.named.clone();
        let mut more = false;
        if let Some(search) = &self.search {
            let Selection { batches, devices, more: left, .. } =
                console.registry().select(search).await?;
            all.extend(batches.into_iter().map(Subject::Batch));
            all.extend(devices.into_iter().map(Subject::Device));
            more = left;
        }
        Ok((all, more))
    }

    /// Devices and batches that have a hold of their owner to lift. Nothing is put together here:
    /// each hold is lifted where it was placed, on a device or on a batch as a whole.
    async fn held(&self, console: &Console) -> Result<(Vec<Subject>, bool), Problem> {
        let mut all = self.named.clone();
        let search = self.search.as_ref().filter(|s| s.state.is_none_or(|s| s == Status::Held));
        let Some(search) = search else { return Ok((all, false)) };
        let search = DeviceSearch { state: Some(Status::Held), ..search.clone() };
        let registry = console.registry();
        let time = registry.head()?.head().time;
        let chain = registry.chain()?;
        // Whoever finds some devices of a batch does not lift the hold of all.
        for id in registry.select(&search).await?.batches {
            if chain.state().batch(&id)?.is_some_and(|batch| lifts(&batch.standing, time)) {
                all.push(Subject::Batch(id));
            }
        }
        let most = all.len() + limits::SELECTED_DEVICES;
        let mut pages = registry.export(&search)?;
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let fault = |_| Problem::new(500, "corrupt", "a DID of the list is damaged");
                let did: Did = row.did.parse().map_err(fault)?;
                if !chain.state().device(&did)?.is_some_and(|own| lifts(&own.standing, time)) {
                    continue;
                }
                if all.len() == most {
                    return Ok((all, true));
                }
                all.push(Subject::Device(did));
            }
        }
        Ok((all, false))
    }
}

/// Whether there is a hold that its owner may lift.
fn lifts(standing: &Standing, time: Time) -> bool {
    let lasts = |until: Option<Time>| until.is_none_or(|until| time < until);
    standing.holds.iter().any(|hold| hold.power == Power::Owner && lasts(hold.until))
}

pub(super) fn status(word: &str) -> Option<Status> {
    [Status::Active, Status::Held, Status::Revoked, Status::Deactivated]
        .into_iter()
        .find(|s| s.word() == word)
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct Revoke {
    frame: Frame,
    words: Vec<(&'static str, String)>,
    named: usize,
    empty: bool,
    action: String,
    effect: EffectView,
    /// There are more than can be named.
    more: bool,
    /// What needs approval, in words, and how many devices may still be ended without today.
    rules: Option<String>,
    free: Option<u64>,
}

/// What a change would reach, before it is one.
pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/revoke", "Hold or revoke", Some(&who));
    shown(preview(&console, frame.clone(), query, &who).await, || frame)
}

async fn preview(
    console: &Console,
    frame: Frame,
    query: Pairs,
    who: &Visitor,
) -> Result<Revoke, Problem> {
    let chosen = Chosen::of(query, who)?;
    let (subjects, more) = chosen.subjects(console).await?;
    let effect = match subjects.is_empty() {
        true => EffectView::default(),
        false => console.read_as(who.session.organisation).effect(&subjects).await?,
    };
    let empty = chosen.is_empty();
    let (named, action) = (chosen.named.len(), chosen.action);
    let rules = console.registry().network().await?.rules;
    let limit = rules.approval.as_ref().and_then(|approval| approval.devices);
    let ended = console.registry().proposals().await?.ended;
    let ours = who.session.organisation.to_string();
    let today = ended.iter().find(|e| e.organisation == ours).map_or(0, |e| e.today);
    let free = limit.map(|limit| limit.saturating_sub(today));
    let (words, rules) = (chosen.words, super::approvals::rules(&rules));
    Ok(Revoke { frame, words, named, empty, action, effect, more, rules, free })
}

/// The devices and batches to name, for the page that signs.
pub(crate) async fn targets(
    State(console): State<Console>,
    Query(query): Query<Pairs>,
    who: Visitor,
) -> Result<Response, Failure> {
    let chosen = Chosen::of(query, &who)?;
    let (subjects, more) = match chosen.action.as_str() {
        "release" => chosen.held(&console).await?,
        _ => chosen.subjects(&console).await?,
    };
    Ok(Json(named(&console, &subjects, more).await?).into_response())
}

#[derive(Deserialize)]
pub(crate) struct List {
    targets: Vec<String>,
}

/// What a change of listed devices and batches would reach: more of them than a link names.
pub(crate) async fn listed(
    State(console): State<Console>,
    who: Visitor,
    Json(List { targets }): Json<List>,
) -> Result<Response, Failure> {
    if targets.len() > limits::EFFECT_TARGETS {
        let title = format!("at most {} devices and batches at once", limits::EFFECT_TARGETS);
        return Err(Problem::new(413, "too-many", title).into());
    }
    let subject = |text: &String| match text.starts_with("did:") {
        true => text.parse::<Did>().map(Subject::Device),
        false => text.parse::<BatchId>().map(Subject::Batch),
    };
    let subjects: Result<Vec<_>, _> = targets.iter().map(subject).collect();
    let subjects = subjects.map_err(|e| Problem::new(400, "target", e.to_string()))?;
    let effect = console.read_as(who.session.organisation).effect(&subjects).await?;
    Ok(Json(json!({ "effect": effect })).into_response())
}

async fn named(
    console: &Console,
    subjects: &[Subject],
    more: bool,
) -> Result<serde_json::Value, Problem> {
    let mut targets = Vec::with_capacity(subjects.len());
    let mut devices = 0;
    for subject in subjects {
        match subject {
            Subject::Device(did) => {
                devices += 1;
                targets.push(did.to_string());
            }
            Subject::Batch(id) => {
                devices += console.registry().batch(id).await?.map_or(0, |b| b.count);
                targets.push(id.to_string());
            }
        }
    }
    Ok(json!({ "targets": targets, "devices": devices, "more": more }))
}

#[derive(Template)]
#[template(path = "progress.html")]
struct Progress {
    frame: Frame,
    row: LogRow,
    by: String,
    coverage: CoverageView,
    /// Gateways that are not listed.
    left: u64,
    /// The holds that this entry placed and that are still there.
    holds: Vec<HoldView>,
    share: u64,
}

/// Who already goes by an entry, gateway by gateway.
pub(crate) async fn progress(
    State(console): State<Console>,
    headers: HeaderMap,
    Path(entry): Path<u64>,
    who: Visitor,
) -> Response {
    let title = format!("Entry {entry}");
    let frame = Frame::new(&console, &headers, "/revoke", title, Some(&who));
    shown(follow(&console, frame.clone(), entry, &who).await, || frame)
}

async fn follow(
    console: &Console,
    frame: Frame,
    entry: u64,
    who: &Visitor,
) -> Result<Progress, Problem> {
    let registry = console.registry();
    let page = registry.log_page(Some(entry + 1), &LogFilter::default(), 1).await?;
    let row = page.rows.into_iter().find(|r| r.change.entry == entry).ok_or_else(|| {
        Problem::new(404, "not-found", format!("there is no entry {entry}"))
            .cure("the Audit page lists all there are")
    })?;
    let mut coverage =
        console.read_as(who.session.organisation).coverage(Covered::Entry(entry)).await?;
    let left = those_that_wait(&mut coverage.gateways, |gateway| gateway.refuses);
    let ours = who.session.organisation.to_string();
    let by = names(&*console.book().await, &ours).of(&row.change.key);
    let mut holds = Vec::new();
    if row.change.action == "hold" {
        let found = match row.subject_kind.as_str() {
            "device" => match row.subject.parse() {
                Ok(did) => registry.device(&did).await?.map(|d| d.holds),
                Err(_) => None,
            },
            _ => match row.subject.parse() {
                Ok(id) => registry.batch(&id).await?.map(|b| b.holds),
                Err(_) => None,
            },
        };
        holds = found.unwrap_or_default();
        holds.retain(|h| h.power == "owner" && h.by == ours);
    }
    let share = (coverage.acknowledged * 100).checked_div(coverage.registered).unwrap_or(0);
    Ok(Progress { frame, row, by, coverage, left, holds, share })
}

/// Leaves of a list as much as a page shows, what is not done first; says how many go unlisted.
fn those_that_wait<T>(all: &mut Vec<T>, done: impl Fn(&T) -> bool) -> u64 {
    all.sort_by_key(done);
    let left = all.len().saturating_sub(LISTED);
    all.truncate(LISTED);
    left as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_ledger::{HoldId, HoldRecord};

    #[test]
    fn states_have_their_words() {
        assert_eq!(status("held"), Some(Status::Held));
        assert_eq!(status("Held"), None);
    }

    #[test]
    fn an_owner_lifts_what_it_placed_and_what_lasts() {
        let hold = |power, until: Option<u64>| HoldRecord {
            id: HoldId([1; 16]),
            by: Did::from_digest([1; 32]),
            power,
            until: until.map(Time),
        };
        let standing = |holds| Standing { holds, ..Standing::default() };
        assert!(!lifts(&standing(vec![]), Time(10)));
        assert!(lifts(&standing(vec![hold(Power::Owner, None)]), Time(10)));
        assert!(lifts(&standing(vec![hold(Power::Owner, Some(11))]), Time(10)));
        assert!(!lifts(&standing(vec![hold(Power::Owner, Some(10))]), Time(10)), "it is over");
        assert!(!lifts(&standing(vec![hold(Power::Incident, Some(11))]), Time(10)));
    }

    #[test]
    fn those_that_wait_come_first_and_the_list_ends() {
        let mut all: Vec<(usize, bool)> = (0..150).map(|n| (n, n < 70)).collect();
        assert_eq!(those_that_wait(&mut all, |(_, done)| *done), 50);
        assert_eq!((all.len(), all[0], all[99]), (LISTED, (70, false), (19, true)));
        let mut few = vec![(1, true)];
        assert_eq!((those_that_wait(&mut few, |(_, done)| *done), few.len()), (0, 1));
    }
}
