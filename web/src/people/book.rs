use muster_api::{InviteClaim, Problem, limits};
use muster_identity::{Did, Invite, PublicKey, Role};
use muster_ledger::{Capabilities, Capability, OrganisationRecord};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Everybody, and everybody who was invited. Small and bounded, so it is kept as one note.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) people: Vec<Person>,
    pub(crate) invites: Vec<Invited>,
    /// Keys whose access was ended, the newest last. The ledger may know them still.
    #[serde(default)]
    ended: VecDeque<String>,
    next: u64,
}

/// Somebody who may use the console.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) no: u64,
    pub(crate) organisation: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) joined: u64,
    /// A second way in exists: another key, or a recovery key she has seen.
    pub(crate) settled: bool,
    pub(crate) keys: Vec<Key>,
}

/// A key of a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Multikey.
    pub(crate) key: String,
    /// Where it is kept, in her words.
    pub(crate) label: String,
    pub(crate) added: u64,
}

/// An invitation that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Invited {
    /// The `jti` of the token.
    pub(crate) id: String,
    /// `muster-invite+jwt`.
    pub(crate) token: String,
    /// The hash of the link's secret, as the token has it: looked at without reading the token.
    pub(crate) secret_hash: [u8; 32],
    pub(crate) made: u64,
    pub(crate) expires: u64,
    /// The person whose further key it brings in; none: a new one.
    pub(crate) person: Option<u64>,
    /// Who used it.
    pub(crate) claim: Option<InviteClaim>,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It is a person's key now.
    Yes,
    /// The ledger does not know the key yet.
    Waits,
}

impl Invited {
    /// The invitation, as it was checked when it came.
    pub(crate) fn invite(&self) -> Option<Invite> {
        Invite::parse(&self.token).ok()
    }
}

impl Person {
    pub(crate) fn role(&self) -> Role {
        Role::of_word(&self.role).unwrap_or(Role::Viewer)
    }
}

/// Whether an organisation's key may do at least this.
pub(crate) fn has(record: &OrganisationRecord, key: &PublicKey, needs: Capabilities) -> bool {
    record.keys.iter().any(|k| {
        k.key == *key && needs.words().all(|word| k.capabilities.words().any(|w| w == word))
    })
}

impl Book {
    /// The person with a key, and the key.
    pub(crate) fn by_key(&self, key: &str) -> Option<(&Person, &Key)> {
        self.people.iter().find_map(|p| Some((p, p.keys.iter().find(|k| k.key == key)?)))
    }

    pub(crate) fn person(&mut self, no: u64) -> Option<&mut Person> {
        self.people.iter_mut().find(|p| p.no == no)
    }

    /// Takes an invitation whose signature was checked.
    pub(crate) fn invite(&mut self, invited: Invited, now: u64) -> Result<(), Problem> {
        self.sweep(now);
        if self.invites.iter().any(|i| i.id == invited.id) {
            return Err(Problem::new(409, "invite-known", "this invitation was made before"));
        }
        let further = |i: &&Invited| i.person.is_some() && i.person == invited.person;
        if self.invites.iter().filter(further).count() >= limits::FURTHER_INVITES {
            let title =
                format!("{} links for further keys are open already", limits::FURTHER_INVITES);
            return Err(Problem::new(409, "invites", title)
                .cure("use one, or take one back under Open invitations"));
        }
        if self.invites.len() >= limits::INVITES {
            let title = format!("{} invitations are open already", limits::INVITES);
            return Err(Problem::new(409, "invites", title).cure("take some back first"));
        }
        self.invites.push(invited);
        Ok(())
    }

