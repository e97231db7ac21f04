//! From the text of the file to settings: every fault is found, not the first alone.

use super::near::near;
use super::secret;
use super::table::{self, Key, Kind, Section};
use super::{Fault, Setting};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of the file: a gateway's policy of 256 classes fits several times.
pub(crate) const FILE_BYTES: u64 = 1 << 20;
/// Values of one list: more nodes than a gateway could follow.
const LIST_VALUES: usize = 64;
/// Characters of one value: the longest path of Linux.
const VALUE_CHARACTERS: usize = 4_096;
/// Characters of a wrong value that a fault repeats.
const SHOWN_CHARACTERS: usize = 60;
/// Faults that are told; who has more mends those first.
const FAULTS: usize = 100;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) settings: Vec<Setting>,
    pub(super) faults: Vec<Fault>,
    /// Sections that are there, whatever they hold.
    pub(super) sections: Vec<Section>,
}

/// Reads the text of a file that lies at `file`.
pub(super) fn read(text: &str, file: &Path) -> Read {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, file, out: Read::default() };
    // Only the words: the line itself could hold what nobody should see.
    for error in errors {
        reader.fault(error.span().unwrap_or(0..0), "", error.message().to_owned());
    }
    // What is behind the first fault of the grammar may be read wrongly.
    if reader.out.faults.is_empty() {
        reader.top(table.get_ref());
    }
    let mut out = reader.out;
    out.faults.sort_by_key(|fault| (fault.line, fault.column));
    out
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    out: Read,
}

impl Reader<'_> {
    fn fault(&mut self, at: Range<usize>, key: &str, words: String) {
        if self.out.faults.len() >= FAULTS {
            return;
        }
        let (line, column) = place(self.text, at.start);
        self.out.faults.push(Fault { line, column, key: key.to_owned(), words });
    }

    fn top(&mut self, table: &DeTable<'_>) {
        let sections = || Section::ALL.into_iter().filter(|section| *section != Section::Top);
        let (mut inner, mut own) = (Vec::new(), Vec::new());
        for (name, value) in table.iter() {
            match sections().find(|section| section.name() == name.get_ref()) {
                Some(section) => inner.push((section, name, value)),
                None => own.push((name, value)),
            }
        }
        self.section(Section::Top, own.into_iter());
        for (section, name, value) in inner {
            match value.get_ref() {
                DeValue::Table(table) => {
                    self.out.sections.push(section);
                    self.section(section, table.iter());
                }
                _ => self.fault(
                    name.span(),
                    section.name(),
                    format!("`{0}` is a section: write [{0}]", section.name()),
                ),
            }
        }
    }

    fn section<'t>(
        &mut self,
        section: Section,
        entries: impl Iterator<
            Item = (&'t Spanned<std::borrow::Cow<'t, str>>, &'t Spanned<DeValue<'t>>),
        >,
    ) {
        let keys = table::keys(section);
        for (name, value) in entries {
            if self.out.faults.len() >= FAULTS {
                return;
            }
            match keys.iter().find(|key| key.name == *name.get_ref()) {
                Some(key) => self.value(key, name.span(), value),
                None => {
                    let words = unknown(section, name.get_ref(), &keys, value.get_ref().is_table());
                    self.fault(name.span(), &table::path(section, name.get_ref()), words);
                }
            }
        }
    }

    fn value(&mut self, key: &Key, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        match checked(key, self.file, value) {
            Ok(values) => {
                let (line, column) = place(self.text, at.start);
                self.out.settings.push(Setting { key: key.clone(), values, line, column });
            }
            Err((at, words)) => self.fault(at, &key.path(), words),
        }
    }
}

/// What is wrong, and where.
type Wrong = (Range<usize>, String);

