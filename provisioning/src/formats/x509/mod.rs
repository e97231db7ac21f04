//! Device certificates (RFC 5280) and signing requests (PKCS#10, RFC 2986): one in DER, any number
//! in PEM, or a list with one in base64 a line (`docs/formats/certificates.md`).

mod judge;
mod kind;
mod other;

pub(super) use judge::{certificate, request};
pub(super) use kind::{Kind, is_x509, kind_of_text};

use super::Item;
use super::document::{Document, Papers};
use super::fields::Draft;
use super::key_text::{base64, hex_der};
use super::lines::{Line, Lines};
use super::secrets::shown;
use crate::limits::{CHAIN, ROW_BYTES};
use crate::x509::{CERTIFICATE_BYTES, private_key};
use crate::{Error, RowFault, Unit};
use kind::{
    is_base64_line, is_der, is_wrapped, kind_of_der, kind_of_label, seems_ca, whole_length,
};
use other::{Other, is_voucher};
use std::collections::VecDeque;
use std::io::BufRead;

const BEGIN: &str = "-----BEGIN ";
const GLUED: &str = "----------BEGIN ";

#[derive(Debug)]
pub(super) struct X509<R> {
    lines: Lines<R>,
    begun: bool,
    /// Whether every line is a document in base64.
    list: bool,
    /// Certificates of issuers at the beginning, before any row: they may be the chain of all
    /// devices behind them.
    first: Vec<(u64, Box<[u8]>)>,
    /// Whether they turned out to be that.
    shared: bool,
    /// Whether there was a row.
    any: bool,
    /// Whether there was a voucher.
    voucher: bool,
    /// A device's certificate that may be followed by those of its issuers.
    held: Option<(u64, Papers)>,
    ready: VecDeque<Item>,
    block: Option<Block>,
    /// In a file of DER: how many documents there were.
    binary: Option<u64>,
    ended: bool,
}

/// A PEM block, as it is read.
#[derive(Debug)]
struct Block {
    line: u64,
    label: String,
    text: String,
    too_long: bool,
    /// Without first and last line: the length of its lines but the last.
    width: Option<usize>,
    /// A line of it that cannot be read.
    fault: Option<RowFault>,
}

