//! JSON that is not made of lines: an array of objects, or objects that span several lines.

use super::json_rows::{JsonRows, PrivateKey};
use super::pieces::Pieces;
use super::scan::Scanner;
use super::{Item, Mapping};
use crate::Error;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Objects<R> {
    pub(super) pieces: Pieces<R>,
    rows: JsonRows,
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(file: &str, input: R, mapping: Mapping) -> Self {
        let pieces = Pieces::new(file, input, Scanner::of_objects());
        Self { pieces, rows: JsonRows::new(mapping) }
    }
}

/// Whether a file begins like one of these. An object that is not closed in its first line, where a
/// value or member may follow, spans lines; a line that was cut ends elsewhere most of the time.
pub(super) fn is_objects(head: &[u8]) -> bool {
    match head {
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b']')),
        [b'{', ..] => match head.iter().position(|b| *b == b'\n') {
            Some(end) => is_open(&head[..end]),
            None => false,
        },
        _ => false,
    }
}

/// Whether a line ends within an object, outside of its texts.
fn is_open(line: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let last = line.trim_ascii_end().last();
    depth > 0 && !quoted && matches!(last, Some(b'{' | b'[' | b',' | b':'))
}

impl<R: BufRead> Iterator for Objects<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.rows.ready.pop_front() {
                return Some(Ok(item));
            }
            match self.pieces.next()? {
                Ok((number, Ok(text))) => {
                    if let Err(PrivateKey(field)) = self.rows.row(number, &text) {
                        return Some(Err(self.pieces.private_key(number, field)));
                    }
                }
                Ok((line, Err(fault))) => self.rows.ready.push_back(Item::Refused { line, fault }),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
