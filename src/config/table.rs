//! The keys of the file. They are the long options of the commands, read from the command line's
//! own table: an option that is added there can stand in the file at once.

use crate::cli::Cli;
use crate::keys::KeyPlace;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use muster_gateway::Span;
use std::any::TypeId;
use std::path::PathBuf;

/// A section of the file, and the command whose options it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Above the first section: what every command takes.
    Top,
    /// `[log]`.
    Log,
    /// `[node]`: `muster serve`.
    Node,
    /// `[consortium]`: `muster serve` as one node of several.
    Consortium,
    /// `[gateway]`: `muster gateway`.
    Gateway,
}

impl Section {
    pub(crate) const ALL: [Self; 5] =
        [Self::Top, Self::Log, Self::Node, Self::Consortium, Self::Gateway];

    /// Its name in the file; empty above the first section.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Log => "log",
            Self::Node => "node",
            Self::Consortium => CONSORTIUM,
            Self::Gateway => "gateway",
        }
    }

    /// The command it belongs to, if it is not for all.
    pub(crate) fn command(self) -> Option<&'static str> {
        match self {
            Self::Top | Self::Log => None,
            Self::Node | Self::Consortium => Some("serve"),
            Self::Gateway => Some("gateway"),
        }
    }

    /// This section with the others whose options its command takes.
    pub(crate) fn of_its_command(self) -> &'static [Self] {
        match self {
            Self::Top => &[Self::Top],
            Self::Log => &[Self::Log],
            Self::Node | Self::Consortium => &[Self::Node, Self::Consortium],
            Self::Gateway => &[Self::Gateway],
        }
    }
}

/// The section of a node among several: whoever writes it, empty as it may be, says `--consortium`.
pub(crate) const CONSORTIUM: &str = "consortium";

/// Options of one start, which a file would repeat at each: the option, and what is wrong with it.
const ONCE: &[(Section, &str, &str)] = &[
    (Section::Top, "config", "it says where this file is"),
    (Section::Top, "json", "it is for the one who starts a command"),
    (Section::Node, "restored", "it belongs to the first start after a restore alone"),
    (Section::Node, "succeed", "it belongs to the start that hands the ledger over alone"),
    (Section::Node, "begin", "in a file it would begin a ledger anew whenever a disk was lost"),
    (Section::Node, "accept-lost-leaves", "a risk is taken once, by hand, not at every start"),
    (Section::Node, CONSORTIUM, "write the section [consortium]; it may be empty"),
    (Section::Gateway, "trust", "a head that you vouch for belongs to one start alone"),
];

/// Options whose name in the file is shorter: `[log] format` and `level`.
const LOG: &[(&str, &str)] = &[("format", "log"), ("level", "log-level")];

/// Options of `muster serve` that stand in `[consortium]`, under shorter names.
const AMONG_OTHERS: &[(&str, &str)] =
    &[("listen", "consortium-listen"), ("peers", "consortium-peer")];

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Switch,
    Number,
    /// Text such as `"12h"`, or seconds.
    Span,
    Text,
    /// A file or folder, seen from the folder of the file of settings.
    Path,
    /// One text or several.
    List,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let is = |one: TypeId| arg.get_value_parser().type_id() == one;
        let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()];
        if is(TypeId::of::<bool>()) {
            Self::Switch
        } else if matches!(arg.get_action(), ArgAction::Append) {
            Self::List
        } else if numbers.into_iter().any(is) {
            Self::Number
        } else if is(TypeId::of::<Span>()) {
            Self::Span
        } else if is(TypeId::of::<PathBuf>()) || is(TypeId::of::<KeyPlace>()) {
            Self::Path
        } else {
            Self::Text
        }
    }

    /// What is allowed, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a whole number",
            Self::Span => "a span of time such as \"12h\", or whole seconds",
            Self::Text => "text",
            Self::Path => "the name of a file or folder",
            Self::List => "text, or a list of texts",
        }
    }
}

