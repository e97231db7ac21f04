//! The format of a gateway's folder, and how a folder of an earlier one is brought up to it: after
//! a copy, and so that whatever cuts it off can be begun again.

use crate::Error;
use crate::folder::replace;
use muster_ledger::Time;
use std::fs;
use std::io;
use std::path::Path;

/// What this code writes and reads. Whoever changes a file of the folder after a release raises it,
/// adds a [`Step`], and puts a folder of the new format beside the others in `tests/fixtures`.
const FORMAT: u32 = 1;

/// What turns the files of one format into those of the next.
struct Step {
    from: u32,
    change: fn(&Path) -> io::Result<()>,
}

/// From the first released format on.
const STEPS: &[Step] = &[];

/// Longest `FORMAT` file.
const LINE: u64 = 256;

/// Brings a locked folder up to this code's format, or says which one it has.
pub(crate) fn settle(dir: &Path, now: Time) -> Result<(), Error> {
    settle_by(dir, now, STEPS, FORMAT)
}

fn settle_by(dir: &Path, now: Time, steps: &[Step], ours: u32) -> Result<(), Error> {
    let file = dir.join("FORMAT");
    let fault = || Error::folder(&file);
    let found = match read(&file).map_err(fault())? {
        Found::Format(found) => found,
        Found::Nothing => {
            // An empty folder, or one from before there was this file, which the first format is.
            let first = if dir.join("operations.log").exists() { 1 } else { ours };
            note(&file, &format!("{WORDS} {first}\n")).map_err(fault())?;
            first
        }
        Found::CutOff { from, copy } => {
            put_back(&dir.join(copy), dir).map_err(fault())?;
            from
        }
        Found::Other(text) => return Err(Error::damaged(&file, format!("{text:?} is no format"))),
    };
    if found == ours {
        return Ok(());
    }
    if found > ours || (found..ours).any(|from| !steps.iter().any(|step| step.from == from)) {
        return Err(Error::OtherFormat { dir: dir.to_owned(), found, ours });
    }
    let copy = format!("backup-{found}-{}", now.0);
    put_aside(dir, &dir.join(&copy)).map_err(fault())?;
    tracing::warn!(
        "{} is of format {found} and becomes {ours}; it is as it was in {copy}",
        dir.display()
    );
    note(&file, &format!("{WORDS} {found} becoming {ours}, as it was in {copy}\n"))
        .map_err(fault())?;
    for from in found..ours {
        let step = steps.iter().find(|step| step.from == from);
        if let Some(Err(error)) = step.map(|step| (step.change)(dir)) {
            put_back(&dir.join(&copy), dir).map_err(fault())?;
            return Err(Error::Folder { path: dir.to_owned(), error });
        }
    }
    note(&file, &format!("{WORDS} {ours}\n")).map_err(fault())
}

const WORDS: &str = "muster gateway";

enum Found {
    Nothing,
    Format(u32),
    /// An upgrade that did not come to its end.
    CutOff {
        from: u32,
        copy: String,
    },
    Other(String),
}

fn read(file: &Path) -> io::Result<Found> {
    let text = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(found) if found.len() > LINE => String::new(),
        Ok(_) => fs::read_to_string(file)?,
    };
    let format = |text: &str| text.strip_prefix(WORDS)?.trim().parse().ok();
    let cut_off = || {
        let (head, copy) = text.trim_end().split_once(", as it was in ")?;
        let (from, _) = head.split_once(" becoming ")?;
        let plain = copy.starts_with("backup-") && !copy.contains(['/', '\\']);
        plain.then_some(Found::CutOff { from: format(from)?, copy: copy.to_owned() })
    };
    Ok(match format(&text) {
        Some(found) => Found::Format(found),
        None => cut_off().unwrap_or(Found::Other(text.clone())),
    })
}

fn note(file: &Path, text: &str) -> io::Result<()> {
    replace(file, &[text.as_bytes()])
}

/// Whether an upgrade may change it: neither what keeps others out nor what is kept for people.
fn is_own(name: &str) -> bool {
    name != "lock" && !name.starts_with("backup-")
}

