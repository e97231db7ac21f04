//! Who is signed in. Sessions live in memory: a restart ends them, and signing in again is one
//! press, since the key is in the browser.

use crate::{Console, Failure, people};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_api::{Problem, limits};
use muster_identity::{Did, PublicKey, Role, sha256};
use muster_ledger::Capabilities;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;

/// The header that proves that a request was written by a script of our own page.
const CSRF: &str = "muster-csrf";

/// The header of what a page asks by itself, to renew what it shows.
const BACKGROUND: &str = "muster-background";

/// A session, as it is shown to its owner.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Names it in lists; says nothing of its secret.
    pub(crate) id: String,
    pub(crate) key: PublicKey,
    pub(crate) organisation: Did,
    pub(crate) csrf: String,
    pub(crate) made: u64,
    pub(crate) used: u64,
    pub(crate) browser: String,
}

/// All sessions, by the hash of their secret, and challenges that wait.
#[derive(Default)]
pub(crate) struct Sessions {
    by_secret: HashMap<[u8; 32], Session>,
    challenges: VecDeque<(String, u64)>,
}

impl Sessions {
    /// A challenge to sign.
    pub(crate) fn challenge(&mut self, nonce: String, now: u64) {
        let fresh = |(_, until): &(String, u64)| *until > now;
        while self.challenges.front().is_some_and(|c| !fresh(c))
            || self.challenges.len() >= limits::CHALLENGES
        {
            self.challenges.pop_front();
        }
        self.challenges.push_back((nonce, now + limits::CHALLENGE_MS));
    }

    /// Uses a challenge up.
    pub(crate) fn answer(&mut self, nonce: &str, now: u64) -> bool {
        let Some(at) = self.challenges.iter().position(|(n, _)| n == nonce) else { return false };
        self.challenges.remove(at).is_some_and(|(_, until)| until > now)
    }

    pub(crate) fn open(&mut self, secret: &[u8], session: Session, now: u64) {
        self.by_secret.retain(|_, s| live(s, now));
        if self.by_secret.len() >= limits::CONSOLE_SESSIONS {
            let oldest = self.by_secret.iter().min_by_key(|(_, s)| s.used).map(|(k, _)| *k);
            oldest.map(|key| self.by_secret.remove(&key));
        }
        self.by_secret.insert(sha256(&[secret]), session);
    }

    /// The session of a secret. What a page asks by itself does not count as using it: else one
    /// that lies open would never end idle.
    fn find(&mut self, secret: &[u8], now: u64, touch: bool) -> Option<Session> {
        let key = sha256(&[secret]);
        let session = self.by_secret.get_mut(&key)?;
        if !live(session, now) {
            self.by_secret.remove(&key);
            return None;
        }
        if touch {
            session.used = now;
        }
        Some(session.clone())
    }

    /// Whether a session, by its identifier, still holds.
    pub(crate) fn holds(&self, id: &str, now: u64) -> bool {
        self.by_secret.values().any(|s| s.id == id && live(s, now))
    }

    /// The sessions of these keys, the latest first.
    pub(crate) fn of(&self, keys: &[String], now: u64) -> Vec<Session> {
        let ours = |s: &&Session| live(s, now) && keys.contains(&s.key.to_multikey());
        let mut found: Vec<_> = self.by_secret.values().filter(ours).cloned().collect();
        found.sort_by_key(|s| std::cmp::Reverse(s.used));
        found
    }

    /// Ends sessions; says how many.
    pub(crate) fn end(&mut self, which: impl Fn(&Session) -> bool) -> usize {
        let before = self.by_secret.len();
        self.by_secret.retain(|_, s| !which(s));
        before - self.by_secret.len()
    }
}

fn live(session: &Session, now: u64) -> bool {
    now < session.used + limits::SESSION_IDLE_MS && now < session.made + limits::SESSION_MS
}

/// Somebody who is signed in and still may be.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) session: Session,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// A second way in exists. Until then one may only look.
    pub(crate) settled: bool,
    /// All keys of the person.
    pub(crate) keys: Vec<String>,
}

impl Visitor {
    /// Refuses what the role does not do.
    pub(crate) fn must(&self, may: impl Fn(Role) -> bool, what: &str) -> Result<(), Problem> {
        if !may(self.role) {
            let title = format!("your role, {}, does not {what}", self.role.word());
            return Err(Problem::new(403, "role", title).cure("ask an admin of your organisation"));
        }
        Ok(())
    }
}

impl Console {
    /// Who a request is from, if its session holds and its key is still somebody's.
    async fn visitor(&self, headers: &HeaderMap) -> Result<Option<Visitor>, Problem> {
        let Some(secret) = cookie(headers, &self.cookie_name()) else { return Ok(None) };
        let Ok(secret) = BASE64URL_NOPAD.decode(secret.as_bytes()) else { return Ok(None) };
        let session = self.sessions().find(&secret, self.now(), touches(headers));
        let Some(session) = session else { return Ok(None) };
        Ok(self.known(&session.organisation, &session.key).await?.map(|known| Visitor {
            session,
            name: known.name,
            role: known.role,
            settled: known.settled,
            keys: known.keys,
        }))
    }

