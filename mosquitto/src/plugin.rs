//! What happens at each event of the broker. The broker calls from one thread, its own; a kick
//! inside an event calls back at once with the end of that connection, so nothing is locked
//! while the broker is asked for something.

use crate::host::Machine;
use crate::log::{Gravity, Log, shown};
use crate::options::{Fault, Options, Others};
use crate::{abi, limits};
use muster_gateway::{
    Access, BrokerDoor, ClientIds, Cut, Gateway, GatewayConfig, Refusal, Session, TopicRules,
};
use muster_identity::cbor::Decode as _;
use muster_ledger::Genesis;
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// What the broker does for us.
pub(crate) trait Broker {
    /// Ends the connection of a client without publishing its will.
    fn kick(&self, client: &str);
    /// Writes a line to the broker's log.
    fn log(&self, gravity: Gravity, line: &str);
}

/// A client as the broker describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    /// Its place in the broker's memory: the connection.
    pub(crate) connection: usize,
    pub(crate) id: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

/// What the broker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow,
    Deny,
    /// Whatever else the broker has decides.
    Defer,
}

/// The plugin, one for one `plugin` line.
pub(crate) struct Plugin {
    door: BrokerDoor,
    cuts: Arc<Mutex<Vec<Cut>>>,
    log: Log,
    rules: PathBuf,
    others: Others,
    client_ids: ClientIds,
    /// Whether the broker ever called its timer.
    ticks: Cell<bool>,
    /// From a reload until the next timer: the broker asks again about everybody inside.
    reloading: Cell<bool>,
    /// Taken when it closes.
    runtime: Cell<Option<Runtime>>,
    handle: tokio::runtime::Handle,
}

impl Plugin {
    /// Starts the gateway. It decides at once by what its folder holds.
    pub(crate) fn start(options: Options, log: Log) -> Result<Self, Fault> {
        let file =
            |name, path: &PathBuf, why: String| Fault::File { name, path: path.clone(), why };
        let genesis = std::fs::read(&options.genesis)
            .map_err(|error| file("genesis", &options.genesis, error.to_string()))?;
        let genesis = Genesis::from_cbor(&genesis)
            .map_err(|error| file("genesis", &options.genesis, format!("no genesis: {error}")))?;
        let rules = read_rules(&options.rules)?;
        let mut config = GatewayConfig::new(
            &options.dir,
            genesis,
            options.nodes,
            options.audience,
            Arc::new(Machine),
        );
        config.policy.rules.max_roll_age_ms = options.max_roll_age_ms;
        config.reach.without_tls = options.without_tls;
        config.pinned = options.pinned;
        // The broker serves nobody while one client waits for its verdict.
        config.look_ups = false;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("muster")
            .enable_all()
            .build()
            .map_err(Fault::Runtime)?;
        let gateway = runtime.block_on(Gateway::start(config))?;
        log.line(
            Gravity::Notice,
            format!(
                "muster: following, {} topic rules, audience {}",
                rules.len(),
                gateway.status().audience
            ),
        );
        let door = BrokerDoor::new(gateway, rules, options.client_ids);
        let cuts = Arc::default();
        runtime.spawn(sweep(door.clone(), Arc::clone(&cuts)));
        Ok(Self {
            door,
            cuts,
            log,
            rules: options.rules,
            others: options.others,
            client_ids: options.client_ids,
            ticks: Cell::new(false),
            reloading: Cell::new(false),
            handle: runtime.handle().clone(),
            runtime: Cell::new(Some(runtime)),
        })
    }

    /// CONNECT. Also, at a reload, the question whether somebody inside may stay.
    pub(crate) fn basic_auth(&self, client: &Client<'_>, password: Option<&str>) -> Answer {
        if !self.ticks.get() {
            self.log.line(
                Gravity::Error,
                "muster: nobody is let in, for the broker does not call the plugin's timer, by \
                 which connections are cut: set `per_listener_settings false`",
            );
            return Answer::Deny;
        }
        let Some(user) = device(client.user) else {
            return self.other("CONNECT", client);
        };
        let id = client.id.unwrap_or_default();
        if self.reloading.get() && self.was_let_in(client, user, password) {
            return match self.door.standing(id, user) {
                Ok(_) => Answer::Allow,
                Err(refusal) => self.refused("CONNECT", client, refusal),
            };
        }
        let Some(password) = password else {
            self.say("CONNECT", client, "missing", "no presentation, or not text");
            return Answer::Deny;
        };
        let connect = self.door.connect(id, user, password, Some(client.connection));
        let verdict = self.handle.block_on(async { timeout(limits::VERDICT_WAIT, connect).await });
        match verdict {
            Ok(Ok(_)) => Answer::Allow,
            Ok(Err(refusal)) => self.refused("CONNECT", client, refusal),
            Err(_) => {
                self.say("CONNECT", client, "busy", "no verdict in time; is the disk slow?");
                Answer::Deny
            }
        }
    }

    /// Whether this very connection was let in with this very presentation. A used one is
    /// refused as replayed by the gateway, and rightly so, but a reload is no second use.
    fn was_let_in(&self, client: &Client<'_>, user: &str, password: Option<&str>) -> bool {
        let token = password.unwrap_or_default().split('~').next().unwrap_or_default();
        let same = |session: Arc<Session>| {
            session.connection() == Some(client.connection)
                && session.verified().presentation()[..] == Sha256::digest(token)[..]
        };
        self.door.standing(client.id.unwrap_or_default(), user).is_ok_and(same)
    }