/// Copies the files of the folder; the copy appears whole or not at all.
fn put_aside(dir: &Path, copy: &Path) -> io::Result<()> {
    let beside = copy.with_extension("partial");
    let _ = fs::remove_dir_all(&beside);
    fs::create_dir(&beside)?;
    each_file(dir, |name| copy_file(&dir.join(name), &beside.join(name)))?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, copy)?;
    fs::File::open(dir)?.sync_all()
}

/// Makes the folder what the copy is.
fn put_back(copy: &Path, dir: &Path) -> io::Result<()> {
    each_file(dir, |name| match copy.join(name).exists() || name == "FORMAT" {
        true => Ok(()),
        false => fs::remove_file(dir.join(name)),
    })?;
    // The format last: until then the folder says that it is not done.
    each_file(copy, |name| match name {
        "FORMAT" => Ok(()),
        name => copy_file(&copy.join(name), &dir.join(name)),
    })?;
    fs::File::open(dir)?.sync_all()?;
    note(&dir.join("FORMAT"), &fs::read_to_string(copy.join("FORMAT"))?)
}

fn each_file(dir: &Path, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        match name.to_str() {
            Some(name) if is_own(name) && entry.file_type()?.is_file() => each(name)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROW: Step = Step {
        from: 1,
        change: |dir| {
            fs::write(dir.join("log"), "two")?;
            fs::write(dir.join("index"), "new")
        },
    };
    const BREAK: Step = Step {
        from: 2,
        change: |dir| {
            fs::write(dir.join("log"), "half")?;
            Err(io::Error::other("broken"))
        },
    };

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        settle(dir.path(), Time(1)).unwrap();
        fs::write(dir.path().join("log"), "one").unwrap();
        dir
    }

    fn text(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn steps_are_taken_after_a_copy_and_once() {
        let dir = folder();
        let dir = dir.path();
        settle(dir, Time(2)).unwrap();
        assert!(!dir.join("backup-1-2").exists(), "our own format");
        settle_by(dir, Time(5), &[GROW], 2).unwrap();
        settle_by(dir, Time(6), &[GROW], 2).unwrap();
        assert_eq!((&*text(dir, "log"), &*text(dir, "FORMAT")), ("two", "muster gateway 2\n"));
        assert_eq!(text(dir, "backup-1-5/log"), "one");
        assert!(!dir.join("backup-2-6").exists());
        // And this code does not go back.
        let refused = settle(dir, Time(7)).unwrap_err().to_string();
        assert!(refused.contains("format 2") && refused.contains("newer"), "{refused}");
        assert_eq!(text(dir, "log"), "two");
    }

    #[test]
    fn a_step_that_fails_undoes_all() {
        let dir = folder();
        let dir = dir.path();
        settle_by(dir, Time(5), &[GROW, BREAK], 3).unwrap_err();
        assert_eq!((&*text(dir, "log"), &*text(dir, "FORMAT")), ("one", "muster gateway 1\n"));
        assert!(!dir.join("index").exists());
        settle(dir, Time(6)).unwrap();
    }

    #[test]
    fn an_upgrade_that_was_cut_off_begins_again() {
        let dir = folder();
        let dir = dir.path();
        put_aside(dir, &dir.join("backup-1-5")).unwrap();
        fs::write(dir.join("FORMAT"), "muster gateway 1 becoming 2, as it was in backup-1-5\n")
            .unwrap();
        fs::write(dir.join("log"), "ha").unwrap();
        fs::write(dir.join("index"), "n").unwrap();
        settle(dir, Time(9)).unwrap();
        assert_eq!((&*text(dir, "log"), &*text(dir, "FORMAT")), ("one", "muster gateway 1\n"));
        assert!(!dir.join("index").exists());
    }

    #[test]
    fn what_is_no_format_is_damage() {
        let dir = folder();
        for text in ["", "muster home 1\n", "muster gateway 1 becoming 2, as it was in ../x\n"] {
            fs::write(dir.path().join("FORMAT"), text).unwrap();
            assert!(settle(dir.path(), Time(2)).is_err(), "{text:?}");
        }
    }
}
