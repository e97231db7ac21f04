//! Servers and clients as processes of their own, so that the memory of each is its own.

use super::pinned;
use crate::child::Process;
use crate::home::Home;
use anyhow::{Context as _, Result, bail, ensure};
use muster_api::Reach;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often a process is looked at: short against any run that is worth a figure, long against
/// the microseconds of a look.
const LOOK: Duration = Duration::from_millis(5);

/// Longest start of a server: a node reads its ledger back.
const STARTING: Duration = Duration::from_secs(300);

/// A server that says where it listens: a node, a gateway, or the bare one.
pub(super) struct Server {
    process: Process,
    pub(super) http: Http,
    /// Its metrics, if it has any.
    pub(super) metrics: Option<Http>,
    /// From its start until it said that it is ready.
    pub(super) start_up: Duration,
}

/// Asks a server, over one connection where one is enough.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) url: String,
    client: reqwest::Client,
}

impl Http {
    /// What it answers to a question that must be answered with 200.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        ensure!(status == 200, "{path} was answered with {status}");
        Ok(bytes.to_vec())
    }
}

impl Server {
    /// Starts a node.
    pub(super) async fn node(home: &Home) -> Result<Self> {
        Self::node_with(home, &[]).await
    }

    /// Starts a node with arguments besides.
    pub(super) async fn node_with(home: &Home, more: &[&str]) -> Result<Self> {
        let command = Command::new(std::env::current_exe()?);
        let args = [&["serve", "--metrics", "127.0.0.1:0"], more].concat();
        Self::start(command, home, &args, "node.log").await
    }

    /// Starts a node that is one of several.
    pub(super) async fn member(home: &Home, among: &[&str]) -> Result<Self> {
        let command = Command::new(std::env::current_exe()?);
        let args = [&["serve", "--metrics", "off"], among].concat();
        Self::start(command, home, &args, "node.log").await
    }

    /// Starts a gateway that has a core for itself, as far as the system allows.
    pub(super) async fn gateway(home: &Home, node: &Self, audience: &str) -> Result<Self> {
        let args =
            ["gateway", "--node", &node.http.url, "--audience", audience, "--metrics", "off"];
        Self::start(pinned::command()?, home, &args, "gateway.log").await
    }

    /// Starts the bare server, in the same manner.
    pub(super) async fn bare(home: &Home) -> Result<Self> {
        Self::start(pinned::command()?, home, &["bench", "bare"], "bare.log").await
    }

    /// Starts one on a free port and waits until it is ready.
    async fn start(command: Command, home: &Home, args: &[&str], log: &str) -> Result<Self> {
        let start = Instant::now();
        let args = [args, &["--listen", "127.0.0.1:0"]].concat();
        let mut process = Process::on(command, home, &args, Stdio::piped(), home.path(log))?;
        let said = process.said().await?;
        if let Some(error) = said["error"].as_str() {
            bail!("muster {}: {error}", args.join(" "));
        }
        let url = said["listening"].as_str().context("it does not say where it listens")?;
        let client =
            muster_api::http_client(&Reach::default()).map_err(anyhow::Error::msg)?.build()?;
        let metrics = said["metrics"].as_str().and_then(|url| url.strip_suffix("/metrics"));
        let metrics = metrics.map(|url| Http { url: url.to_owned(), client: client.clone() });
        let http = Http { url: url.to_owned(), client };
        while http.get("/readyz").await.is_err() {
            ensure!(start.elapsed() < STARTING, "{args:?} is never ready");
            sleep(LOOK).await;
        }
        Ok(Self { process, http, metrics, start_up: start.elapsed() })
    }

    /// MiB that it had in memory at most.
    pub(super) fn peak(&self) -> Option<f64> {
        self.process.peak()
    }

    /// MiB that it has in memory.
    pub(super) fn memory(&self) -> Option<f64> {
        self.process.memory("VmRSS:")
    }

    /// Seconds of processor that it used.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        self.process.cpu_seconds()
    }

    /// The same, threads that have ended included.
    pub(super) fn cpu_of_all(&self) -> Option<f64> {
        self.process.cpu_of_all()
    }

    /// Asks it to stop, as an operator would, and waits for its end.
    pub(super) async fn stop(self) -> Result<()> {
        self.process.stop().await
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
    node: &Server,
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
        if let Some(status) = process.ended()? {
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
