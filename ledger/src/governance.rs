//! What concerns the network or takes more than one signature: rules, protocol versions,
//! proposals. `docs/adr/0013` says why it is so.

use crate::{Action, ProposalId, Rules, Time, action, limits, operation};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, PublicKey};

/// Replaces all rules of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRules {
    /// The organisation's change counter.
    pub seq: u64,
    /// The rules from here on.
    pub rules: Rules,
}

/// Announces the next protocol version, in place of what was announced before. The same again, a
/// day later, confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeProtocol {
    /// The organisation's change counter.
    pub seq: u64,
    /// What is announced; none: nothing any more.
    pub next: Option<NextProtocol>,
}

/// A protocol version, and from which block on operations state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextProtocol {
    /// The version.
    pub version: u64,
    /// Height of the first block of that version.
    pub height: u64,
}

/// Puts an action before those who approve. It is the author's, as if it had been sent alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propose {
    /// What is proposed.
    pub action: Box<Action>,
    /// From then on nobody can approve it.
    pub expires: Time,
    /// Public reason, possibly empty.
    pub reason: String,
}

/// Approves a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// Which one.
    pub proposal: ProposalId,
}

/// Ends a proposal: its proposer withdraws it, or whoever could approve it rejects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawProposal {
    /// Which one.
    pub proposal: ProposalId,
}

/// The protocol version of the network, as the state has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolRecord {
    /// The version when the record was written.
    pub version: u64,
    /// What was announced.
    pub next: Option<NextProtocol>,
    /// As long as that is not confirmed: the earliest time of a block that confirms it.
    pub confirm_from: Option<Time>,
}

impl ProtocolRecord {
    /// The version that operations of the block at a height state. What nobody confirmed never
    /// comes: heights are reached as fast as somebody sends operations, a day is not.
    pub fn at(&self, height: u64) -> u64 {
        let confirmed = self.next.filter(|_| self.confirm_from.is_none());
        confirmed.filter(|next| next.height <= height).map_or(self.version, |next| next.version)
    }
}

/// A protocol version that was announced and that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeAhead {
    /// What was announced.
    pub next: NextProtocol,
    /// Whether it was confirmed; else it does not come yet.
    pub confirmed: bool,
    /// Whether the next block is of that version: then nothing can be added by this program.
    pub due: bool,
}

impl fmt::Display for UpgradeAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NextProtocol { version, height } = self.next;
        let known = operation::PROTOCOL;
        if self.due {
            f.write_str("upgrade needed: ")?;
        }
        if self.confirmed {
            write!(f, "the network goes to protocol {version} at height {height}")?;
        } else {
            write!(f, "protocol {version} is announced for height {height} and not confirmed")?;
        }
        write!(f, "; this program knows up to {known}")
    }
}

/// What is counted of an organisation: how many devices it ended, and what it proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OversightRecord {
    /// The day of UTC, from 1970-01-01, of the last counted ending.
    pub day: u64,
    /// Devices ended on that day without approval.
    pub ended: u64,
    /// Open proposals, oldest first.
    pub open: Vec<ProposalId>,
}

impl OversightRecord {
    /// How many devices were ended without approval on the day of a time.
    pub fn ended_on(&self, time: Time) -> u64 {
        if self.day == time.day() { self.ended } else { 0 }
    }
}

/// A proposal, as the state has it. A closed one stays, so that its operation cannot be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalRecord {
    /// May be approved.
    Open(Box<OpenProposal>),
    /// Over.
    Closed(Outcome),
}

/// A proposal that may be approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenProposal {
    /// The organisation that proposes; it approves too, save what concerns all.
    pub organisation: Did,
    /// The key that proposed.
    pub key: PublicKey,
    /// What is proposed.
    pub action: Action,
    /// From then on nobody can approve it.
    pub expires: Time,
    /// Who approved, in their order.
    pub approvals: Vec<Approved>,
    /// Public reason, possibly empty.
    pub reason: String,
    /// Place of the proposal in the log.
    pub entry: u64,
}

/// An approval of an open proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approved {
    /// The key that approved.
    pub key: PublicKey,
    /// Its organisation.
    pub organisation: Did,
}

