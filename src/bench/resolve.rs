//! `muster bench resolve`: how fast a node with many devices starts and answers about any of
//! them. With two sizes both nodes run, and are asked in turn, so that both meet the same noise.

use super::figure::{Figure, quantile};
use super::folder::Folder;
use super::limit::loopback;
use super::roll::Roll;
use crate::cli::BenchResolve;
use crate::commands::Session;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::Instant;
use std::{fs, io};

/// What is asked of us: a node starts in 3 s, and p99 with 10,000,000 devices is at most 1.3
/// times that with 100,000.
const ASKED_START_S: f64 = 3.0;
const ASKED_TIMES: f64 = 1.3;

/// Questions before the clock starts: connections are made, code is in memory.
const WARM_UP: u64 = 100;

const KINDS: [&str; 2] = ["resolution", "receipt"];

/// A node, and milliseconds of each answer to a question of each kind.
struct Asked {
    roll: Roll,
    answers: [Vec<f64>; 2],
}

impl Asked {
    async fn ask(&mut self, counts: bool) -> Result<()> {
        let did = self.roll.any()?;
        let paths = [format!("/1.0/identifiers/{did}"), format!("/v1/devices/{did}/receipt")];
        for (path, answers) in paths.iter().zip(&mut self.answers) {
            let start = Instant::now();
            self.roll.node.http.get(path).await?;
            if counts {
                answers.push(start.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        Ok(())
    }

    fn figures(&self, bare: &[f64]) -> Vec<Figure> {
        let devices = self.roll.devices;
        let start_up = self.roll.start_up().as_secs_f64();
        let name = format!("resolve: {devices} devices, start-up");
        let mut figures = vec![Figure::new(name, start_up, "s").asked(ASKED_START_S)];
        for (kind, answers) in KINDS.iter().zip(&self.answers) {
            for (quantile_name, q) in [("p50", 0.50), ("p99", 0.99)] {
                let name = format!("resolve: {devices} devices, {kind}, {quantile_name}");
                figures
                    .push(Figure::new(name, quantile(answers, q), "ms").limit(quantile(bare, q)));
            }
        }
        let name = format!("resolve: {devices} devices, peak memory");
        figures.extend(self.roll.node.peak().map(|peak| Figure::new(name, peak, "MiB")));
        figures
    }
}

/// Reads a node's files, as much of them as the system keeps in memory: what is compared is how
/// the figures grow with the devices, not which folder was used last.
fn read_once(folder: &Path) -> Result<()> {
    for file in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let file = file?;
        if !file.file_type()?.is_file() {
            continue;
        }
        let mut file = fs::File::open(file.path())?;
        io::copy(&mut file, &mut io::sink())?;
    }
    Ok(())
}

pub(super) async fn run(session: &Session, arg: &BenchResolve) -> Result<Vec<Figure>> {
    let same = arg.against == Some(arg.devices);
    ensure!(!same, "--against needs another number than --devices");
    let folder = Folder::new(arg.dir.as_deref())?;
    let mut nodes = Vec::new();
    for devices in [Some(arg.devices), arg.against].into_iter().flatten() {
        let dir = folder.path(&format!("devices-{devices}"));
        let roll = Roll::open(session.output, &dir, devices).await?;
        read_once(&dir.join("node"))?;
        nodes.push(Asked { roll, answers: Default::default() });
    }
    session.output.say("asking");
    for question in 0..WARM_UP + arg.questions {
        for node in &mut nodes {
            node.ask(question >= WARM_UP).await?;
        }
    }
    let bare = loopback::times(None, arg.questions).await.context("the bare round trips")?;
    let mut figures: Vec<Figure> = nodes.iter().flat_map(|node| node.figures(&bare)).collect();
    if let [node, other] = &nodes[..] {
        let (devices, against) = (node.roll.devices, other.roll.devices);
        for (place, kind) in KINDS.iter().enumerate() {
            let [p99, other] = [node, other].map(|node| quantile(&node.answers[place], 0.99));
            let name = format!("resolve: {kind}, p99, {devices} against {against}");
            figures.push(Figure::new(name, p99 / other, "times").asked(ASKED_TIMES));
        }
    }
    for node in nodes {
        node.roll.node.stop().await?;
    }
    Ok(figures)
}
