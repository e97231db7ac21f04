//! Folders and archives: their files one by one, streamed and never stored. Names are for
//! messages only; links, permissions and paths of an archive have no effect.

use crate::limits::{
    FOLDER_DEPTH, MEMBERS, UNPACKED_BYTES, UNPACKED_FREELY, UNPACKED_RATIO, ZIP_BYTES,
};
use crate::meter::{Meter, Metered};
use crate::{Error, RowFault};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use tar::EntryType;
use zip::ZipArchive;

/// Characters of a member's name that a message repeats.
const NAME_CHARS: usize = 200;

/// Bytes of a block of a tar archive.
const TAR_BLOCK: u64 = 512;

/// In place of a member's name, where the members end.
const BEHIND: &str = "(behind)";

/// Something that holds files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Folder,
    Tar,
    /// gzip: of a tar archive, or of one file.
    Gzip,
    Zip,
}

/// A file of an archive; or why it is lost, so that the loss is a row of its own and nothing is
/// skipped silently.
pub(crate) type Member<'m> = Result<&'m mut dyn BufRead, RowFault>;

/// Who takes the files, by name.
type Each<'a> = &'a mut dyn FnMut(&str, Member<'_>) -> Result<(), Error>;

fn lost(why: impl Into<String>) -> Member<'static> {
    Err(RowFault::new("cut-short", why))
}

impl Container {
    /// What the user named, if it holds files.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, Error> {
        let fault = |error| Error::File { file: path.display().to_string(), error };
        if fs::metadata(path).map_err(fault)?.is_dir() {
            return Ok(Some(Self::Folder));
        }
        let mut head = Vec::new();
        File::open(path).map_err(fault)?.take(512).read_to_end(&mut head).map_err(fault)?;
        Ok(Self::of_head(&head))
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            // POSIX.1-1988 §10.1.1.
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }

    /// Hands out every file in it.
    pub(crate) fn walk(self, path: &Path, meter: &Meter, each: Each<'_>) -> Result<(), Error> {
        let file = path.display().to_string();
        let fault = |error| Error::File { file: file.clone(), error };
        if self == Self::Folder {
            return folder(path, meter, each);
        }
        let packed = fs::metadata(path).map_err(fault)?.len();
        let input = Metered::open(path, meter).map_err(fault)?;
        let budget = Budget { packed, ..Budget::default() };
        let input = BufReader::with_capacity(1 << 16, input);
        let walk = Walk { file: &file, budget: &budget };
        let done = match self {
            Self::Zip => walk.zip(input, each),
            Self::Gzip => walk.gzip(MultiGzDecoder::new(input), each),
            _ => walk.tar(Counted { inner: input, budget: &budget }, each),
        };
        if budget.burst.get() {
            let why = "an archive bomb: it unpacks to more than 8 GiB or 100 times its size";
            return Err(walk.fault(why, "find out where it comes from; nothing was enrolled"));
        }
        done
    }
}

/// How many bytes there are to read: in a folder, those of its files.
pub(crate) fn size(path: &Path) -> Result<u64, Error> {
    let length = |path: &Path| {
        let fault = |error| Error::File { file: path.display().to_string(), error };
        fs::metadata(path).map_err(fault)
    };
    let found = length(path)?;
    if !found.is_dir() {
        return Ok(found.len());
    }
    let mut files = Vec::new();
    list(path, 0, &mut files)?;
    files.iter().map(|file| Ok(length(file)?.len())).sum()
}

/// Whether a file begins like an archive.
pub(crate) fn is_archive(head: &[u8]) -> bool {
    Container::of_head(head).is_some()
}

/// How much may still be unpacked, and whether it can be.
#[derive(Default)]
struct Budget {
    packed: u64,
    unpacked: Cell<u64>,
    burst: Cell<bool>,
    /// The packed bytes are damaged.
    broken: Cell<bool>,
}

/// Counts what is unpacked. Where the packed bytes are damaged it ends, so that what was whole
/// before is read; the loss is told by a row.
struct Counted<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read(into) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(_) => {
                self.budget.broken.set(true);
                return Ok(0);
            }
        };
        let unpacked = self.budget.unpacked.get() + read as u64;
        self.budget.unpacked.set(unpacked);
        let allowed = UNPACKED_FREELY.max(self.budget.packed.saturating_mul(UNPACKED_RATIO));
        if unpacked > allowed.min(UNPACKED_BYTES) {
            self.budget.burst.set(true);
            return Err(io::Error::other("the archive unpacks to too much"));
        }
        Ok(read)
    }
}

/// One archive.
struct Walk<'a> {
    file: &'a str,
    budget: &'a Budget,
}

