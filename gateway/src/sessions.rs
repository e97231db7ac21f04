use crate::{Names, Verified, limits};
use muster_identity::Did;
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
/// One device has few: beyond them its own make room, not those of others.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    kept: HashMap<Arc<str>, Kept>,
    /// The client ids of each device, [`limits::SESSIONS_OF_ONE`] at most.
    devices: HashMap<Did, Vec<Arc<str>>>,
    /// Those that may make room, by when they were used last.
    order: BTreeMap<u64, Arc<str>>,
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
        let (kept, devices, order) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { most, kept, devices, order, clock: 0 }
    }

    /// Opens one, in place of an older one of this client. `None` if there is no room.
    pub(crate) fn open(&mut self, client: &str, session: Session) -> Option<Arc<Session>> {
        self.remove(client);
        let did = *session.verified.did();
        if self.devices.get(&did).is_some_and(|own| own.len() >= limits::SESSIONS_OF_ONE) {
            let oldest = self.oldest_of(&did)?;
            self.remove(&oldest);
        }
        if self.kept.len() >= self.most {
            let oldest = self.order.first_key_value()?.1.clone();
            self.remove(&oldest);
        }
        let (client, session) = (Arc::<str>::from(client), Arc::new(session));
        let used = session.connection.is_none().then(|| self.enter(client.clone()));
        self.devices.entry(did).or_default().push(client.clone());
        self.kept.insert(client, Kept { session: session.clone(), used });
        Some(session)
    }

    /// Of the device's sessions that may make room the one not used for longest.
    fn oldest_of(&self, did: &Did) -> Option<Arc<str>> {
        let own = self.devices.get(did)?.iter();
        let used = own.filter_map(|client| Some((self.kept.get(client)?.used?, client)));
        used.min_by_key(|(used, _)| *used).map(|(_, client)| client.clone())
    }

    /// The session of a client that calls itself by this user name.
    pub(crate) fn get(&mut self, client: &str, user: &str) -> Option<Arc<Session>> {
        let (client, kept) = self.kept.get_key_value(client)?;
        if kept.session.names.did != user {
            return None;
        }
        let (client, session) = (client.clone(), kept.session.clone());
        if let Some(used) = kept.used {
            self.order.remove(&used);
            let used = self.enter(client.clone());
            self.kept.get_mut(&client)?.used = Some(used);
        }
        Some(session)
    }

    /// The connection ended. A later one of the same client is left alone.
    pub(crate) fn end(&mut self, client: &str, connection: usize) {
        let Some((client, kept)) = self.kept.get_key_value(client) else { return };
        if kept.used.is_none() && kept.session.connection == Some(connection) {
            let client = client.clone();
            let used = self.enter(client.clone());
            if let Some(kept) = self.kept.get_mut(&client) {
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
        self.kept.iter().map(|(client, kept)| (client.to_string(), kept.session.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    fn enter(&mut self, client: Arc<str>) -> u64 {
        self.clock += 1;
        self.order.insert(self.clock, client);
        self.clock
    }

    fn remove(&mut self, client: &str) {
        let Some(kept) = self.kept.remove(client) else { return };
        if let Some(used) = kept.used {
            self.order.remove(&used);
        }
        let did = kept.session.verified.did();
        if let Some(own) = self.devices.get_mut(did) {
            own.retain(|other| **other != *client);
            if own.is_empty() {
                self.devices.remove(did);
            }
        }
    }
}
