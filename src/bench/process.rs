//! Node and client as processes of their own, as they are in earnest, so that the memory of each
//! is its own.

use super::cores::aside;
use crate::home::Home;
use anyhow::{Context as _, Result, bail, ensure};
use muster_api::Reach;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often a process is looked at: short against any run that is worth a figure, long against
/// the microseconds of a look.
const LOOK: Duration = Duration::from_millis(5);

/// Longest end of a node: it moves what is in its write-ahead log.
const STOPPING: Duration = Duration::from_secs(300);

/// Characters of a log that are shown when a process failed.
const SHOWN: usize = 2_000;

/// A process of this executable. It ends with the value.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(home: &Home, args: &[&str], output: Stdio, log: PathBuf) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("--home")
            .arg(home.dir())
            .arg("--json")
            .args(args)
            .env_remove("MUSTER_NODE")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start a process of this executable")?;
        Ok(Self { child, log })
    }

    /// MiB that it had in memory at most, where the system tells (Linux).
    fn peak(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    /// The end of what it logged.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let skipped = text.chars().count().saturating_sub(SHOWN);
        text.chars().skip(skipped).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `muster serve`.
pub(super) struct Node {
    process: Process,
    pub(super) http: Http,
    /// From its start until it said that it is ready.
    pub(super) start_up: Duration,
}

/// Asks a node, over one connection where one is enough.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) url: String,
    client: reqwest::Client,
}

impl Http {
    /// What the node answers to a question that must be answered with 200.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        ensure!(status == 200, "{path} was answered with {status}");
        Ok(bytes.to_vec())
    }
}

impl Node {
    /// Starts it on a free port and waits until it is ready.
    pub(super) async fn start(home: &Home) -> Result<Self> {
        let start = Instant::now();
        let args = ["serve", "--listen", "127.0.0.1:0"];
        let mut process = Process::start(home, &args, Stdio::piped(), home.path("node.log"))?;
        let output = process.child.stdout.take().context("its output is not a pipe")?;
        let line = aside(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line)?;
            Ok(line)
        });
        let said: Value = serde_json::from_str(&line.await?).unwrap_or_default();
        let Some(url) = said["listening"].as_str() else {
            bail!("the node did not start: {}", process.last_words());
        };
        let client =
            muster_api::http_client(&Reach::default()).map_err(anyhow::Error::msg)?.build()?;
        let http = Http { url: url.to_owned(), client };
        while http.get("/readyz").await.is_err() {
            ensure!(start.elapsed() < STOPPING, "the node is never ready");
            sleep(LOOK).await;
        }
        Ok(Self { process, http, start_up: start.elapsed() })
    }

    /// MiB that it had in memory at most.
    pub(super) fn peak(&self) -> Option<f64> {
        self.process.peak()
    }

    /// Asks it to stop, as an operator would, and waits for its end.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().context("kill")?;
        ensure!(sent.success(), "the node cannot be asked to stop");
        let start = Instant::now();
        while start.elapsed() < STOPPING {
            if let Some(status) = self.process.child.try_wait()? {
                let words =
                    || format!("the node ended with {status}: {}", self.process.last_words());
                ensure!(status.success(), words());
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("the node does not stop")
    }
}

/// A `muster enrol` that enrolled every row.
pub(super) struct Enrolled {
    /// From its start to its end.
    pub(super) took: Duration,
    /// MiB that it had in memory at most.
    pub(super) peak: Option<f64>,
}

/// Runs one that must enrol so many devices.
pub(super) async fn enrol(
    home: &Home,
    node: &Node,
    file: &Path,
    more: &[&str],
    devices: u64,
) -> Result<Enrolled> {
    let name = file.to_str().context("the folder's name is not text")?;
    let args = [&["enrol", name, "--node", &node.http.url], more].concat();
    let said = file.with_extension("said.json");
    let output = File::create(&said)?;
    let start = Instant::now();
    let mut process = Process::start(home, &args, output.into(), file.with_extension("said.log"))?;
    let mut peak = None;
    let status: ExitStatus = loop {
        if let Some(status) = process.child.try_wait()? {
            break status;
        }
        // The high-water mark never falls, so the last look has all but the last milliseconds.
        peak = process.peak().or(peak);
        sleep(LOOK).await;
    };
    let took = start.elapsed();
    let said = fs::read_to_string(said)?;
    ensure!(status.success(), "enrolling ended with {status}: {said}{}", process.last_words());
    let counts: Value = serde_json::from_str(&said).context("enrolling said no JSON object")?;
    ensure!(counts["enrolled"].as_u64() == Some(devices), "not all were enrolled: {said}");
    Ok(Enrolled { took, peak })
}
