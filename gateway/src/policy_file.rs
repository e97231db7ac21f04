//! The policy of a gateway as a file (TOML): limits in general, then classes. `docs/gateway.md`
//! explains it; `docs/samples/gateway` holds one.

use muster_verifier::{Class, Policy, Rules};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// Classes in one file: a table that a person can read.
const CLASSES: usize = 256;
/// Values of one list of a class.
const VALUES: usize = 1_024;

/// Why a policy file cannot be used (the operator's fault).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyFault(String);

/// A span of time: whole seconds, or a number and `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct Span {
    /// In milliseconds.
    pub ms: u64,
}

impl FromStr for Span {
    type Err = PolicyFault;

    fn from_str(text: &str) -> Result<Self, PolicyFault> {
        let fault =
            || PolicyFault(format!("{text:?} is no span of time: say 90s, 15m, 12h or 30d"));
        let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(number) => (number, text.as_bytes().last().copied()),
            None => (text, None),
        };
        let second: u64 = match unit {
            Some(b'm') => 60,
            Some(b'h') => 60 * 60,
            Some(b'd') => 24 * 60 * 60,
            _ => 1,
        };
        let number: u64 = number.parse().map_err(|_| fault())?;
        let ms = number.checked_mul(second * 1_000).ok_or_else(fault)?;
        Ok(Self { ms })
    }
}

impl TryFrom<toml::Value> for Span {
    type Error = PolicyFault;

