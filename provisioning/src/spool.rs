//! Bytes that are written once and read from the beginning, as often as one likes: in memory
//! while they are few, else in a file without a name, which is gone whatever ends the process.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes kept in memory: the rows of some ten thousand devices need no file.
const KEPT: usize = 8 << 20;

/// Bytes read at once from the file.
const READ: usize = 1 << 18;

/// Written to the end, then read.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    kept: Vec<u8>,
    file: Option<BufWriter<File>>,
}

impl Spool {
    /// An empty one; its file would be made in this folder.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), kept: Vec::new(), file: None }
    }

    /// Ends the writing.
    pub(crate) fn finish(self) -> io::Result<Spooled> {
        let file = self.file.map(|file| file.into_inner().map_err(io::IntoInnerError::into_error));
        Ok(match file.transpose()? {
            Some(file) => Spooled::File(file),
            None => Spooled::Kept(self.kept),
        })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > KEPT {
            let mut file = BufWriter::with_capacity(READ, tempfile::tempfile_in(&self.dir)?);
            file.write_all(&std::mem::take(&mut self.kept))?;
            self.file = Some(file);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// What was written.
#[derive(Debug)]
pub(crate) enum Spooled {
    Kept(Vec<u8>),
    File(File),
}

impl Spooled {
    /// From the beginning; several readers do not disturb each other.
    pub(crate) fn read(&self) -> BufReader<Reading<'_>> {
        BufReader::with_capacity(READ, Reading { spooled: self, at: 0 })
    }
}

/// Reads a spool.
#[derive(Debug)]
pub(crate) struct Reading<'s> {
    spooled: &'s Spooled,
    at: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.spooled {
            Spooled::Kept(bytes) => {
                let rest = bytes.get(self.at as usize..).unwrap_or_default();
                let read = rest.len().min(buffer.len());
                buffer[..read].copy_from_slice(&rest[..read]);
                read
            }
            Spooled::File(file) => read_at(file, buffer, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
