mod files;
mod progress;

pub(crate) use files::write;

use super::Session;
use super::lot::after_enrol;
use crate::cli::{Enrol, FormatArg};
use crate::home::Home;
use crate::host::Machine;
use crate::output::Output;
use crate::signing::Desk;
use anyhow::{Context as _, Result};
use files::{Paths, Written, beside, folder_of};
use muster_provisioning::formats::{Format, Mapping};
use muster_provisioning::{Enrolment, Finished, Outcome, RowOutcome, SourceOptions};
use progress::Bars;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long a node that does not answer is waited for: as long as one takes to start again.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(session: &Session, arg: Enrol) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, "keys/admin.pem")?;
    let format = match arg.format {
        FormatArg::Auto => None,
        FormatArg::Jsonl => Some(Format::Jsonl),
        FormatArg::Json => Some(Format::Json),
        FormatArg::Csv => Some(Format::Csv),
        FormatArg::Microchip => Some(Format::Microchip),
        FormatArg::X509 | FormatArg::Pkcs10 => Some(Format::X509),
    };
    let paths = Paths::new(&arg)?;
    let results = paths.results.clone();
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
    let written = paths.write(&finished);
    if let (Ok(scrapped), true) = (&scrapped, written.is_err()) {
        // What is valid, or not, must be known whatever else fails.
        session.output.say(scrapped.words());
    }
    let (written, troubled) = written?;
    let scrapped = scrapped?;
    let mut said = object(&finished, &results, &written);
    scrapped.add_to(&mut said);
    let words = describe(&finished, &troubled, &results, &written) + &scrapped.words();
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
        client: Arc::new(desk.client),
        genesis: desk.genesis,
        validators: desk.validators,
        signer: desk.key,
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

/// Runs it with a bar for each phase on a terminal, a line per tenth elsewhere.
pub(crate) async fn watch(
    output: Output,
    enrolment: Enrolment,
    files: Vec<PathBuf>,
    format: Option<Format>,
) -> Result<Finished> {
    let mut bars = Bars::new(output);
    let finished = enrolment.run(files, format, &mut |progress| bars.show(&progress)).await?;
    bars.end();
    Ok(finished)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn object(finished: &Finished, results: &Path, written: &Written) -> serde_json::Value {
    let shown = |path: &PathBuf| path.display().to_string();
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
        "rejects": written.rejects.first().map(shown),
        "more_rejects": written.rejects.iter().skip(1).map(shown).collect::<Vec<_>>(),
        "missing": written.missing.as_ref().map(shown),
    })
}

fn describe(
    finished: &Finished,
    troubled: &[RowOutcome<'_>],
    results: &Path,
    written: &Written,
) -> String {
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
        let devices = if enrol.count == 1 { "device" } else { "devices" };
        words.push_str(&format!("batch {id}  {} {devices}, {}\n", enrol.count, enrol.model));
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
    for file in &written.rejects {
        words.push_str(&format!("\nrejects {}  mend its rows and enrol it", file.display()));
    }
    if let Some(file) = &written.missing {
        words.push_str(&format!(
            "\nmissing {}  what each of these rows lacks; keys filled in there are taken by --keys",
            file.display()
        ));
    }
    words
}
