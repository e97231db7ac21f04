//! Who may use this node's console. People are no part of the ledger: it knows keys and what they
//! may do. A person has a name, a role and one or more keys; what her role needs on the ledger,
//! her keys must have there.

mod book;

pub(crate) use book::{Book, Invited, Joined, gone, has};

use muster_identity::Role;
use muster_ledger::{Capabilities, Capability};

/// The role of a key that nobody invited, such as one made by `muster init`.
pub(crate) fn role_of(capabilities: Capabilities) -> Role {
    use Capability as C;
    if capabilities.has(C::Root) || capabilities.has(C::Approve) {
        Role::Admin
    } else if capabilities.has(C::Operate) || capabilities.has(C::Enrol) {
        Role::Operator
    } else {
        Role::Viewer
    }
}

/// What a role is for, in words.
pub(crate) fn purpose(role: Role) -> &'static str {
    match role {
        Role::Viewer => "sees devices, gateways and what happened",
        Role::Auditor => {
            "sees everything, what people did here too, and exports it; changes nothing"
        }
        Role::Operator => "enrols, holds, releases and revokes devices",
        Role::Admin => "does what an operator does, invites people, approves",
    }
}

/// Whether it signs operations at all.
pub(crate) fn acts(role: Role) -> bool {
    matches!(role, Role::Operator | Role::Admin)
}

/// Whether it sees what people did at this console.
pub(crate) fn audits(role: Role) -> bool {
    matches!(role, Role::Auditor | Role::Admin)
}

/// Whether it invites people and ends their access.
pub(crate) fn administers(role: Role) -> bool {
    role == Role::Admin
}

/// What keys are called: the names of people, as this node has them.
pub(crate) struct Names(std::collections::HashMap<String, String>);

/// The names of an organisation's people.
pub(crate) fn names(book: &Book, organisation: &str) -> Names {
    let ours = book.people.iter().filter(|p| p.organisation == organisation);
    Names(ours.flat_map(|p| p.keys.iter().map(|k| (k.key.clone(), p.name.clone()))).collect())
}

impl Names {
    /// A person's name, or the beginning of the key.
    pub(crate) fn of(&self, key: &str) -> String {
        self.0.get(key).cloned().unwrap_or_else(|| format!("key {}…", key.get(..12).unwrap_or(key)))
    }
}
