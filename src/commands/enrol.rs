use super::Session;
use super::lot::after_enrol;
use crate::cli::{Enrol, FormatArg};
use crate::home::Home;
use crate::host::Machine;
use crate::output::Output;
use crate::signing::Desk;
use anyhow::{Context as _, Result};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use muster_provisioning::formats::{Format, Mapping};
use muster_provisioning::{
    Enrolment, Finished, Outcome, Phase, Progress, RowOutcome, SourceOptions,
};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long a node that does not answer is waited for: as long as one takes to start again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows that are shown on the terminal; all are in the results file.
const SHOWN: usize = 20;

pub(super) async fn run(session: &Session, arg: Enrol) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, "keys/admin.pem")?;
    let format = match arg.format {
        FormatArg::Auto => None,
        FormatArg::Jsonl => Some(Format::Jsonl),
        FormatArg::Csv => Some(Format::Csv),
        FormatArg::Microchip => Some(Format::Microchip),
        FormatArg::X509 | FormatArg::Pkcs10 => Some(Format::X509),
    };
    let results = arg.results.clone().unwrap_or_else(|| beside(&arg.files[0], "results.jsonl"));
    let mut enrolment = enrolment(&session.home, desk)?;
    enrolment.grant = arg.grant.as_deref().map(str::parse).transpose().context("--grant")?;
    enrolment.model = arg.model.clone();
    enrolment.challenge = arg.challenge.as_bytes().to_vec();
    enrolment.sources = SourceOptions {
        signers: arg.signer.clone(),
        keys: arg.keys.clone(),
        slot: arg.slot,
        trust: arg.trust.clone(),
        mapping: Mapping::parse(&arg.map)?,
    };
    enrolment.dry_run = arg.dry_run;
    enrolment.resume = arg.resume;
    enrolment.journal = Some(beside(&arg.files[0], "journal"));
    enrolment.spool = folder_of(&results);
    let finished = watch(session.output, enrolment, arg.files, format).await?;
    // First of all: what is scrap is valid until then.
    let scrapped = after_enrol(session, &arg.sign, &finished).await;
    let mut troubled = Vec::new();
    write(&results, |out| {
        troubled = finished.write_results(out, SHOWN)?;
        Ok(())
    })?;
    if let Some(file) = &arg.out {
        write(file, |out| finished.write_receipts(out))?;
    }
    let scrapped = scrapped?;
    let mut said = object(&finished, &results);
    scrapped.add_to(&mut said);
    let words = describe(&finished, &troubled, &results) + &scrapped.words();
    session.output.result(&said, words);
    // Waiting and refused rows are what the user must see to: scripts learn it by the status.
    let counts = finished.summary().counts;
    let complete = counts.refused == 0 && counts.waiting == 0 && scrapped.is_over();
    drop(troubled);
    finished.close()?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An enrolment by this organisation with its defaults.
pub(crate) fn enrolment(home: &Home, desk: Desk) -> Result<Enrolment> {
    Ok(Enrolment {
        organisation: desk.organisation(),
        client: desk.client,
        genesis: desk.genesis,
        signer: Arc::new(desk.key),
        directory_secret: home.directory_secret()?,
        grant: None,
        model: None,
        challenge: Vec::new(),
        sources: SourceOptions::default(),
        dry_run: false,
        journal: None,
        resume: false,
        spool: home.dir().to_owned(),
        patience: PATIENCE,
        host: Arc::new(Machine),
    })
}

/// Runs it with a progress bar on a terminal, a line per tenth elsewhere.
pub(crate) async fn watch(
    output: Output,
    enrolment: Enrolment,
    files: Vec<PathBuf>,
    format: Option<Format>,
) -> Result<Finished> {
    let mut bar = Bar::new(output);
    let finished = enrolment.run(files, format, &mut |progress| bar.show(&progress)).await?;
    bar.bar.finish_and_clear();
    Ok(finished)
}

/// Writes a file beside its place and moves it there: whole or not at all.
pub(crate) fn write(
    file: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let done = (|| {
        // Serial numbers are the owner's business.
        let open = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let mut out = BufWriter::new(open?);
        content(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, file)
    })();
    done.with_context(|| format!("cannot write {}", file.display()))
}

