use crate::{Names, Verified};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A device at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    names: Names,
    verified: Verified,
    connection: Option<usize>,
}

impl Session {
    /// Of a device that was let in, over this connection if the broker tells them apart.
    pub(crate) fn new(verified: Verified, connection: Option<usize>) -> Self {
        Self { names: Names::of(&verified), verified, connection }
    }

    /// Who it is.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The verdict that opened it.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The connection it was opened over.
    pub fn connection(&self) -> Option<usize> {
        self.connection
    }
}

/// The sessions at a broker, by client id. One whose connection ended stays: the broker asks
/// about its will, about what it retained and about messages kept for it. Only such a one makes
/// room for others; a session without a connection (a broker that tells of no ends) always is.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    kept: HashMap<String, Kept>,
    /// Those that may make room, by when they were used last.
    order: BTreeMap<u64, String>,
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    /// When it was used last, if it may make room.
    used: Option<u64>,
}

impl Sessions {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: HashMap::new(), order: BTreeMap::new(), clock: 0 }
    }

    /// Opens one, in place of an older one of this client. `None` if there is no room.
    pub(crate) fn open(&mut self, client: &str, session: Session) -> Option<Arc<Session>> {
        self.remove(client);
        if self.kept.len() >= self.most {
            let (_, oldest) = self.order.pop_first()?;
            self.kept.remove(&oldest);
        }
        let session = Arc::new(session);
        let used = session.connection.is_none().then(|| self.enter(client));
        self.kept.insert(client.to_owned(), Kept { session: session.clone(), used });
        Some(session)
    }

    /// The session of a client that calls itself by this user name.
    pub(crate) fn get(&mut self, client: &str, user: &str) -> Option<Arc<Session>> {
        let kept = self.kept.get(client)?;
        if kept.session.names.did != user {
            return None;
        }
        let session = kept.session.clone();
        if let Some(used) = kept.used {
            self.order.remove(&used);
            let used = self.enter(client);
            self.kept.get_mut(client)?.used = Some(used);
        }
        Some(session)
    }

    /// The connection ended. A later one of the same client is left alone.
    pub(crate) fn end(&mut self, client: &str, connection: usize) {
        let living = |kept: &&Kept| kept.used.is_none();
        let Some(kept) = self.kept.get(client).filter(living) else { return };
        if kept.session.connection == Some(connection) {
            let used = self.enter(client);
            if let Some(kept) = self.kept.get_mut(client) {
                kept.used = Some(used);
            }
        }
    }

    /// Forgets this very session, and names its connection if that lives.
    pub(crate) fn forget(&mut self, client: &str, session: &Arc<Session>) -> Option<usize> {
        let kept = self.kept.get(client).filter(|kept| Arc::ptr_eq(&kept.session, session))?;
        let living = kept.session.connection.filter(|_| kept.used.is_none());
        self.remove(client);
        living
    }

    pub(crate) fn all(&self) -> Vec<(String, Arc<Session>)> {
        self.kept.iter().map(|(client, kept)| (client.clone(), kept.session.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    fn enter(&mut self, client: &str) -> u64 {
        self.clock += 1;
        self.order.insert(self.clock, client.to_owned());
        self.clock
    }

    fn remove(&mut self, client: &str) {
        if let Some(Kept { used: Some(used), .. }) = self.kept.remove(client) {
            self.order.remove(&used);
        }
    }
}
