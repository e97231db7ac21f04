//! Lines of bounded length, as UTF-8, numbered from 1. Every byte of the file passes here, so
//! the search for private keys covers what no format can read.

use super::{Span, secrets};
use crate::limits::ROW_BYTES;
use crate::{Error, RowFault, Unit};
use std::io::{BufRead, Read as _};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes kept when a part of a long line is dropped, so that a word across the cut is found.
pub(super) const OVERLAP: usize = 64;

#[derive(Debug)]
pub(super) struct Lines<R> {
    file: String,
    input: R,
    number: u64,
    /// Bytes of the lines that were read.
    at: u64,
}

/// A line without its end.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) text: Result<String, RowFault>,
    /// Where it stands, with its end; none if it is too long to be taken up whole.
    pub(super) span: Option<Span>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: &str, input: R) -> Self {
        Self { file: file.into(), input, number: 0, at: 0 }
    }

    /// The file is refused as a whole.
    pub(super) fn fault(&self, why: impl Into<String>, cure: impl Into<String>) -> Error {
        Error::Manifest { file: self.file.clone(), why: why.into(), cure: cure.into() }
    }

    /// The file holds a private key.
    pub(super) fn private_key(&self, line: u64, field: impl Into<String>) -> Error {
        let (file, field) = (self.file.clone(), field.into());
        Error::PrivateKey { file, line, unit: Unit::Line, field }
    }

    /// What comes next, without taking it.
    pub(super) fn head(&mut self) -> Result<&[u8], Error> {
        let file = &self.file;
        self.input.fill_buf().map_err(|error| Error::File { file: file.clone(), error })
    }

    /// What is left, at most so many bytes: for documents that have no lines.
    pub(super) fn rest(&mut self, bound: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let rest = (&mut self.input).take(bound as u64).read_to_end(&mut bytes);
        rest.map_err(|error| Error::File { file: self.file.clone(), error })?;
        Ok(bytes)
    }

    fn read(&mut self) -> Result<Option<Line>, Error> {
        let number = self.number + 1;
        let (mut bytes, mut too_long, mut any) = (Vec::new(), false, false);
        let mut lone_return = false;
        let mut from = self.at;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::File { file: self.file.clone(), error }),
            };
            if piece.is_empty() {
                break;
            }
            any = true;
            // Never more than the bound at a time, so that memory does not depend on the source.
            let piece = &piece[..piece.len().min(ROW_BYTES)];
            let end = piece.iter().position(|b| *b == b'\n');
            bytes.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            let used = end.map_or(piece.len(), |end| end + 1);
            self.input.consume(used);
            self.at += used as u64;
            if end.is_some() {
                break;
            }
            if bytes.len() > ROW_BYTES {
                too_long = true;
                lone_return |= number == 1 && bytes.contains(&b'\r');
                self.search(number, &bytes)?;
                bytes.drain(..bytes.len() - OVERLAP);
            }
        }
        if !any {
            return Ok(None);
        }
        self.number = number;
        if number == 1 {
            if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                return Err(self.fault("the file is UTF-16", "save it as UTF-8"));
            }
            if bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
                from += BYTE_ORDER_MARK.len() as u64;
            }
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if secrets::in_pem(&bytes) {
            return Err(self.private_key(number, "row"));
        }
        if number == 1 && (lone_return || bytes.contains(&b'\r')) {
            let why = "the lines end in CR alone, as of old Macintosh";
            return Err(self.fault(why, "save the file with line ends LF or CRLF"));
        }
        let too_long = too_long || bytes.len() > ROW_BYTES;
        let text = if too_long {
            self.search(number, &bytes)?;
            Err(RowFault::new("row-too-long", "the row is longer than 65,536 bytes"))
        } else {
            match String::from_utf8(bytes) {
                Ok(text) => Ok(text),
                Err(broken) => {
                    self.search(number, broken.as_bytes())?;
                    Err(RowFault::new("encoding", "the row is not UTF-8"))
                }
            }
        };
        let span = if too_long { None } else { Span::between(from, self.at) };
        Ok(Some(Line { number, text, span }))
    }

    /// Looks for private keys in bytes that will not be read any further.
    pub(super) fn search(&self, line: u64, bytes: &[u8]) -> Result<(), Error> {
        if secrets::in_unreadable(bytes) { Err(self.private_key(line, "row")) } else { Ok(()) }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
