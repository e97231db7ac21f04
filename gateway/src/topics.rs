//! Topic rules: which device may publish and subscribe to what at an MQTT broker. A text file,
//! one rule a line; what no rule allows is refused. The format is `docs/formats/topics.md`.

use crate::{Error, Verified, limits};
use muster_identity::Did;

/// Who a device is, in the words that rules use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Its DID.
    pub did: String,
    /// The DID of its owner.
    pub owner: String,
    /// Its model.
    pub model: String,
    /// Its batch, in hexadecimal.
    pub batch: String,
}

impl Names {
    /// As the verdict says.
    pub fn of(verified: &Verified) -> Self {
        Self {
            did: verified.did().to_string(),
            owner: verified.owner().to_string(),
            model: verified.model().to_owned(),
            batch: verified.batch().to_string(),
        }
    }
}

/// What a client wants with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Send a message to a topic; also its will.
    Publish,
    /// Ask for the topics of a filter.
    Subscribe,
    /// Be handed a message of a topic.
    Receive,
}

/// The rules of a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    who: Who,
    publish: bool,
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Any,
    Did(String),
    Owner(String),
    Model(String),
    Batch(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// `#`: this level and all below; also the level above (MQTT 3.1.1 §4.7.1.2).
    Rest,
    /// `+`: exactly one level, whatever it is.
    One,
    /// Text and placeholders.
    Text(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Name(Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Did,
    Owner,
    Model,
    Batch,
}

impl TopicRules {
    /// Reads a rules file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fault = |line, (reason, cure): Complaint| Error::TopicRule { line, reason, cure };
        if text.len() > limits::TOPIC_RULES_BYTES {
            return Err(fault(0, ("the file is too large".into(), "write fewer rules")));
        }
        let mut rules = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if rules.len() == limits::TOPIC_RULES {
                let cure = "use placeholders such as {did}, so that one rule serves many devices";
                return Err(fault(n + 1, ("too many rules".into(), cure)));
            }
            rules.push(Rule::parse(line).map_err(|complaint| fault(n + 1, complaint))?);
        }
        Ok(Self(rules))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, so that nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a rule allows it. A subscription is allowed only if one rule's filter covers all
    /// topics that it asks for.
    pub fn allow(&self, names: &Names, access: Access, topic: &str) -> bool {
        if topic.is_empty() || topic.len() > limits::TOPIC_BYTES || topic.contains('\0') {
            return false;
        }
        match access {
            Access::Publish => self.any(names, true, |rule| rule.matches(names, topic)),
            Access::Receive => self.any(names, false, |rule| rule.matches(names, topic)),
            Access::Subscribe => match unshared(topic).filter(|filter| is_filter(filter)) {
                Some(filter) => self.any(names, false, |rule| rule.covers(names, filter)),
                None => false,
            },
        }
    }

    fn any(&self, names: &Names, publish: bool, holds: impl Fn(&Rule) -> bool) -> bool {
        self.0.iter().any(|rule| rule.publish == publish && rule.is_for(names) && holds(rule))
    }
}

/// The filter of a shared subscription, `$share/GROUP/FILTER` (MQTT 5.0 §4.8.2), or the filter
/// itself.
fn unshared(filter: &str) -> Option<&str> {
    let Some(shared) = filter.strip_prefix("$share/") else { return Some(filter) };
    let (group, filter) = shared.split_once('/')?;
    let good = !group.is_empty() && !group.contains(['+', '#']) && !filter.is_empty();
    good.then_some(filter)
}

/// Wildcards stand alone in their level, `#` in the last one (MQTT 3.1.1 §4.7.1).
fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        if level.len() > 1 && level.contains(['+', '#']) || level == "#" && !last {
            return false;
        }
    }
    true
}

impl Rule {
    fn is_for(&self, names: &Names) -> bool {
        match &self.who {
            Who::Any => true,
            Who::Did(did) => *did == names.did,
            Who::Owner(owner) => *owner == names.owner,
            Who::Model(model) => *model == names.model,
            Who::Batch(batch) => *batch == names.batch,
        }
    }

    /// Whether the topic is one of the filter's.
    fn matches(&self, names: &Names, topic: &str) -> bool {
        // A topic has no wildcards (MQTT 3.1.1 §3.3.2.1).
        !topic.contains(['+', '#']) && self.covers(names, topic)
    }

    /// Whether every topic of `filter` is one of the rule's filter too.
    fn covers(&self, names: &Names, filter: &str) -> bool {
        // A leading wildcard does not reach topics that begin with `$` (MQTT 3.1.1 §4.7.2).
        if filter.starts_with('$') && !matches!(self.levels.first(), Some(Level::Text(_))) {
            return false;
        }
        let mut asked = filter.split('/');
        for level in &self.levels {
            let next = asked.next();
            let covered = match (level, next) {
                (Level::Rest, _) => return true,
                (_, None | Some("#")) => false,
                (Level::One, Some(_)) => true,
                (Level::Text(_), Some("+")) => false,
                (Level::Text(pieces), Some(text)) => is_text(pieces, names, text),
            };
            if !covered {
                return false;
            }
        }
        asked.next().is_none()
    }
}

