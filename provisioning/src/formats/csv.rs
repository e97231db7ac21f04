//! Separated values with a header (RFC 4180), as spreadsheets and line tools really write them.

use super::fields::{Draft, Field, Unknown};
use super::lines::{Line, Lines};
use super::{Item, Mapping, secrets};
use crate::limits::{COLUMNS, OPEN_QUOTES, ROW_BYTES};
use crate::{Error, RowFault};
use std::collections::VecDeque;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Csv<R> {
    lines: Lines<R>,
    mapping: Mapping,
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
    pub(super) fn new(lines: Lines<R>, mapping: Mapping) -> Self {
        Self {
            lines,
            mapping,
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
        for name in &names {
            if secrets::in_name(name) {
                return Err(self.lines.private_key(line, secrets::shown(name)));
            }
            if secrets::in_text(name) {
                return Err(self.lines.private_key(line, "row"));
            }
        }
        let fields = self.fields(line, &names)?;
        let shown = names.iter().map(|name| secrets::shown(name.trim()));
        self.columns = fields.into_iter().zip(shown).collect();
        let may_name = |field: &Option<Field>| field.is_some_and(Field::may_name_a_device);
        if self.columns.iter().any(|(field, _)| may_name(field)) {
            return Ok(());
        }
        let why = format!("the column `serial` is missing; found {}", self.found());
        let cure = "name the columns in the first line, or say which it is by --map serial=COLUMN";
        Err(self.lines.fault(why, cure))
    }

    /// The columns there are, for a message.
    fn found(&self) -> String {
        let names = self.columns.iter().take(16).map(|(_, name)| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Which field each name of the header is: as it is mapped, else by its own name, else by
    /// what other tools call it.
    fn fields(&mut self, line: u64, names: &[String]) -> Result<Vec<Option<Field>>, Error> {
        let mut fields = self.mapping.of_names(names).map_err(|wanted| {
            let shown = names.iter().take(16).map(|n| format!("`{}`", secrets::shown(n.trim())));
            let found = shown.collect::<Vec<_>>().join(", ");
            let wanted = secrets::shown(&wanted);
            let why = format!("the column `{wanted}` of --map is not there; found {found}");
            self.lines.fault(why, "name a column of the header")
        })?;
        for (place, name) in names.iter().enumerate() {
            let field = Field::named(name).filter(|field| !self.mapping.names(*field));
            if fields[place].is_some() || field.is_none() {
                continue;
            }
            if fields.contains(&field) {
                let why = format!("the column `{}` stands twice", secrets::shown(name));
                return Err(self.lines.fault(why, "remove or rename one"));
            }
            fields[place] = field;
        }
        let mut aliases: Vec<_> = (0..names.len())
            .filter(|place| fields[*place].is_none())
            .filter_map(|place| {
                Field::alias(&names[place]).map(|(field, rank)| (rank, field, place))
            })
            .collect();
        aliases.sort_unstable_by_key(|(rank, _, place)| (*rank, *place));
        for (_, field, place) in aliases {
            if !fields.contains(&Some(field)) {
                fields[place] = Some(field);
            }
        }
        let mut unknown = Unknown::default();
        for (field, name) in fields.iter().zip(names) {
            if field.is_none() && !name.trim().is_empty() {
                self.warnings.extend(unknown.warn(line, name));
            }
        }
        Ok(fields)
    }

    /// The first row of a table without a header says how many columns there are.
    fn count_columns(&mut self, cells: usize) -> Result<(), Error> {
        if cells > COLUMNS {
            return Err(self.lines.fault("more than 256 columns", "is it a manifest?"));
        }
        let fields = self.mapping.of_places(cells).map_err(|place| {
            let why = format!("--map names column #{place}, and the first row has {cells} cells");
            self.lines.fault(why, "count the columns from 1")
        })?;
        let shown = (1..).map(|place| format!("#{place}"));
        self.columns = fields.into_iter().zip(shown).collect();
        Ok(())
    }

    fn draft(&self, line: u64, cells: &[String]) -> Result<Item, Error> {
        for (i, cell) in cells.iter().enumerate() {
            if secrets::in_text(cell) {
                let name = self.columns.get(i).map_or("row", |(_, name)| name);
                return Err(self.lines.private_key(line, name));
            }
        }
        if cells.len() != self.columns.len() {
            let first = if self.mapping.is_by_place() { "first row" } else { "header" };
            let reason = format!("{} cells, the {first} has {}", cells.len(), self.columns.len());
            return Ok(Item::Refused { line, fault: RowFault::new("columns", reason) });
        }
        let mut draft = Draft { line, ..Draft::default() };
        for ((field, _), cell) in self.columns.iter().zip(cells) {
            if let Some(field) = field {
                draft.set(*field, cell);
            }
        }
        Ok(Item::Draft(draft.settle()))
    }

    fn item(&mut self) -> Result<Option<Item>, Error> {
        if self.columns.is_empty() && !self.mapping.is_by_place() {
            self.read_header()?;
        }
        if let Some(warning) = self.warnings.pop_front() {
            return Ok(Some(Item::Warning(warning)));
        }
        Ok(match self.record()? {
            None => None,
            Some((line, Ok(cells))) => {
                if self.columns.is_empty() {
                    self.count_columns(cells.len())?;
                }
                Some(self.draft(line, &cells)?)
            }
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

/// The one of `,` `;` tab and `|` that the header has most of, outside quotes; the earlier one of
/// equals.
fn likely_delimiter(header: &str) -> char {
    let bare: String = header.split('"').step_by(2).collect();
    let count = |c: &char| bare.matches(*c).count();
    let candidates = [',', ';', '\t', '|'];
    // Of equal ones the last is taken: so from the end.
    candidates.into_iter().rev().max_by_key(count).unwrap_or(',')
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
