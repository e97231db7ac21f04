use crate::{Capability, EvidencePolicy, OrgKey, Table, limits};
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// What the members agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How old a follower's last verified head may be before it needs a pinned one (ms).
    pub trust_period_ms: u64,
    /// The least evidence that any grant may ask for.
    pub evidence: EvidencePolicy,
    /// What one signature does not suffice for; none: it suffices for everything.
    pub approval: Option<Approval>,
    /// How many organisations decide what concerns all; none: as [`Table::DEFAULT`] says.
    pub table: Option<Table>,
}

/// What needs a proposal and the approval of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// So many devices an organisation may end in a day of UTC without approval, all its keys
    /// together; none: any number.
    pub devices: Option<u64>,
    /// How many keys other than the proposing one must approve.
    pub people: u64,
    /// Whether changes of keys need approval, and as long as the network has one organisation also
    /// those of rules, protocol version and organisations.
    pub governance: bool,
}

impl Rules {
    /// 30 days of trust, the enroller's word suffices unless a grant asks for more, and one
    /// signature suffices for everything.
    pub const DEFAULT: Self = Self {
        trust_period_ms: 30 * 24 * 60 * 60 * 1_000,
        evidence: EvidencePolicy::Enroller,
        approval: None,
        table: None,
    };

    /// How many organisations decide what concerns all.
    pub fn table(&self) -> Table {
        self.table.unwrap_or(Table::DEFAULT)
    }

    /// How many keys of an organisation other than the proposing one must approve a proposal of its
    /// own. One may propose what no rule asks for: then it is one.
    pub fn people(&self) -> u64 {
        self.approval.map_or(1, |approval| approval.people)
    }
}

impl Approval {
    /// Whether an organisation with these keys can have its proposals approved: for each capability
    /// that proposes there is a key beside which enough others approve. Where no key has the
    /// capability, nothing is locked: the root key gives it.
    pub(crate) fn can_be_met_by(&self, keys: &[OrgKey]) -> bool {
        let approvers = keys.iter().filter(|k| k.capabilities.has(Capability::Approve)).count();
        let enough = |k: &OrgKey| {
            let others = approvers - usize::from(k.capabilities.has(Capability::Approve));
            others as u64 >= self.people
        };
        let can = |needs| {
            let mut proposers = keys.iter().filter(|k| k.capabilities.has(needs)).peekable();
            proposers.peek().is_none() || proposers.any(enough)
        };
        (self.devices.is_none() || can(Capability::Operate))
            && (!self.governance || can(Capability::Root))
    }
}

impl Encode for Rules {
    fn encode(&self, w: &mut Writer) {
        w.map(2 + usize::from(self.approval.is_some()) + usize::from(self.table.is_some()));
        w.uint(1).uint(self.trust_period_ms).uint(2).value(&self.evidence);
        if let Some(approval) = &self.approval {
            w.uint(3).value(approval);
        }
        if let Some(table) = &self.table {
            w.uint(4).value(table);
        }
    }
}

impl Decode for Rules {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let trust = m.required(1)?;
        let trust_period_ms = trust.uint()?;
        if !(limits::TRUST_PERIOD_MIN_MS..=limits::TRUST_PERIOD_MAX_MS).contains(&trust_period_ms) {
            return Err(trust.fault("a trust period is 1 to 36,600 days"));
        }
        let rules = Self {
            trust_period_ms,
            evidence: m.required(2)?.value()?,
            approval: m.optional(3)?.map(|r| r.value()).transpose()?,
            table: m.optional(4)?.map(|r| r.value()).transpose()?,
        };
        m.end()?;
        Ok(rules)
    }
}

impl Encode for Approval {
    fn encode(&self, w: &mut Writer) {
        w.map(if self.devices.is_some() { 3 } else { 2 });
        if let Some(devices) = self.devices {
            w.uint(1).uint(devices);
        }
        w.uint(2).uint(self.people).uint(3).bool(self.governance);
    }
}

impl Decode for Approval {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let approval = Self {
            devices: m.optional(1)?.map(|r| r.uint()).transpose()?,
            people: m.required(2)?.uint_max(limits::APPROVALS as u64)?,
            governance: m.required(3)?.bool()?,
        };
        m.end()?;
        if approval.people == 0 {
            return Err(r.fault("an approval is of one person or more"));
        }
        if approval.devices.is_none() && !approval.governance {
            return Err(r.fault("rules of approval that ask for none"));
        }
        Ok(approval)
    }
}
