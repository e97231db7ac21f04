//! The entries of a JSON array, or objects one behind the other, as they stream by.

use super::scan::{Piece, Scanner, Trouble};
use super::{Span, secrets};
use crate::{Error, RowFault, Unit};
use std::io::{BufRead, ErrorKind};

#[derive(Debug)]
pub(super) struct Pieces<R> {
    file: String,
    input: R,
    scanner: Scanner,
    /// Where the last entry stands.
    pub(super) span: Option<Span>,
}

/// An entry's number, from 1, and its text, or why there is none.
pub(super) type Entry = (u64, Result<String, RowFault>);

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(file: &str, input: R, scanner: Scanner) -> Self {
        Self { file: file.into(), input, scanner, span: None }
    }

    pub(super) fn private_key(&self, number: u64, field: String) -> Error {
        let file = self.file.clone();
        Error::PrivateKey { file, line: number, unit: Unit::Entry, field }
    }

    /// The next entry, at most [`crate::limits::ROW_BYTES`] of it.
    fn piece(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::File { file: self.file.clone(), error }),
            };
            if bytes.is_empty() {
                return Ok(self.scanner.end());
            }
            let (mut used, mut found) = (0, None);
            for byte in bytes {
                used += 1;
                found = self.scanner.feed(*byte);
                if found.is_some() {
                    break;
                }
            }
            self.input.consume(used);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn entry(&mut self, piece: Piece) -> Result<Entry, Error> {
        let Piece { number, line, span, bytes, trouble } = piece;
        self.span = span;
        let fault = match trouble {
            Some(Trouble::PrivateKey) => return Err(self.private_key(number, "row".into())),
            Some(Trouble::NotAnArray) => {
                let (why, cure) = match bytes.starts_with(&[0xff]) || bytes.starts_with(&[0xfe]) {
                    true => ("the file is UTF-16", "save it as UTF-8"),
                    false => ("the file is not a JSON array", "give the manifest as it came"),
                };
                let file = self.file.clone();
                return Err(Error::Manifest { file, why: why.into(), cure: cure.into() });
            }
            Some(Trouble::Fault(code, reason)) => {
                let place = format!("entry {number}, in line {line} of the file: {reason}");
                RowFault::new(code, place)
            }
            None => match String::from_utf8(bytes) {
                Ok(text) => return Ok((number, Ok(text))),
                Err(broken) if secrets::in_unreadable(broken.as_bytes()) => {
                    return Err(self.private_key(number, "row".into()));
                }
                Err(_) => {
                    self.span = None;
                    let place = format!("entry {number}, in line {line} of the file");
                    RowFault::new("encoding", format!("{place}, is not UTF-8"))
                }
            },
        };
        Ok((number, Err(fault)))
    }
}

impl<R: BufRead> Iterator for Pieces<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.piece().transpose()?;
        Some(piece.and_then(|piece| self.entry(piece)))
    }
}