/// Whether the level reads `text` once the names are filled in. A name that could be more than
/// a piece of one level, such as a model with a `/` in it, fits nowhere.
fn is_text(pieces: &[Piece], names: &Names, mut text: &str) -> bool {
    for piece in pieces {
        let piece = match piece {
            Piece::Literal(literal) => literal.as_str(),
            Piece::Name(name) => {
                let value = name.of(names);
                if value.is_empty() || value.contains(['/', '+', '#', '\0']) {
                    return false;
                }
                value
            }
        };
        let Some(rest) = text.strip_prefix(piece) else { return false };
        text = rest;
    }
    text.is_empty()
}

impl Name {
    fn of(self, names: &Names) -> &str {
        match self {
            Self::Did => &names.did,
            Self::Owner => &names.owner,
            Self::Model => &names.model,
            Self::Batch => &names.batch,
        }
    }
}

/// What is wrong, and what to do about it.
type Complaint = (String, &'static str);

impl Rule {
    fn parse(line: &str) -> Result<Self, Complaint> {
        const SHAPE: &str = "write `WHO: publish FILTER` or `WHO: subscribe FILTER`";
        let split = line.split_once(": ").ok_or(("there is no `: `".to_owned(), SHAPE))?;
        let (who, what) = (split.0.trim(), split.1.trim());
        let (verb, filter) = what.split_once(' ').unwrap_or((what, ""));
        let publish = match verb {
            "publish" => true,
            "subscribe" => false,
            _ => return Err((format!("`{verb}` is no verb"), SHAPE)),
        };
        Ok(Self { who: Who::parse(who)?, publish, levels: levels(filter.trim())? })
    }
}

impl Who {
    fn parse(text: &str) -> Result<Self, Complaint> {
        const SHAPE: &str = "write `any`, `did DID`, `owner DID`, `model MODEL` or `batch BATCH`";
        if text == "any" {
            return Ok(Self::Any);
        }
        let (kind, name) = text.split_once(' ').unwrap_or((text, ""));
        let name = name.trim();
        let did = || match name.parse::<Did>() {
            Ok(did) => Ok(did.to_string()),
            Err(_) => Err((format!("`{name}` is no DID"), "write a DID such as did:muster:z...")),
        };
        match kind {
            "did" => Ok(Self::Did(did()?)),
            "owner" => Ok(Self::Owner(did()?)),
            "model" if !name.is_empty() => Ok(Self::Model(name.to_owned())),
            "batch" if is_batch(name) => Ok(Self::Batch(name.to_owned())),
            "batch" => Err((
                format!("`{name}` is no batch"),
                "write the batch as `muster show` prints it: 64 hexadecimal digits, lower case",
            )),
            _ => Err((format!("`{text}` names nobody"), SHAPE)),
        }
    }
}

fn is_batch(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn levels(filter: &str) -> Result<Vec<Level>, Complaint> {
    const WILD: &str = "let `+` stand alone in its level, and `#` alone in the last one";
    if filter.is_empty() {
        return Err(("there is no topic filter".into(), "write one after the verb"));
    }
    if filter.len() > limits::TOPIC_BYTES || filter.contains('\0') {
        return Err(("this is no topic filter".into(), "write a shorter one, without NUL"));
    }
    if filter.starts_with("$share/") {
        let cure = "write the filter behind $share/GROUP/: it holds for shared subscriptions too";
        return Err(("a rule names no shared subscription".into(), cure));
    }
    if !is_filter(filter) {
        return Err((format!("`{filter}` is no topic filter"), WILD));
    }
    filter.split('/').map(level).collect()
}

fn level(text: &str) -> Result<Level, Complaint> {
    const NAMES: &str = "the placeholders are {did}, {owner}, {model} and {batch}";
    match text {
        "#" => return Ok(Level::Rest),
        "+" => return Ok(Level::One),
        _ => {}
    }
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let unknown = || (format!("`{text}` holds an unknown placeholder"), NAMES);
        let (literal, inner) = rest.split_at(at);
        let inner = inner.strip_prefix('{').ok_or_else(unknown)?;
        let (name, after) = inner.split_once('}').ok_or_else(unknown)?;
        let name = match name {
            "did" => Name::Did,
            "owner" => Name::Owner,
            "model" => Name::Model,
            "batch" => Name::Batch,
            _ => return Err(unknown()),
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(Piece::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(Level::Text(pieces))
}

#[cfg(test)]
mod tests;
