//! The inspection at an MQTT broker, whatever tells us of its clients: a plugin inside it or its
//! questions over HTTP. A client connects with a presentation; from then on each topic is judged
//! by the rules, and its standing by the roll of the moment.

use crate::sessions::{Session, Sessions};
use crate::{Access, AuthRequest, Gateway, Rejected, TopicRules, limits};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Which client ids a device may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientIds {
    /// Its DID, or its DID, `/` and anything. Who connects with a client id takes over the
    /// session that has it (MQTT 3.1.1 §3.1.4), so any other rule lets devices push each other
    /// out and read each other's waiting messages.
    #[default]
    Own,
    /// Any. Only where something else keeps client ids apart.
    Any,
}

impl ClientIds {
    fn allow(self, client: &str, user: &str) -> bool {
        let own = || client.strip_prefix(user).map(|rest| rest.is_empty() || rest.starts_with('/'));
        self == Self::Any || own().unwrap_or(false)
    }
}

/// Why a client is refused at a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The gateway refuses the device.
    Rejected(Rejected),
    /// The client id belongs to another device, or is too long.
    ClientId,
    /// More living connections than can be kept, of all or of this device.
    Full,
    /// No session of that client and user is known.
    NoSession,
    /// No rule allows the topic.
    Topic,
}

impl Refusal {
    /// In one word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejected) => rejected.code(),
            Self::ClientId => "client-id",
            Self::Full => "full",
            Self::NoSession => "no-session",
            Self::Topic => "topic",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::ClientId => write!(
                f,
                "the client id is not the device's own, or too long; use its DID, or its DID, `/` \
                 and a word, of at most {} bytes in all",
                limits::CLIENT_ID_BYTES
            ),
            Self::Full => write!(
                f,
                "too many connections of all, or {} of this device; end one, or try again later",
                limits::SESSIONS_OF_ONE
            ),
            Self::NoSession => f.write_str("the client is not known here; connect again"),
            Self::Topic => f.write_str("no rule allows the topic; see the topic rules"),
        }
    }
}

/// A connection that must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The client id.
    pub client: String,
    /// The connection, as the broker named it.
    pub connection: usize,
    /// Why.
    pub rejected: Rejected,
}

/// A broker's door: who is inside, and what they may do there. Clones are the same door.
#[derive(Debug, Clone)]
pub struct BrokerDoor(Arc<Door>);

#[derive(Debug)]
struct Door {
    gateway: Gateway,
    client_ids: ClientIds,
    rules: RwLock<Arc<TopicRules>>,
    sessions: Mutex<Sessions>,
}

impl BrokerDoor {
    /// A door by this gateway and these rules.
    pub fn new(gateway: Gateway, rules: TopicRules, client_ids: ClientIds) -> Self {
        Self::with_room(gateway, rules, client_ids, limits::MQTT_SESSIONS)
    }

    /// With room for fewer sessions than [`limits::MQTT_SESSIONS`].
    pub fn with_room(
        gateway: Gateway,
        rules: TopicRules,
        client_ids: ClientIds,
        sessions: usize,
    ) -> Self {
        let sessions = Mutex::new(Sessions::new(sessions.min(limits::MQTT_SESSIONS)));
        let rules = RwLock::new(Arc::new(rules));
        Self(Arc::new(Door { gateway, client_ids, rules, sessions }))
    }

    /// The gateway that decides.
    pub fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    /// Other rules from now on.
    pub fn set_rules(&self, rules: TopicRules) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// CONNECT. A broker that tells of the end of connections names this one.
    pub async fn connect(
        &self,
        client: &str,
        user: &str,
        password: &str,
        connection: Option<usize>,
    ) -> Result<Arc<Session>, Refusal> {
        // The user name is the DID or the gateway refuses it; so this asks nothing of a key, and
        // a presentation is not used up by a wrong client id.
        let short = client.len() <= limits::CLIENT_ID_BYTES;
        if !short || !self.0.client_ids.allow(client, user) {
            return Err(Refusal::ClientId);
        }
        let request = AuthRequest::from_mqtt(user, password);
        let verified = self.gateway().authenticate(request).await.map_err(Refusal::Rejected)?;
        // Asked again with the table in hand: if `cut` looked at the table for a roll that came
        // since the verdict, that roll says so here; if not yet, it will find this session.
        let mut sessions = self.sessions();
        self.gateway().still(&verified).map_err(Refusal::Rejected)?;
        sessions.open(client, Session::new(verified, connection)).ok_or(Refusal::Full)
    }

    /// Whether the client may do that with the topic, now.
    pub fn allow(
        &self,
        client: &str,
        user: &str,
        access: Access,
        topic: &str,
    ) -> Result<(), Refusal> {
        let session = self.standing(client, user)?;
        let rules = self.0.rules.read().unwrap_or_else(PoisonError::into_inner).clone();
        match rules.allow(session.names(), access, topic) {
            true => Ok(()),
            false => Err(Refusal::Topic),
        }
    }

    /// The client's session, if it may go on by the roll of this moment.
    pub fn standing(&self, client: &str, user: &str) -> Result<Arc<Session>, Refusal> {
        let session = self.sessions().get(client, user).ok_or(Refusal::NoSession)?;
        self.gateway().still(session.verified()).map_err(Refusal::Rejected)?;
        Ok(session)
    }

    /// A connection ended.
    pub fn end(&self, client: &str, connection: usize) {
        self.sessions().end(client, connection);
    }

    /// Forgets the sessions that may not go on, so that whatever their clients still ask is
    /// refused, and names those whose connection lives.
    pub fn cut(&self) -> Vec<Cut> {
        let all = self.sessions().all();
        let mut cut = Vec::new();
        for (client, session) in all {
            if let Err(rejected) = self.gateway().still(session.verified())
                && let Some(connection) = self.sessions().forget(&client, &session)
            {
                cut.push(Cut { client, connection, rejected });
            }
        }
        cut
    }

    /// How many sessions are known.
    pub fn len(&self) -> usize {
        self.sessions().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each change of the table is whole or was not begun, so a panic elsewhere spoils nothing.
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