    /// Forgets invitations that nobody used in time.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.invites.retain(|i| i.expires > now);
    }

    /// The open invitation that a secret of this hash opens.
    pub(crate) fn opened(&self, secret_hash: &[u8; 32], now: u64) -> Option<&Invited> {
        self.invites.iter().find(|i| i.expires > now && i.secret_hash == *secret_hash)
    }

    /// Whether a key's access was ended here.
    pub(crate) fn is_ended(&self, key: &str) -> bool {
        self.ended.iter().any(|k| k == key)
    }

    /// Whether who signed an invitation may still ask people in: by a root key of the
    /// organisation, or, for a further key, by a key of that person.
    pub(crate) fn stands(
        &self,
        invited: &Invited,
        on_ledger: impl Fn(&Did, &str, Capabilities) -> bool,
    ) -> bool {
        let Some(invite) = invited.invite() else { return false };
        let Ok(signer) = PublicKey::from_multicodec(invite.key()) else { return false };
        let signer = signer.to_multikey();
        if self.is_ended(&signer) {
            return false;
        }
        let root = || {
            let root = Capabilities::of(&[Capability::Root]);
            on_ledger(invite.organisation(), &signer, root)
        };
        match invited.person {
            None => root(),
            Some(no) => {
                let person = self.people.iter().find(|p| p.no == no);
                person.is_some_and(|p| p.keys.iter().any(|k| k.key == signer) || root())
            }
        }
    }

    /// Notes the key that uses an invitation. The first key has it: another one is refused.
    pub(crate) fn claim(&mut self, id: &str, claim: InviteClaim) -> Result<(), Problem> {
        if let Some((person, _)) = self.by_key(&claim.key) {
            let title = format!("this key is {}'s already", person.name);
            return Err(Problem::new(409, "key-known", title).cure("sign in with it"));
        }
        if self.is_ended(&claim.key) {
            let title = "the access of this key was ended here";
            return Err(Problem::new(409, "key-ended", title).cure("join with a new key"));
        }
        let Some(invited) = self.invites.iter_mut().find(|i| i.id == id) else {
            return Err(gone());
        };
        match &invited.claim {
            Some(first) if first.key != claim.key => {
                Err(Problem::new(409, "invite-used", "another key used this invitation before")
                    .cure("if that was not you, tell who invited you at once; ask for a new one"))
            }
            _ => {
                invited.claim = Some(claim);
                Ok(())
            }
        }
    }

    /// Whether the key of an invitation may become a person's now: its role needs nothing of the
    /// ledger, or has it there, and who invited it still may.
    pub(crate) fn ready(
        &self,
        id: &str,
        on_ledger: impl Fn(&Did, &str, Capabilities) -> bool,
    ) -> Result<Joined, Problem> {
        let invited = self.invites.iter().find(|i| i.id == id).ok_or_else(gone)?;
        let (Some(invite), Some(claim)) = (invited.invite(), &invited.claim) else {
            return Ok(Joined::Waits);
        };
        if !self.stands(invited, &on_ledger) || self.is_ended(&claim.key) {
            return Err(gone());
        }
        let needs = Capabilities::of_role(invite.terms().role);
        let there = |needs| on_ledger(invite.organisation(), &claim.key, needs);
        Ok(if needs.is_none_or(there) { Joined::Yes } else { Joined::Waits })
    }

    /// Makes the key of an invitation a person's, if it is ready.
    pub(crate) fn admit(
        &mut self,
        id: &str,
        on_ledger: impl Fn(&Did, &str, Capabilities) -> bool,
        now: u64,
    ) -> Result<Joined, Problem> {
        if self.ready(id, on_ledger)? == Joined::Waits {
            return Ok(Joined::Waits);
        }
        let at = self.invites.iter().position(|i| i.id == id).ok_or_else(gone)?;
        let invited = &self.invites[at];
        let (Some(invite), Some(claim)) = (invited.invite(), invited.claim.clone()) else {
            return Ok(Joined::Waits);
        };
        let terms = invite.terms();
        let key = Key { key: claim.key, label: claim.label, added: now };
        match invited.person {
            Some(no) => {
                // Whoever is gone does not come back under another name.
                let person = self.people.iter_mut().find(|p| p.no == no).ok_or_else(gone)?;
                if person.keys.len() >= limits::KEYS_OF_A_PERSON {
                    let title = format!("a person has at most {} keys", limits::KEYS_OF_A_PERSON);
                    return Err(Problem::new(409, "keys", title).cure("remove one first"));
                }
                person.keys.push(key);
                person.settled = true;
            }
            None => {
                if self.people.len() >= limits::PEOPLE {
                    let title = format!("a console has at most {} people", limits::PEOPLE);
                    return Err(Problem::new(409, "people", title).cure("remove some first"));
                }
                self.next += 1;
                self.people.push(Person {
                    no: self.next,
                    organisation: invite.organisation().to_string(),
                    name: terms.name.clone(),
                    role: terms.role.word().into(),
                    joined: now,
                    settled: false,
                    keys: vec![key],
                });
            }
        }
        self.invites.remove(at);
        Ok(Joined::Yes)
    }

    /// Takes an invitation back.
    pub(crate) fn withdraw(&mut self, id: &str) -> Result<(), Problem> {
        let before = self.invites.len();
        self.invites.retain(|i| i.id != id);
        if self.invites.len() == before { Err(gone()) } else { Ok(()) }
    }

    /// Ends a key's access; the person's too, if it was the last; and what it invited. On the
    /// ledger the key stays until it is removed there: here it opens nothing any more.
    pub(crate) fn remove_key(&mut self, key: &str, organisation: &str) -> bool {
        if self.by_key(key).is_none_or(|(person, _)| person.organisation != organisation) {
            return false;
        }
        for person in &mut self.people {
            person.keys.retain(|k| k.key != key);
        }
        self.people.retain(|p| !p.keys.is_empty());
        if self.ended.len() >= limits::ENDED_KEYS {
            self.ended.pop_front();
        }
        self.ended.push_back(key.into());
        let people = &self.people;
        self.invites.retain(|i| {
            let signer = i.invite().and_then(|t| PublicKey::from_multicodec(t.key()).ok());
            signer.is_some_and(|k| k.to_multikey() != key)
                && i.person.is_none_or(|no| people.iter().any(|p| p.no == no))
        });
        true
    }
}

pub(crate) fn gone() -> Problem {
    Problem::new(410, "invite-over", "this invitation is over: used, taken back, or too old")
        .cure("ask for a new one")
}

#[cfg(test)]
mod tests;
