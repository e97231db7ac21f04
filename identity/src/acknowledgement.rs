use crate::jws::{self, Members, Signed};
use crate::{Did, Error, PresentationFault as Fault, PublicKey, Signer, SignerError};
use alloc::string::{String, ToString};
use alloc::{borrow::ToOwned, format, vec::Vec};
use core::fmt::Write as _;
use data_encoding::BASE64URL_NOPAD;

/// The domain of acknowledgements: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-ack+jwt";

/// Longest acknowledgement in bytes: with every member at its bound, as many reasons and devices
/// as may be, it takes fewer than 9,000. It travels in a body, so no header limits it.
pub const MAX_ACKNOWLEDGEMENT: usize = 10_240;

/// Devices that one report says were seen: two a second, at a report each half minute. It keeps a
/// report below [`MAX_ACKNOWLEDGEMENT`].
pub const SEEN_DEVICES: usize = 64;

/// Reasons that one report counts: half as many again as a gateway has.
pub const REPORTED_REASONS: usize = 32;

/// Longest name of a reason.
const REASON: usize = 32;

/// Greatest number: what every reader of JSON keeps exactly (RFC 8259 §6).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Whether a gateway still learns of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It follows, and its roll is young enough to let devices through.
    Live,
    /// Its roll is older than its limit.
    Stale,
    /// It follows no further; its status says why.
    Stopped,
}

impl Mode {
    /// Its word in the token.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Stopped => "stopped",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Live, Self::Stale, Self::Stopped].into_iter().find(|mode| mode.word() == word)
    }
}

/// What a gateway states of itself: the head by which it decides, and with a report how it is
/// doing. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Log entries under the head it decides by: it refuses whatever one of them ends.
    pub size: u64,
    /// Root of the log at that size: which ledger it is.
    pub log_root: [u8; 32],
    /// Height of the head.
    pub height: u64,
    /// When the quorum signed the head.
    pub checkpoint: u64,
    /// Since when it decides by a head of this size. Taken back from `made` by the time that
    /// passed, so the two differ by a duration, whatever its clock says.
    pub adopted: u64,
    /// When it said so, by its own clock.
    pub made: u64,
    /// Whether it still learns of changes.
    pub mode: Mode,
    /// How it is doing, now and then.
    pub report: Option<Report>,
}

/// How a gateway is doing since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Seconds since its start.
    pub uptime: u64,
    /// Roll age in milliseconds.
    pub roll_age: u64,
    /// Devices let through.
    pub accepted: u64,
    /// Refusals by reason, ascending, those that happened.
    pub refused: Vec<(String, u64)>,
    /// Heads that a quorum's signature convicts.
    pub forks: u64,
    /// Devices let through since the last report, ascending, and when last; none unless the
    /// operator asked for it.
    pub seen: Vec<(Did, u64)>,
}

/// An acknowledgement that was **parsed but not verified**: everything it says is only claimed
/// until [`Self::verify_signature`] passed with a key that the caller knows to be a gateway's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    signed: Signed,
    organisation: Did,
    statement: Statement,
}

impl Acknowledgement {
    /// Reads a `muster-ack+jwt`. Exactly the members this version defines, each once, are
    /// accepted, and each text has one form.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split_within(token, TYP, MAX_ACKNOWLEDGEMENT)?;
        let mut claims = jws.claims()?;
        let size = number(&mut claims, "size")?;
        let root = claims.text("root")?;
        let log_root = digest(&root).ok_or(Fault::Claim("root"))?;
        let height = number(&mut claims, "height")?;
        let checkpoint = number(&mut claims, "checkpoint")?;
        let adopted = number(&mut claims, "adopted")?;
        let made = number(&mut claims, "made")?;
        if adopted > made {
            return Err(Fault::Claim("adopted"));
        }
        let mode = Mode::read(&claims.text("mode")?).ok_or(Fault::Claim("mode"))?;
        let report = if claims.has("uptime") { Some(Report::read(&mut claims)?) } else { None };
        claims.end()?;
        let statement =
            Statement { size, log_root, height, checkpoint, adopted, made, mode, report };
        Ok(Self { signed: jws.signed, organisation: jws.did, statement })
    }

    /// Checks that `key` is the key the token names and that it signed the token, over the bytes
    /// as they came. Whether it is the key of a gateway is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// The organisation that runs the gateway, as claimed.
    pub fn organisation(&self) -> &Did {
        &self.organisation
    }

    /// The key that the token names, in multicodec form; it need not be one.
    pub fn key(&self) -> &[u8] {
        self.signed.key()
    }

    /// What it states.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What it states, by value.
    pub fn into_statement(self) -> Statement {
        self.statement
    }
}

