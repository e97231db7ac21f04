//! What the engine does, to be shown.

use muster_identity::PublicKey;
use std::collections::BTreeMap;

/// A look at the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineView {
    /// The last decided height.
    pub decided: u64,
    /// The height it works on, or waits to begin.
    pub height: u64,
    /// The round of that height, or `None` while it has not begun.
    pub round: Option<u32>,
    /// Nodes it is connected to.
    pub peers: usize,
    /// In which round the last height was decided.
    pub last_round: u32,
    /// Whose votes the certificate of the last height has.
    pub last_votes: Vec<PublicKey>,
    /// Heights decided since the start.
    pub heights: u64,
    /// Rounds begun since the start.
    pub rounds: u64,
    /// In how many certificates since the start each validator's vote was.
    pub votes: BTreeMap<PublicKey, u64>,
}
