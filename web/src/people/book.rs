use muster_api::{InviteClaim, Problem, limits};
use muster_identity::{Did, Invite, PublicKey, Role};
use muster_ledger::{Capabilities, OrganisationRecord};
use serde::{Deserialize, Serialize};

/// Everybody, and everybody who was invited. Small and bounded, so it is kept as one note.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) people: Vec<Person>,
    pub(crate) invites: Vec<Invited>,
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

    /// The open invitation that a secret opens.
    pub(crate) fn opened(&self, secret: &[u8], now: u64) -> Option<&Invited> {
        let live = self.invites.iter().filter(|i| i.expires > now);
        live.into_iter().find(|i| i.invite().is_some_and(|invite| invite.opens(secret)))
    }

    /// Notes the key that uses an invitation. The first key has it: another one is refused.
    pub(crate) fn claim(&mut self, id: &str, claim: InviteClaim) -> Result<(), Problem> {
        if let Some((person, _)) = self.by_key(&claim.key) {
            let title = format!("this key is {}'s already", person.name);
            return Err(Problem::new(409, "key-known", title).cure("sign in with it"));
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

    /// Makes the key of an invitation a person's, if its role needs nothing of the ledger or has
    /// it there.
    pub(crate) fn admit(
        &mut self,
        id: &str,
        on_ledger: impl FnOnce(&Did, &str, Capabilities) -> bool,
        now: u64,
    ) -> Result<Joined, Problem> {
        let at = self.invites.iter().position(|i| i.id == id).ok_or_else(gone)?;
        let invited = &self.invites[at];
        let (Some(invite), Some(claim)) = (invited.invite(), invited.claim.clone()) else {
            return Ok(Joined::Waits);
        };
        let terms = invite.terms();
        if let Some(needs) = Capabilities::of_role(terms.role)
            && !on_ledger(invite.organisation(), &claim.key, needs)
        {
            return Ok(Joined::Waits);
        }
        let key = Key { key: claim.key, label: claim.label, added: now };
        match invited.person.and_then(|no| self.people.iter().position(|p| p.no == no)) {
            Some(place) => {
                let person = &mut self.people[place];
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

    /// Ends a key's access; the person's too, if it was the last. On the ledger the key stays
    /// until it is removed there.
    pub(crate) fn remove_key(&mut self, key: &str) -> bool {
        let found = self.by_key(key).is_some();
        for person in &mut self.people {
            person.keys.retain(|k| k.key != key);
        }
        self.people.retain(|p| !p.keys.is_empty());
        found
    }
}

fn gone() -> Problem {
    Problem::new(410, "invite-over", "this invitation is over: used, taken back, or too old")
        .cure("ask for a new one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, InviteTerms, SecretKey, Signer as _};

    const NOW: u64 = 1_000_000;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(Algorithm::Ed25519, &[byte; 32].into()).expect("a key")
    }

    fn invited(id: &str, role: Role, secret: &[u8]) -> Invited {
        let terms = InviteTerms {
            network: [7; 32],
            jti: id.into(),
            iat: NOW / 1_000,
            exp: NOW / 1_000 + 60,
            role,
            name: "Ann".into(),
            secret_hash: muster_identity::sha256(&[secret]),
        };
        let token = muster_identity::invite(&Did::from_digest([1; 32]), &terms, &key(1));
        Invited {
            id: id.into(),
            token: token.expect("signed"),
            made: NOW,
            expires: NOW + 60_000,
            person: None,
            claim: None,
        }
    }

    fn claim(byte: u8) -> InviteClaim {
        let key = key(byte).public_key().to_multikey();
        InviteClaim { key, label: "browser".into(), seq: 1, proof: String::new() }
    }

    #[test]
    fn an_invitation_is_used_once_and_by_its_secret_alone() {
        let mut book = Book::default();
        book.invite(invited("a", Role::Viewer, b"secret"), NOW).expect("taken");
        assert_eq!(book.invite(invited("a", Role::Viewer, b"x"), NOW).unwrap_err().status, 409);
        assert!(book.opened(b"other", NOW).is_none());
        assert!(book.opened(b"secret", NOW + 60_000).is_none(), "too old");
        assert_eq!(book.opened(b"secret", NOW).expect("open").id, "a");
        book.claim("a", claim(2)).expect("the first key has it");
        book.claim("a", claim(2)).expect("the same again");
        assert_eq!(book.claim("a", claim(3)).unwrap_err().code(), "invite-used");
        assert_eq!(book.admit("a", |_, _, _| false, NOW).expect("a viewer"), Joined::Yes);
        assert_eq!(book.people.len(), 1);
        assert!(book.opened(b"secret", NOW).is_none(), "used");
        assert_eq!(book.claim("a", claim(3)).unwrap_err().status, 410);
        assert_eq!(book.claim("a", claim(2)).unwrap_err().code(), "key-known");
    }

    #[test]
    fn who_acts_waits_for_the_ledger() {
        let mut book = Book::default();
        book.invite(invited("a", Role::Operator, b"secret"), NOW).expect("taken");
        assert_eq!(book.admit("a", |_, _, _| true, NOW).expect("no key yet"), Joined::Waits);
        book.claim("a", claim(2)).expect("claimed");
        assert_eq!(book.admit("a", |_, _, _| false, NOW).expect("waits"), Joined::Waits);
        assert_eq!(book.admit("a", |_, _, _| true, NOW).expect("admitted"), Joined::Yes);
        let mut second = invited("b", Role::Operator, b"two");
        second.person = Some(book.people[0].no);
        book.invite(second, NOW).expect("taken");
        book.claim("b", claim(3)).expect("claimed");
        assert_eq!(book.admit("b", |_, _, _| true, NOW).expect("admitted"), Joined::Yes);
        assert_eq!((book.people.len(), book.people[0].keys.len()), (1, 2));
        assert!(book.people[0].settled);
        assert!(book.remove_key(&claim(2).key) && book.people.len() == 1);
        assert!(book.remove_key(&claim(3).key) && book.people.is_empty());
        assert!(!book.remove_key(&claim(3).key));
    }
}
