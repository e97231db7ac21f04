//! Microchip trust platform manifests, versions 1 and 2: a JSON array of flattened JWS (RFC 7515
//! §7.2.2). The array is cut into its entries here, as it streams by; each is read and judged by
//! whoever checks the rows, on all cores (`docs/formats/microchip.md`).

mod chain;
mod entry;
mod judge;
mod scan;

pub(super) use judge::judge;

use super::document::Document;
use super::fields::Draft;
use super::{Item, lines, secrets};
use crate::{Error, RowFault};
use scan::{Piece, Scanner, Trouble};
use std::io::{BufRead, ErrorKind};

/// The members of a flattened JWS.
const MEMBERS: [&str; 4] = ["payload", "protected", "header", "signature"];

/// Whether a file begins like a manifest: an array whose first entry begins like a JWS.
pub(super) fn is_manifest(head: &[u8]) -> bool {
    let inside = |head: &[u8], c: u8| Some(head.strip_prefix(&[c])?.trim_ascii_start().to_vec());
    let Some(entry) = inside(head, b'[') else { return false };
    let Some(member) = inside(&entry, b'{') else { return entry.starts_with(b"]") };
    MEMBERS.iter().any(|name| member.starts_with(format!("\"{name}\"").as_bytes()))
}

#[derive(Debug)]
pub(super) struct Microchip<R> {
    file: String,
    input: R,
    scanner: Scanner,
}

impl<R: BufRead> Microchip<R> {
    pub(super) fn new(file: &str, input: R) -> Self {
        Self { file: file.into(), input, scanner: Scanner::default() }
    }

    /// The next entry of the array, at most [`crate::limits::ROW_BYTES`] of it.
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

    fn item(&mut self, piece: Piece) -> Result<Item, Error> {
        let Piece { number, line, bytes, trouble } = piece;
        let private_key =
            || Error::PrivateKey { file: self.file.clone(), line: number, field: "row".into() };
        let fault = match trouble {
            Some(Trouble::PrivateKey) => return Err(private_key()),
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
                Ok(text) => {
                    let document = Some(Document::Microchip(text.into()));
                    return Ok(Item::Draft(Draft { line: number, document, ..Draft::default() }));
                }
                Err(broken) => {
                    if secrets::in_unreadable(broken.as_bytes()) {
                        return Err(private_key());
                    }
                    RowFault::new("encoding", format!("entry {number} is not UTF-8"))
                }
            },
        };
        Ok(Item::Refused { line: number, fault })
    }
}

impl<R: BufRead> Iterator for Microchip<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.piece().transpose()?;
        Some(piece.and_then(|piece| self.item(piece)))
    }
}

/// What may stand before the array.
const BYTE_ORDER_MARK: &[u8] = lines::BYTE_ORDER_MARK;
