use crate::config::PinnedHead;
use crate::fault::Fault;
use muster_identity::cbor::Decode;
use muster_ledger::merkle::{Frontier, leaf_hash};
use muster_ledger::{Block, Chain, ChainFault, Checkpoint, Entry, Error, QuorumCheckpoint, Time};

/// The ledger as some entries would make it, before any checkpoint confirmed them. It hashes
/// the entries apart from applying them: if one is invalid, the root still tells whether the
/// quorum signed it or the node made it up.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    chain: Chain,
    log: Frontier,
    /// Entries of the block that is not known to be complete.
    open: Vec<Entry>,
    broken: Option<Broken>,
    pinned: Option<PinnedHead>,
    /// Whether the entries come from our own disk, where only verified ones stay.
    kept: bool,
}

/// Why the entries make no ledger.
#[derive(Debug, Clone)]
enum Broken {
    Upgrade(String),
    Invalid(String),
    Pinned(u64),
}

impl Candidate {
    /// A ledger that is confirmed.
    pub(crate) fn confirmed(chain: Chain) -> Self {
        let log = chain.log().clone();
        Self { chain, log, open: Vec::new(), broken: None, pinned: None, kept: false }
    }

    /// A ledger to which entries of our own disk are put. Their signatures were verified before
    /// they came there, and are not verified again: the log root under the checkpoint, which a
    /// quorum signed, proves in the end that they are the same bytes. If they are not, the whole
    /// candidate is thrown away.
    pub(crate) fn kept(chain: Chain) -> Self {
        Self { kept: true, ..Self::confirmed(chain) }
    }

    /// A candidate that goes on from here, with entries of strangers.
    pub(crate) fn resume(&self, pinned: Option<PinnedHead>) -> Self {
        Self { pinned, kept: false, ..self.clone() }
    }

    /// The ledger, once a checkpoint confirmed it.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Number of entries, those of the open block included.
    pub(crate) fn size(&self) -> u64 {
        self.log.size()
    }

    /// Takes the next entry.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.log.push(leaf_hash(bytes));
        if self.broken.is_some() {
            return;
        }
        match Entry::from_cbor(bytes) {
            Ok(entry) => {
                if self.open.first().is_some_and(|first| first.height != entry.height) {
                    self.close_block();
                }
                self.open.push(entry);
            }
            Err(error) => {
                let index = self.size() - 1;
                self.broken = Some(Broken::Invalid(format!("entry {index}: {error}")));
            }
        }
        // No block has more; a longer one is refused before it fills the memory.
        if self.open.len() > muster_ledger::limits::BLOCK_OPERATIONS {
            self.close_block();
        }
    }

    /// Applies the open block.
    fn close_block(&mut self) {
        if self.broken.is_some() || self.open.is_empty() {
            return;
        }
        let blocks = match Block::from_entries(std::mem::take(&mut self.open)) {
            Ok(blocks) => blocks,
            Err(error) => return self.broken = Some(Broken::Invalid(error.to_string())),
        };
        for block in blocks {
            let extended = match self.kept {
                true => self.chain.replay(&block),
                false => self.chain.extend(&block).map(|(chain, _)| chain),
            };
            match extended {
                Ok(chain) => self.chain = chain,
                Err(fault) => return self.broken = Some(Broken::from(fault)),
            }
            if let Some(pin) = self.pinned.filter(|pin| self.chain.size() >= pin.size) {
                let head = self.chain.head(Time(0));
                let root = head.map(|head| (head.size, head.log_root));
                if root != Ok((pin.size, pin.log_root)) {
                    return self.broken = Some(Broken::Pinned(pin.size));
                }
                self.pinned = None;
            }
        }
    }

    /// Applies what is open and checks the head against the whole. The head's signatures were
    /// checked before.
    pub(crate) fn confirm(&mut self, note: &Checkpoint) -> Result<QuorumCheckpoint, Fault> {
        self.close_block();
        let head = note.head();
        let contains = head.size == self.log.size() && head.log_root == self.log.root();
        match self.broken.clone() {
            Some(Broken::Pinned(size)) => Err(Fault::Pinned(size)),
            Some(Broken::Upgrade(why)) if contains => Err(Fault::Upgrade(why)),
            Some(Broken::Invalid(why)) if contains => Err(Fault::Invalid(why)),
            Some(Broken::Upgrade(why) | Broken::Invalid(why)) => {
                Err(Fault::Apart(format!(" ({why})")))
            }
            None if contains => self.chain.check(note).map_err(Fault::Mismatch),
            None => Err(Fault::Apart(String::new())),
        }
    }

    /// Why the entries make no ledger, when they come from our own disk.
    pub(crate) fn fault(&mut self) -> Option<String> {
        self.close_block();
        self.broken.as_ref().map(|broken| match broken {
            Broken::Upgrade(why) | Broken::Invalid(why) => why.clone(),
            Broken::Pinned(size) => Fault::Pinned(*size).to_string(),
        })
    }
}

impl From<ChainFault> for Broken {
    fn from(fault: ChainFault) -> Self {
        match &fault {
            ChainFault::Operation { error: Error::Upgrade(_), .. } => {
                Self::Upgrade(fault.to_string())
            }
            _ => Self::Invalid(fault.to_string()),
        }
    }
}
