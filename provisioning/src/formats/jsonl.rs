//! JSON lines.

use super::json_rows::{JsonRows, PrivateKey};
use super::lines::Lines;
use super::{Item, Mapping, Span};
use crate::Error;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Jsonl<R> {
    lines: Lines<R>,
    rows: JsonRows,
    /// Where the last row stands.
    pub(super) span: Option<Span>,
    /// Bytes before the first one: a byte order mark.
    pub(super) preface: Option<u64>,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) fn new(lines: Lines<R>, mapping: Mapping) -> Self {
        Self { lines, rows: JsonRows::new(mapping), span: None, preface: None }
    }
}

impl<R: BufRead> Iterator for Jsonl<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.rows.ready.pop_front() {
                return Some(Ok(item));
            }
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            self.span = line.span;
            self.preface = self.preface.or(line.span.map(|span| span.at));
            match line.text {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    if let Err(PrivateKey(field)) = self.rows.row(line.number, &text) {
                        return Some(Err(self.lines.private_key(line.number, field)));
                    }
                }
                Err(fault) => {
                    self.rows.ready.push_back(Item::Refused { line: line.number, fault });
                }
            }
        }
    }
}
