use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Error, PublicKey, Role};

/// One thing a key of an organisation may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Change the organisation's keys; nothing else does.
    Root = 1,
    /// Enrol batches under a grant.
    Enrol = 2,
    /// Hold, release, revoke and deactivate the organisation's devices.
    Operate = 4,
    /// Give and withdraw grants, place governance holds, approve proposals of others.
    Approve = 8,
    /// Speak for gateways: incident holds, acknowledgements.
    Gateway = 16,
    /// Sign blocks and checkpoints.
    Validator = 32,
}

/// Each capability with its word, in the order of their bits.
const WORDS: [(Capability, &str); 6] = [
    (Capability::Root, "root"),
    (Capability::Enrol, "enrol"),
    (Capability::Operate, "operate"),
    (Capability::Approve, "approve"),
    (Capability::Gateway, "gateway"),
    (Capability::Validator, "validator"),
];

impl Capability {
    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(c, _)| *c == self).map_or("", |(_, word)| word)
    }
}

/// What a key may do: a set of capabilities, never empty on the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    const ALL: u8 = 63;

    /// A set.
    pub const fn of(list: &[Capability]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < list.len() {
            bits |= list[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// What the keys of a person's role need; none for those who only look.
    pub fn of_role(role: Role) -> Option<Self> {
        use Capability as C;
        match role {
            Role::Viewer | Role::Auditor => None,
            Role::Operator => Some(Self::of(&[C::Enrol, C::Operate])),
            Role::Admin => Some(Self::of(&[C::Root, C::Enrol, C::Operate, C::Approve, C::Gateway])),
        }
    }

    /// Whether the set contains it.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability as u8 != 0
    }

    /// The words of the set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        WORDS.iter().filter(move |(c, _)| self.has(*c)).map(|(_, word)| *word)
    }

    /// The set named by words, or the first word that names none.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        words.into_iter().try_fold(Self(0), |set, word| {
            let (capability, _) = WORDS.iter().find(|(_, w)| *w == word).ok_or(word)?;
            Ok(Self(set.0 | *capability as u8))
        })
    }
}

impl Encode for Capabilities {
    fn encode(&self, w: &mut Writer) {
        w.uint(self.0.into());
    }
}

impl Decode for Capabilities {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.uint_max(Self::ALL.into())? {
            0 => Err(r.fault("a key without capabilities")),
            bits => Ok(Self(bits as u8)),
        }
    }
}

/// A key of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgKey {
    /// The key.
    pub key: PublicKey,
    /// What it may do.
    pub capabilities: Capabilities,
}

impl Encode for OrgKey {
    fn encode(&self, w: &mut Writer) {
        w.array(2).value(&self.key).value(&self.capabilities);
    }
}

impl Decode for OrgKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self { key: r.value()?, capabilities: r.value()? })
    }
}
