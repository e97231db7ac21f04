//! Separated values with a header (RFC 4180), as spreadsheets and line tools really write them.

use super::fields::{Draft, Field, Unknown, is_unique_id};
use super::lines::{Line, Lines};
use super::{Item, secrets};
use crate::limits::{COLUMNS, OPEN_QUOTES, ROW_BYTES};
use crate::{Error, RowFault};
use std::collections::VecDeque;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Csv<R> {
    lines: Lines<R>,
    /// Lines that were read as part of a record that came to nothing.
    again: VecDeque<Line>,
    open_quotes: u32,
    /// Found out from the header.
    delimiter: Option<char>,
    /// Which field each column is, if any, and its name to show; empty before the header.
    columns: Vec<(Option<Field>, String)>,
    warnings: VecDeque<String>,
}

/// A record: where it begins and its cells, or why there are none.
type Record = (u64, Result<Vec<String>, RowFault>);

impl<R: BufRead> Csv<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        Self {
            lines,
            again: VecDeque::new(),
            open_quotes: 0,
            delimiter: None,
            columns: Vec::new(),
            warnings: VecDeque::new(),
        }
    }

    fn line(&mut self) -> Option<Result<Line, Error>> {
        self.again.pop_front().map(Ok).or_else(|| self.lines.next())
    }

    /// The next record that is not blank.
    fn record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some(first) = self.line().transpose()? else { return Ok(None) };
            let first_text = match first.text {
                Err(fault) => return Ok(Some((first.number, Err(fault)))),
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => text,
            };
            let delimiter = *self.delimiter.get_or_insert_with(|| likely_delimiter(&first_text));
            let mut splitter = Splitter::new(delimiter);
            splitter.feed(&first_text);
            let (mut held, mut size) = (VecDeque::new(), first_text.len());
            // A quoted cell goes on in the next line. If its end does not come within the bound
            // of a row, only the first line is lost: the others are read again.
            while splitter.open() {
                let next = self.line().transpose()?;
                let text = next.as_ref().and_then(|line| line.text.as_ref().ok());
                size += text.map_or(0, |text| text.len() + 1);
                let goes_on = text.is_some() && size <= ROW_BYTES;
                if let (true, Some(text)) = (goes_on, text) {
                    splitter.feed_line_end();
                    splitter.feed(text);
                }
                held.extend(next);
                if !goes_on {
                    held.append(&mut self.again);
                    self.again = held;
                    self.lines.search(first.number, first_text.as_bytes())?;
                    self.open_quotes += 1;
                    if self.open_quotes > OPEN_QUOTES {
                        let why = "more than 1,000 quotes are opened and not closed";
                        return Err(self.lines.fault(why, "check how the file was exported"));
                    }
                    let reason = "a quote is opened and not closed within 65,536 bytes";
                    return Ok(Some((first.number, Err(RowFault::new("unclosed-quote", reason)))));
                }
            }
            let cells = splitter.finish();
            if cells.is_err() {
                self.lines.search(first.number, first_text.as_bytes())?;
            }
            if cells.as_ref().is_ok_and(|cells| cells.iter().all(|cell| cell.trim().is_empty())) {
                continue;
            }
            return Ok(Some((first.number, cells)));
        }
    }

    fn read_header(&mut self) -> Result<(), Error> {
        let Some((line, cells)) = self.record()? else { return Ok(()) };
        let names = cells.map_err(|fault| self.lines.fault(fault.reason, fault.cure))?;
        if names.len() > COLUMNS {
            return Err(self.lines.fault("more than 256 columns", "is it a manifest?"));
        }
        let mut unknown = Unknown::default();
        for name in names {
            if secrets::in_name(&name) {
                return Err(self.lines.private_key(line, secrets::shown(&name)));
            }
            if secrets::in_text(&name) {
                return Err(self.lines.private_key(line, "row"));
            }
            let field = Field::named(&name);
            if field.is_some() && self.columns.iter().any(|(known, _)| *known == field) {
                let why = format!("the column `{}` stands twice", secrets::shown(&name));
                return Err(self.lines.fault(why, "remove or rename one"));
            }
            if field.is_none() && !name.trim().is_empty() && !is_unique_id(&name) {
                self.warnings.extend(unknown.warn(line, &name));
            }
            self.columns.push((field, secrets::shown(name.trim())));
        }
        if !self.columns.iter().any(|(field, _)| *field == Some(Field::Serial)) {
            // The name that chip vendors have for it.
            let id = self.columns.iter_mut().find(|(_, name)| is_unique_id(name));
            id.into_iter().for_each(|(field, _)| *field = Some(Field::Serial));
        }
        if self.columns.iter().any(|(field, _)| *field == Some(Field::Serial)) {
            return Ok(());
        }
        let found: Vec<_> = self.columns.iter().take(16).map(|(_, n)| format!("`{n}`")).collect();
        let why = format!("the column `serial` is missing; found {}", found.join(", "));
        Err(self.lines.fault(why, "name the columns in the first line"))
    }

    fn draft(&self, line: u64, cells: &[String]) -> Result<Item, Error> {
        for (i, cell) in cells.iter().enumerate() {
            if secrets::in_text(cell) {
                let name = self.columns.get(i).map_or("row", |(_, name)| name);
                return Err(self.lines.private_key(line, name));
            }
        }
        if cells.len() != self.columns.len() {
            let reason = format!("{} cells, the header has {}", cells.len(), self.columns.len());
            return Ok(Item::Refused { line, fault: RowFault::new("columns", reason) });
        }
        let mut draft = Draft { line, ..Draft::default() };
        for ((field, _), cell) in self.columns.iter().zip(cells) {
            if let Some(field) = field {
                draft.set(*field, cell);
            }
        }
        Ok(Item::Draft(draft))
    }

    fn item(&mut self) -> Result<Option<Item>, Error> {
        if self.columns.is_empty() {
            self.read_header()?;
        }
        if let Some(warning) = self.warnings.pop_front() {
            return Ok(Some(Item::Warning(warning)));
        }
        Ok(match self.record()? {
            None => None,
            Some((line, Ok(cells))) => Some(self.draft(line, &cells)?),
            Some((line, Err(fault))) => Some(Item::Refused { line, fault }),
        })
    }
}

