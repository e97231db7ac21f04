//! One file of settings for node and gateway (`docs/config.md`). There is one list of options, that
//! of the command line: what the file says becomes arguments that stand beside those that were
//! typed. So one parser reads both, and the command line wins over the environment, the
//! environment over the file, the file over the defaults.

mod merge;
mod near;
#[cfg(test)]
mod page;
mod read;
mod secret;
mod table;

pub(crate) use merge::{Chosen, chosen, command_line};
#[cfg(test)]
pub(crate) use table::command;
pub(crate) use table::{Section, path};

use anyhow::{Context as _, Result, ensure};
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Name of the file in a home folder.
const NAME: &str = "muster.toml";

/// Where it is looked for when the home folder has none.
const OF_THE_MACHINE: &str = "/etc/muster/muster.toml";

/// One line of the file.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) key: table::Key,
    /// As the command line would have them.
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Something that must be mended (the operator's fault). Line 0: nowhere in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Such as `gateway.listen`; empty where there is none.
    pub(crate) key: String,
    pub(crate) words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.words)
    }
}

/// A file that was read, or none.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it is, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) faults: Vec<Fault>,
    /// Sections that the file has.
    pub(crate) sections: Vec<Section>,
}

/// How the file was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// By name: it must be there.
    Named,
    /// In the home folder.
    InHome,
    /// In /etc.
    OfTheMachine,
}

/// The file that counts: the one that is named, else that of the home folder, else the machine's.
pub(crate) fn find(named: Option<&Path>, home: &Path) -> Option<(PathBuf, Found)> {
    if let Some(file) = named {
        return Some((file.to_owned(), Found::Named));
    }
    let places =
        [(home.join(NAME), Found::InHome), (PathBuf::from(OF_THE_MACHINE), Found::OfTheMachine)];
    // One that may not be seen is there: a server must not run by the defaults in its place.
    let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
    places.into_iter().find(|(file, _)| {
        fs::symlink_metadata(file).map_or_else(|e| !absent.contains(&e.kind()), |_| true)
    })
}

impl Config {
    /// Reads a file; what is wrong in it is in the value, what keeps it from being read is an error.
    pub(crate) fn read(file: &Path, found: Found) -> Result<Self> {
        let name = || file.display().to_string();
        let cannot = || format!("cannot read the settings in {}", name());
        let open = fs::File::open(file).with_context(cannot)?;
        let mut bytes = Vec::new();
        open.take(read::FILE_BYTES + 1).read_to_end(&mut bytes).with_context(cannot)?;
        let most = read::FILE_BYTES;
        ensure!(bytes.len() as u64 <= most, "{} has more than {most} bytes", name());
        let text = String::from_utf8(bytes).ok();
        let text = text.with_context(|| format!("{} is not text (UTF-8)", name()))?;
        let read = read::read(&text, file);
        let mut config = Self {
            file: Some(file.to_owned()),
            settings: read.settings,
            faults: read.faults,
            sections: read.sections,
        };
        if found == Found::InHome
            && let Some(home) = config.setting(Section::Top, "home").cloned()
        {
            let words = "this file was found in the home folder, so it cannot name another one: \
                         leave the key out, or name the file with --config";
            config.faults.push(home.fault(words));
            config.settings.retain(|setting| setting.key.path() != "home");
        }
        Ok(config)
    }

    /// The file for commands that are no server: they need what is for every command, and do
    /// without a file of the machine that they may not read.
    fn read_for(file: &Path, found: Found, section: Option<Section>) -> Result<Self> {
        let read = match Self::read(file, found) {
            Err(error) if section.is_none() && found == Found::OfTheMachine => {
                let cause = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
                if cause == Some(ErrorKind::PermissionDenied) {
                    return Ok(Self::default());
                }
                return Err(error);
            }
            read => read?,
        };
        Ok(read)
    }

    /// What the file says of a key.
    pub(crate) fn setting(&self, section: Section, name: &str) -> Option<&Setting> {
        let is = |one: &&Setting| one.key.section == section && one.key.name == name;
        self.settings.iter().find(is)
    }

    /// Every fault with the place of the file, a line each.
    pub(crate) fn words(&self) -> String {
        let file = self.file.as_deref().unwrap_or(Path::new("")).display();
        let line = |fault: &Fault| match fault.line {
            0 => format!("{file}: {fault}"),
            _ => format!("{file}:{fault}"),
        };
        self.faults.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Setting {
    /// A fault of this line.
    pub(crate) fn fault(&self, words: impl Into<String>) -> Fault {
        let (line, column) = (self.line, self.column);
        Fault { line, column, key: self.key.path(), words: words.into() }
    }
}
