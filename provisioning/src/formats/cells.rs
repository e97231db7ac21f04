//! Cells of separated values (RFC 4180 §2).

use crate::RowFault;

/// Cuts a record into cells, line by line.
pub(super) struct Splitter {
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
    pub(super) fn new(delimiter: char) -> Self {
        Self { delimiter, cells: Vec::new(), cell: String::new(), state: State::Start }
    }

    pub(super) fn open(&self) -> bool {
        self.state == State::Quoted
    }

    pub(super) fn feed_line_end(&mut self) {
        self.cell.push('\n');
    }

    pub(super) fn feed(&mut self, text: &str) {
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

    pub(super) fn finish(mut self) -> Result<Vec<String>, RowFault> {
        if self.state == State::Broken {
            return Err(RowFault::new("unclosed-quote", "text stands behind a closing quote"));
        }
        self.cells.push(self.cell);
        Ok(self.cells)
    }
}