impl<R: BufRead> Iterator for Csv<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.item().transpose()
    }
}

/// The one of `,` `;` and tab that the header has most of.
fn likely_delimiter(header: &str) -> char {
    let count = |c: char| header.matches(c).count();
    let (commas, semicolons, tabs) = (count(','), count(';'), count('\t'));
    if semicolons > commas && semicolons >= tabs {
        ';'
    } else if tabs > commas {
        '\t'
    } else {
        ','
    }
}

/// Cuts a record into cells, line by line.
struct Splitter {
    delimiter: char,
    cells: Vec<String>,
    cell: String,
    state: State,
}

#[derive(PartialEq)]
enum State {
    /// Nothing of the cell yet.
    Start,
    /// In a cell without quotes; a quote here is a character like others.
    Bare,
    /// Between the quotes.
    Quoted,
    /// After a quote that closes the cell, or is the first of two.
    Closed,
    /// Something stands behind the closing quote.
    Broken,
}

impl Splitter {
    fn new(delimiter: char) -> Self {
        Self { delimiter, cells: Vec::new(), cell: String::new(), state: State::Start }
    }

    fn open(&self) -> bool {
        self.state == State::Quoted
    }

    fn feed_line_end(&mut self) {
        self.cell.push('\n');
    }

    fn feed(&mut self, text: &str) {
        for c in text.chars() {
            self.state = match self.state {
                State::Start if c == '"' => State::Quoted,
                State::Quoted if c == '"' => State::Closed,
                State::Quoted => self.put(c, State::Quoted),
                State::Closed if c == '"' => self.put(c, State::Quoted),
                State::Start | State::Bare | State::Closed if c == self.delimiter => {
                    self.cells.push(std::mem::take(&mut self.cell));
                    State::Start
                }
                State::Start | State::Bare => self.put(c, State::Bare),
                State::Closed if c == ' ' => State::Closed,
                State::Closed | State::Broken => State::Broken,
            };
        }
    }

    fn put(&mut self, c: char, next: State) -> State {
        self.cell.push(c);
        next
    }

    fn finish(mut self) -> Result<Vec<String>, RowFault> {
        if self.state == State::Broken {
            return Err(RowFault::new("unclosed-quote", "text stands behind a closing quote"));
        }
        self.cells.push(self.cell);
        Ok(self.cells)
    }
}
