use super::shown;
use crate::frame::{Frame, Moment, count};
use crate::import::{self, Far, Job, Options, Planned, Report, Slot, Stage, Trouble};
use crate::session::Visitor;
use crate::{Console, people};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{GrantView, Problem};
use muster_ledger::{BatchId, Status, View as _};
use muster_provisioning::formats::Field;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "import.html")]
struct Import {
    frame: Frame,
    acts: bool,
    hindrance: Option<&'static str>,
    grants: Vec<GrantView>,
    jobs: Vec<JobLine>,
}

struct JobLine {
    id: String,
    files: String,
    name: String,
    made: Moment,
    stage: &'static str,
    tag: &'static str,
    busy: bool,
    counts: String,
}

#[derive(Template)]
#[template(path = "import_job.html")]
struct ImportJob {
    frame: Frame,
    id: String,
    /// Who began it, by which key, when.
    name: String,
    key: String,
    mine: bool,
    made: Moment,
    word: &'static str,
    tag: &'static str,
    now: Snapshot,
    grants: Vec<GrantView>,
    columns: Vec<Column>,
    fields: Vec<&'static str>,
    /// Of the plan: devices, and the plan itself for the page to hold the node to.
    devices: u64,
    plan: String,
    /// Batches of scrap that are still valid.
    scrap: Vec<(String, u64)>,
}

/// An import at one moment.
struct Snapshot {
    stage: Stage,
    files: Vec<FileLine>,
    /// All files came whole.
    whole: bool,
    far: Option<Far>,
    options: Options,
    report: Option<Report>,
    trouble: Option<Trouble>,
}

impl Snapshot {
    fn of(job: &Job) -> Self {
        job.look(|state| Self {
            stage: state.stage,
            whole: !state.files.is_empty() && state.files.iter().all(|file| file.is_whole()),
            files: state.files.iter().map(FileLine::of).collect(),
            far: state.progress.as_ref().map(Far::of),
            options: state.options.clone(),
            report: state.report.clone(),
            trouble: state.trouble.clone(),
        })
    }

    fn is(&self, word: &str) -> bool {
        match word {
            "busy" => self.stage.is_busy(),
            "filling" => self.stage == Stage::Filling,
            "rehearsing" => self.stage == Stage::Rehearsing,
            "rehearsed" => self.stage == Stage::Rehearsed,
            "running" => self.stage == Stage::Running,
            "done" => self.stage == Stage::Done,
            "cancelled" => self.stage == Stage::Cancelled,
            _ => false,
        }
    }

    /// Whether a dry run may be made now.
    fn may_rehearse(&self) -> bool {
        self.whole && !self.stage.is_busy() && self.stage != Stage::Done
    }

    /// Whether nothing goes on before something is changed.
    fn wants_change(&self) -> bool {
        let found = self.report.as_ref().is_some_and(|report| !report.plan.is_empty());
        self.trouble.is_some() || !found
    }

    /// The step of the four that it is at.
    fn step(&self) -> usize {
        match (self.stage, &self.report) {
            (Stage::Done, _) => 4,
            (Stage::Running, _) => 3,
            (Stage::Filling, _) => 1,
            _ => 2,
        }
    }
}

struct FileLine {
    name: String,
    kind: &'static str,
    bytes: String,
    /// How much of it came, while it comes.
    share: Option<u64>,
}

impl FileLine {
    fn of(file: &Slot) -> Self {
        let share = (!file.is_whole()).then(|| file.bytes * 100 / file.whole.max(1));
        Self { name: file.name.clone(), kind: file.kind.word(), bytes: size(file.whole), share }
    }
}

struct Column {
    name: String,
    place: usize,
    /// The field that it was said to be.
    field: String,
}

pub(super) fn stage_words(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Filling => ("files are coming", ""),
        Stage::Rehearsing => ("dry run", "me"),
        Stage::Rehearsed => ("ready to enrol", "warn"),
        Stage::Running => ("enrolling", "me"),
        Stage::Done => ("done", "good"),
        Stage::Failed => ("failed", "bad"),
        Stage::Cancelled => ("cancelled", ""),
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/import", "Import", Some(&who));
    shown(build(&console, frame.clone(), &who).await, || frame)
}

/// Grants under which the visitor's organisation may enrol now.
async fn grants(console: &Console, who: &Visitor) -> Result<Vec<GrantView>, Problem> {
    let (own, now) = (who.session.organisation.to_string(), console.now());
    let all = console.registry().network().await?.grants;
    let live = |g: &GrantView| g.organisation == own && !g.withdrawn && g.expires > now;
    Ok(all.into_iter().filter(live).collect())
}

