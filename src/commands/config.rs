//! `muster config check`: every fault at once, found by the code that a server would run, and what
//! would be used.

use super::{Session, gateway};
use crate::begun;
use crate::cli::{ConfigCheck, ConfigCommand, GatewayRun, Serve};
use crate::config::{self, Chosen, Config, Fault, Section};
use crate::consortium;
use crate::home::read_genesis;
use crate::listen::Tls;
use anyhow::{Context as _, Result};
use clap::FromArgMatches as _;
use muster_api::Client;
use muster_identity::{Audience, Did};
use muster_verifier::Policy;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn run(
    session: &Session,
    arg: &ConfigCommand,
    named: Option<&Path>,
) -> Result<ExitCode> {
    let ConfigCommand::Check(arg) = arg;
    check(session, arg, named)
}

fn check(session: &Session, arg: &ConfigCheck, named: Option<&Path>) -> Result<ExitCode> {
    let place = config::find(arg.file.as_deref().or(named), session.home.dir());
    let mut config = match place {
        Some((file, found)) => Config::read(&file, found)?,
        None => Config::default(),
    };
    let mut told = Vec::new();
    for section in sections(&config) {
        let mut chosen = config::chosen(section, &config);
        if section == Section::Top {
            as_started(session, &mut chosen);
        }
        let mut found = std::mem::take(&mut chosen.faults);
        let mut check = Check { session, config: &config, section, faults: Vec::new() };
        match section {
            Section::Top => check.whole(),
            Section::Log => {}
            Section::Node => check.node(&chosen),
            Section::Consortium => check.consortium(&chosen),
            Section::Gateway => check.gateway(&chosen),
        }
        found.append(&mut check.faults);
        config.faults.extend(found);
        told.push((section, chosen));
    }
    config.faults.sort_by_key(|fault| (fault.line, fault.column));
    let (object, words) = report(&config, &told);
    Ok(match config.faults.is_empty() {
        true => session.output.result(&object, words),
        false => session.output.refused(&object, words),
    })
}

/// What is looked at: what is for all, and the servers that the file speaks of.
fn sections(config: &Config) -> Vec<Section> {
    let asked =
        |section: &Section| section.command().is_none() || config.sections.contains(section);
    Section::ALL.into_iter().filter(asked).collect()
}

/// The home folder is the one that this command was started with.
fn as_started(session: &Session, chosen: &mut Chosen) {
    let home = session.home.dir().to_string_lossy().into_owned();
    for value in chosen.values.iter_mut().filter(|value| value.key.name == "home") {
        if value.values != [home.as_str()] {
            (value.values, value.source) = (vec![home.clone()], "command line");
        }
    }
}

struct Check<'a> {
    session: &'a Session,
    config: &'a Config,
    section: Section,
    faults: Vec<Fault>,
}

