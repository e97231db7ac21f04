//! The command line, the environment, the file and the defaults, in this order, through one parser.

use super::table::{self, CONSORTIUM, Key, Kind, Section};
use super::{Config, Fault, find};
use crate::cli::Cli;
use anyhow::{Result, bail};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches as _};
use std::ffi::OsString;
use std::path::PathBuf;

/// Reads what was typed, with what the file says beside it. A fault of what was typed, and a
/// question such as `--help`, ends the process as ever.
pub(crate) fn command_line(mut args: Vec<OsString>) -> Result<Cli> {
    let command = table::command();
    let given = command.clone().ignore_errors(true).try_get_matches_from(&args);
    if let Ok(given) = &given
        && let Some(config) = config_for(given)?
    {
        let section = leaf(given).map(|(section, _)| section);
        let mut more = arguments(&command, given, &config, Section::Top);
        more.extend(arguments(&command, given, &config, Section::Log));
        for one in section.map_or(&[][..], Section::of_its_command) {
            more.extend(arguments(&command, given, &config, *one));
        }
        // Behind the last word they belong to the innermost command; behind `--` they would be words.
        let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        args.splice(end..end, more);
    }
    let matches = command.get_matches_from(args);
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// The file that counts for this command, free of faults that concern it.
fn config_for(given: &ArgMatches) -> Result<Option<Config>> {
    let path = |given: &ArgMatches, id| given.try_get_one::<PathBuf>(id).ok().flatten().cloned();
    let checks =
        given.subcommand_matches("config").map(|config| config.subcommand_matches("check"));
    let named = match checks {
        Some(check) => check.and_then(|check| path(check, "file")),
        None => None,
    };
    let home = path(given, "home").unwrap_or_default();
    let named = named.or_else(|| path(given, "config"));
    let Some((file, found)) = find(named.as_deref(), &home) else { return Ok(None) };
    if checks.is_some() {
        // `config check` tells every fault itself.
        return Ok(Config::read(&file, found).ok());
    }
    let section = leaf(given).map(|(section, _)| section);
    let mut config = Config::read_for(&file, found, section)?;
    // A command that is no server is not kept from its work by what is a server's.
    let foreign = |key: &str| {
        let mut servers = [Section::Node, Section::Consortium, Section::Gateway].into_iter();
        servers.any(|other| Some(other) != section && is_of(key, other))
    };
    if section.is_none() {
        config.faults.retain(|fault| !foreign(&fault.key));
    }
    if !config.faults.is_empty() {
        bail!("{}\nNothing was done. `muster config check` tells what is allowed.", config.words());
    }
    Ok(Some(config))
}

fn is_of(key: &str, section: Section) -> bool {
    key.strip_prefix(section.name()).is_some_and(|rest| rest.starts_with('.'))
}

/// The section of the command that was typed, and its arguments.
fn leaf(given: &ArgMatches) -> Option<(Section, &ArgMatches)> {
    let (name, mut matches) = given.subcommand()?;
    let section = Section::ALL.into_iter().find(|section| section.command() == Some(name))?;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    Some((section, matches))
}

/// What the file says of a section, as arguments: only what nobody who counts for more said.
fn arguments(
    command: &Command,
    given: &ArgMatches,
    config: &Config,
    section: Section,
) -> Vec<OsString> {
    let mut built = command.clone();
    built.build();
    let (mut of, mut matches) = (&built, given);
    if section.command().is_some() {
        while let Some((name, inner)) = matches.subcommand() {
            let Some(inner_command) = of.find_subcommand(name) else { break };
            (of, matches) = (inner_command, inner);
        }
    }
    let mut out = Vec::new();
    if section == Section::Consortium && config.sections.contains(&section) {
        let said = matches.try_get_one::<bool>(CONSORTIUM).ok().flatten();
        match (is_said(matches, CONSORTIUM), said) {
            // Somebody said that the node decides alone this time.
            (true, Some(false)) => return out,
            (true, _) => {}
            (false, _) => out.push(format!("--{CONSORTIUM}").into()),
        }
    }
    for setting in config.settings.iter().filter(|setting| setting.key.section == section) {
        let key = &setting.key;
        // `gateway preload` has some of the options of a gateway.
        let Some(arg) = of.get_arguments().find(|arg| arg.get_id() == key.id.as_str()) else {
            continue;
        };
        let with = NEEDED.iter().filter(|(needs, _)| *needs == key.id.as_str());
        let needed = with.filter_map(|(_, id)| of.get_arguments().find(|arg| arg.get_id() == id));
        if is_said(matches, &key.id)
            || is_pushed_out(of, matches, arg)
            || needed.into_iter().any(|other| is_pushed_out(of, matches, other))
        {
            continue;
        }
        out.extend(said(key, &setting.values));
    }
    out
}

/// Settings that go with another one, and mean nothing where that one was pushed out.
const NEEDED: &[(&str, &str)] = &[("tls_key", "tls_cert"), ("tls_name", "tls_self_signed")];

/// Whether something that was said excludes it: either of the two may name the other.
fn is_pushed_out(of: &Command, matches: &ArgMatches, arg: &Arg) -> bool {
    let said = |other: &Arg| is_said(matches, other.get_id().as_str());
    let names = |one: &Arg, other: &Arg| {
        of.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
    };
    let mut others = of.get_arguments().filter(|other| other.get_id() != arg.get_id());
    others.any(|other| said(other) && (names(arg, other) || names(other, arg)))
}

/// Whether the command line or the environment says something of it.
fn is_said(matches: &ArgMatches, id: &str) -> bool {
    let known = matches.ids().any(|known| known.as_str() == id);
    known
        && matches!(
            matches.value_source(id),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
}

fn said(key: &Key, values: &[String]) -> Vec<OsString> {
    let arg = |value: &String| match (key.kind, value.as_str()) {
        // What is off is off without a word, so nothing that it would ask for is asked for.
        (Kind::Switch, "false") => None,
        _ => Some(OsString::from(format!("--{}={value}", key.option))),
    };
    values.iter().filter_map(arg).collect()
}

/// What a section comes to.
pub(crate) struct Chosen {
    /// As a command gets it.
    pub(crate) matches: ArgMatches,
    pub(crate) values: Vec<Value>,
    /// What does not go together.
    pub(crate) faults: Vec<Fault>,
}

/// What holds for one key, and who said it.
pub(crate) struct Value {
    pub(crate) key: Key,
    pub(crate) values: Vec<String>,
    pub(crate) source: &'static str,
}

/// What a command of this section would use, started with this file and no options.
pub(crate) fn chosen(section: Section, config: &Config) -> Chosen {
    let command = table::command();
    let bare = || ["muster"].into_iter().chain(section.command()).map(OsString::from);
    let lenient = |args: Vec<OsString>| {
        let parsed = command.clone().ignore_errors(true).try_get_matches_from(args);
        parsed.unwrap_or_default()
    };
    let given = lenient(bare().collect());
    let args: Vec<_> = bare().chain(arguments(&command, &given, config, section)).collect();
    let faults = match (section.command(), command.clone().try_get_matches_from(&args)) {
        (Some(_), Err(error)) => unfit(section, config, &error),
        _ => Vec::new(),
    };
    let whole = lenient(args);
    let matches = section.command().map_or(Some(&whole), |name| whole.subcommand_matches(name));
    let matches = matches.cloned().unwrap_or_default();
    let known = table::keys(section).into_iter();
    let values = known.map(|key| value(key, &given, &matches, config)).collect();
    Chosen { matches, values, faults }
}

fn value(key: Key, given: &ArgMatches, matches: &ArgMatches, config: &Config) -> Value {
    let given = key.section.command().map_or(Some(given), |name| given.subcommand_matches(name));
    let environment = given.is_some_and(|given| is_said(given, &key.id));
    let setting = config.setting(key.section, &key.name);
    let (values, source) = match setting {
        Some(setting) if !environment => (setting.values.clone(), "file"),
        _ => {
            let raw = matches.try_get_raw(&key.id).ok().flatten();
            let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
            let values = raw.map_or(Vec::new(), |raw| raw.map(text).collect());
            (values, if environment { "environment" } else { "default" })
        }
    };
    Value { key, values, source }
}

/// Options that need each other or exclude each other, in the words of the file.
fn unfit(section: Section, config: &Config, error: &clap::Error) -> Vec<Fault> {
    let names = |kind| match error.get(kind) {
        Some(ContextValue::Strings(names)) => names.clone(),
        Some(ContextValue::String(name)) => vec![name.clone()],
        _ => Vec::new(),
    };
    let option = |usage: &str| {
        let word = usage.split([' ', '=', '[']).next().unwrap_or_default();
        word.trim_start_matches('-').to_owned()
    };
    let fault = |name: String, words: String| match config.setting(section, &name) {
        Some(setting) => setting.fault(words),
        None => Fault { line: 0, column: 0, key: table::path(section, &name), words },
    };
    let invalid: Vec<String> = names(ContextKind::InvalidArg).iter().map(|u| option(u)).collect();
    if error.kind() == clap::error::ErrorKind::MissingRequiredArgument {
        let words = "it is missing, and what stands in the file needs it";
        return invalid.into_iter().map(|name| fault(name, words.into())).collect();
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    vec![fault(invalid.into_iter().next().unwrap_or_default(), line)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, LogFormat};
    use crate::config::Found;
    use crate::keys::Given;
    use std::fs;
    use std::path::Path;

    /// What comes of arguments beside a file, in a home folder of its own.
    fn parsed(text: &str, typed: &[&str]) -> Result<Cli> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("muster.toml");
        fs::write(&file, text).expect("written");
        let mut args = vec![OsString::from("muster"), "--config".into(), file.into()];
        args.extend(typed.iter().map(OsString::from));
        command_line(args)
    }

    fn gateway(text: &str, typed: &[&str]) -> crate::cli::GatewayRun {
        match parsed(text, typed).expect("it is sound").command {
            Command::Gateway(gateway) => gateway.run,
            _ => panic!("not a gateway"),
        }
    }

    const FILE: &str = "home = \"/var/lib/muster\"\n[log]\nformat = \"json\"\nlevel = \"debug\"\n\
                        [gateway]\naudience = \"a.example\"\nnode = [\"http://127.0.0.1:1\", \
                        \"http://127.0.0.1:2\"]\nmax-age = \"2h\"\ntrust-proxy = \"local\"\n\
                        no-look-ups = true\nkey = \"/k.pem\"\noperator = \"did:muster:zx\"\n";

    #[test]
    fn the_file_stands_behind_the_command_line() {
        let cli = parsed(FILE, &["gateway"]).expect("sound");
        assert_eq!(cli.home, Path::new("/var/lib/muster"));
        assert_eq!(cli.log, LogFormat::Json);
        let run = gateway(FILE, &["gateway"]);
        assert_eq!(run.audience.as_deref(), Some("a.example"));
        assert_eq!(run.folder.node, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        assert_eq!(run.max_age.ms, 7_200_000);
        let near = "127.0.0.1:9".parse().expect("an address");
        assert!(run.proxies.trusted().trust(near) && run.no_look_ups);
        // A list of the command line takes the place of the file's, and a switch can be taken back.
        let typed =
            ["gateway", "--node", "http://127.0.0.1:9", "--no-look-ups=false", "--max-age=5"];
        let run = gateway(FILE, &typed);
        assert_eq!(run.folder.node, ["http://127.0.0.1:9"]);
        assert!(!run.no_look_ups);
        assert_eq!(run.max_age.ms, 5_000);
        // What needs something finds it on the other side.
        let run =
            gateway("[gateway]\naudience = \"a\"\nkey = \"/k\"\n", &["gateway", "--operator", "d"]);
        assert_eq!(run.operator.as_deref(), Some("d"));
    }

    #[test]
    fn a_section_of_the_consortium_makes_the_node_one_of_several() {
        let serve = |text: &str, typed: &[&str]| {
            let args = [&["serve"], typed].concat();
            match parsed(text, &args).expect("it is sound").command {
                Command::Node(crate::cli::NodeCommand::Serve(arg)) => arg.consortium,
                _ => panic!("not a node"),
            }
        };
        assert!(!serve("[node]\n", &[]).is_on());
        let bare = serve("[consortium]\n", &[]);
        assert!(bare.is_on() && bare.peers().is_empty());
        assert_eq!(bare.listen().to_string(), "127.0.0.1:7710");
        let file = "[consortium]\nlisten = \"0.0.0.0:7800\"\npeers = [\"a.example:7710\"]\n";
        let full = serve(file, &[]);
        assert_eq!(full.listen().to_string(), "0.0.0.0:7800");
        assert_eq!(
            full.peers().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a.example:7710"]
        );
        let typed = serve(file, &["--consortium-peer", "b.example:1"]);
        assert_eq!(typed.peers().len(), 1);
        assert_eq!(typed.peers()[0].host, "b.example");
        assert!(!serve(file, &["--consortium=false"]).is_on());
        let words = parsed("[node]\nconsortium = true\n", &["serve"]).err().expect("refused");
        assert!(format!("{words:#}").contains("write the section [consortium]"), "{words:#}");
    }

    #[test]
    fn a_command_takes_only_the_options_it_has() {
        let cli = parsed(FILE, &["gateway", "preload", "--", "lot"]).expect("sound");
        let Command::Gateway(gateway) = cli.command else { panic!("not a gateway") };
        let Some(crate::cli::GatewayCommand::Preload(preload)) = gateway.command else {
            panic!("not preload")
        };
        assert_eq!(preload.what, "lot");
        assert_eq!(preload.folder.node.len(), 2);
        let cli = parsed(FILE, &["ledger", "audit"]).expect("sound");
        assert_eq!(cli.home, Path::new("/var/lib/muster"));
    }

    #[test]
    fn what_was_typed_pushes_out_what_excludes_it() {
        let text = "passphrase-file = \"/p\"\n";
        let cli = parsed(text, &["serve", "--passphrase-fd", "3"]).expect("sound");
        assert_eq!(cli.given(), Given::Descriptor(3));
        let cli = parsed(text, &["serve"]).expect("sound");
        assert_eq!(cli.given(), Given::File("/p".into()));
        // In both directions, and with what goes along.
        let run = gateway(
            "[gateway]\naudience = \"a\"\ntls-cert = \"/c\"\ntls-key = \"/k\"\n",
            &["gateway", "--tls-self-signed"],
        );
        assert!(run.tls.tls_self_signed && run.tls.tls_cert.is_none() && run.tls.tls_key.is_none());
        let run = gateway(
            "[gateway]\naudience = \"a\"\ntls-self-signed = true\ntls-name = [\"a.example\"]\n",
            &["gateway", "--tls-cert", "/c", "--tls-key", "/k"],
        );
        assert!(!run.tls.tls_self_signed && run.tls.tls_name.is_empty());
        assert_eq!(run.tls.tls_key.as_deref(), Some(Path::new("/k")));
    }

    #[test]
    fn a_fault_stops_whom_it_concerns() {
        let text = "[node]\nlisten = 3\n";
        let words = format!("{:#}", parsed(text, &["serve"]).err().expect("refused"));
        assert!(words.contains("muster.toml:2:10: node.listen: expected text"), "{words}");
        assert!(parsed(text, &["gateway", "--audience", "a"]).is_err(), "one file, one verdict");
        assert!(parsed(text, &["ledger", "audit"]).is_ok(), "no server");
        assert!(parsed("hom = \"a\"", &["ledger", "audit"]).is_err());
        assert!(parsed("[node", &["ledger", "audit"]).is_err());
    }

    #[test]
    fn what_holds_is_told_with_who_said_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("muster.toml");
        fs::write(&file, FILE).expect("written");
        let config = Config::read(&file, Found::Named).expect("read");
        assert_eq!(config.faults, []);
        let chosen = chosen(Section::Gateway, &config);
        assert_eq!(chosen.faults, []);
        let of = |name: &str| {
            let found = chosen.values.iter().find(|value| value.key.name == name);
            found.map(|value| (value.values.join(" "), value.source)).expect("a key")
        };
        assert_eq!(of("max-age"), ("2h".into(), "file"));
        assert_eq!(of("no-look-ups"), ("true".into(), "file"));
        assert_eq!(of("listen"), ("127.0.0.1:7701".into(), "default"));
        assert_eq!(of("tls-cert"), (String::new(), "default"));
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("muster.toml");
        fs::write(&file, "[gateway]\ntls-cert = \"/c\"\n").expect("written");
        let config = Config::read(&file, Found::Named).expect("read");
        let faults = chosen(Section::Gateway, &config).faults;
        let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(
            words.iter().any(|w| w.starts_with("gateway.audience: it is missing")),
            "{words:?}"
        );
        assert!(words.iter().any(|w| w.starts_with("gateway.tls-key: it is missing")), "{words:?}");
    }
}
