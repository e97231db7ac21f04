use super::Session;
use crate::cli::{Enrol, FormatArg};
use crate::home::Home;
use crate::host::Machine;
use crate::output::Output;
use crate::signing::Desk;
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use muster_provisioning::{Enrolment, Format, Progress, Summary};
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(session: &Session, arg: Enrol) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, "keys/admin.pem")?;
    let format = match arg.format {
        FormatArg::Auto => None,
        FormatArg::Jsonl => Some(Format::Jsonl),
        FormatArg::Csv => Some(Format::Csv),
    };
    let results = arg.results.clone().unwrap_or_else(|| results_beside(&arg.files[0]));
    let mut enrolment = enrolment(&session.home, desk)?;
    enrolment.grant = arg.grant.as_deref().map(str::parse).transpose().context("--grant")?;
    enrolment.model = arg.model.clone();
    enrolment.challenge = arg.challenge.as_bytes().to_vec();
    enrolment.dry_run = arg.dry_run;
    enrolment.results = Some(results.clone());
    enrolment.receipts = arg.out.clone();
    let summary = watch(session.output, enrolment, &arg.files, format).await?;
    let words = describe(&summary, arg.dry_run, &results);
    session.output.result(&object(&summary, arg.dry_run, &results), words);
    // Waiting and refused rows are what the user must see to: scripts learn it by the status.
    let complete = summary.refused == 0 && summary.waiting == 0;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An enrolment by this organisation with its defaults.
pub(crate) fn enrolment(home: &Home, desk: Desk) -> Result<Enrolment> {
    Ok(Enrolment::new(
        desk.client,
        desk.genesis,
        Arc::new(desk.key),
        home.directory_secret()?,
        Arc::new(Machine),
    ))
}

/// Runs it with a progress bar on a terminal, a line per tenth elsewhere.
pub(crate) async fn watch(
    output: Output,
    enrolment: Enrolment,
    files: &[PathBuf],
    format: Option<Format>,
) -> Result<Summary> {
    let mut progress = Bar::new(output);
    let summary = enrolment.run(files, format, &mut |p| progress.show(&p)).await?;
    progress.bar.finish_and_clear();
    Ok(summary)
}

struct Bar {
    bar: ProgressBar,
    lines: bool,
    tenth: u64,
}

impl Bar {
    fn new(output: Output) -> Self {
        let terminal = std::io::stderr().is_terminal() && !output.is_json();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template(
            "{msg:10} [{bar:32}] {human_pos}/{human_len} rows, {per_sec}, {eta} left",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, lines: !terminal && !output.is_json(), tenth: 0 }
    }

    fn show(&mut self, progress: &Progress) {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
        self.bar.set_message(progress.step);
        let tenth = (progress.done * 10).checked_div(progress.total).unwrap_or(0);
        if self.lines && progress.total >= 10_000 && tenth > self.tenth {
            eprintln!("{} {} of {} rows", progress.step, progress.done, progress.total);
        }
        self.tenth = tenth;
    }
}

fn results_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".results.jsonl");
    name.into()
}

fn object(summary: &Summary, dry_run: bool, results: &Path) -> serde_json::Value {
    json!({
        "enrolled": summary.enrolled,
        "already": summary.already,
        "waiting": summary.waiting,
        "refused": summary.refused,
        "rows": summary.rows,
        "dry_run": dry_run,
        "batches": summary.batches.iter().map(|b| b.id.to_string()).collect::<Vec<_>>(),
        "results": results.display().to_string(),
        "problems": summary.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn describe(summary: &Summary, dry_run: bool, results: &Path) -> String {
    let mut words = String::new();
    for problem in &summary.problems {
        words.push_str(&format!("{problem}\n"));
    }
    let hidden = (summary.refused + summary.waiting).saturating_sub(summary.problems.len() as u64);
    if hidden > 0 {
        words.push_str(&format!("... and {hidden} more in the results file\n"));
    }
    if dry_run {
        words.push_str("A dry run: nothing was enrolled.\n");
    }
    for batch in &summary.batches {
        words.push_str(&format!("batch {}  {} devices, {}\n", batch.id, batch.count, batch.model));
    }
    words.push_str(&format!(
        "{} rows: {} {}, {} already, {} waiting, {} refused\nresults {}",
        summary.rows,
        summary.enrolled,
        if dry_run { "to enrol" } else { "enrolled" },
        summary.already,
        summary.waiting,
        summary.refused,
        results.display()
    ));
    words
}
