//! Servers and clients as processes of their own, as they are in earnest, so that the memory of
//! each is its own.

use super::cores::aside;
use super::pinned;
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

/// Longest end of a server: a node moves what is in its write-ahead log.
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
        Self::on(Command::new(std::env::current_exe()?), home, args, output, log)
    }

    fn on(
        mut command: Command,
        home: &Home,
        args: &[&str],
        output: Stdio,
        log: PathBuf,
    ) -> Result<Self> {
        let child = command
            .arg("--home")
            .arg(home.dir())
            .arg("--json")
            .args(args)
            // A figure is of the options that stand here, not of this machine's settings.
            .env("MUSTER_CONFIG", "/dev/null")
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
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(which))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    /// Seconds that its threads ran, where the system tells (Linux).
    fn cpu_seconds(&self) -> Option<f64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let nanoseconds = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        Some(nanoseconds.sum::<f64>() / 1e9)
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
        let command = Command::new(std::env::current_exe()?);
        Self::start(command, home, &["serve", "--metrics", "127.0.0.1:0"], "node.log").await
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
        let output = process.child.stdout.take().context("its output is not a pipe")?;
        let line = aside(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line)?;
            Ok(line)
        });
        let said: Value = serde_json::from_str(&line.await?).unwrap_or_default();
        let Some(url) = said["listening"].as_str() else {
            bail!("{args:?} did not start: {}", process.last_words());
        };
        let client =
            muster_api::http_client(&Reach::default()).map_err(anyhow::Error::msg)?.build()?;
        let metrics = said["metrics"].as_str().and_then(|url| url.strip_suffix("/metrics"));
        let metrics = metrics.map(|url| Http { url: url.to_owned(), client: client.clone() });
        let http = Http { url: url.to_owned(), client };
        while http.get("/readyz").await.is_err() {
            ensure!(start.elapsed() < STOPPING, "{args:?} is never ready");
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

    /// Asks it to stop, as an operator would, and waits for its end.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().context("kill")?;
        ensure!(sent.success(), "the server cannot be asked to stop");
        let start = Instant::now();
        while start.elapsed() < STOPPING {
            if let Some(status) = self.process.child.try_wait()? {
                let words =
                    || format!("the server ended with {status}: {}", self.process.last_words());
                ensure!(status.success(), words());
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("the server does not stop")
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
