//! Device certificates (RFC 5280) and signing requests (PKCS#10, RFC 2986): one in DER, any number
//! in PEM, or a list with one in base64 a line (`docs/formats/certificates.md`).

mod judge;

pub(super) use judge::{certificate, request};

use super::Item;
use super::document::{Document, Papers};
use super::fields::Draft;
use super::key_text::base64;
use super::lines::{Line, Lines};
use super::secrets::shown;
use crate::limits::{CHAIN, ROW_BYTES};
use crate::x509::{CERTIFICATE_BYTES, private_key};
use crate::{Error, RowFault};
use std::collections::VecDeque;
use std::io::BufRead;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    Request,
}

const BEGIN: &str = "-----BEGIN ";
const GLUED: &str = "----------BEGIN ";

/// What a text in a cell is, if it is a certificate or request in PEM or base64.
pub(super) fn kind_of_text(text: &str) -> Option<Kind> {
    match text.strip_prefix(BEGIN) {
        Some(rest) => kind_of_label(rest.split_once("-----")?.0),
        None if is_base64_line(text) => kind_of_der(&base64(text)?),
        None => None,
    }
}

/// RFC 7468 §5, §7, and what older tools write.
fn kind_of_label(label: &str) -> Option<Kind> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Some(Kind::Certificate),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(Kind::Request),
        _ => None,
    }
}

/// Both are a SEQUENCE in a SEQUENCE. A certificate goes on with `[0]`, a request with its
/// version, which is 0.
pub(super) fn kind_of_der(der: &[u8]) -> Option<Kind> {
    let inner = enter(enter(der)?)?;
    match inner {
        [0xa0, 3, 2, 1, ..] => Some(Kind::Certificate),
        [2, 1, 0, 0x30, ..] => Some(Kind::Request),
        // Version 1 has no version.
        [2, ..] => Some(Kind::Certificate),
        _ => None,
    }
}

