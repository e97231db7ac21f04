//! Cuts a JSON array, or objects that follow each other, into its entries, a byte at a time, in bounded memory. Where an entry is
//! broken the next one is found again, so a lost quote or brace costs one row.

use super::lines::BYTE_ORDER_MARK;
use super::{Span, secrets};
use crate::limits::{ENTRY_DEPTH, ROW_BYTES};
use std::mem::take;

/// Bytes kept when a part of a long entry is dropped, so that a word across the cut is found.
const OVERLAP: usize = 64;

/// One entry of the array, or what stands in its place.
#[derive(Debug)]
pub(super) struct Piece {
    /// The entry's number, from 1.
    pub(super) number: u64,
    /// The line of the file where it begins, from 1.
    pub(super) line: u64,
    /// Where it stands, if there is no trouble.
    pub(super) span: Option<Span>,
    /// The entry; if there is trouble, what is left of it.
    pub(super) bytes: Vec<u8>,
    pub(super) trouble: Option<Trouble>,
}

/// Why an entry cannot be read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Code and reason of the refusal.
    Fault(&'static str, &'static str),
    /// Private key material stands in what cannot be read.
    PrivateKey,
    /// The file is no array at all.
    NotAnArray,
}

#[derive(Debug, Default)]
pub(super) struct Scanner {
    place: Place,
    entry: Entry,
    /// Entries begun so far.
    number: u64,
    /// Line ends so far.
    lines: u64,
    /// Bytes so far.
    at: u64,
    /// The place of the last opening brace within a string, where an entry may turn out to begin.
    brace: u64,
    /// Bytes of the byte order mark that were read.
    mark: usize,
    /// Objects may stand there without an array around them.
    may_be_bare: bool,
    /// They do.
    bare: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the array.
    #[default]
    Start,
    /// In the array, between entries.
    Between,
    /// In an entry.
    Entry,
    /// In something between entries that is none.
    Junk,
    /// Behind the array.
    After,
    /// Nothing more will come.
    Done,
}

/// The entry that is being read.
#[derive(Debug, Default)]
struct Entry {
    bytes: Vec<u8>,
    line: u64,
    /// Bytes of the file before it.
    at: u64,
    depth: u32,
    /// The innermost containers, one bit each: 1 is an array.
    arrays: u64,
    quoted: bool,
    escaped: bool,
    /// In a string: how much was seen of `},{`, which no string of a manifest holds.
    boundary: u8,
    /// The last string went to the end of its line and ended in `},`.
    lost: bool,
    /// The last byte outside of strings that is no blank.
    last: u8,
    fault: Option<(&'static str, &'static str)>,
    private_key: bool,
}

impl Scanner {
    /// One for objects with or without an array around them.
    pub(super) fn of_objects() -> Self {
        Self { may_be_bare: true, ..Self::default() }
    }

    pub(super) fn feed(&mut self, byte: u8) -> Option<Piece> {
        self.lines += u64::from(byte == b'\n');
        self.at += 1;
        match self.place {
            Place::Start => self.start(byte),
            Place::Between => match byte {
                b',' | b' ' | b'\t' | b'\r' | b'\n' => None,
                b']' => self.go(Place::After),
                b'{' | b'[' => self.begin(&[byte], self.at - 1),
                _ => self.junk(byte, "something that is no object stands between the entries"),
            },
            Place::Entry => self.inside(byte),
            Place::Junk => match byte {
                b']' => self.finish(Place::After),
                b'{' | b'[' => {
                    let piece = self.finish(Place::Between);
                    self.begin(&[byte], self.at - 1);
                    piece
                }
                _ => self.keep(byte),
            },
            Place::After => match byte {
                b' ' | b'\t' | b'\r' | b'\n' => None,
                // Manifests are joined by tools that know nothing of JSON.
                b'[' => self.go(Place::Between),
                // Or the bracket did not close anything.
                _ => self.junk(byte, "text stands behind the closing bracket"),
            },
            Place::Done => None,
        }
    }

    /// The file is at its end.
    pub(super) fn end(&mut self) -> Option<Piece> {
        let cut = match self.bare {
            true => ("cut-short", "the file ends here, before the closing brace"),
            false => ("cut-short", "the file ends here, before the closing bracket"),
        };
        match self.place {
            Place::After | Place::Done => None,
            Place::Between if self.bare => None,
            Place::Start => self.no_array(0),
            Place::Entry | Place::Junk => {
                self.entry.fault.get_or_insert(cut);
                self.finish(Place::Done)
            }
            Place::Between => {
                self.begin(&[], self.at);
                self.entry.fault = Some(cut);
                self.finish(Place::Done)
            }
        }
    }

    fn start(&mut self, byte: u8) -> Option<Piece> {
        match byte {
            b'[' => self.go(Place::Between),
            b'{' if self.may_be_bare => {
                self.bare = true;
                self.begin(b"{", self.at - 1)
            }
            b' ' | b'\t' | b'\r' | b'\n' => None,
            _ if BYTE_ORDER_MARK.get(self.mark) == Some(&byte) => {
                self.mark += 1;
                None
            }
            _ => self.no_array(byte),
        }
    }

    fn no_array(&mut self, byte: u8) -> Option<Piece> {
        self.place = Place::Done;
        let trouble = Some(Trouble::NotAnArray);
        Some(Piece { number: 1, line: 1, span: None, bytes: vec![byte], trouble })
    }