/// A key of the file.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) section: Section,
    /// Its name in the file.
    pub(crate) name: String,
    /// The option, without `--`.
    pub(crate) option: String,
    /// The option's name among those that were parsed.
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

impl Key {
    fn of(section: Section, arg: &Arg) -> Option<Self> {
        let option = arg.get_long()?;
        let renamed = match section {
            Section::Log => LOG,
            Section::Consortium => AMONG_OTHERS,
            _ => &[],
        };
        let short = renamed.iter().find(|(_, long)| *long == option).map(|(name, _)| *name);
        let name = short.unwrap_or(option);
        Some(Self {
            section,
            name: name.to_owned(),
            option: option.to_owned(),
            id: arg.get_id().to_string(),
            kind: Kind::of(arg),
        })
    }

    /// Its name with its section, as `gateway.listen`.
    pub(crate) fn path(&self) -> String {
        path(self.section, &self.name)
    }
}

/// A name in a section, as `gateway.listen`.
pub(crate) fn path(section: Section, name: &str) -> String {
    match section.name() {
        "" => name.to_owned(),
        section => format!("{section}.{name}"),
    }
}

/// Every key of a section.
pub(crate) fn keys(section: Section) -> Vec<Key> {
    let command = command();
    let is_log = |arg: &Arg| LOG.iter().any(|(_, long)| arg.get_long() == Some(long));
    let once = |arg: &Arg| arg.get_long().is_some_and(|long| once(section, long).is_some());
    let of = |args: &mut dyn Iterator<Item = &Arg>| -> Vec<Key> {
        args.filter(|arg| !once(arg)).filter_map(|arg| Key::of(section, arg)).collect()
    };
    let is_shared = |arg: &Arg| AMONG_OTHERS.iter().any(|(_, long)| arg.get_long() == Some(long));
    let own = |arg: &&Arg| is_shared(arg) == (section == Section::Consortium);
    match section.command() {
        Some(name) => of(&mut subcommand(&command, name).get_arguments().filter(own)),
        None if section == Section::Log => of(&mut command.get_arguments().filter(|a| is_log(a))),
        None => of(&mut command.get_arguments().filter(|a| !is_log(a))),
    }
}

/// Why an option does not stand in a file, if it does not.
pub(crate) fn once(section: Section, option: &str) -> Option<&'static str> {
    let found = ONCE.iter().find(|(of, name, _)| (*of, *name) == (section, option));
    found.map(|(_, _, why)| *why)
}

fn subcommand<'a>(command: &'a Command, name: &str) -> &'a Command {
    command.find_subcommand(name).expect("a section names a command")
}

/// The command line, where every switch that the file may set can be taken back: `--switch=false`.
pub(crate) fn command() -> Command {
    let mut command = Cli::command();
    for name in Section::ALL.into_iter().filter_map(Section::command) {
        command = command.mut_subcommand(name, switches);
    }
    command
}

fn switches(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .value_parser(ValueParser::bool())
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_name("true|false"),
        _ => arg,
    });
    command.mut_subcommands(switches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_names_an_option() {
        let command = command();
        for (section, option, _) in ONCE {
            let of = section.command().map_or(&command, |name| subcommand(&command, name));
            let found = of.get_arguments().any(|arg| arg.get_long() == Some(option));
            assert!(found, "no option --{option} in {section:?}: take it off the list");
        }
    }

    #[test]
    fn a_key_is_an_option_of_its_command() {
        let names =
            |section| -> Vec<String> { keys(section).into_iter().map(|key| key.name).collect() };
        assert_eq!(names(Section::Top), ["home", "passphrase-file", "passphrase-fd"]);
        assert_eq!(names(Section::Log), ["format", "level"]);
        for (section, some) in [
            (Section::Node, &["listen", "tls-cert", "tls-key", "without-tls"][..]),
            (Section::Consortium, &["listen", "peers"]),
            (Section::Gateway, &["audience", "node", "max-age", "policy", "key", "trust-proxy"]),
        ] {
            let names = names(section);
            for name in some {
                assert!(names.iter().any(|known| known == name), "{section:?} lacks {name}");
            }
        }
    }
}
