use muster_identity::Did;

/// Something that a person did at this node and that is not on the ledger: signed in, invited,
/// exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When (ms, the node's clock).
    pub time: u64,
    /// Whose person it was: only that organisation reads of it.
    pub organisation: Did,
    /// Who: the person's key (Multikey).
    pub who: String,
    /// What, as a word.
    pub act: String,
    /// About whom or what, in words.
    pub about: String,
}
