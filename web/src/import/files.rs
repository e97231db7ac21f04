//! Files of an import, as they come piece by piece.

use super::job::{Job, Stage};
use super::limits;
use muster_api::Problem;
use muster_provisioning::formats::mentions_private_key;
use serde::Deserialize;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Devices.
    Manifest,
    /// Public keys that the line read (`--keys`).
    Keys,
    /// Certificates of manifest signers (`--signer`).
    Signer,
    /// Issuers of device certificates, and their revocation lists (`--trust`).
    Trust,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Manifest => "devices",
            Self::Keys => "keys of the line",
            Self::Signer => "signer of manifests",
            Self::Trust => "issuer of certificates",
        }
    }
}

/// A file that came, or is coming.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(super) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) whole: u64,
    /// The end of what came: a private key may lie across two pieces.
    tail: Vec<u8>,
}

/// Bytes of the longest mark of a private key, and some.
const TAIL: usize = 64;

impl Slot {
    pub(super) fn is_manifest(&self) -> bool {
        self.kind == Kind::Manifest
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.bytes == self.whole
    }
}

/// A folder that nobody else reads.
pub(super) fn folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A file that nobody else reads.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

pub(super) fn failed(what: &str, error: &io::Error) -> Problem {
    tracing::warn!("imports: {what}: {error}");
    let status = if error.kind() == io::ErrorKind::StorageFull { 507 } else { 500 };
    Problem::new(status, "disk", format!("the node cannot {what}: {error}"))
        .cure("tell whoever runs the node; nothing was enrolled")
}

impl Job {
    /// Announces a file of so many bytes; gives its number.
    pub(super) fn announce(&self, kind: Kind, name: &str, whole: u64) -> Result<usize, Problem> {
        self.change(|state| {
            if state.stage.is_busy() || state.stage == Stage::Done {
                let title = "files come before the dry run";
                return Err(Problem::new(409, "stage", title).cure("begin another import"));
            }
            if state.files.len() >= limits::FILES {
                let title = format!("an import has at most {} files", limits::FILES);
                return Err(Problem::new(413, "files", title).cure("put them into an archive"));
            }
            if kind == Kind::Keys && state.files.iter().any(|file| file.kind == kind) {
                return Err(Problem::new(
                    409,
                    "files",
                    "there is a file of the line's keys already",
                ));
            }
            let sum: u64 = state.files.iter().map(|file| file.whole).sum();
            if sum.saturating_add(whole) > limits::BYTES {
                let title = format!("an import has at most {} GiB", limits::BYTES >> 30);
                return Err(Problem::new(413, "bytes", title)
                    .cure("split it over several imports, or use muster enrol"));
            }
            let number = state.files.len();
            let mut name = kept_name(name);
            if state.files.iter().any(|file| file.name == name) {
                name = format!("{}-{name}", number + 1);
            }
            let dir = self.dir.join("in").join(number.to_string());
            let path = dir.join(&name);
            let made = folder(&dir).and_then(|()| create(&path));
            made.map_err(|e| failed("keep the file", &e))?;
            state.files.push(Slot { kind, name, path, bytes: 0, whole, tail: Vec::new() });
            Ok(number)
        })
    }