impl Check<'_> {
    /// Notes what is wrong with a key; gives what is right.
    fn key<T>(&mut self, key: &str, result: Result<T>) -> Option<T> {
        let error = match result {
            Ok(right) => return Some(right),
            Err(error) => error,
        };
        let words = format!("{error:#}");
        self.faults.push(match self.config.setting(self.section, key) {
            Some(setting) => setting.fault(words),
            None => {
                let (line, column) = (0, 0);
                Fault { line, column, key: config::path(self.section, key), words }
            }
        });
        None
    }

    fn readable(&mut self, key: &str, file: Option<&PathBuf>) {
        let Some(file) = file else { return };
        let open = File::open(file).map(drop);
        self.key(key, open.with_context(|| format!("cannot read {}", file.display())));
    }

    fn whole(&mut self) {
        let file = self.config.setting(Section::Top, "passphrase-file");
        let file = file.and_then(|setting| setting.values.first()).map(PathBuf::from);
        self.readable("passphrase-file", file.as_ref());
    }

    fn node(&mut self, chosen: &Chosen) {
        let Ok(arg) = Serve::from_arg_matches(&chosen.matches) else { return };
        let tls = self.key("tls-cert", Tls::check(&arg.tls));
        let has_tls = tls.unwrap_or(true);
        self.key("listen", arg.listen.check(has_tls, arg.without_tls));
        let home = &self.session.home;
        if self.key("", home.genesis()).is_some() {
            self.readable("", Some(&home.path("node/node.pem")));
            self.key("", begun::check(home));
        }
    }

    fn consortium(&mut self, chosen: &Chosen) {
        let Ok(arg) = Serve::from_arg_matches(&chosen.matches) else { return };
        self.key("", consortium::built());
        self.key("peers", consortium::check_peers(&arg.consortium));
        self.key("", consortium::check_key(&self.session.home));
    }

    fn gateway(&mut self, chosen: &Chosen) {
        let Ok(arg) = GatewayRun::from_arg_matches(&chosen.matches) else { return };
        let tls = self.key("tls-cert", Tls::check(&arg.tls));
        self.key("listen", arg.listen.check(tls.unwrap_or(true), arg.folder.without_tls));
        let audience = arg.audience.as_deref().map(|text| text.parse().context("no audience"));
        let audience = audience.and_then(|parsed| self.key::<Audience>("audience", parsed));
        match &arg.folder.genesis {
            Some(file) => drop(self.key("genesis", read_genesis(file))),
            None => drop(self.key("genesis", self.session.home.genesis())),
        }
        if let Some(reach) = self.key("node-ca", arg.folder.ca.reach(arg.folder.without_tls)) {
            for node in &arg.folder.node {
                self.key("node", Client::reach(node, &reach).map_err(Into::into));
            }
        }
        if let Some(file) = &arg.policy {
            // Whose name stands in a policy has no part in how it is read.
            let audience = audience.or_else(|| "a".parse().ok());
            if let Some(audience) = audience {
                let mut policy = Policy::new(audience);
                policy.rules.max_roll_age_ms = arg.max_age.ms;
                self.key("policy", gateway::read_policy_file(file, &mut policy));
            }
        }
        if let Some(file) = &arg.topics {
            self.key("topics", gateway::read_rules(file));
        }
        if let Some(did) = &arg.operator {
            self.key("operator", did.parse::<Did>().context("no DID"));
        }
        // One that is not there yet is made.
        self.readable("key", arg.key.as_ref().filter(|file| file.exists()));
    }
}

fn report(config: &Config, told: &[(Section, Chosen)]) -> (Value, String) {
    let mut object = Map::new();
    let mut words = Vec::new();
    let file = config.file.as_ref().map(|file| file.display().to_string());
    words.push(file.as_ref().map_or("no file: the defaults".into(), |file| format!("file {file}")));
    object.insert("file".into(), json!(file));
    for (section, chosen) in told {
        let mut values = Map::new();
        if !section.name().is_empty() {
            words.push(format!("[{}]", section.name()));
        }
        for value in &chosen.values {
            let said = match value.values.as_slice() {
                [] => Value::Null,
                [one] => json!(one),
                several => json!(several),
            };
            if !value.values.is_empty() {
                let (name, text) = (&value.key.name, value.values.join(", "));
                words.push(format!("  {name} = {text} ({})", value.source));
            }
            values.insert(value.key.name.clone(), json!({ "value": said, "source": value.source }));
        }
        let name = if section.name().is_empty() { "all" } else { section.name() };
        object.insert(name.into(), Value::Object(values));
    }
    let faults = config.faults.iter().map(|fault| {
        json!({
            "line": (fault.line > 0).then_some(fault.line),
            "column": (fault.line > 0).then_some(fault.column),
            "key": fault.key,
            "message": fault.words,
        })
    });
    object.insert("faults".into(), faults.collect());
    match config.faults.len() {
        0 => words.push("sound".into()),
        n => {
            words.push(config.words());
            words.push(if n == 1 { "1 fault".into() } else { format!("{n} faults") });
        }
    }
    (Value::Object(object), words.join("\n"))
}