/// How a proposal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    CarriedOut = 1,
    /// Its proposer withdrew it.
    Withdrawn = 2,
    /// Another rejected it.
    Rejected = 3,
    /// Nobody did anything in time.
    Expired = 4,
}

impl Outcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::CarriedOut => "carried out",
            Self::Withdrawn => "withdrawn",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

impl Encode for NextProtocol {
    fn encode(&self, w: &mut Writer) {
        w.array(2).uint(self.version).uint(self.height);
    }
}

impl Decode for NextProtocol {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self { version: r.uint()?, height: r.uint()? })
    }
}

impl Encode for ProtocolRecord {
    fn encode(&self, w: &mut Writer) {
        let fields =
            1 + usize::from(self.next.is_some()) + usize::from(self.confirm_from.is_some());
        w.map(fields).uint(1).uint(self.version);
        if let Some(next) = &self.next {
            w.uint(2).value(next);
        }
        if let Some(time) = &self.confirm_from {
            w.uint(3).value(time);
        }
    }
}

impl Decode for ProtocolRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            version: m.required(1)?.uint()?,
            next: m.optional(2)?.map(|r| r.value()).transpose()?,
            confirm_from: m.optional(3)?.map(|r| r.value()).transpose()?,
        };
        m.end()?;
        if record.next.is_none() && record.confirm_from.is_some() {
            return Err(r.fault("a protocol version to confirm that is not announced"));
        }
        Ok(record)
    }
}

impl Encode for OversightRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(3).uint(1).uint(self.day).uint(2).uint(self.ended).uint(3).list(&self.open);
    }
}

impl Decode for OversightRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            day: m.required(1)?.uint()?,
            ended: m.required(2)?.uint()?,
            open: m.required(3)?.list(limits::OPEN_PROPOSALS)?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for ProposalRecord {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Open(p) => {
                w.uint(1).map(7).uint(1).value(&p.organisation).uint(2).value(&p.key);
                w.uint(3).value(&p.action).uint(4).value(&p.expires);
                w.uint(5).array(p.approvals.len());
                for approved in &p.approvals {
                    // The proposal names its own organisation already.
                    match approved.organisation == p.organisation {
                        true => w.value(&approved.key),
                        false => w.array(2).value(&approved.key).value(&approved.organisation),
                    };
                }
                w.uint(6).text(&p.reason).uint(7).uint(p.entry);
            }
            Self::Closed(outcome) => {
                w.uint(2).uint(*outcome as u64);
            }
        }
    }
}

impl Decode for ProposalRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            1 => {
                let mut m = r.map()?;
                let organisation = m.required(1)?.value()?;
                let open = OpenProposal {
                    organisation,
                    key: m.required(2)?.value()?,
                    action: Action::proposed(m.required(3)?)?,
                    expires: m.required(4)?.value()?,
                    approvals: approvals(m.required(5)?, &organisation)?,
                    reason: action::printable(m.required(6)?, limits::REASON_BYTES)?,
                    entry: m.required(7)?.uint()?,
                };
                m.end()?;
                Ok(Self::Open(Box::new(open)))
            }
            2 => Ok(Self::Closed(match r.uint()? {
                1 => Outcome::CarriedOut,
                2 => Outcome::Withdrawn,
                3 => Outcome::Rejected,
                4 => Outcome::Expired,
                _ => return Err(r.fault("an unknown outcome of a proposal")),
            })),
            _ => Err(r.fault("a proposal is open or closed")),
        }
    }
}

/// `key` of the proposal's own organisation, `[key, organisation]` of another.
fn approvals(r: &mut Reader<'_>, own: &Did) -> Result<Vec<Approved>, Error> {
    let n = r.array(limits::ORGANISATIONS)?;
    let approved = |_| {
        if r.next_is_bytes() {
            return Ok(Approved { key: r.value()?, organisation: *own });
        }
        r.tuple(2)?;
        let (key, organisation) = (r.value()?, r.value()?);
        if organisation == *own {
            return Err(r.fault("an approval names only another organisation"));
        }
        Ok(Approved { key, organisation })
    };
    (0..n).map(approved).collect()
}
