//! Manifest formats: one file each, pure. Bytes come in through `BufRead`, drafts of rows go out;
//! memory is bounded by [`crate::limits::ROW_BYTES`] whatever the file holds.

mod azure;
mod cells;
mod csv;
mod document;
mod fields;
mod foreign;
mod json;
mod json_rows;
mod jsonl;
mod key_text;
mod lines;
mod mapping;
mod members;
mod microchip;
mod objects;
mod pieces;
mod scan;
mod secrets;
mod signers;
mod span;
mod trust;
mod x509;

pub use document::{Document, Finding, Papers, Verdict};
pub(crate) use secrets::bare;

pub use fields::{Draft, Field, Making};
pub use foreign::Foreign;
pub(crate) use key_text::base64;
pub use key_text::{Jwk, KeyText};
pub use mapping::Mapping;
pub use signers::Signers;
pub use span::Span;
pub use trust::Trust;

pub use secrets::mentions_private_key;
pub(crate) use secrets::search as search_secrets;

use crate::{Error, RowFault};
use std::io::BufRead;
use std::str::FromStr;

/// A manifest format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines: one object a line.
    Jsonl,
    /// An array of objects, or objects of several lines.
    Json,
    /// Values separated by `,` `;` tab or `|` (RFC 4180).
    Csv,
    /// Microchip trust platform manifest: a JSON array of signed entries.
    Microchip,
    /// Device certificates or signing requests: DER, PEM, or a list in base64.
    X509,
    /// A file of another kind, known by name: it is refused with a word on what to do.
    Foreign(Foreign),
}

impl Format {
    /// Recognises a format by the first bytes of a file (512 are plenty). `None` is a file that
    /// is certainly neither.
    pub fn detect(head: &[u8]) -> Option<Self> {
        let head = head.strip_prefix(lines::BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        if x509::is_x509(head) {
            return Some(Self::X509);
        }
        if let Some(foreign) = Foreign::of(head) {
            return Some(Self::Foreign(foreign));
        }
        match head.first() {
            Some(b'[') if microchip::is_manifest(head) => Some(Self::Microchip),
            Some(b'{' | b'[') if objects::is_objects(head) => Some(Self::Json),
            Some(b'{') => Some(Self::Jsonl),
            Some(b'[') => None,
            _ if head.contains(&0) => None,
            _ => Some(Self::Csv),
        }
    }

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Microchip => "microchip",
            Self::X509 => "x509",
            Self::Foreign(_) => "foreign",
        }
    }

    /// Reads a file of this format; `file` is its name in messages.
    pub fn read<R: BufRead>(self, file: &str, input: R) -> Reader<R> {
        self.read_mapped(file, input, &Mapping::default())
    }

    /// The same for a foreign table.
    pub fn read_mapped<R: BufRead>(self, file: &str, input: R, mapping: &Mapping) -> Reader<R> {
        let mapping = mapping.clone();
        let lines = |input| lines::Lines::new(file, input);
        Reader(Some(match self {
            Self::Jsonl => Kind::Jsonl(jsonl::Jsonl::new(lines(input), mapping)),
            Self::Json => Kind::Json(objects::Objects::new(file, input, mapping)),
            Self::Csv => Kind::Csv(Box::new(csv::Csv::new(lines(input), mapping))),
            Self::Microchip => Kind::Microchip(microchip::Microchip::new(file, input)),
            Self::X509 => Kind::X509(Box::new(x509::X509::new(lines(input)))),
            Self::Foreign(foreign) => Kind::Refused(Some(foreign.refuse(file))),
        }))
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "jsonl" => Ok(Self::Jsonl),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "microchip" => Ok(Self::Microchip),
            "x509" | "pkcs10" => Ok(Self::X509),
            _ => Err(Error::Argument {
                what: "--format",
                why:
                    "the formats are jsonl, json, csv, microchip, x509 and pkcs10; leave it away to \
                      have it recognised"
                        .into(),
            }),
        }
    }
}

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are drafts, and a box for each row costs more"
)]
pub enum Item {
    /// A row; its texts are not checked yet.
    Draft(Draft),
    /// A row that cannot be read.
    Refused {
        /// Where it begins, from 1.
        line: u64,
        /// Why.
        fault: RowFault,
    },
    /// Something the user should know. Reading goes on.
    Warning(String),
}

/// Reads a manifest. After an error (the file as a whole is refused) it is at its end.
#[derive(Debug)]
pub struct Reader<R>(Option<Kind<R>>);

#[derive(Debug)]
enum Kind<R> {
    Jsonl(jsonl::Jsonl<R>),
    Json(objects::Objects<R>),
    Csv(Box<csv::Csv<R>>),
    Microchip(microchip::Microchip<R>),
    X509(Box<x509::X509<R>>),
    Refused(Option<Error>),
}

impl<R: BufRead> Reader<R> {
    /// Where the row that was given last stands, if it can be taken out of its file whole: for
    /// rows of lines, tables and JSON.
    pub fn span(&self) -> Option<Span> {
        match self.0.as_ref()? {
            Kind::Jsonl(reader) => reader.span,
            Kind::Json(reader) => reader.pieces.span,
            Kind::Csv(reader) => reader.span,
            Kind::Microchip(reader) => reader.0.span,
            Kind::X509(_) | Kind::Refused(_) => None,
        }
    }

    /// Bytes at the beginning of the file that belong to all its rows: byte order mark, header.
    pub fn preface(&self) -> u64 {
        let preface = match &self.0 {
            Some(Kind::Jsonl(reader)) => reader.preface,
            Some(Kind::Csv(reader)) => reader.preface,
            _ => None,
        };
        preface.unwrap_or(0)
    }

    /// Whether `line` is the number of an entry or document, since the file has no lines.
    pub fn counts_entries(&self) -> bool {
        match &self.0 {
            Some(Kind::Json(_) | Kind::Microchip(_)) => true,
            Some(Kind::X509(reader)) => reader.is_binary(),
            _ => false,
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.0.as_mut()? {
            Kind::Jsonl(reader) => reader.next(),
            Kind::Json(reader) => reader.next(),
            Kind::Csv(reader) => reader.next(),
            Kind::Microchip(reader) => reader.next(),
            Kind::X509(reader) => reader.next(),
            Kind::Refused(error) => error.take().map(Err),
        };
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}
