//! One organisation of the demonstration: its folder, its node and its gateway, each a process.

use super::super::AUDIENCE;
use super::ports::Ports;
use crate::child::Process;
use crate::home::Home;
use anyhow::{Context as _, Result, bail, ensure};
use muster_api::{Client, ConsensusView};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at something that others do.
const LOOK: Duration = Duration::from_millis(100);

/// What a network in which all is well does in seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) home: Home,
    pub(super) ports: Ports,
    node: Option<Process>,
    gateway: Option<Process>,
}

impl Member {
    pub(super) fn new(name: &'static str, home: Home, ports: Ports) -> Self {
        Self { name, home, ports, node: None, gateway: None }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.node)
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.gateway)
    }

    /// Refuses a folder in which a node runs: a demonstration that is killed cannot end its nodes.
    pub(super) fn check_free(&self) -> Result<()> {
        let path = self.home.path("node/lock");
        let lock = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.with_context(|| format!("cannot open {}", path.display()))?,
        };
        match lock.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => bail!(
                "a node of {} runs already, perhaps of a demonstration that was killed: stop it \
                 (`fuser {}` names its process), then the same command goes on from here",
                self.name,
                path.display()
            ),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    pub(super) fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.url())?)
    }

    /// Where others dial its exchange.
    pub(super) fn exchange(&self) -> String {
        format!("127.0.0.1:{}", self.ports.exchange)
    }

    /// Starts its node, which dials the others.
    pub(super) async fn start_node(&mut self, peers: &[String]) -> Result<()> {
        let listen = format!("127.0.0.1:{}", self.ports.node);
        let exchange = self.exchange();
        let mut args = vec!["serve", "--listen", &listen, "--metrics", "off"];
        args.extend(["--consortium-listen", &exchange]);
        for peer in peers {
            args.extend(["--consortium-peer", peer]);
        }
        self.node = Some(self.server(&args, "node.log").await?);
        Ok(())
    }

    /// Starts its gateway, which follows its own node, and another one when that is away.
    pub(super) async fn start_gateway(&mut self, other: &str) -> Result<()> {
        let (listen, own) = (format!("127.0.0.1:{}", self.ports.gateway), self.url());
        let args = [
            "gateway",
            "--listen",
            &listen,
            "--metrics",
            "off",
            "--node",
            &own,
            "--node",
            other,
            "--audience",
            AUDIENCE,
        ];
        self.gateway = Some(self.server(&args, "gateway.log").await?);
        Ok(())
    }

    async fn server(&self, args: &[&str], log: &str) -> Result<Process> {
        let mut process = Process::start(&self.home, args, Stdio::piped(), self.home.path(log))?;
        process.said().await.with_context(|| format!("{} of {}", args[0], self.name))?;
        Ok(process)
    }

    /// Ends the node as a power cut does.
    pub(super) fn kill_node(&mut self) {
        if let Some(node) = self.node.take() {
            node.kill();
        }
    }

    /// Stops both, as an operator would.
    pub(super) async fn stop(&mut self) -> Result<()> {
        for process in [self.gateway.take(), self.node.take()].into_iter().flatten() {
            process.stop().await.with_context(|| self.name)?;
        }
        Ok(())
    }

    /// Runs a command in its folder, asking its own node, and gives the object that it prints.
    pub(super) async fn run(&self, args: &[&str]) -> Result<Value> {
        self.run_at(&self.url(), args).await
    }

    /// The same, asking the node of another.
    pub(super) async fn run_at(&self, node: &str, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--home").arg(self.home.dir()).arg("--json").args(args);
        command.env("MUSTER_CONFIG", "/dev/null").env("MUSTER_NODE", node).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = output.status;
        ensure!(
            status.success(),
            "muster {} of {} ended with {status}: {told}{}",
            args.join(" "),
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&told).with_context(|| format!("muster {}: {told}", args.join(" ")))
    }

    /// Waits until what its node says of the consensus is as it should be.
    pub(super) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&ConsensusView) -> bool,
    ) -> Result<ConsensusView> {
        let (client, start) = (self.client()?, Instant::now());
        loop {
            let view = client.consensus().await;
            match view {
                Ok(view) if holds(&view) => return Ok(view),
                Ok(view) if start.elapsed() > PATIENCE => {
                    bail!("{}: {what} did not come to pass; it says {view:?}", self.name)
                }
                Err(error) if start.elapsed() > PATIENCE => {
                    return Err(error).with_context(|| format!("{}: {what}", self.name));
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until its node knows of a proposal.
    pub(super) async fn until_proposed(&self, proposal: &str) -> Result<()> {
        let (client, start) = (self.client()?, Instant::now());
        while start.elapsed() < PATIENCE {
            let known = client
                .proposals()
                .await
                .is_ok_and(|view| view.proposals.iter().any(|one| one.proposal == proposal));
            if known {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("{} does not hear of proposal {proposal}", self.name)
    }
}