    /// Whether a visitor is still signed in and still may be: asked again and again by what goes
    /// on for long, such as a stream of news.
    pub(crate) async fn still(&self, who: &Visitor) -> bool {
        let session = &who.session;
        self.sessions().holds(&session.id, self.now())
            && matches!(self.known(&session.organisation, &session.key).await, Ok(Some(_)))
    }

    /// The person that a key is, by the book and the ledger as they stand.
    pub(crate) async fn known(
        &self,
        organisation: &Did,
        key: &PublicKey,
    ) -> Result<Option<Known>, Problem> {
        let record = self.organisation_record(organisation)?;
        let on_ledger =
            record.as_ref().and_then(|r| r.keys.iter().find(|k| k.key == *key)).cloned();
        let text = key.to_multikey();
        let book = self.book().await;
        if let Some((person, _)) = book.by_key(&text) {
            if person.organisation != organisation.to_string() {
                return Ok(None);
            }
            let role = match Capabilities::of_role(person.role()) {
                None => person.role(),
                // What the ledger gives, the ledger takes.
                Some(_) => match &on_ledger {
                    Some(k) => people::role_of(k.capabilities).min(person.role()),
                    None => return Ok(None),
                },
            };
            let keys = person.keys.iter().map(|k| k.key.clone()).collect();
            return Ok(Some(Known {
                name: person.name.clone(),
                role,
                settled: person.settled,
                keys,
            }));
        }
        // Its access was ended here, whatever the ledger says of it still.
        if book.is_ended(&text) {
            return Ok(None);
        }
        Ok(on_ledger.map(|k| Known {
            name: "Key file".into(),
            role: people::role_of(k.capabilities),
            settled: true,
            keys: vec![text],
        }))
    }

    pub(crate) fn cookie_name(&self) -> String {
        // Cookies know no ports: two consoles of one machine would take each other's.
        let network = &HEXLOWER.encode(&self.network().0)[..8];
        let prefix = if self.origins().secure() { "__Host-" } else { "" };
        format!("{prefix}muster-{network}")
    }

    /// The header that sets the session's cookie, or ends it.
    pub(crate) fn cookie(&self, secret: Option<&[u8]>) -> String {
        let (value, age) = match secret {
            Some(secret) => (BASE64URL_NOPAD.encode(secret), limits::SESSION_MS / 1_000),
            None => (String::new(), 0),
        };
        let secure = if self.origins().secure() { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// What is known of a key's holder.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) settled: bool,
    pub(crate) keys: Vec<String>,
}

/// Whether a person asks, and not a page by itself: pages say so when they renew their parts, and
/// a stream of news goes on without anybody.
fn touches(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    !headers.contains_key(BACKGROUND) && !accepts.starts_with("text/event-stream")
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = cookies.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
}

/// Where somebody goes who must sign in first.
pub(crate) enum Turned {
    ToSignIn(String),
    Refused(Failure),
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        match self {
            Self::ToSignIn(next) => Redirect::to(&format!("/sign-in?next={next}")).into_response(),
            Self::Refused(failure) => failure.into_response(),
        }
    }
}

/// A page asks for a visitor and turns strangers to the sign-in; everything else that is asked of
/// us (a script's request) hears that nobody is signed in. What changes anything shows the token
/// of its session.
impl FromRequestParts<Console> for Visitor {
    type Rejection = Turned;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Turned> {
        let refused = |problem: Problem| Turned::Refused(problem.into());
        let visitor = console.visitor(&parts.headers).await.map_err(refused)?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let Some(visitor) = visitor else {
            let page = parts.headers.get("sec-fetch-mode").is_none_or(|m| m == "navigate");
            if reads && page {
                let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
                return Err(Turned::ToSignIn(encoded(path)));
            }
            let title = "nobody is signed in, or the session ended";
            return Err(refused(Problem::new(401, "session", title).cure("sign in again")));
        };
        if !reads {
            let token = parts.headers.get(CSRF).and_then(|v| v.to_str().ok());
            if token != Some(visitor.session.csrf.as_str()) {
                let title = "the request lacks the token of its page";
                let problem = Problem::new(403, "csrf", title).cure("reload the page, try again");
                return Err(refused(problem));
            }
        }
        Ok(visitor)
    }
}

/// Pages that everybody sees, and that greet those they know.
impl OptionalFromRequestParts<Console> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Option<Self>, Infallible> {
        Ok(console.visitor(&parts.headers).await.ok().flatten())
    }
}

/// What a browser is, in a word or two, by what it says of itself.
pub(crate) fn browser(agent: &str) -> String {
    const BROWSERS: [(&str, &str); 5] = [
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrom", "Chromium"),
        ("Safari", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 5] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ];
    let find = |list: &[(&str, &'static str)]| {
        list.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.into(),
        (None, None) => "another program".into(),
    }
}

/// Percent-encoding of a query value (RFC 3986 §2.1).
pub(crate) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    text.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(b.into());
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests;