/// The values as the command line would have them, each of which it takes.
fn checked(key: &Key, file: &Path, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Wrong> {
    let wrong = |words: String| (value.span(), words);
    let texts = if is_policy(key) && value.get_ref().is_table() {
        // A gateway takes its policy out of the file of settings itself.
        vec![file.to_string_lossy().into_owned()]
    } else {
        let texts = texts(key, value)?;
        if let Some(why) = texts.iter().find_map(|text| secret::by_value(text)) {
            return Err(wrong(why.into()));
        }
        texts.into_iter().map(|text| beside(key, file, text)).collect()
    };
    for text in &texts {
        if let Some(words) = refusal(key, text) {
            let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
            return Err(wrong(format!("{shown:?}: {words}")));
        }
    }
    Ok(texts)
}

/// Whether a key may be a table: a gateway's policy stands in the file as it stands in its own.
fn is_policy(key: &Key) -> bool {
    key.section == Section::Gateway && key.name == "policy"
}

/// The values as text.
fn texts(key: &Key, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Wrong> {
    let one = |value: &Spanned<DeValue<'_>>| {
        let text = match (key.kind, value.get_ref()) {
            (Kind::Switch, DeValue::Boolean(yes)) => yes.to_string(),
            (Kind::Number | Kind::Span, DeValue::Integer(number)) if number.radix() == 10 => {
                number.as_str().replace('_', "")
            }
            (Kind::Span | Kind::Text | Kind::Path | Kind::List, DeValue::String(text)) => {
                text.clone().into_owned()
            }
            (kind, found) => {
                let words = format!("expected {}, found {}", kind.words(), name(found));
                return Err((value.span(), words));
            }
        };
        if text.len() > VALUE_CHARACTERS || text.contains('\0') {
            let words = format!("a value has at most {VALUE_CHARACTERS} characters, and no NUL");
            return Err((value.span(), words));
        }
        Ok(text)
    };
    match (key.kind, value.get_ref()) {
        (Kind::List, DeValue::Array(list)) if list.is_empty() => {
            Err((value.span(), "the list is empty: leave the key out for its default".into()))
        }
        (Kind::List, DeValue::Array(list)) if list.len() > LIST_VALUES => {
            Err((value.span(), format!("a list has at most {LIST_VALUES} values")))
        }
        (Kind::List, DeValue::Array(list)) => list.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

fn name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A path as it is seen from the folder of the file.
fn beside(key: &Key, file: &Path, text: String) -> String {
    // An address in a security token is no path (RFC 7512).
    if key.kind != Kind::Path || text.starts_with("pkcs11:") || text.is_empty() {
        return text;
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    folder.join(text).to_string_lossy().into_owned()
}

/// What the command line's own parser has against a value, if it has.
fn refusal(key: &Key, text: &str) -> Option<String> {
    let option = format!("--{}={text}", key.option);
    let args = ["muster"].into_iter().chain(key.section.command());
    let parsed = table::command().try_get_matches_from(args.chain([option.as_str()]));
    let error = parsed.err()?;
    // That something else is missing, or goes not together, is not the fault of this value.
    let other = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::ArgumentConflict,
    ];
    if other.contains(&error.kind()) {
        return None;
    }
    if let Some(source) = error.source() {
        return Some(source.to_string());
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() && !text.is_empty() => {
            let near = near(text, valid.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("did you mean {near:?}? "));
            Some(format!("{near}Allowed are {}", valid.join(", ")))
        }
        _ => Some("a value is missing".into()),
    }
}

fn unknown(section: Section, name: &str, keys: &[Key], is_table: bool) -> String {
    let option = name.replace('_', "-");
    if let Some(why) = table::once(section, &option) {
        return format!("--{option} is for the command line alone: {why}");
    }
    if let Some(why) = secret::by_name(name) {
        return why.into();
    }
    let known = || keys.iter().map(|key| key.name.as_str());
    let sections = || Section::ALL.into_iter().map(Section::name).filter(|name| !name.is_empty());
    if is_table && section == Section::Top {
        let near = near(name, sections());
        let near = near.map_or(String::new(), |near| format!(" did you mean [{near}]?"));
        let all: Vec<String> = sections().map(|name| format!("[{name}]")).collect();
        return format!("unknown section:{near} There are {}", all.join(", "));
    }
    if let Some(near) = near(name, known()) {
        return format!("unknown key: did you mean `{near}`?");
    }
    let elsewhere: Vec<String> = Section::ALL
        .into_iter()
        .filter(|other| *other != section)
        .filter(|other| table::keys(*other).iter().any(|key| key.name == option))
        .map(|other| match other.name() {
            "" => "above the first section".to_owned(),
            name => format!("in [{name}]"),
        })
        .collect();
    if !elsewhere.is_empty() {
        return format!("unknown key here: `{option}` stands {}", elsewhere.join(" or "));
    }
    format!("unknown key; known here are {}", known().collect::<Vec<_>>().join(", "))
}

/// Line and column, both from 1, the column in characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let read = read(text, Path::new("/etc/muster/muster.toml"));
        read.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn faults_name_place_and_cure() {
        for (text, words) in [
            ("[node]\nlisen = \"x\"", "2:1: node.lisen: unknown key: did you mean `listen`?"),
            (
                "[gateway]\nmax_age = \"1h\"",
                "2:1: gateway.max_age: unknown key: did you mean `max-age`?",
            ),
            ("[gatway]\n", "1:2: gatway: unknown section: did you mean [gateway]?"),
            ("[node]\naudience = \"a\"", "`audience` stands in [gateway]"),
            ("listen = \"a\"", "`listen` stands in [node] or in [consortium] or in [gateway]"),
            (
                "[node]\n  colour = 1",
                "2:3: node.colour: unknown key; known here are listen, tls-cert",
            ),
            ("[node]\nlisten = 7700", "2:10: node.listen: expected text, found a number"),
            (
                "[node]\nlisten = \"7700\"",
                "2:10: node.listen: \"7700\": expected an address and port",
            ),
            ("[log]\nformat = \"\"", "a value is missing"),
            ("[node]\nbegin = true", "--begin is for the command line alone"),
            ("[node]\nwithout-tls = \"yes\"", "expected true or false, found text"),
            ("[gateway]\nlearn = -1", "gateway.learn: \"-1\""),
            ("[gateway]\nsource-rate = 99999999999", "gateway.source-rate: \"99999999999\""),
            ("[gateway]\nmax-age = \"1 hour\"", "is no span of time"),
            ("[gateway]\nmax-age = 1.5", "found a number with a point"),
            ("[gateway]\nnode = []", "the list is empty"),
            ("[gateway]\nnode = [\"http://a\", 3]", "2:21: gateway.node: expected text, or a list"),
            ("[log]\nformat = \"jsn\"", "did you mean \"json\"? Allowed are human, json"),
            ("[log]\nlevel = \"loud\"", "say error, warn, info"),
            ("node = 3", "write [node]"),
            ("[node]\nlisten = \"a\nb\"", "2:"),
            ("[node]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"", "3:"),
        ] {
            let found = faults(text);
            assert!(found.iter().any(|fault| fault.contains(words)), "{text}: {found:?}");
        }
    }

    #[test]
    fn all_faults_come_at_once_and_in_order() {
        let found = faults("[gateway]\nlearn = \"a\"\nmax-age = true\n[node]\nx = 1\nlisten = 2\n");
        let lines: Vec<&str> = found.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(lines, ["2", "3", "5", "6"], "{found:?}");
    }

    #[test]
    fn a_file_of_faults_is_soon_done_with() {
        let text: String = (0..50_000).map(|n| format!("key-{n} = 1\n")).collect();
        assert_eq!(faults(&text).len(), FAULTS);
    }

    #[test]
    fn secrets_are_refused_and_never_shown() {
        for text in [
            "passphrase = \"hunter2\"",
            "[node]\nkey_password = \"hunter2\"",
            "[gateway]\nsession-secret = \"hunter2\"",
            "[gateway]\npin = 4711",
            "[gateway]\nkey = \"pkcs11:object=a?pin-value=4711\"",
            "[gateway]\nnode = \"https://me:hunter2@node.example\"",
            "[gateway]\nkey = \"\"\"-----BEGIN PRIVATE KEY-----\nhunter2\n\"\"\"",
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(!found[0].contains("hunter2") && !found[0].contains("4711"), "{found:?}");
            assert!(
                found[0].contains("does not stand") || found[0].contains("secret"),
                "{found:?}"
            );
        }
        // Nor by the words of the grammar.
        let found = faults("passphrase = \"hunter2\nx");
        assert!(!found.is_empty() && !found.concat().contains("hunter2"), "{found:?}");
    }

    #[test]
    fn paths_are_seen_from_the_folder_of_the_file() {
        let text = "home = \"/var/lib/muster\"\n[node]\ntls-cert = \"tls/a.pem\"\n\
                    [gateway]\nkey = \"gateway.pem\"\nmax-age = 60\nnode = \"http://127.0.0.1:1\"\n\
                    trust-proxy = \"local\"\n[gateway.policy]\nmax_age = \"1h\"\n";
        let read = read(text, Path::new("/etc/muster/muster.toml"));
        assert!(read.faults.is_empty(), "{:?}", read.faults);
        let values: Vec<_> = read
            .settings
            .iter()
            .map(|setting| format!("{}={}", setting.key.path(), setting.values.join(",")))
            .collect();
        for expected in [
            "home=/var/lib/muster",
            "node.tls-cert=/etc/muster/tls/a.pem",
            "gateway.key=/etc/muster/gateway.pem",
            "gateway.max-age=60",
            "gateway.node=http://127.0.0.1:1",
            "gateway.trust-proxy=local",
            "gateway.policy=/etc/muster/muster.toml",
        ] {
            assert!(values.iter().any(|value| value == expected), "{expected}: {values:?}");
        }
    }
}
