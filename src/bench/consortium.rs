//! `muster bench consortium`: several validators on this machine, beside one node of the same
//! binary that decides alone, in the same run.

mod batch;
mod behind;
mod quiet;
mod singles;
mod town;

use super::figure::{Figure, quantile};
use super::folder::{self, Folder};
use super::manifest::Seed;
use crate::cli::BenchConsortium;
use crate::commands::Session;
use crate::consortium::built;
use anyhow::Result;
use batch::Batch;
use behind::Behind;
use quiet::Quiet;
use singles::{Pool, Sustained};
use std::path::Path;
use std::sync::Arc;
use town::Town;

/// Operations a second for which devices are enrolled beforehand. A faster network ends sooner.
const READY_A_SECOND: u64 = 4_000;

/// What is asked of us: an operation acknowledged, many at once, and one beside a batch.
const ASKED_P50_MS: f64 = 60.0;
const ASKED_P99_MS: f64 = 250.0;
const ASKED_RATE: f64 = 2_000.0;
const ASKED_MEANWHILE_MS: f64 = 500.0;

/// What a network was measured to do.
struct Measured {
    light: Vec<f64>,
    sustained: Sustained,
    batch: Batch,
}

pub(super) async fn run(session: &Session, arg: &BenchConsortium) -> Result<Vec<Figure>> {
    built()?;
    let folder = Folder::empty(arg.dir.as_deref())?;
    let seed = Arc::new(Seed::new());
    let say = |words: &str| session.output.say(words);
    let dir = |name: &str| {
        let path = folder.path(name);
        folder::make(&path).map(|()| path)
    };
    let ready = arg.operations + arg.seconds * READY_A_SECOND + batch::revoked(arg.devices);
    let devices = ready + arg.blocks + arg.devices;

    say("one node that decides alone");
    let (files, home) = (dir("files-alone")?, folder.path("alone"));
    let town = Town::alone(&home, devices).await?;
    let mut pool = Pool::enrol(&town, &files, &seed, ready).await?;
    let alone = measure(session, arg, &town, &mut pool, &files, &seed).await?;
    town.stop_all().await?;

    say("several that decide together");
    let (files, home) = (dir("files-together")?, dir("together")?);
    let mut town = Town::together(&home, arg.nodes, devices).await?;
    say("  quiet");
    let fresh = Quiet::measure(&town, arg.quiet).await?;
    let mut pool = Pool::enrol(&town, &files, &seed, ready + arg.blocks).await?;
    let together = measure(session, arg, &town, &mut pool, &files, &seed).await?;
    say("  quiet again");
    let used = Quiet::measure(&town, arg.quiet).await?;
    let mut figures = together.figures(&alone, arg.nodes);
    figures.extend(fresh.figures("at first"));
    figures.extend(used.figures("after all that"));
    if arg.blocks > 0 {
        say("  one node is stopped, and falls behind");
        let behind = Behind::measure(&mut town, pool.take(arg.blocks)?).await?;
        figures.extend(behind.figures());
    }
    town.stop_all().await?;
    Ok(figures)
}

async fn measure(
    session: &Session,
    arg: &BenchConsortium,
    town: &Town,
    pool: &mut Pool,
    files: &Path,
    seed: &Arc<Seed>,
) -> Result<Measured> {
    let say = |words: &str| session.output.say(words);
    say("  operations, one after the other");
    let light = singles::one_by_one(&town.desk(0)?, pool.take(arg.operations)?).await?;
    say("  operations, many at once");
    let many = pool.take(arg.seconds * READY_A_SECOND)?;
    let sustained = singles::sustained(town, many, arg.in_flight, arg.seconds).await?;
    say("  a batch, and operations meanwhile");
    let others = pool.take(batch::revoked(arg.devices))?;
    let batch = Batch::measure(town, files, seed, arg.devices, others).await?;
    Ok(Measured { light, sustained, batch })
}

impl Measured {
    /// Beside what is asked, and beside one that decides alone.
    fn figures(&self, alone: &Self, nodes: u64) -> Vec<Figure> {
        let mut figures = Vec::new();
        let asked = [("p50", 0.50, ASKED_P50_MS), ("p99", 0.99, ASKED_P99_MS)];
        for (what, q, asked) in asked {
            let name = format!("consortium: acknowledged, {what}");
            let ours = quantile(&self.light, q);
            figures.push(Figure::new(name.clone(), ours, "ms").asked(asked));
            let beside = format!("{name}, against alone");
            figures.push(Figure::new(beside, ours, "ms").limit(quantile(&alone.light, q)));
        }
        let (ours, other) = (&self.sustained, &alone.sustained);
        let name = |what: &str| format!("consortium: many at once{what}");
        figures.extend([
            Figure::new(name(""), ours.rate, "operations/s").asked(ASKED_RATE).more_is_better(),
            Figure::new(name(", against alone"), ours.rate, "operations/s")
                .limit(other.rate)
                .more_is_better(),
            Figure::new(name(", in a block"), ours.in_a_block, "operations")
                .limit(other.in_a_block)
                .more_is_better(),
        ]);
        for (what, q) in [(", p50", 0.50), (", p99", 0.99)] {
            figures.push(
                Figure::new(name(what), quantile(&ours.samples, q), "ms")
                    .limit(quantile(&other.samples, q)),
            );
        }
        if let (Some(ours), Some(other)) = (ours.cores, other.cores) {
            figures.push(Figure::new(name(", processors"), ours, "cores").limit(other));
        }
        figures.extend(self.batch.figures(&alone.batch, nodes));
        figures
    }
}
