use crate::fault::Fault;
use crate::report::AcknowledgedStatus;
use muster_ledger::{NextProtocol, UpgradeAhead};
use muster_verifier::{Reason, Rejected, Verified};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a gateway is doing: `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayStatus {
    /// Genesis hash.
    pub network: String,
    /// The name that devices dial.
    pub audience: String,
    /// Whether it can say "yes".
    pub ready: bool,
    /// Height of the roll's last block.
    pub height: u64,
    /// Log entries of the roll.
    pub size: u64,
    /// Time of the roll's checkpoint (ms), zero before the first.
    pub checkpoint_time: u64,
    /// How old the roll is; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_age_ms: Option<u64>,
    /// Whether this machine's clock is behind the roll's checkpoint, and so wrong.
    pub clock_behind: bool,
    /// At which age it refuses devices that no class names.
    pub max_roll_age_ms: u64,
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
    /// Devices let through.
    pub accepted: u64,
    /// Of these, let through by a roll older than it should be.
    pub accepted_stale: u64,
    /// Refusals by reason; each reason is there.
    pub refused: BTreeMap<&'static str, u64>,
    /// Heads that a quorum's signature convicts: forks, roll-backs, false roots.
    pub forks_seen: u64,
    /// What went wrong last, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why it follows no further, if it stopped: `upgrade needed`, an invalid operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// A protocol version that the ledger announces and this program does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeStatus>,
    /// Devices whose evidence is at hand.
    pub evidence: usize,
    /// Devices whose parts are on disk.
    pub devices: u64,
    /// Presentations remembered.
    pub presentations: usize,
    /// How the nodes take its acknowledgements; absent if it makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Vec<AcknowledgedStatus>>,
}

/// A protocol version to come, seen from a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpgradeStatus {
    /// The version.
    pub version: u64,
    /// Height of its first block.
    pub height: u64,
    /// Whether the next block is that one: then nothing can be followed any more.
    pub needed: bool,
    /// The same in words.
    pub words: String,
}

impl From<UpgradeAhead> for UpgradeStatus {
    fn from(ahead: UpgradeAhead) -> Self {
        let NextProtocol { version, height } = ahead.next;
        Self { version, height, needed: ahead.due, words: ahead.to_string() }
    }
}

/// How a node is doing, seen from a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its address.
    pub url: String,
    /// Whether it is the one being followed.
    pub followed: bool,
    /// Its faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Its last fault, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
}

/// What is counted, shared by the follower and all requests.
#[derive(Debug)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    stale: AtomicU64,
    /// In the order of [`Reason::CODES`].
    refused: [AtomicU64; Reason::CODES.len()],
    following: Mutex<Following>,
}

/// What the follower met.
#[derive(Debug, Clone)]
pub(crate) struct Following {
    pub(crate) nodes: Vec<NodeStatus>,
    pub(crate) forks: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) stopped: Option<String>,
}

impl Counts {
    pub(crate) fn new(nodes: &[String]) -> Self {
        let node = |url: &String| NodeStatus { url: url.clone(), ..NodeStatus::default() };
        Self {
            accepted: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            following: Mutex::new(Following {
                nodes: nodes.iter().map(node).collect(),
                forks: 0,
                last_error: None,
                stopped: None,
            }),
        }
    }

    /// A counter is whole after every statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn following(&self) -> Following {
        self.lock().clone()
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    pub(crate) fn stale(&self) -> u64 {
        self.stale.load(Relaxed)
    }

    pub(crate) fn refused(&self) -> BTreeMap<&'static str, u64> {
        Reason::CODES.into_iter().zip(self.refused.iter().map(|n| n.load(Relaxed))).collect()
    }

    pub(crate) fn decision(&self, decision: &Result<Verified, Rejected>) {
        match decision {
            Ok(verified) => {
                self.accepted.fetch_add(1, Relaxed);
                self.stale.fetch_add(verified.stale().into(), Relaxed);
            }
            Err(rejected) => {
                let code = rejected.code();
                if let Some(place) = Reason::CODES.iter().position(|known| *known == code) {
                    self.refused[place].fetch_add(1, Relaxed);
                }
            }
        }
    }

    pub(crate) fn follows(&self, node: usize) {
        for (i, status) in self.lock().nodes.iter_mut().enumerate() {
            status.followed = i == node;
        }
    }

    pub(crate) fn followed(&self) -> usize {
        self.lock().nodes.iter().position(|node| node.followed).unwrap_or(0)
    }

    pub(crate) fn fault(&self, node: usize, fault: &Fault) {
        let mut counted = self.lock();
        let words = fault.to_string();
        counted.forks += u64::from(fault.convicts());
        if fault.halts() {
            counted.stopped = Some(words.clone());
        }
        if let Some(status) = counted.nodes.get_mut(node) {
            *status.faults.entry(fault.code()).or_default() += 1;
            status.last_fault = Some(words.clone());
            counted.last_error = Some(format!("{}: {words}", counted.nodes[node].url));
        }
    }

    /// What it stopped for is over.
    pub(crate) fn resumes(&self) {
        self.lock().stopped = None;
    }

    pub(crate) fn error(&self, words: String) {
        self.lock().last_error = Some(words);
    }
}