impl<R: BufRead> X509<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        Self {
            lines,
            begun: false,
            list: false,
            first: Vec::new(),
            shared: false,
            any: false,
            voucher: false,
            held: None,
            ready: VecDeque::new(),
            block: None,
            binary: None,
            ended: false,
        }
    }

    /// Whether documents stand in it one behind the other, in DER.
    pub(super) fn is_binary(&self) -> bool {
        self.binary.is_some()
    }

    /// The next document in DER. Several may stand one behind the other: the number is the place.
    fn binary(&mut self, number: u64) -> Result<(), Error> {
        self.binary = Some(number);
        let mut der = self.lines.rest(4)?;
        if number > 1 && der.trim_ascii().is_empty() {
            self.ended = true;
            return Ok(());
        }
        if number == 1 && der.first() != Some(&0x30) {
            // Only a voucher is recognised that is no DER.
            self.ended = true;
            self.refuse_other(number, Other::Voucher);
            return Ok(());
        }
        let whole = whole_length(&der).filter(|whole| *whole <= CERTIFICATE_BYTES);
        let missing = whole.unwrap_or(CERTIFICATE_BYTES + 1).saturating_sub(der.len());
        der.extend(self.lines.rest(missing)?);
        // What is no document, or too long for one, has no end behind which another could stand.
        self.ended = whole.is_none_or(|whole| der.len() < whole);
        self.take(number, der)
    }

    /// Reads lines until something is ready.
    fn text(&mut self) -> Result<(), Error> {
        while self.ready.is_empty() {
            let line = self.lines.next().transpose();
            let Some(Line { number, text, .. }) = line.map_err(|error| self.behind(error))? else {
                self.ended = true;
                match self.block.take() {
                    Some(block) if block.width.is_some() => self.end_block(block, true)?,
                    Some(Block { line, .. }) => {
                        self.refuse(line, "cut-short", "the file ends within a PEM block");
                    }
                    None => {}
                }
                self.release();
                return Ok(());
            };
            match text {
                Ok(text) => {
                    // Files without a last line end, one behind the other.
                    let glued = text.find(GLUED).map_or(text.len(), |at| at + 5);
                    self.line(number, text[..glued].trim())?;
                    if glued < text.len() {
                        self.line(number, text[glued..].trim())?;
                    }
                }
                // It spoils the block that it stands in, and nothing else.
                Err(fault) if self.block.is_some() => {
                    if let Some(open) = &mut self.block {
                        open.fault.get_or_insert(fault);
                    }
                }
                Err(fault) => {
                    self.refuse_for(number, fault);
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
            let (text, too_long, width, fault) = (String::new(), false, None, None);
            self.block = Some(Block { line: number, label, text, too_long, width, fault });
            self.begun = true;
        } else if !self.begun && is_wrapped(text) {
            self.begun = true;
            let (label, too_long, width, fault) = (String::new(), false, Some(text.len()), None);
            let text = text.into();
            self.block = Some(Block { line: number, label, text, too_long, width, fault });
        } else if let Some(open) = &mut self.block {
            if open.width.is_some_and(|width| text.len() < width) {
                open.text.push_str(text);
                if let Some(block) = self.block.take() {
                    self.end_block(block, true)?;
                }
            } else if let Some(end) = text.strip_prefix("-----END ") {
                let same = end.strip_suffix("-----") == Some(&*open.label);
                if let Some(block) = self.block.take() {
                    self.end_block(block, same)?;
                }
            } else if open.text.len() + text.len() > ROW_BYTES {
                open.too_long = true;
            } else {
                open.text.push_str(text);
            }
        } else if text.starts_with(BEGIN.trim_end()) {
            self.begun = true;
            self.refuse(number, "cut-short", "the first line of a PEM block is not whole");
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
        let Block { line, label, text, too_long, width, fault } = block;
        if let Some(fault) = fault {
            self.refuse_for(line, fault);
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
        if let Some(other) = Other::of_label(&label).filter(|_| private_key(&der).is_none()) {
            self.refuse_other(line, other);
            return Ok(());
        }
        if width.is_none() && kind_of_label(&label).is_none() && private_key(&der).is_none() {
            let why = format!("a PEM block of {label} is neither certificate nor signing request");
            self.refuse(line, "pem", &why);
            return Ok(());
        }
        self.take(line, der)
    }

    /// One document in DER, from wherever.
    fn take(&mut self, line: u64, der: Vec<u8>) -> Result<(), Error> {
        if private_key(&der).is_some() {
            return Err(match self.lines.private_key(line, "row") {
                Error::PrivateKey { file, line, field, .. } if self.is_binary() => {
                    Error::PrivateKey { file, line, unit: Unit::Entry, field }
                }
                error => error,
            });
        }
        if let Some(other) = Other::of_der(&der) {
            self.refuse_other(line, other);
            return Ok(());
        }
        match kind_of_der(&der) {
            Some(Kind::Certificate) => self.certificate(line, der),
            Some(Kind::Request) => {
                self.release();
                self.draft(line, Document::Request(der.into()));
            }
            None => self.refuse(line, "certificate", "neither a certificate nor a signing request"),
        }
        Ok(())
    }

    fn certificate(&mut self, line: u64, der: Vec<u8>) {
        let issuer = seems_ca(&der) && !self.list;
        let first = issuer && !self.any && !self.shared && self.first.len() < CHAIN;
        match &mut self.held {
            None if first => self.first.push((line, der.into())),
            Some((_, papers))
                if issuer && papers.chain.len() < CHAIN && !seems_ca(&papers.certificate) =>
            {
                papers.chain.push(der.into());
            }
            _ => {
                self.shared |= !issuer && !self.any;
                self.release();
                let papers = Papers { certificate: der.into(), chain: Vec::new() };
                self.held = Some((line, papers));
                if self.list {
                    self.release();
                }
            }
        }
    }

    /// Lets go of the certificate that waited for its issuers; or of issuers that waited for a
    /// device, which are rows then.
    fn release(&mut self) {
        if !self.shared {
            for (line, der) in std::mem::take(&mut self.first) {
                let papers = Papers { certificate: der, chain: Vec::new() };
                self.draft(line, Document::Certificate(papers.into()));
            }
        }
        if let Some((line, mut papers)) = self.held.take() {
            for (_, issuer) in &self.first {
                if papers.chain.len() < CHAIN && !papers.chain.contains(issuer) {
                    papers.chain.push(issuer.clone());
                }
            }
            self.draft(line, Document::Certificate(papers.into()));
        }
    }

    fn draft(&mut self, line: u64, document: Document) {
        self.any = true;
        let document = Some(document);
        self.ready.push_back(Item::Draft(Draft { line, document, ..Draft::default() }));
    }

    /// Names what a private key stands behind: vouchers come with one when they are samples.
    fn behind(&self, error: Error) -> Error {
        match error {
            Error::PrivateKey { file, line, unit, .. } if self.voucher => {
                let field = "PEM behind a FIDO ownership voucher".into();
                Error::PrivateKey { file, line, unit, field }
            }
            error => error,
        }
    }

    fn refuse_other(&mut self, line: u64, other: Other) {
        self.voucher |= other == Other::Voucher;
        let (code, reason) = other.fault();
        self.refuse(line, code, reason);
    }

    fn refuse(&mut self, line: u64, code: &'static str, reason: &str) {
        self.refuse_for(line, RowFault::new(code, reason));
    }

    fn refuse_for(&mut self, line: u64, fault: RowFault) {
        self.release();
        self.any = true;
        self.ready.push_back(Item::Refused { line, fault });
    }

    fn item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.ended {
                if self.held.is_none() && (self.shared || self.first.is_empty()) {
                    return Ok(None);
                }
                self.release();
                continue;
            }
            // DER begins with a SEQUENCE, 0x30, which is also the digit 0: base64 of DER is not.
            if let Some(number) = self.binary {
                self.binary(number + 1)?;
                continue;
            }
            let head = if self.begun { &[] } else { self.lines.head()? };
            if is_der(head) || is_voucher(head) {
                self.begun = true;
                self.binary(1)?;
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
