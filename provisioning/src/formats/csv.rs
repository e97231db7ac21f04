//! Separated values with a header (RFC 4180), as spreadsheets and line tools really write them.

use super::cells::Splitter;
use super::fields::{Draft, Field, Unknown};
use super::lines::{Line, Lines};
use super::{Item, Mapping, Span, secrets, x509};
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
    /// Empty before the header.
    columns: Vec<Column>,
    /// The first record, where it turned out to be a row.
    first: Option<Record>,
    warnings: VecDeque<String>,
    /// Where the last record stands.
    pub(super) span: Option<Span>,
    /// Bytes of what stands before the rows: byte order mark, stated delimiter, header.
    pub(super) preface: Option<u64>,
}

#[derive(Debug)]
struct Column {
    /// Which field it is, if any.
    field: Option<Field>,
    /// Its name to show.
    name: String,
    /// Whether it is named for a secret. That refuses the file at the first cell that holds one:
    /// exports name the columns of all kinds of devices.
    secret: bool,
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
            first: None,
            warnings: VecDeque::new(),
            span: None,
            preface: None,
        }
    }

    fn line(&mut self) -> Option<Result<Line, Error>> {
        self.again.pop_front().map(Ok).or_else(|| self.lines.next())
    }

    /// The next record that is not blank.
    fn record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some(first) = self.line().transpose()? else { return Ok(None) };
            self.span = first.span;
            let first_text = match first.text {
                Err(fault) => return Ok(Some((first.number, Err(fault)))),
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => text,
            };
            if self.delimiter.is_none()
                && let Some(stated) = stated_delimiter(&first_text)
            {
                self.delimiter = Some(stated);
                continue;
            }
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
                if let (true, Some(span), Some(line)) = (goes_on, self.span, &next) {
                    self.span = line.span.and_then(|line| Span::between(span.at, line.end()));
                }
                held.extend(next);
                if !goes_on {
                    self.span = first.span;
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
        if names.iter().any(|name| secrets::in_text(name)) {
            return Err(self.lines.private_key(line, "row"));
        }
        if let Some(place) = names.iter().position(|name| x509::kind_of_text(name.trim()).is_some())
        {
            return self.no_header(line, names, place);
        }
        self.preface = self.span.map(Span::end);
        let fields = self.fields(line, &names)?;
        let columns = fields.into_iter().zip(&names).map(|(field, name)| Column {
            field,
            name: secrets::shown(name.trim()),
            secret: secrets::in_name(name),
        });
        self.columns = columns.collect();
        if self.columns.iter().any(|column| column.field.is_some_and(Field::may_name_a_device)) {
            return Ok(());
        }
        if self.columns.iter().any(|column| column.secret) {
            // Whatever it is, its rows hold secrets.
            return self.search_rows();
        }
        let why = format!("the column `serial` is missing; found {}", self.found());
        let cure = "name the columns in the first line, or say which it is by --map serial=COLUMN";
        Err(self.lines.fault(why, cure))
    }

    /// The table is refused for having no serial numbers, unless for a secret in its first rows.
    fn search_rows(&mut self) -> Result<(), Error> {
        for _ in 0..SEARCHED {
            match self.record()? {
                Some((line, Ok(cells))) => drop(self.draft(line, &cells)?),
                Some((_, Err(_))) => {}
                None => break,
            }
        }
        let why = format!("the column `serial` is missing; found {}", self.found());
        Err(self.lines.fault(why, "name the columns in the first line, or use --map serial=COLUMN"))
    }

    /// The first record holds a certificate or request, so it is a row. Tables of nRF Cloud are
    /// like that; of another, the user must say what the columns are.
    fn no_header(&mut self, line: u64, cells: Vec<String>, place: usize) -> Result<(), Error> {
        if cells.len() == NORDIC.len() && place == NORDIC.len() - 1 && !cells[0].trim().is_empty() {
            let columns = NORDIC.iter().map(|(field, name)| Column {
                field: *field,
                name: (*name).into(),
                secret: false,
            });
            self.columns = columns.collect();
            self.preface = self.span.map(|span| span.at);
            let text = "the file has no header; its columns are taken as nRF Cloud has them: device \
                        id, sub-type, tags, firmware types, certificate";
            self.warnings.push_back(format!("line {line}: {text}"));
            self.first = Some((line, Ok(cells)));
            return Ok(());
        }
        let why = format!(
            "the first line is no header: a certificate or request stands in column {} of {}",
            place + 1,
            cells.len()
        );
        let cure = format!(
            "say which columns there are by place: --map serial=#N --map certificate=#{}",
            place + 1
        );
        Err(self.lines.fault(why, cure))
    }

    /// The columns there are, for a message.
    fn found(&self) -> String {
        let names = self.columns.iter().take(16).map(|column| format!("`{}`", column.name));
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
            if field.is_some() || name.trim().is_empty() {
                continue;
            }
            let alias = Field::alias(name).filter(|(field, _)| fields.contains(&Some(*field)));
            self.warnings.extend(match alias {
                Some((field, _)) => unknown.lesser(line, name, field),
                None => unknown.warn(line, name),
            });
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
        let columns = fields.into_iter().zip(1..);
        self.columns = columns
            .map(|(field, place)| Column { field, name: format!("#{place}"), secret: false })
            .collect();
        Ok(())
    }

    fn draft(&self, line: u64, cells: &[String]) -> Result<Item, Error> {
        for (i, cell) in cells.iter().enumerate() {
            let column = self.columns.get(i);
            let named = column.is_some_and(|column| column.secret) && !cell.trim().is_empty();
            if named || secrets::in_text(cell) {
                let name = column.map_or("row", |column| &column.name);
                return Err(self.lines.private_key(line, name));
            }
        }
        if cells.len() != self.columns.len() {
            let first = if self.mapping.is_by_place() { "first row" } else { "header" };
            let reason = format!("{} cells, the {first} has {}", cells.len(), self.columns.len());
            return Ok(Item::Refused { line, fault: RowFault::new("columns", reason) });
        }
        let mut draft = Draft { line, ..Draft::default() };
        for (column, cell) in self.columns.iter().zip(cells) {
            if let Some(field) = column.field {
                draft.set(field, cell);
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
        let record = match self.first.take() {
            Some(first) => Some(first),
            None => self.record()?,
        };
        Ok(match record {
            None => None,
            Some((line, Ok(cells))) => {
                if self.columns.is_empty() {
                    self.preface = self.span.map(|span| span.at);
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

/// Columns of a table of nRF Cloud, which has no header.
const NORDIC: [(Option<Field>, &str); 5] = [
    (Some(Field::Serial), "deviceId"),
    (None, "subType"),
    (None, "tags"),
    (None, "fwTypes"),
    (Some(Field::Certificate), "certPem"),
];

/// Rows in which secrets are looked for, of a table that is refused in any case.
const SEARCHED: usize = 1_000;

/// What Excel writes before a table, to say what parts its cells: `sep=;`.
fn stated_delimiter(line: &str) -> Option<char> {
    let stated = line.trim_matches([' ', '"']).strip_prefix("sep=")?;
    match stated.as_bytes() {
        [one @ (b',' | b';' | b'\t' | b'|')] => Some((*one).into()),
        _ => None,
    }
}

/// The one of `,` `;` tab and `|` that cuts out most names of fields, else the one that the line
/// has most of, outside quotes; the earlier one of equals. Bars also part tags within a cell, so
/// they count only where no other stands.
fn likely_delimiter(header: &str) -> char {
    let bare: String = header.split('"').step_by(2).collect();
    let known = |c: char| {
        let is_known = |n: &&str| Field::named(n).is_some() || Field::alias(n).is_some();
        header.split(c).map(|name| name.trim_matches(['"', ' '])).filter(is_known).count()
    };
    let others = bare.contains([',', ';', '\t']);
    let rank = |c: &char| {
        let count = bare.matches(*c).count();
        (known(*c) * usize::from(count > 0), if *c == '|' && others { 0 } else { count })
    };
    // Of equal ones the last is taken: so from the end.
    [',', ';', '\t', '|'].into_iter().rev().max_by_key(rank).unwrap_or(',')
}