    /// A question about a topic.
    pub(crate) fn acl_check(&self, client: &Client<'_>, access: c_int, topic: &str) -> Answer {
        let (verb, access) = match access {
            abi::ACL_READ => ("receive", Access::Receive),
            abi::ACL_WRITE => ("publish", Access::Publish),
            abi::ACL_SUBSCRIBE => ("subscribe", Access::Subscribe),
            // To want less is nobody's harm, and rules may have become narrower since.
            abi::ACL_UNSUBSCRIBE => return Answer::Allow,
            _ => return Answer::Deny,
        };
        let Some(user) = device(client.user) else {
            return match self.others {
                Others::Defer if !self.takes_over(client) => Answer::Defer,
                Others::Defer | Others::Refuse => Answer::Deny,
            };
        };
        match self.door.allow(client.id.unwrap_or_default(), user, access, topic) {
            Ok(()) => Answer::Allow,
            // Each message for a client is such a question; its log line would be one a message.
            Err(_) if access == Access::Receive => Answer::Deny,
            Err(refusal) => {
                let words = format!("{verb} {}", shown(topic));
                self.refused(&words, client, refusal)
            }
        }
    }

    /// A connection ended.
    pub(crate) fn disconnect(&self, client: &Client<'_>) {
        if let Some(id) = client.id {
            self.door.end(id, client.connection);
        }
        self.waiting().retain(|cut| cut.connection != client.connection);
    }

    /// The broker's timer, ten times a second and after each message.
    pub(crate) fn tick(&self, broker: &impl Broker) {
        self.ticks.set(true);
        self.reloading.set(false);
        let cuts = std::mem::take(&mut *self.waiting());
        for cut in cuts {
            let words = format!("muster: cut {}: {}", shown(&cut.client), cut.rejected.code());
            self.log.line(Gravity::Notice, words);
            broker.kick(&cut.client);
        }
        self.write_log(broker);
    }

    /// The broker reads its configuration again: the rules are read again, and kept as they were
    /// if they cannot be.
    pub(crate) fn reload(&self) {
        self.reloading.set(true);
        match read_rules(&self.rules) {
            Ok(rules) => {
                let words = format!("muster: {} topic rules from now on", rules.len());
                self.log.line(Gravity::Notice, words);
                self.door.set_rules(rules);
            }
            Err(fault) => self
                .log
                .line(Gravity::Error, format!("muster: {fault}. The rules stay as they were.")),
        }
    }

    /// Stops the gateway and waits for its threads.
    pub(crate) fn close(&self) {
        if let Some(runtime) = self.runtime.take() {
            let close = self.door.gateway().close();
            let _ = runtime.block_on(async { timeout(limits::CLOSE_WAIT, close).await });
            runtime.shutdown_timeout(limits::CLOSE_WAIT);
        }
    }

    /// Hands waiting lines to the broker.
    pub(crate) fn write_log(&self, broker: &impl Broker) {
        for (gravity, line) in self.log.take() {
            broker.log(gravity, &line);
        }
    }

    fn other(&self, what: &str, client: &Client<'_>) -> Answer {
        match self.others {
            Others::Defer if self.takes_over(client) => {
                let words = "a client id of devices, and the user name is no DID; use another";
                self.say(what, client, "client-id", words);
                Answer::Deny
            }
            Others::Defer => Answer::Defer,
            Others::Refuse => {
                self.say(what, client, "other-device", "the user name is no DID");
                Answer::Deny
            }
        }
    }

    /// Whether somebody who is no device calls itself like one: who connects with a client id
    /// takes over the session that has it (MQTT 3.1.1 §3.1.4), and reads what waits for it.
    fn takes_over(&self, client: &Client<'_>) -> bool {
        self.client_ids == ClientIds::Own && device(client.id).is_some()
    }

    fn refused(&self, what: &str, client: &Client<'_>, refusal: Refusal) -> Answer {
        self.say(what, client, refusal.code(), &refusal.to_string());
        Answer::Deny
    }

    fn say(&self, what: &str, client: &Client<'_>, code: &str, words: &str) {
        let id = shown(client.id.unwrap_or("without a client id"));
        self.log.line(Gravity::Notice, format!("muster: {what} refused, {id}: {code}: {words}"));
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Cut>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user name, or a client id, that only a device can have.
fn device(name: Option<&str>) -> Option<&str> {
    name.filter(|name| name.starts_with("did:"))
}

fn read_rules(path: &PathBuf) -> Result<TopicRules, Fault> {
    let fault = |why: String| Fault::File { name: "rules", path: path.clone(), why };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    TopicRules::parse(&text).map_err(|error| fault(error.to_string()))
}

/// Looks at all sessions whenever the roll changes or has become too old, and leaves what must
/// end for the broker's own thread.
async fn sweep(door: BrokerDoor, cuts: Arc<Mutex<Vec<Cut>>>) {
    let mut rolls = door.gateway().subscribe();
    let mut ages = interval(limits::SWEEP_EVERY);
    ages.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            changed = rolls.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            _ = ages.tick() => !door.gateway().ready(),
        };
        if due {
            let inside = door.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || inside.cut()).await else { return };
            cuts.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            sleep(limits::SWEEP_PAUSE).await;
        }
    }
}
