//! The gateway's folder. `operations.log` only grows and is cut only behind the last verified
//! checkpoint; `checkpoint` and `snapshot` are replaced whole. Recovery is the normal path: what a crash left
//! behind the checkpoint is cut off and fetched again.

use crate::{Error, format, limits};
use data_encoding::{BASE64, HEXLOWER};
use muster_ledger::{Network, Time, limits as ledger};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of an `operations.log` that begins with the first entry; the network's hash follows.
const MAGIC: &[u8; 8] = b"MUSTOPS1";
pub(crate) const HEADER: u64 = 8 + 32;

/// First bytes of one that begins after a snapshot; the network's hash follows, and how many entries
/// the snapshot covers (8 bytes, big-endian).
pub(crate) const MAGIC_AFTER: &[u8; 8] = b"MUSTOPS2";
const HEADER_AFTER: u64 = HEADER + 8;

/// First bytes of `snapshot`; then which log it is of, by the entries before that log's first, and
/// the place in that log at which entries go on (8 bytes each, big-endian), and eight bytes of the
/// SHA-256 of all this: a place that is damaged would have the log cut in the wrong one.
const MAGIC_SNAPSHOT: &[u8; 8] = b"MUSTSNAP";

/// Longest entry: an operation and its height and time.
pub(crate) const ENTRY: u32 = ledger::OPERATION_BYTES as u32 + 64;

/// The folder, locked for this gateway.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    log: File,
    /// Entries before the first of the log, and where that one begins.
    base: u64,
    start: u64,
    /// Length of the log up to the last verified checkpoint.
    verified: u64,
    /// Length with what is not verified yet.
    length: u64,
    _lock: File,
}

impl Folder {
    /// Opens or makes it.
    pub(crate) fn open(dir: &Path, network: &Network, now: Time) -> Result<Self, Error> {
        fs::create_dir_all(dir.join("evidence")).map_err(Error::folder(dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(Error::folder(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Error::Folder { path, error }),
        }
        format::settle(dir, now)?;
        let path = dir.join("operations.log");
        let fault = || Error::folder(&path);
        let mut log = open_log(&path).map_err(fault())?;
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
        let (mut base, mut start) = ([0; 8], HEADER);
        if header[..8] == *MAGIC_AFTER {
            log.read_exact(&mut base).map_err(|e| Error::damaged(&path, e))?;
            start = HEADER_AFTER;
        } else if header[..8] != *MAGIC {
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
        let (dir, base) = (dir.to_owned(), u64::from_be_bytes(base));
        Ok(Self { dir, log, base, start, verified: start, length, _lock: lock })
    }

    /// Entries before the first of the log: those under the snapshot that the folder began with.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Whether the log reaches to this place.
    pub(crate) fn reaches(&self, place: u64) -> bool {
        (self.start..=self.length).contains(&place)
    }

    /// Where the entries after the verified ones begin.
    pub(crate) fn end(&self) -> u64 {
        self.verified
    }

    /// The snapshot of the folder, if there is one.
    pub(crate) fn kept(&self) -> Result<Option<Kept>, Error> {
        let path = self.snapshot_path();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Kept(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Folder { path, error }),
        }
    }

    /// Makes a folder that holds nothing begin with a verified snapshot. Each step leaves a folder
    /// that opens: before the log is replaced it still holds nothing, and afterwards the snapshot's
    /// own checkpoint stands for the one that is not there yet.
    pub(crate) fn begin_with(
        &mut self,
        network: &Network,
        size: u64,
        snapshot: &[u8],
    ) -> io::Result<()> {
        replace(&self.snapshot_path(), &[&Kept::header(size, HEADER_AFTER), snapshot])?;
        let path = self.log_path();
        replace(&path, &[MAGIC_AFTER, &network.0, &size.to_be_bytes()])?;
        self.log = open_log(&path)?;
        (self.base, self.start) = (size, HEADER_AFTER);
        (self.verified, self.length) = (HEADER_AFTER, HEADER_AFTER);
        Ok(())
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

    /// Where the first entry begins.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Reads `count` entries from a place on. Says how many there were, and where they end.
    pub(crate) fn read(
        &self,
        from: u64,
        count: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(u64, u64), Error> {
        let path = self.log_path();
        let mut log = &self.log;
        log.seek(SeekFrom::Start(from)).map_err(Error::folder(&path))?;
        let mut reader = BufReader::new(log);
        let (mut at, mut found, mut entry) = (from, 0, Vec::new());
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
        Ok((found, at))
    }

    /// The verified entries end here: cuts off whatever follows.
    pub(crate) fn settle(&mut self, end: u64) -> Result<(), Error> {
        self.verified = end;
        self.cut().map_err(Error::folder(&self.log_path()))
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

    /// Makes what was appended count: first the entries reach the disk, then the checkpoint. Says
    /// what kept the checkpoint from being written: then the entries stay where they are, for those
    /// that follow, and the next checkpoint covers them too. A start before it finds them behind
    /// the old one, cuts them and fetches them again.
    pub(crate) fn verified(&mut self, note: &str) -> io::Result<Option<io::Error>> {
        if self.length != self.verified {
            self.log.sync_all()?;
        }
        self.verified = self.length;
        Ok(replace(&self.checkpoint_path(), &[note.as_bytes()]).err())
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
        replace(&path, &[text.as_bytes()])?;
        Ok(Some(path))
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.join("operations.log")
    }

    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.dir.join("snapshot")
    }
}

/// The file `snapshot`, not looked at yet.
pub(crate) struct Kept(Vec<u8>);

impl Kept {
    /// What stands before the snapshot.
    pub(crate) fn header(base: u64, offset: u64) -> [u8; 32] {
        let mut header = [0; 32];
        header[..8].copy_from_slice(MAGIC_SNAPSHOT);
        header[8..16].copy_from_slice(&base.to_be_bytes());
        header[16..24].copy_from_slice(&offset.to_be_bytes());
        let check = muster_identity::sha256(&[&header[..24]]);
        header[24..].copy_from_slice(&check[..8]);
        header
    }

    /// Where in the log with this base entries go on after the snapshot, and the snapshot; none if
    /// it is of another log.
    pub(crate) fn parts(&self, base: u64) -> Option<(u64, &[u8])> {
        let (header, snapshot) = self.0.split_first_chunk::<32>()?;
        let offset = u64::from_be_bytes(*header[16..].first_chunk()?);
        (*header == Self::header(base, offset)).then_some((offset, snapshot))
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
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
pub(crate) fn replace(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    content.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
