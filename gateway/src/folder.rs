//! The gateway's folder. `operations.log` only grows and is cut only behind the last verified
//! checkpoint; `checkpoint` is replaced whole. Recovery is the normal path: what a crash left
//! behind the checkpoint is cut off and fetched again.

use crate::{Error, limits};
use data_encoding::{BASE64, HEXLOWER};
use muster_ledger::{Network, limits as ledger};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of `operations.log`; the network's hash follows.
const MAGIC: &[u8; 8] = b"MUSTOPS1";
pub(crate) const HEADER: u64 = 8 + 32;

/// Longest entry: an operation and its height and time.
pub(crate) const ENTRY: u32 = ledger::OPERATION_BYTES as u32 + 64;

/// The folder, locked for this gateway.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    log: File,
    /// Length of the log up to the last verified checkpoint.
    verified: u64,
    /// Length with what is not verified yet.
    length: u64,
    _lock: File,
}

impl Folder {
    /// Opens or makes it.
    pub(crate) fn open(dir: &Path, network: &Network) -> Result<Self, Error> {
        fs::create_dir_all(dir.join("evidence")).map_err(Error::folder(dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(Error::folder(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Error::Folder { path, error }),
        }
        let path = dir.join("operations.log");
        let fault = || Error::folder(&path);
        let mut log = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fault())?;
        let mut length = log.metadata().map_err(fault())?.len();
        if length < HEADER {
            // Nothing was ever verified: a header that was not written whole.
            log.set_len(0).map_err(fault())?;
            log.write_all(&[&MAGIC[..], &network.0].concat()).map_err(fault())?;
            log.sync_all().map_err(fault())?;
            sync_dir(dir).map_err(fault())?;
            length = HEADER;
        }
        let mut header = [0; HEADER as usize];
        log.seek(SeekFrom::Start(0)).map_err(fault())?;
        log.read_exact(&mut header).map_err(fault())?;
        if header[..8] != *MAGIC {
            let other = header[..MAGIC.len() - 1] == MAGIC[..MAGIC.len() - 1];
            return Err(Error::damaged(
                &path,
                if other {
                    "another version of muster wrote it: use that one or a newer one, or give this \
                     one a folder of its own, which it fills from a node"
                } else {
                    "it is no log of operations"
                },
            ));
        }
        if header[8..] != network.0 {
            return Err(Error::OtherNetwork(dir.to_owned()));
        }
        Ok(Self { dir: dir.to_owned(), log, verified: HEADER, length, _lock: lock })
    }

    /// The note of the last verified checkpoint, if there is one.
    pub(crate) fn checkpoint(&self) -> Result<Option<String>, Error> {
        let path = self.checkpoint_path();
        match fs::read_to_string(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Folder { path, error }),
        }
    }

    /// Reads the first `count` entries and cuts off whatever follows. Says how many there were.
    pub(crate) fn replay(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> Result<u64, Error> {
        let path = self.log_path();
        self.log.seek(SeekFrom::Start(HEADER)).map_err(Error::folder(&path))?;
        let mut reader = BufReader::new(&self.log);
        let (mut at, mut found, mut entry) = (HEADER, 0, Vec::new());
        while found < count && at + 4 <= self.length {
            let mut prefix = [0; 4];
            reader.read_exact(&mut prefix).map_err(Error::folder(&path))?;
            let size = u32::from_be_bytes(prefix);
            let end = at + 4 + u64::from(size);
            if size > ENTRY || end > self.length {
                break;
            }
            entry.resize(size as usize, 0);
            reader.read_exact(&mut entry).map_err(Error::folder(&path))?;
            each(&entry);
            (at, found) = (end, found + 1);
        }
        self.verified = at;
        self.cut().map_err(Error::folder(&path))?;
        Ok(found)
    }

    /// Writes entries behind the verified ones. They count only after [`Self::verified`].
    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        self.log.seek(SeekFrom::Start(self.length))?;
        let mut writer = BufWriter::new(&self.log);
        let mut length = self.length;
        for entry in entries {
            let size = u32::try_from(entry.len()).map_err(io::Error::other)?;
            writer.write_all(&size.to_be_bytes())?;
            writer.write_all(entry)?;
            length += 4 + u64::from(size);
        }
        writer.flush()?;
        drop(writer);
        self.length = length;
        Ok(())
    }

    /// Throws away what was not verified.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        if self.log.metadata()?.len() != self.verified {
            self.log.set_len(self.verified)?;
        }
        self.length = self.verified;
        Ok(())
    }

    /// Makes what was appended count: first the entries reach the disk, then the checkpoint.
    pub(crate) fn verified(&mut self, note: &str) -> io::Result<()> {
        if self.length != self.verified {
            self.log.sync_all()?;
        }
        replace(&self.checkpoint_path(), note.as_bytes())?;
        self.verified = self.length;
        Ok(())
    }

    /// Keeps the proof of a fault; the same proof once, and a bounded number in all.
    pub(crate) fn keep_evidence(&self, evidence: &Evidence<'_>) -> io::Result<Option<PathBuf>> {
        let dir = self.dir.join("evidence");
        let what = muster_identity::sha256(&[evidence.subject.as_bytes()]);
        let path = dir.join(format!("{}-{}.txt", evidence.code, HEXLOWER.encode(&what[..8])));
        if path.exists() || fs::read_dir(&dir)?.count() >= limits::EVIDENCE_FILES {
            return Ok(None);
        }
        let mut text = format!("{}\nnode {}\n", evidence.fault, evidence.node);
        text.push_str(&format!("\nverified here:\n{}", evidence.ours.unwrap_or("nothing yet\n")));
        text.push_str(&format!("\nanswered by the node:\n{}", evidence.theirs));
        for entry in evidence.entries {
            text.push_str(&format!("\nentry {}", BASE64.encode(entry)));
        }
        replace(&path, text.as_bytes())?;
        Ok(Some(path))
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.join("operations.log")
    }

    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }
}

/// What convicts a node or a quorum.
pub(crate) struct Evidence<'a> {
    pub(crate) code: &'static str,
    pub(crate) fault: &'a str,
    pub(crate) node: &'a str,
    /// What the same proof shares, however often its head is signed again.
    pub(crate) subject: String,
    pub(crate) ours: Option<&'a str>,
    pub(crate) theirs: &'a str,
    pub(crate) entries: &'a [Vec<u8>],
}

/// Replaces a file whole: after a power loss it is the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
