//! Several organisations on one ledger: who they are, and how many of them decide what concerns
//! all. `docs/adr/0016` says why it is so.

use crate::{Action, Power, limits};
use alloc::vec::Vec;
use core::fmt;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error};

/// The organisations of a network, ascending; none as long as it has only the genesis' own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(pub Vec<Did>);

impl Members {
    /// Whether several organisations decide what concerns all.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Whether an organisation is one of them.
    pub fn contains(&self, did: &Did) -> bool {
        self.0.binary_search(did).is_ok()
    }

    pub(crate) fn insert(&mut self, did: Did) {
        if let Err(place) = self.0.binary_search(&did) {
            self.0.insert(place, did);
        }
    }
}

impl Encode for Members {
    fn encode(&self, w: &mut Writer) {
        w.list(&self.0);
    }
}

impl Decode for Members {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let all: Vec<Did> = r.list(limits::ORGANISATIONS)?;
        if all.is_empty() || !all.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(r.fault("organisations are one or more in ascending order"));
        }
        Ok(Self(all))
    }
}

/// A kind of act that concerns every organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// Takes an organisation in.
    Admit,
    /// Puts an organisation out.
    Expel,
    /// Lets an organisation enrol, or ends that.
    Grant,
    /// Names the validators.
    Validators,
    /// Changes the rules.
    Rules,
    /// Announces a protocol version.
    Protocol,
    /// Places a hold by the network's power, or lifts it.
    Hold,
}

impl Matter {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Admit,
        Self::Expel,
        Self::Grant,
        Self::Validators,
        Self::Rules,
        Self::Protocol,
        Self::Hold,
    ];

    /// Its word, in the rules' table of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Expel => "expel",
            Self::Grant => "grant",
            Self::Validators => "validators",
            Self::Rules => "rules",
            Self::Protocol => "protocol",
            Self::Hold => "hold",
        }
    }

    /// What it is, in a sentence that says it needs approval.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Admit => "an admission",
            Self::Expel => "an expulsion",
            Self::Grant => "a grant",
            Self::Validators => "a change of validators",
            Self::Rules => "a change of rules",
            Self::Protocol => "a new protocol version",
            Self::Hold => "a hold by the network's power",
        }
    }
}

impl Action {
    /// Which matter it is, if it concerns every organisation. Of holds and releases those by the
    /// network's power do, and no other release is ever proposed.
    pub fn matter(&self) -> Option<Matter> {
        Some(match self {
            Self::Admit(_) => Matter::Admit,
            Self::Expel(_) => Matter::Expel,
            Self::Grant(_) | Self::WithdrawGrant(_) => Matter::Grant,
            Self::ChangeValidators(_) => Matter::Validators,
            Self::ChangeRules(_) => Matter::Rules,
            Self::UpgradeProtocol(_) => Matter::Protocol,
            Self::Hold(a) if a.power == Power::Governance => Matter::Hold,
            Self::Release(_) => Matter::Hold,
            _ => return None,
        })
    }
}

/// How many organisations must agree, whoever proposes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// So many, or all where there are fewer.
    Number(u64),
    /// More than half.
    Half,
    /// More than two thirds.
    TwoThirds,
    /// Every one.
    All,
}

impl Threshold {
    /// How many that are, of so many.
    pub fn of(self, organisations: usize) -> usize {
        match self {
            Self::Number(n) => {
                usize::try_from(n).map_or(organisations, |number| number.min(organisations))
            }
            Self::Half => organisations / 2 + 1,
            Self::TwoThirds => organisations * 2 / 3 + 1,
            Self::All => organisations,
        }
        .min(organisations)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Half => f.write_str("more than half"),
            Self::TwoThirds => f.write_str("more than two thirds"),
            Self::All => f.write_str("all"),
        }
    }
}

/// Of each matter, how many organisations must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(pub [Threshold; 7]);

impl Table {
    /// Where the rules have no table: what a coalition of a third must not get, more than two
    /// thirds decide, as they do about blocks; what can be taken back, more than half.
    pub const DEFAULT: Self = {
        use Threshold::{Half, TwoThirds};
        Self([TwoThirds, TwoThirds, Half, TwoThirds, TwoThirds, TwoThirds, Half])
    };

    /// What it says of a matter.
    pub fn get(&self, matter: Matter) -> Threshold {
        self.0[matter as usize]
    }

    /// The same table with another threshold for a matter.
    pub fn with(mut self, matter: Matter, threshold: Threshold) -> Self {
        self.0[matter as usize] = threshold;
        self
    }

    /// Whether one organisation that lost its keys would end all governance for good: nobody could
    /// expel it, and nobody could change the rule that says so. Among fewer than four the default
    /// asks for all as well, as four is the least number of validators of which one may fail.
    pub(crate) fn locks(&self, organisations: usize) -> bool {
        let n = organisations.max(4);
        self.get(Matter::Expel).of(n) == n && self.get(Matter::Rules).of(n) == n
    }
}

/// A list of the thresholds, in the order of [`Matter::ALL`].
impl Encode for Table {
    fn encode(&self, w: &mut Writer) {
        w.list(&self.0);
    }
}

impl Decode for Table {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(Matter::ALL.len())?;
        let mut table = Self([Threshold::All; 7]);
        for threshold in &mut table.0 {
            *threshold = r.value()?;
        }
        Ok(table)
    }
}

/// `[1, number]`, `[2]` more than half, `[3]` more than two thirds, `[4]` all.
impl Encode for Threshold {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Number(n) => w.array(2).uint(1).uint(*n),
            Self::Half => w.array(1).uint(2),
            Self::TwoThirds => w.array(1).uint(3),
            Self::All => w.array(1).uint(4),
        };
    }
}

impl Decode for Threshold {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(2)?;
        if items == 0 {
            return Err(r.fault("a threshold is a number, or one of three words"));
        }
        match (r.uint()?, items) {
            (1, 2) => match r.uint_max(limits::ORGANISATIONS as u64)? {
                0 => Err(r.fault("a threshold is of one organisation or more")),
                n => Ok(Self::Number(n)),
            },
            (2, 1) => Ok(Self::Half),
            (3, 1) => Ok(Self::TwoThirds),
            (4, 1) => Ok(Self::All),
            _ => Err(r.fault("an unknown threshold")),
        }
    }
}