/// What a SEQUENCE holds, though the end may be missing.
fn enter(der: &[u8]) -> Option<&[u8]> {
    match der {
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => Some(rest),
        [0x30, 0x83, _, _, _, rest @ ..] => Some(rest),
        [0x30, 0..=0x7f, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Whether a line is base64 of DER that is long enough for a certificate or request.
fn is_base64_line(line: &str) -> bool {
    line.len() >= 128
        && line.starts_with("MI")
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))
}

/// Whether a file begins like one of these. `head` is without byte order mark and blanks.
pub(super) fn is_x509(head: &[u8]) -> bool {
    if head.starts_with(BEGIN.as_bytes()) {
        return true;
    }
    // What tools print before the PEM block.
    let words: [&[u8]; 3] = [b"Certificate:", b"Certificate Request:", b"Bag Attributes"];
    if words.iter().any(|word| head.starts_with(word)) {
        return true;
    }
    let line = head.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    is_der(head) || str::from_utf8(line).is_ok_and(is_base64_line)
}

/// DER of anything that may be a document or a private key.
pub(super) fn is_der(head: &[u8]) -> bool {
    matches!(head, [0x30, 0x81..=0x83, ..]) || private_key(head).is_some()
}

#[derive(Debug)]
pub(super) struct X509<R> {
    lines: Lines<R>,
    begun: bool,
    /// Whether every line is a document in base64.
    list: bool,
    /// A device's certificate that may be followed by those of its issuers.
    held: Option<(u64, Papers)>,
    ready: VecDeque<Item>,
    block: Option<Block>,
    ended: bool,
}

/// A PEM block, as it is read.
#[derive(Debug)]
struct Block {
    line: u64,
    label: String,
    text: String,
    too_long: bool,
    /// A line of it that cannot be read.
    fault: Option<RowFault>,
}

impl<R: BufRead> X509<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        let ready = VecDeque::new();
        Self { lines, begun: false, list: false, held: None, ready, block: None, ended: false }
    }

    /// One document in DER.
    fn binary(&mut self) -> Result<(), Error> {
        let der = self.lines.rest(CERTIFICATE_BYTES + 1)?;
        self.ended = true;
        self.take(1, der)
    }

    /// Reads lines until something is ready.
    fn text(&mut self) -> Result<(), Error> {
        while self.ready.is_empty() {
            let Some(Line { number, text }) = self.lines.next().transpose()? else {
                self.ended = true;
                if let Some(Block { line, .. }) = self.block.take() {
                    self.refuse(line, "cut-short", "the file ends within a PEM block");
                }
                self.release();
                return Ok(());
            };
            match text {
                Ok(text) => {
                    // Files without a last line end, one behind the other.
                    let glued = text.find(GLUED).map_or(text.len(), |at| at + 5);
                    self.line(number, text[..glued].trim())?;
                    self.line(number, text[glued..].trim())?;
                }
                // It spoils the block that it stands in, and nothing else.
                Err(fault) if self.block.is_some() => {
                    if let Some(open) = &mut self.block {
                        open.fault.get_or_insert(fault);
                    }
                }
                Err(fault) => {
                    self.release();
                    self.ready.push_back(Item::Refused { line: number, fault });
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, number: u64, text: &str) -> Result<(), Error> {
        if let Some(label) = text.strip_prefix(BEGIN).and_then(|t| t.strip_suffix("-----")) {
            if let Some(Block { line, .. }) = self.block.take() {
                self.refuse(line, "pem", "a PEM block begins within another");
            }
            let label = shown(label);
            let (text, too_long, fault) = (String::new(), false, None);
            self.block = Some(Block { line: number, label, text, too_long, fault });
            self.begun = true;
        } else if let Some(open) = &mut self.block {
            if let Some(end) = text.strip_prefix("-----END ") {
                let same = end.strip_suffix("-----") == Some(&*open.label);
                if let Some(block) = self.block.take() {
                    self.end_block(block, same)?;
                }
            } else if open.text.len() + text.len() > ROW_BYTES {
                open.too_long = true;
            } else {
                open.text.push_str(text);
            }
        } else if !text.is_empty() {
            self.list |= !self.begun && is_base64_line(text);
            self.begun = true;
            if self.list || is_base64_line(text) {
                match base64(text) {
                    Some(der) => self.take(number, der)?,
                    None => self.refuse(number, "pem", "the line is not base64"),
                }
            }
        }
        Ok(())
    }

    fn end_block(&mut self, block: Block, closed: bool) -> Result<(), Error> {
        let Block { line, label, text, too_long, fault } = block;
        if let Some(fault) = fault {
            self.release();
            self.ready.push_back(Item::Refused { line, fault });
            return Ok(());
        }
        if too_long {
            self.refuse(line, "row-too-long", "the PEM block is longer than 65,536 bytes");
            return Ok(());
        }
        if !closed {
            self.refuse(line, "pem", "the PEM block ends by another name than it began");
            return Ok(());
        }
        let Some(der) = base64(&text) else {
            self.refuse(line, "pem", "the PEM block is not base64");
            return Ok(());
        };
        if kind_of_label(&label).is_none() && private_key(&der).is_none() {
            let why = format!("a PEM block of {label} is neither certificate nor signing request");
            self.refuse(line, "pem", &why);
            return Ok(());
        }
        self.take(line, der)
    }

    /// One document in DER, from wherever.
    fn take(&mut self, line: u64, der: Vec<u8>) -> Result<(), Error> {
        if private_key(&der).is_some() {
            return Err(self.lines.private_key(line, "row"));
        }
        match kind_of_der(&der) {
            Some(Kind::Certificate) => match &mut self.held {
                Some((_, papers)) if seems_ca(&der) && papers.chain.len() < CHAIN => {
                    papers.chain.push(der.into());
                }
                _ => {
                    self.release();
                    let papers = Papers { certificate: der.into(), chain: Vec::new() };
                    self.held = Some((line, papers));
                    if self.list {
                        self.release();
                    }
                }
            },
            Some(Kind::Request) => {
                self.release();
                self.draft(line, Document::Request(der.into()));
            }
            None => self.refuse(line, "certificate", "neither a certificate nor a signing request"),
        }
        Ok(())
    }

    /// Lets go of the certificate that waited for its issuers.
    fn release(&mut self) {
        if let Some((line, papers)) = self.held.take() {
            self.draft(line, Document::Certificate(papers.into()));
        }
    }

    fn draft(&mut self, line: u64, document: Document) {
        let document = Some(document);
        self.ready.push_back(Item::Draft(Draft { line, document, ..Draft::default() }));
    }

    fn refuse(&mut self, line: u64, code: &'static str, reason: &str) {
        self.release();
        self.ready.push_back(Item::Refused { line, fault: RowFault::new(code, reason) });
    }

    fn item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.ended {
                if self.held.is_none() {
                    return Ok(None);
                }
                self.release();
                continue;
            }
            // DER begins with a SEQUENCE, 0x30, which is also the digit 0: base64 of DER is not.
            if !self.begun && is_der(self.lines.head()?) {
                self.begun = true;
                self.binary()?;
            } else {
                self.text()?;
            }
        }
    }
}

impl<R: BufRead> Iterator for X509<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.item().transpose()
    }
}

/// Whether a certificate says that it is an issuer's: `cA` in its basicConstraints (RFC 5280
/// §4.2.1.9). Only to tell the chain of a device from the next device; the judge reads it fully.
fn seems_ca(der: &[u8]) -> bool {
    let oid = b"\x06\x03\x55\x1d\x13";
    let Some(at) = der.windows(oid.len()).position(|window| window == oid) else { return false };
    let after = &der[at + oid.len()..];
    after.iter().take(16).collect::<Vec<_>>().windows(4).any(|w| {
        matches!(w, [0x30, _, 1, 1]) // BOOLEAN: in DER it is there only if it is true
    })
}