struct Bar {
    bar: ProgressBar,
    lines: bool,
    tenth: u64,
}

impl Bar {
    fn new(output: Output) -> Self {
        let terminal = io::stderr().is_terminal() && !output.is_json();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template(
            "  {msg:8} [{bar:32}] {human_pos}/{human_len}, {rate}/s, {eta} left",
        ) {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
            };
            bar.set_style(style.progress_chars("=> ").with_key("rate", rate));
        }
        Self { bar, lines: !terminal && !output.is_json(), tenth: 0 }
    }

    fn show(&mut self, progress: &Progress) {
        let step = match progress.phase {
            Phase::Reading => "reading",
            Phase::Staging => "staging",
            Phase::Sealing => "sealing",
            Phase::Acknowledging => "signing",
        };
        let total = progress.total.unwrap_or(progress.done);
        self.bar.set_length(total);
        self.bar.set_position(progress.done);
        self.bar.set_message(step);
        let tenth = (progress.done * 10).checked_div(total).unwrap_or(0);
        if self.lines && progress.phase == Phase::Staging && total >= 10_000 && tenth > self.tenth {
            eprintln!("{step} {} of {total} rows", progress.done);
        }
        self.tenth = tenth;
    }
}

/// A file of the command beside its first file; a folder's are beside it, not in it, whether it
/// is named with a slash or not.
fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.components().as_path().as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// The folder that a file stands in.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn object(finished: &Finished, results: &Path) -> serde_json::Value {
    let summary = finished.summary();
    let counts = &summary.counts;
    json!({
        "enrolled": counts.enrolled,
        "already": counts.already,
        "waiting": counts.waiting,
        "refused": counts.refused,
        "rows": counts.rows,
        "dry_run": summary.dry_run,
        "elapsed_ms": {
            "reading": ms(summary.elapsed.reading),
            "staging": ms(summary.elapsed.staging),
            "sealing": ms(summary.elapsed.sealing),
            "acknowledging": ms(summary.elapsed.acknowledging),
        },
        "batches": finished.batches().map(|b| b.batch.to_string()).collect::<Vec<_>>(),
        "warnings": summary.warnings,
        "results": results.display().to_string(),
    })
}

fn describe(finished: &Finished, troubled: &[RowOutcome<'_>], results: &Path) -> String {
    let summary = finished.summary();
    let counts = &summary.counts;
    let mut words = String::new();
    for warning in &summary.warnings {
        words.push_str(&format!("warning: {warning}\n"));
    }
    for row in troubled {
        let file = row.file.map_or(String::new(), |file| format!("{file}, "));
        let line = row.line;
        words.push_str(&match row.outcome {
            Outcome::Waiting if row.code.is_none() => {
                format!("{file}line {line}: waiting for its public key\n")
            }
            Outcome::Waiting => format!(
                "{file}line {line}: waiting: {} [{}]; {}\n",
                row.reason.as_deref().unwrap_or_default(),
                row.code.as_deref().unwrap_or_default(),
                row.cure.unwrap_or_default(),
            ),
            _ => format!(
                "{file}line {line}, {}: {} [{}]; {}\n",
                row.field.unwrap_or("row"),
                row.reason.as_deref().unwrap_or("refused"),
                row.code.as_deref().unwrap_or("refused"),
                row.cure.unwrap_or("see the reason"),
            ),
        });
    }
    let hidden = (counts.waiting + counts.refused).saturating_sub(troubled.len() as u64);
    if hidden > 0 {
        words.push_str(&format!("... and {hidden} more in the results file\n"));
    }
    if summary.dry_run {
        words.push_str("A dry run: nothing was enrolled.\n");
    }
    for batch in finished.batches() {
        let (id, enrol) = (batch.batch, &batch.enrol);
        words.push_str(&format!("batch {id}  {} devices, {}\n", enrol.count, enrol.model));
    }
    words.push_str(&format!(
        "{} rows: {} {}, {} already, {} waiting, {} refused\nresults {}",
        counts.rows,
        counts.enrolled,
        if summary.dry_run { "to enrol" } else { "enrolled" },
        counts.already,
        counts.waiting,
        counts.refused,
        results.display()
    ));
    words
}