/// Makes an acknowledgement as a gateway of an organisation. What no node would accept is not
/// signed.
pub fn acknowledge(
    organisation: &Did,
    statement: &Statement,
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    let s = statement;
    let mut claims = format!(
        r#"{{"iss":"{organisation}","size":{},"root":"{}","height":{},"checkpoint":{},"adopted":{},"made":{},"mode":"{}""#,
        s.size,
        BASE64URL_NOPAD.encode(&s.log_root),
        s.height,
        s.checkpoint,
        s.adopted,
        s.made,
        s.mode.word(),
    );
    if let Some(report) = &s.report {
        report.write(&mut claims);
    }
    claims.push('}');
    let token = jws::sign(TYP, organisation, &claims, signer)?;
    Acknowledgement::parse(&token).map_err(|fault| SignerError(fault.to_string()))?;
    Ok(token)
}

impl Report {
    fn read(claims: &mut Members<'_>) -> Result<Self, Fault> {
        let uptime = number(claims, "uptime")?;
        let roll_age = number(claims, "age")?;
        let accepted = number(claims, "accepted")?;
        let refused = pairs(&claims.text("refused")?, REPORTED_REASONS, |name| {
            let good = (1..=REASON).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            good.then(|| name.to_owned())
        })
        .ok_or(Fault::Claim("refused"))?;
        let forks = number(claims, "forks")?;
        let seen =
            pairs(&claims.text("seen")?, SEEN_DEVICES, |name| digest(name).map(Did::from_digest))
                .ok_or(Fault::Claim("seen"))?;
        Ok(Self { uptime, roll_age, accepted, refused, forks, seen })
    }

    fn write(&self, claims: &mut String) {
        let refused = self.refused.iter().map(|(code, n)| format!("{code}={n}"));
        let seen = self
            .seen
            .iter()
            .map(|(did, time)| format!("{}={time}", BASE64URL_NOPAD.encode(did.digest())));
        write!(
            claims,
            r#","uptime":{},"age":{},"accepted":{},"refused":"{}","forks":{},"seen":"{}""#,
            self.uptime,
            self.roll_age,
            self.accepted,
            refused.collect::<Vec<_>>().join(","),
            self.forks,
            seen.collect::<Vec<_>>().join(","),
        )
        .expect("a String accepts every write");
    }
}

fn number(claims: &mut Members<'_>, name: &'static str) -> Result<u64, Fault> {
    bounded(claims.uint(name)?).ok_or(Fault::Claim(name))
}

fn bounded(n: u64) -> Option<u64> {
    (n <= MAX_NUMBER).then_some(n)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// `name=number,name=number`, names ascending, numbers above zero: one text for one list.
fn pairs<T: Ord>(
    text: &str,
    most: usize,
    name: impl Fn(&str) -> Option<T>,
) -> Option<Vec<(T, u64)>> {
    let mut list: Vec<(T, u64)> = Vec::new();
    if text.is_empty() {
        return Some(list);
    }
    for pair in text.split(',') {
        let (key, number) = pair.split_once('=')?;
        let (key, value) = (name(key)?, number.parse().ok().and_then(bounded)?);
        let in_order = list.last().is_none_or(|(last, _)| *last < key);
        if value == 0 || number != value.to_string() || !in_order || list.len() == most {
            return None;
        }
        list.push((key, value));
    }
    Some(list)
}
