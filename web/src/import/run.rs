//! Runs the pipeline of `muster enrol` for an import, on this node, with a key in a browser.

use super::files::{self, Kind, failed};
use super::job::{Job, Options, Planned, Report, Stage, Trouble, Troubled, Written};
use super::near::Near;
use super::sign::InBrowser;
use super::{Imports, limits};
use crate::Console;
use muster_api::Problem;
use muster_ledger::{BatchId, Enrol, Network, View as _};
use muster_provisioning::formats::{Format, Mapping};
use muster_provisioning::{Enrolment, Error, Finished, Outcome, RowOutcome, SourceOptions};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A node in this process answers, or refuses: nothing is waited for.
const PATIENCE: Duration = Duration::ZERO;

/// Starts a dry run, or a run after one.
pub(super) fn start(
    console: &Console,
    imports: &Imports,
    secret: &Zeroizing<[u8; 32]>,
    job: &Arc<Job>,
    options: Option<Options>,
) -> Result<(), Problem> {
    let dry_run = options.is_some();
    let (enrolment, inputs, format) = enrolment(console, secret, job, options.as_ref())?;
    job.begin(if dry_run { Stage::Rehearsing } else { Stage::Running }, options)?;
    let (turns, job) = (imports.turns.clone(), job.clone());
    let network = console.network();
    tokio::spawn(async move {
        let _turn = turns.acquire_owned().await;
        let heard = job.clone();
        let mut listener = move |progress| heard.change(|state| state.progress = Some(progress));
        let finished = enrolment.run(inputs, format, &mut listener).await;
        let last = job.clone();
        let told = tokio::task::spawn_blocking(move || match finished {
            Ok(finished) => tell(&last, finished, &network).map_err(|e| trouble(&last, &e)),
            Err(error) => Err(trouble(&last, &error)),
        });
        let told = told.await.unwrap_or_else(|e| {
            let words = format!("internal fault: {e}");
            Err(Trouble { code: "internal".into(), words, partly: false })
        });
        settle(&job, told, dry_run);
    });
    Ok(())
}

fn settle(job: &Job, told: Result<Report, Trouble>, dry_run: bool) {
    let over = told.is_ok() && !dry_run;
    if over || matches!(&told, Err(trouble) if trouble.code == "private-key") {
        // Nothing asks for them any more, and serial numbers lie nowhere without need.
        job.forget_files();
    }
    let cancelled = job.is_cancelled();
    job.change(|state| {
        state.progress = None;
        match told {
            Ok(report) => {
                state.stage = if dry_run { Stage::Rehearsed } else { Stage::Done };
                state.report = Some(report);
            }
            Err(mut trouble) => {
                state.stage = if cancelled { Stage::Cancelled } else { Stage::Failed };
                if cancelled && !trouble.partly {
                    trouble.words = "somebody cancelled it; nothing was enrolled by it".into();
                    trouble.code = "cancelled".into();
                }
                state.trouble = Some(trouble);
            }
        }
    });
}

type Ready = (Enrolment, Vec<PathBuf>, Option<Format>);

fn enrolment(
    console: &Console,
    secret: &Zeroizing<[u8; 32]>,
    job: &Arc<Job>,
    options: Option<&Options>,
) -> Result<Ready, Problem> {
    let dry_run = options.is_some();
    let options = options.cloned().unwrap_or_else(|| job.look(|state| state.options.clone()));
    let wrong = |what: &str, why: String| {
        Problem::new(400, "argument", format!("{what}: {why}")).cure("change it, and try again")
    };
    let format = match options.format.as_str() {
        "" | "auto" => None,
        "jsonl" => Some(Format::Jsonl),
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "microchip" => Some(Format::Microchip),
        "x509" | "pkcs10" => Some(Format::X509),
        _ => return Err(wrong("format", "there is no such format".into())),
    };
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let grant = given(&options.grant).map(|id| id.parse()).transpose();
    let grant = grant.map_err(|_| wrong("grant", "it is no id of a grant".into()))?;
    let mapping = Mapping::parse(&options.map).map_err(|e| wrong("columns", e.to_string()))?;
    let of = |kind: Kind| -> Vec<PathBuf> {
        job.look(|state| {
            let files = state.files.iter().filter(|file| file.kind == kind);
            files.map(|file| file.path.clone()).collect()
        })
    };
    let sources = SourceOptions {
        signers: of(Kind::Signer),
        keys: of(Kind::Keys).pop(),
        slot: options.slot.filter(|slot| *slot < 16),
        trust: of(Kind::Trust),
        mapping,
    };
    let registry = console.registry().clone();
    let validators = registry.chain()?.state().validators()?;
    let spool = job.dir.join("spool");
    files::folder(&spool).map_err(|e| failed("make a folder", &e))?;
    let enrolment = Enrolment {
        genesis: registry.genesis().clone(),
        client: Arc::new(Near { registry, job: job.clone() }),
        validators,
        organisation: job.organisation,
        signer: Arc::new(InBrowser(job.clone())),
        directory_secret: secret.clone(),
        grant,
        model: given(&options.model),
        challenge: options.challenge.into_bytes(),
        sources,
        dry_run,
        // What is lost with the node is only begun again: rows that are enrolled stay enrolled.
        journal: None,
        resume: false,
        spool,
        patience: PATIENCE,
        host: console.host(),
    };
    Ok((enrolment, of(Kind::Manifest), format))
}

