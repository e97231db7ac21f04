//! Who may use this node's console. People are no part of the ledger: it knows keys and what they
//! may do. A person has a name, a role and one or more keys; what her role needs on the ledger,
//! her keys must have there.

mod book;

pub(crate) use book::{Book, Claim, Invited, Joining, Key, Person};

use muster_ledger::{Capabilities, Capability};
use serde::{Deserialize, Serialize};

/// What a person is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees devices, gateways and what happened.
    Viewer,
    /// Sees all that, what people did at this console too, and exports it.
    Auditor,
    /// Enrols, holds, releases and revokes.
    Operator,
    /// Invites people, gives them keys on the ledger, approves.
    Admin,
}

/// All roles, the weakest first.
pub(crate) const ROLES: [Role; 4] = [Role::Viewer, Role::Auditor, Role::Operator, Role::Admin];

impl Role {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// What its keys need on the ledger; none for those who only look.
    pub fn capabilities(self) -> Option<Capabilities> {
        use Capability as C;
        match self {
            Self::Viewer | Self::Auditor => None,
            Self::Operator => Some(Capabilities::of(&[C::Enrol, C::Operate])),
            Self::Admin => Some(Capabilities::of(&[
                C::Root,
                C::Enrol,
                C::Operate,
                C::Approve,
                C::Gateway,
            ])),
        }
    }

    /// The role of a key that nobody invited, such as one made by `muster init`.
    pub(crate) fn of(capabilities: Capabilities) -> Self {
        use Capability as C;
        if capabilities.has(C::Root) || capabilities.has(C::Approve) {
            Self::Admin
        } else if capabilities.has(C::Operate) || capabilities.has(C::Enrol) {
            Self::Operator
        } else {
            Self::Viewer
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.word() == word)
    }

    /// Whether it may sign operations at all.
    pub fn acts(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }

    /// Whether it may see what people did at this console.
    pub fn audits(self) -> bool {
        matches!(self, Self::Auditor | Self::Admin)
    }

    /// Whether it may invite people and end their access.
    pub fn administers(self) -> bool {
        self == Self::Admin
    }

    /// What it is for, in words.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Viewer => "sees devices, gateways and what happened",
            Self::Auditor => "sees everything, people's acts too, and exports it; changes nothing",
            Self::Operator => "enrols, holds, releases and revokes devices",
            Self::Admin => "does all that, invites people, approves",
        }
    }
}