    fn try_from(value: toml::Value) -> Result<Self, PolicyFault> {
        match value {
            toml::Value::String(text) => text.parse(),
            toml::Value::Integer(seconds) => seconds.to_string().parse(),
            _ => Err(PolicyFault("a span of time is text such as \"12h\", or seconds".into())),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ms / 1_000;
        match seconds {
            s if s > 0 && s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            s if s > 0 && s % 3_600 == 0 => write!(f, "{}h", s / 3_600),
            s if s > 0 && s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    max_age: Option<Span>,
    stale_until: Option<Span>,
    nonce: Option<Nonce>,
    #[serde(default)]
    class: Vec<ClassTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassTable {
    name: String,
    #[serde(default)]
    model: Vec<String>,
    #[serde(default)]
    batch: Vec<String>,
    #[serde(default)]
    owner: Vec<String>,
    #[serde(default)]
    path: Vec<String>,
    max_age: Option<Span>,
    stale_until: Option<Span>,
    nonce: Option<Nonce>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Nonce {
    Accepted,
    Required,
}

/// A file of settings, in which the policy is a table; the rest of it is others' to read.
#[derive(Deserialize)]
struct Settings {
    gateway: Option<Section>,
}

#[derive(Deserialize)]
struct Section {
    policy: Option<File>,
}

/// Reads a policy file into a policy; what it does not say stays as it is. In a file of settings
/// the policy is the table `[gateway.policy]`.
pub fn read_policy(text: &str, policy: &mut Policy) -> Result<(), PolicyFault> {
    let fault = |error| at_its_place(text, &error);
    // No policy has a key `gateway`, so the two cannot be taken for each other.
    let settings = toml::from_str::<toml::Table>(text).is_ok_and(|t| t.contains_key("gateway"));
    let file: File = if settings {
        let section = toml::from_str::<Settings>(text).map_err(fault)?.gateway;
        section.and_then(|section| section.policy).ok_or_else(|| {
            PolicyFault("this file of settings has no table [gateway.policy]".into())
        })?
    } else {
        toml::from_str(text).map_err(fault)?
    };
    if file.class.len() > CLASSES {
        return Err(PolicyFault(format!("at most {CLASSES} classes")));
    }
    let general = rules(policy.rules, file.max_age, file.stale_until, file.nonce);
    policy.rules = general.map_err(|why| PolicyFault(format!("in general: {why}")))?;
    let classes = file.class.into_iter().map(|table| class(table, policy.rules));
    policy.classes = classes.collect::<Result<_, _>>()?;
    Ok(())
}

/// Place, key and words; not the line itself, which could hold what no log should see.
fn at_its_place(text: &str, error: &toml::de::Error) -> PolicyFault {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
    let key = text[start..].lines().next().and_then(|line| line.split_once('='));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = key.map(|(key, _)| key.trim()).filter(|key| key.chars().all(is_plain));
    let key = key.map_or(String::new(), |key| format!("{key}: "));
    PolicyFault(format!("line {line}, column {column}: {key}{}", error.message()))
}

fn class(table: ClassTable, general: Rules) -> Result<Class, PolicyFault> {
    let name = table.name;
    let fault = |why: String| PolicyFault(format!("class {name:?}: {why}"));
    let longest = [&table.model, &table.batch, &table.owner, &table.path].map(|list| list.len());
    if longest.iter().any(|length| *length > VALUES) {
        return Err(fault(format!("a list has at most {VALUES} values")));
    }
    if longest.iter().all(|length| *length == 0) {
        return Err(fault(
            "it names nothing; name a model, batch, owner or path, or set the limits in general"
                .into(),
        ));
    }
    if let Some(path) = table.path.iter().find(|path| !path.starts_with('/')) {
        return Err(fault(format!("path {path:?} does not begin with /")));
    }
    let batches = table.batch.iter().map(|id| {
        id.parse().map_err(|e: muster_identity::Error| fault(format!("batch {id:?}: {e}")))
    });
    let owners = table.owner.iter().map(|did| {
        did.parse().map_err(|e: muster_identity::Error| fault(format!("owner {did:?}: {e}")))
    });
    let rules = rules(general, table.max_age, table.stale_until, table.nonce).map_err(fault);
    Ok(Class {
        batches: batches.collect::<Result<_, _>>()?,
        owners: owners.collect::<Result<_, _>>()?,
        rules: rules?,
        name,
        models: table.model,
        paths: table.path,
    })
}

fn rules(
    general: Rules,
    max_age: Option<Span>,
    stale_until: Option<Span>,
    nonce: Option<Nonce>,
) -> Result<Rules, String> {
    let max_roll_age_ms = max_age.map_or(general.max_roll_age_ms, |span| span.ms);
    if let Some(until) = stale_until.filter(|until| until.ms <= max_roll_age_ms) {
        let max_age = Span { ms: max_roll_age_ms };
        return Err(format!(
            "stale_until {until} is not above max_age {max_age}: beyond max_age and up to \
             stale_until devices pass marked as stale"
        ));
    }
    // A class that sets a limit of its own and no second one has none.
    let inherited = if max_age.is_some() { 0 } else { general.stale_until_ms };
    Ok(Rules {
        max_roll_age_ms,
        stale_until_ms: stale_until.map_or(inherited, |span| span.ms),
        nonce_required: nonce.map_or(general.nonce_required, |nonce| nonce == Nonce::Required),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let mut policy = Policy::new("a.example".parse().unwrap());
        read_policy(text, &mut policy).map_err(|fault| fault.to_string()).map(|()| policy)
    }

    #[test]
    fn a_class_inherits_what_it_does_not_say() {
        let policy = read(
            r#"
            max_age = "12h"
            stale_until = "2d"
            [[class]]
            name = "pumps"
            model = ["pump-*"]
            [[class]]
            name = "valves"
            model = ["valve"]
            path = ["/open"]
            max_age = 60
            nonce = "required"
            "#,
        )
        .unwrap();
        let hour = 3_600_000;
        assert_eq!(policy.rules.max_roll_age_ms, 12 * hour);
        assert_eq!(policy.classes[0].rules, policy.rules);
        let valves = policy.classes[1].rules;
        assert_eq!((valves.max_roll_age_ms, valves.stale_until_ms), (60_000, 0));
        assert!(valves.nonce_required && !policy.rules.nonce_required);
    }

    #[test]
    fn a_policy_may_stand_in_the_file_of_settings() {
        let policy = read(
            "[node]\nlisten = \"a\"\n[gateway]\naudience = \"a\"\n[gateway.policy]\nmax_age = \"2h\"\n\
             [[gateway.policy.class]]\nname = \"pumps\"\nmodel = [\"pump\"]\nmax_age = 60\n",
        )
        .unwrap();
        assert_eq!(policy.rules.max_roll_age_ms, 7_200_000);
        assert_eq!(policy.classes[0].rules.max_roll_age_ms, 60_000);
        let fault = read("[gateway]\n[gateway.policy]\nmax_agee = 3").unwrap_err();
        assert!(fault.contains("unknown field `max_agee`") && fault.contains("line 3"), "{fault}");
        let fault = read("[gateway.policy]\npassword = \"hunter2\"").unwrap_err();
        assert!(
            fault.starts_with("line 2, column 1: password: unknown field `password`"),
            "{fault}"
        );
        assert!(!fault.contains("hunter2"), "{fault}");
        assert!(read("[gateway]\naudience = \"a\"").unwrap_err().contains("[gateway.policy]"));
    }

    #[test]
    fn faults_name_place_and_cure() {
        for (text, words) in [
            ("max_agee = 3", "unknown field `max_agee`"),
            ("\nmax_age = \"3 days\"", "line 2"),
            ("max_age = \"1h\"\nstale_until = \"1h\"", "not above max_age 1h"),
            ("[[class]]\nname = \"x\"", "class \"x\": it names nothing"),
            ("[[class]]\nname = \"x\"\npath = [\"a\"]", "does not begin with /"),
            ("[[class]]\nname = \"x\"\nowner = [\"did:web:x\"]", "owner \"did:web:x\""),
            ("[[class]]\nname = \"x\"\nbatch = [\"1\"]", "batch \"1\""),
            ("[[class]]\nname = \"x\"\nmodel = [\"m\"]\nnonce = \"no\"", "nonce"),
            ("max_age = -1", "-1"),
            ("max_age = \"99999999999999999999d\"", "no span of time"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }

    #[test]
    fn spans_read_back() {
        for text in ["0s", "90s", "15m", "12h", "30d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("3600".parse::<Span>().unwrap().to_string(), "1h");
    }
}