    fn go(&mut self, place: Place) -> Option<Piece> {
        self.place = place;
        None
    }

    fn begin(&mut self, first: &[u8], at: u64) -> Option<Piece> {
        self.place = Place::Between;
        self.number += 1;
        self.entry = Entry { line: self.lines + 1, at, ..Entry::default() };
        for byte in first {
            self.place = Place::Entry;
            self.inside(*byte);
        }
        None
    }

    fn junk(&mut self, byte: u8, reason: &'static str) -> Option<Piece> {
        self.begin(&[], self.at - 1);
        self.place = Place::Junk;
        self.entry.fault = Some(("not-json", reason));
        self.keep(byte)
    }

    fn keep(&mut self, byte: u8) -> Option<Piece> {
        self.entry.keep(byte);
        None
    }

    fn finish(&mut self, next: Place) -> Option<Piece> {
        self.place = next;
        let entry = take(&mut self.entry);
        let secret =
            entry.private_key || (entry.fault.is_some() && secrets::in_unreadable(&entry.bytes));
        let trouble = match entry.fault {
            _ if secret => Some(Trouble::PrivateKey),
            Some((code, reason)) => Some(Trouble::Fault(code, reason)),
            None => None,
        };
        let span = Span::between(entry.at, self.at).filter(|_| trouble.is_none());
        Some(Piece { number: self.number, line: entry.line, span, bytes: entry.bytes, trouble })
    }

    /// The entry is broken, and another begins with `first`.
    fn resume(&mut self, first: &[u8], at: u64, reason: &'static str) -> Option<Piece> {
        self.entry.fault.get_or_insert(("not-json", reason));
        let piece = self.finish(Place::Between);
        self.begin(first, at);
        piece
    }

    fn inside(&mut self, byte: u8) -> Option<Piece> {
        let entry = &mut self.entry;
        if entry.quoted {
            return match (byte, entry.boundary) {
                (b'"', 3) if !entry.escaped => {
                    self.resume(b"{\"", self.brace, "a quote is not closed, or stands alone")
                }
                _ => {
                    entry.in_string(byte);
                    if byte == b'{' {
                        self.brace = self.at - 1;
                    }
                    self.keep(byte)
                }
            };
        }
        match byte {
            // In an object a comma is followed by a name: the brace that closes was lost.
            b'{' if entry.lost || (entry.last == b',' && !entry.in_array()) => {
                return self.resume(b"{", self.at - 1, "a brace is not closed");
            }
            // It stands for something else, a quote or a brace.
            b'[' if !entry.may_hold_array() => {
                entry.fault.get_or_insert(("not-json", "a bracket opens where no value may be"));
            }
            b'{' | b'[' => entry.open(byte == b'['),
            b'}' | b']' => entry.close(byte == b']'),
            b'"' => {
                entry.quoted = true;
                // Two texts in a row: it may stand for the brace that closes the entry.
                entry.boundary = u8::from(entry.last == b'"');
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            entry.last = byte;
            entry.lost = false;
        }
        entry.keep(byte);
        if entry.depth == 0 { self.finish(Place::Between) } else { None }
    }
}

impl Entry {
    fn in_string(&mut self, byte: u8) {
        // RFC 8259 §7: what is none of these is not escaped, and the backslash stands for a quote.
        if take(&mut self.escaped) && br#""\/bfnrtu"#.contains(&byte) {
            self.boundary = 0;
            return;
        }
        match byte {
            b'\\' => self.escaped = true,
            b'"' => self.quoted = false,
            // RFC 8259 §7: no line end stands in a string. So the quote was not closed.
            b'\n' => {
                self.quoted = false;
                self.last = b'"';
                self.lost = self.boundary == 2;
                self.fault.get_or_insert(("not-json", "a quote is not closed in its line"));
            }
            _ => {}
        }
        self.boundary = match (byte, self.boundary) {
            (b'}', _) => 1,
            (b',', 1) => 2,
            (b'{', 2) => 3,
            (b' ' | b'\r' | b'\t', seen) => seen,
            _ => 0,
        };
    }

    fn in_array(&self) -> bool {
        self.arrays & 1 == 1
    }

    /// Whether an array may begin here (RFC 8259 §4, §5).
    fn may_hold_array(&self) -> bool {
        match self.last {
            b':' | 0 => true,
            b'[' | b',' => self.in_array(),
            _ => false,
        }
    }

    fn open(&mut self, array: bool) {
        self.depth = self.depth.saturating_add(1);
        self.arrays = self.arrays << 1 | u64::from(array);
        if self.depth > ENTRY_DEPTH {
            self.fault.get_or_insert(("not-json", "the entry is nested deeper than 64"));
        }
    }

    fn close(&mut self, array: bool) {
        if self.in_array() != array && self.depth <= ENTRY_DEPTH {
            self.fault.get_or_insert(("not-json", "a bracket is closed by one of another kind"));
        }
        self.depth = self.depth.saturating_sub(1);
        self.arrays >>= 1;
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() >= ROW_BYTES {
            self.fault = Some(("row-too-long", "the entry is longer than 65,536 bytes"));
            self.private_key |= secrets::in_unreadable(&self.bytes);
            self.bytes.drain(..self.bytes.len() - OVERLAP);
        }
        self.bytes.push(byte);
    }
}
