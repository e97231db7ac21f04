//! Servers and commands of this executable as processes of their own, as they are in earnest.

use crate::home::Home;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Longest end of a server: a node moves what is in its write-ahead log.
const STOPPING: Duration = Duration::from_secs(300);

/// In which Linux tells the time of processors, on every architecture (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// Characters of a log that are shown when a process failed.
const SHOWN: usize = 2_000;

/// A process of this executable. It ends with the value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with these arguments, and `--json`.
    pub(crate) fn start(home: &Home, args: &[&str], output: Stdio, log: PathBuf) -> Result<Self> {
        Self::on(Command::new(std::env::current_exe()?), home, args, output, log)
    }

    /// The same by a command that is prepared.
    pub(crate) fn on(
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
            // What it does is said by the options that stand here, not by this machine's settings.
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
    pub(crate) fn peak(&self) -> Option<f64> {
        self.memory("VmHWM:")
    }

    /// What the system tells of its memory, in MiB.
    pub(crate) fn memory(&self, which: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(which))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    /// Seconds that its threads ran, where the system tells (Linux).
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let nanoseconds = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        Some(nanoseconds.sum::<f64>() / 1e9)
    }

    /// Seconds of processor that it used, threads that have ended included: coarser, and nothing
    /// is lost (proc_pid_stat(5), utime and stime, the 14th and 15th field).
    pub(crate) fn cpu_of_all(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program may have anything in it; behind it comes the third field.
        let (_, fields) = text.rsplit_once(')')?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.map(|field| field.parse::<f64>().ok()).sum::<Option<f64>>()?;
        Some(ticks / TICKS_A_SECOND)
    }

    /// The object that it prints first, as servers do when they listen.
    pub(crate) async fn said(&mut self) -> Result<Value> {
        let output = self.child.stdout.take().context("its output is not a pipe")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = line.await??;
        serde_json::from_str(&line)
            .map_err(|_| anyhow!("it did not start: {}{}", line, self.last_words()))
    }

    /// Its status, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to stop, as an operator would, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().context("kill")?;
        ensure!(sent.success(), "the server cannot be asked to stop");
        let start = Instant::now();
        while start.elapsed() < STOPPING {
            if let Some(status) = self.ended()? {
                let words = || format!("the server ended with {status}: {}", self.last_words());
                ensure!(status.success(), words());
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("the server does not stop")
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// The end of what it logged.
    pub(crate) fn last_words(&self) -> String {
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