impl Walk<'_> {
    fn fault(&self, why: impl Into<String>, cure: &str) -> Error {
        Error::Manifest { file: self.file.into(), why: why.into(), cure: cure.into() }
    }

    fn damaged(&self, why: &dyn std::fmt::Display) -> Error {
        self.fault(format!("the archive cannot be read: {why}"), "fetch it again")
    }

    fn too_many(&self) -> Error {
        self.fault("more than 1,048,576 files in the archive", "split it")
    }

    /// What gzip holds is told by its beginning.
    fn gzip(&self, input: impl Read, each: Each<'_>) -> Result<(), Error> {
        let mut input = Counted { inner: input, budget: self.budget };
        let mut head = Vec::new();
        let failed = |error| Error::File { file: self.file.into(), error };
        (&mut input).take(TAR_BLOCK).read_to_end(&mut head).map_err(failed)?;
        let (found, zeros) = (Container::of_head(&head), head.iter().all(|b| *b == 0));
        let input = io::Cursor::new(head).chain(input);
        match found {
            Some(Container::Tar) => self.tar(input, each),
            None if zeros => self.tar(input, each),
            Some(_) => {
                Err(self.fault("an archive within another", "unpack it, and name it itself"))
            }
            None => {
                let name = Path::new(self.file).file_stem().unwrap_or_default();
                let name = shown(name.as_encoded_bytes());
                each(&name, Ok(&mut BufReader::new(input)))?;
                self.told_if_broken(&name, each)
            }
        }
    }

    /// A row for what could not be unpacked.
    fn told_if_broken(&self, name: &str, each: Each<'_>) -> Result<(), Error> {
        if self.budget.broken.take() {
            each(name, lost("the archive is damaged here; what it held is lost"))?;
        }
        Ok(())
    }

    fn tar(&self, input: impl Read, each: Each<'_>) -> Result<(), Error> {
        let mut archive = tar::Archive::new(input);
        // What the crate says may repeat bytes of the file, so its words are not passed on.
        let broken = "its headers are damaged, or it ends too early";
        // Raw: long names and sparse files are not put together, so nothing is held in memory.
        let entries = archive.entries().map_err(|_| self.damaged(&broken))?.raw(true);
        let (mut count, mut last) = (0, None);
        for entry in entries {
            let Ok(entry) = entry else {
                let Some(last) = last.filter(|_| !self.budget.burst.get()) else {
                    return Err(self.damaged(&broken));
                };
                self.budget.broken.set(false);
                let why = format!("the archive is damaged or ends behind {last}; the rest is lost");
                return each(BEHIND, lost(why));
            };
            count += 1;
            if count > MEMBERS {
                return Err(self.too_many());
            }
            let name = shown(&entry.path_bytes());
            if matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
                each(&name, Ok(&mut BufReader::new(entry)))?;
            }
            last = Some(name);
        }
        match last {
            None => Err(self.fault("no tar archive is in it", "name a tar or zip archive")),
            Some(_) => self.told_if_broken(BEHIND, each),
        }
    }

    fn zip(&self, input: BufReader<Metered>, each: Each<'_>) -> Result<(), Error> {
        if self.budget.packed > ZIP_BYTES {
            let why = "a zip archive above 64 MiB";
            return Err(self.fault(why, "pack the files as a tar archive, which is streamed"));
        }
        let mut archive = ZipArchive::new(input).map_err(|e| self.damaged(&e))?;
        if archive.index_for_name("xl/workbook.xml").is_some() {
            return Err(self.fault("a workbook of Excel", "save the table as CSV (UTF-8)"));
        }
        if archive.len() > MEMBERS {
            return Err(self.too_many());
        }
        for i in 0..archive.len() {
            let name = shown(
                &archive
                    .name_for_index(i)
                    .and_then(Result::ok)
                    .map_or(Vec::new(), |n| n.as_bytes().to_vec()),
            );
            let entry = archive.by_index(i).map_err(|e| self.damaged(&format!("{name}: {e}")))?;
            if !entry.is_file() {
                continue;
            }
            let counted = Counted { inner: entry, budget: self.budget };
            each(&name, Ok(&mut BufReader::new(counted)))?;
            self.told_if_broken(&name, each)?;
        }
        Ok(())
    }
}

/// The files of a folder and the folders in it, by name. Links are not followed.
fn folder(path: &Path, meter: &Meter, each: Each<'_>) -> Result<(), Error> {
    let mut files = Vec::new();
    list(path, 0, &mut files)?;
    files.sort();
    for file in files {
        let fault = |error| Error::File { file: file.display().to_string(), error };
        let name = file.strip_prefix(path).unwrap_or(&file);
        let name = shown(name.display().to_string().as_bytes());
        let input = Metered::open(&file, meter).map_err(fault)?;
        each(&name, Ok(&mut BufReader::new(input)))?;
    }
    Ok(())
}

fn list(path: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    let refused = |why: &str| {
        let cure = "name the folders one by one".into();
        Err(Error::Manifest { file: path.display().to_string(), why: why.into(), cure })
    };
    if depth > FOLDER_DEPTH {
        return refused("folders lie deeper than 8");
    }
    for entry in fs::read_dir(path).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let kind = entry.file_type().map_err(fault)?;
        if kind.is_dir() {
            list(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > MEMBERS {
            return refused("more than 1,048,576 files");
        }
    }
    Ok(())
}

/// A foreign name, fit for a message.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(NAME_CHARS).collect()
}