fn trouble(job: &Job, error: &Error) -> Trouble {
    let words = match error {
        Error::Refused(problem) => match &problem.detail {
            Some(cure) => format!("{}; {cure}", problem.title),
            None => problem.title.clone(),
        },
        other => other.to_string(),
    };
    let partly = matches!(error, Error::Partly { .. });
    Trouble { code: error.code().into(), words: short(&job.hide(&words)), partly }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(limits::TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn planned(enrol: &Enrol, scrap: bool) -> Planned {
    Planned {
        grant: enrol.grant.to_string(),
        model: enrol.model.clone(),
        count: enrol.count,
        root: data_encoding::HEXLOWER.encode(&enrol.root),
        scrap,
    }
}

/// Writes the files that a run leaves behind, and puts its numbers together.
fn tell(job: &Job, finished: Finished, network: &Network) -> Result<Report, Error> {
    let out = job.dir.join("out");
    let done = (|| -> Result<_, Error> {
        let _ = std::fs::remove_dir_all(&out);
        files::folder(&out).map_err(results)?;
        let mut written = Vec::new();
        let troubled = write_all(job, &finished, &mut written)?;
        Ok((troubled, written, finished.scrap_ids(network).map_err(results)?))
    })();
    let (troubled, written, scrap): (_, _, BTreeSet<BatchId>) = done?;
    let summary = finished.summary();
    let elapsed = &summary.elapsed;
    let all = elapsed.reading + elapsed.staging + elapsed.sealing + elapsed.acknowledging;
    let report = Report {
        counts: summary.counts,
        warnings: summary.warnings.iter().map(|text| short(&job.hide(text))).collect(),
        plan: finished.sealed().map(|(enrol, scrap)| planned(enrol, scrap)).collect(),
        troubled,
        written,
        batches: finished
            .batches()
            .map(|batch| (batch.batch.to_string(), planned(&batch.enrol, false)))
            .collect(),
        scrap: match summary.dry_run {
            true => Vec::new(),
            false => scrap.iter().map(ToString::to_string).collect(),
        },
        line: finished.tells_line(),
        elapsed_ms: u64::try_from(all.as_millis()).unwrap_or(u64::MAX),
    };
    finished.close()?;
    Ok(report)
}

fn results(error: io::Error) -> Error {
    Error::File { file: "the results".into(), error }
}

fn write_all(
    job: &Job,
    finished: &Finished,
    written: &mut Vec<Written>,
) -> Result<Vec<Troubled>, Error> {
    let first = job.look(|state| {
        let first = state.files.iter().find(|file| file.is_manifest());
        first.map_or_else(|| "import".to_owned(), |file| file.name.clone())
    });
    type Content<'c> = &'c mut dyn FnMut(&mut dyn Write) -> io::Result<()>;
    let mut write = |name: String, purpose, content: Content<'_>| {
        let path = job.out(&name);
        let mut to = BufWriter::new(files::create(&path).map_err(results)?);
        content(&mut to).and_then(|()| to.flush()).map_err(results)?;
        let bytes = std::fs::metadata(&path).map_err(results)?.len();
        written.push(Written { name, purpose, bytes });
        Ok::<(), Error>(())
    };
    let mut rejects = finished.rejects();
    let mut next = rejects.file()?;
    for mendable in finished.mendable() {
        if next != Some(mendable) {
            continue;
        }
        let file = mendable.path().file_name().unwrap_or_default().to_string_lossy();
        let name = match file.rsplit_once('.') {
            Some((_, ending)) => format!("{file}.rejects.{ending}"),
            None => format!("{file}.rejects"),
        };
        let purpose = "refused rows as they stand: mend them, and import that file";
        write(name, purpose, &mut |to| rejects.write(to).map(drop))?;
        next = rejects.file()?;
    }
    if finished.is_missing().map_err(results)? {
        let purpose = "what rows lack: filled in, it is a file of the line's keys";
        write(format!("{first}.missing.csv"), purpose, &mut |to| {
            let mut to = Hiding { job, to, line: Vec::new() };
            finished.write_missing(&mut to)?;
            to.flush()
        })?;
    }
    if finished.batches().next().is_some() {
        let purpose = "receipts of the devices enrolled now, for those who keep their own";
        write(format!("{first}.receipts.jsonl"), purpose, &mut |to| finished.write_receipts(to))?;
    }
    let mut troubled = Vec::new();
    write(format!("{first}.results.jsonl"), "what became of every row", &mut |to| {
        let mut to = Hiding { job, to, line: Vec::new() };
        let rows = finished.write_results(&mut to, limits::SHOWN)?;
        troubled = rows.into_iter().map(|row| shown(job, row)).collect();
        to.flush()
    })?;
    Ok(troubled)
}

fn shown(job: &Job, row: RowOutcome<'_>) -> Troubled {
    Troubled {
        file: row.file.map(|file| job.hide(file)).unwrap_or_default(),
        line: row.line,
        outcome: if row.outcome == Outcome::Waiting { "waiting" } else { "refused" },
        field: row.field.unwrap_or("row"),
        code: row.code.as_deref().unwrap_or("no-key").into(),
        reason: short(row.reason.as_deref().unwrap_or("it waits for its public key")),
        cure: row.cure.unwrap_or("give the line's keys, or import it again with its key"),
        serial: short(row.serial.as_deref().unwrap_or_default()),
    }
}

/// Writes lines without the node's own folders.
struct Hiding<'j, W: Write> {
    job: &'j Job,
    to: W,
    line: Vec<u8>,
}

impl<W: Write> Write for Hiding<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.flush()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match str::from_utf8(&self.line) {
            Ok(text) => self.to.write_all(self.job.hide(text).as_bytes())?,
            Err(_) => self.to.write_all(&self.line)?,
        }
        self.line.clear();
        Ok(())
    }
}