async fn build(console: &Console, frame: Frame, who: &Visitor) -> Result<Import, Problem> {
    let acts = people::acts(who.role);
    let jobs = console.imports().filter(|_| acts).map(|all| all.of(&who.session.organisation));
    let jobs = jobs.unwrap_or_default().iter().map(line).collect();
    let (hindrance, grants) = (import::hindrance(console, who), grants(console, who).await?);
    Ok(Import { frame, acts, hindrance, grants, jobs })
}

fn line(job: &Arc<Job>) -> JobLine {
    job.look(|state| {
        let names: Vec<&str> = state.files.iter().map(|file| file.name.as_str()).collect();
        let (stage, tag) = stage_words(state.stage);
        let counts = state.report.as_ref().map_or(String::new(), |report| {
            let c = &report.counts;
            let word = if state.stage == Stage::Done { "enrolled" } else { "to enrol" };
            let (new, already) = (count(c.enrolled), count(c.already));
            let (waiting, refused) = (count(c.waiting), count(c.refused));
            format!("{new} {word}, {already} already, {waiting} waiting, {refused} refused")
        });
        JobLine {
            id: job.id.clone(),
            files: names.join(", "),
            name: job.name.clone(),
            made: Moment(job.made),
            stage,
            tag,
            busy: state.stage.is_busy(),
            counts,
        }
    })
}

pub(crate) async fn job(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Path(id): Path<String>,
) -> Response {
    let frame = Frame::new(&console, &headers, "/import", "Import", Some(&who));
    shown(build_job(&console, frame.clone(), &who, &id).await, || frame)
}

async fn build_job(
    console: &Console,
    frame: Frame,
    who: &Visitor,
    id: &str,
) -> Result<ImportJob, Problem> {
    who.must(people::acts, "import devices")?;
    let found = console.imports().and_then(|all| all.find(&who.session.organisation, id));
    let job = found.ok_or_else(|| {
        Problem::new(404, "no-such-import", "There is no such import any more").cure(
            "Imports are kept for a day, and not over a restart of the node. What was enrolled is \
             among the batches.",
        )
    })?;
    let grants = grants(console, who).await?;
    let now = Snapshot::of(&job);
    let reading = job.clone();
    // The head of a file is read.
    let read = match now.may_rehearse() {
        true => tokio::task::spawn_blocking(move || reading.columns()).await.unwrap_or_default(),
        false => Vec::new(),
    };
    let columns = read.into_iter().enumerate();
    let columns = columns.map(|(at, name)| Column::of(name, at + 1, &now.options.map)).collect();
    let report = now.report.as_ref();
    let scrap = report.map_or(Ok(Vec::new()), |report| still_valid(console, &report.scrap))?;
    let planned: &[Planned] = report.map_or(&[], |report| &report.plan);
    let devices = planned.iter().map(|batch| batch.count).sum();
    let rows = report.map_or(0, |report| report.counts.rows);
    let plan = serde_json::json!({ "rows": rows, "batches": planned }).to_string();
    let (word, tag) = stage_words(now.stage);
    Ok(ImportJob {
        frame,
        id: job.id.clone(),
        name: job.name.clone(),
        key: job.key.to_multikey(),
        mine: job.key == who.session.key,
        made: Moment(job.made),
        word,
        tag,
        now,
        grants,
        columns,
        fields: Field::ALL.iter().map(|field| field.name()).collect(),
        devices,
        plan,
        scrap,
    })
}

impl Column {
    fn of(name: String, place: usize, map: &[String]) -> Self {
        let by_place = format!("#{place}");
        let mut pairs = map.iter().filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(_, named)| *named == name || *named == by_place);
        let field = found.map_or(String::new(), |(field, _)| field.to_owned());
        Self { name, place, field }
    }
}

/// Which of these batches are valid, and of how many devices.
fn still_valid(console: &Console, batches: &[String]) -> Result<Vec<(String, u64)>, Problem> {
    let chain = console.registry().chain()?;
    let mut valid = Vec::new();
    for text in batches {
        let Ok(id) = text.parse::<BatchId>() else { continue };
        let Some(batch) = chain.state().batch(&id)? else { continue };
        if matches!(batch.standing.at(chain.time()), Status::Active | Status::Held) {
            valid.push((text.clone(), batch.count));
        }
    }
    Ok(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (123_456, "123.4 kB"),
            (400_000_000, "400.0 MB"),
            (4_294_967_296, "4.2 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_column_remembers_what_it_was_said_to_be() {
        let map = ["serial=Device Id".to_owned(), "lot=#3".to_owned()];
        let field = |name: &str, place| Column::of(name.into(), place, &map).field;
        assert_eq!((field("Device Id", 1), field("x", 3)), ("serial".into(), "lot".into()));
        assert_eq!(field("y", 2), "");
    }
}