    /// Adds a piece of a file where the last one ended; gives how much there is. What shows a
    /// private key is not written, and what was written before goes.
    pub(super) fn add(&self, number: usize, at: u64, piece: &[u8]) -> Result<u64, Problem> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = self.look(|state| match state.stage {
            Stage::Filling | Stage::Rehearsed | Stage::Failed | Stage::Cancelled => {
                state.files.get(number).cloned()
            }
            _ => None,
        });
        let no_such = || Problem::new(404, "no-such-file", "the import waits for no such file");
        let mut slot = slot.ok_or_else(no_such)?;
        let end = at.saturating_add(piece.len() as u64);
        if at != slot.bytes || end > slot.whole {
            let title = format!("the file goes on at byte {}", slot.bytes);
            return Err(Problem::new(409, "offset", title).cure("choose the files again"));
        }
        slot.tail.extend_from_slice(piece);
        if mentions_private_key(&slot.tail) {
            let name = slot.name;
            self.forget_files();
            let title = format!("{name} holds private key material; nothing was kept");
            return Err(Problem::new(400, "private-key", title).cure(
                "a private key never leaves its device: remove it from the file, and treat the \
                 key as disclosed",
            ));
        }
        slot.tail.drain(..slot.tail.len().saturating_sub(TAIL));
        let written = OpenOptions::new().append(true).open(&slot.path);
        let written = written.and_then(|mut file| file.write_all(piece));
        if let Err(error) = written {
            self.forget_files();
            return Err(failed("keep the file", &error));
        }
        self.change(|state| match state.files.get_mut(number) {
            Some(kept) => {
                (kept.bytes, kept.tail) = (end, slot.tail);
                Ok(end)
            }
            None => Err(no_such()),
        })
    }

    /// Where a file that a run left behind lies.
    pub(super) fn out(&self, name: &str) -> PathBuf {
        self.dir.join("out").join(name)
    }

    /// Removes the files that came.
    pub(super) fn forget_files(&self) {
        let _ = fs::remove_dir_all(self.dir.join("in"));
        self.change(|state| state.files.clear());
    }

    /// A text of the pipeline, which names files by where they lie, as the person named them.
    pub(super) fn hide(&self, text: &str) -> String {
        let place = self.dir.join("in");
        let Some(place) = place.to_str() else { return text.to_owned() };
        let mut parts = text.split(place);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // Behind the folder stands `/3/name`.
            let rest = part.strip_prefix('/').and_then(|rest| rest.split_once('/'));
            out.push_str(rest.map_or(part, |(_, rest)| rest));
        }
        out
    }

    /// The names of the columns of the first table, for whoever maps them.
    pub(crate) fn columns(&self) -> Vec<String> {
        let first = self.look(|state| {
            state.files.iter().find(|file| file.is_manifest()).map(|file| file.path.clone())
        });
        let mut head = Vec::new();
        let read = first.and_then(|path| File::open(path).ok());
        let _ = read.map(|file| file.take(limits::HEADER).read_to_end(&mut head));
        header(&head)
    }
}

/// The names in the first line of a table.
fn header(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let line = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    if line.trim_start().starts_with(['{', '[', '-']) || line.contains('\0') {
        return Vec::new();
    }
    let count = |c: &char| line.matches(*c).count();
    let Some(separator) = [',', ';', '\t', '|'].into_iter().max_by_key(count) else {
        return Vec::new();
    };
    if count(&separator) == 0 {
        return Vec::new();
    }
    let names = line.split(separator).take(limits::COLUMNS);
    let plain = |name: &str| name.trim().trim_matches('"').chars().take(limits::NAME).collect();
    names.map(plain).collect()
}

/// A name of a file that a folder can have and a page can show: no path, no marks, not hidden.
fn kept_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "._-+() ".contains(c) { c } else { '_' };
    let whole: Vec<char> = last.trim_start_matches(['.', ' ']).chars().map(plain).collect();
    // The end says what kind of file it is.
    let name: String = whole.iter().skip(whole.len().saturating_sub(limits::NAME)).collect();
    // A name of a file system has 255 bytes.
    if name.is_empty() || name.len() > 200 { "file".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_trick() {
        for (given, kept) in [
            ("lot 7.jsonl", "lot 7.jsonl"),
            ("../../etc/passwd", "passwd"),
            ("C:\\fakepath\\run.csv", "run.csv"),
            ("<script>alert(1)</script>.csv", "script_.csv"),
            ("a\u{202e}vsc.exe", "a_vsc.exe"),
            ("..", "file"),
            ("", "file"),
            ("größe.csv", "größe.csv"),
        ] {
            assert_eq!(kept_name(given), kept, "{given:?}");
        }
        let long = format!("{}.csv", "x".repeat(10_000));
        assert!(kept_name(&long).ends_with(".csv") && kept_name(&long).len() == limits::NAME);
    }

    #[test]
    fn columns_are_read_from_a_header_alone() {
        assert_eq!(header(b"DeviceId;Pub Key;\"Lot\"\r\n1;2;3"), ["DeviceId", "Pub Key", "Lot"]);
        assert_eq!(header(b"\xef\xbb\xbfa,b\n"), ["a", "b"]);
        for none in [&b"{\"serial\":\"1\",\"key\":2}"[..], b"[1,2]", b"", b"one", b"\x30\x82,\0"] {
            assert!(header(none).is_empty(), "{none:?}");
        }
    }
}
