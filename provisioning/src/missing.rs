//! The list of what is missing: a table (RFC 4180) of the rows that wait, and of those that were
//! refused where nothing can be mended. Filled in, it is a file for `--keys`.

use crate::mending::Remedy;
use crate::results::Finished;
use crate::rows::Row;
use crate::words::Words;
use crate::{Outcome, RowFault};
use std::io::{self, Write};

/// Its columns.
const COLUMNS: [&str; 9] =
    ["serial", "publicKey", "lot", "model", "code", "reason", "cure", "file", "line"];

/// Those that say nothing to `--keys`.
const WORDS: [&str; 5] = ["code", "reason", "cure", "file", "line"];

/// What makes a spreadsheet take a cell for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What a cell is shielded by: spreadsheets take what stands behind it as text.
const SHIELD: char = '\'';

/// Whether a warning of the reader is about a column that this list has.
pub(crate) fn is_own_column(warning: &str) -> bool {
    WORDS.iter().any(|name| warning.contains(&format!("`{name}` is unknown")))
}

/// A serial number as it was before it was shielded.
pub(crate) fn unshielded(serial: &str) -> &str {
    serial.strip_prefix(SHIELD).filter(|rest| rest.starts_with(FORMULA)).unwrap_or(serial)
}

impl Finished {
    /// Writes the list; gives the number of its rows.
    pub fn write_missing(&self, to: &mut dyn Write) -> io::Result<u64> {
        writeln!(to, "{}", COLUMNS.join(","))?;
        let mut count = 0;
        for (row, words) in self.rows.rows.iter().zip(self.rows.words()) {
            let words = words?;
            if self.remedy(row, &words) == Remedy::Bring {
                self.write_row(to, row, words)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whether there is anything to list.
    pub fn is_missing(&self) -> io::Result<bool> {
        for (row, words) in self.rows.rows.iter().zip(self.rows.words()) {
            if self.remedy(row, &words?) == Remedy::Bring {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write_row(&self, to: &mut dyn Write, row: &Row, words: Words) -> io::Result<()> {
        let waits = crate::rows::outcome(row.state) == Some(Outcome::Waiting);
        let fault = words.fault.or_else(|| self.rows.later_fault(row));
        let fault = fault.or_else(|| waits.then(RowFault::without_key));
        let (code, reason, cure) = match &fault {
            Some(fault) => (&*fault.code, &*fault.reason, fault.cure),
            None => Default::default(),
        };
        let file = self.rows.files.get(row.file as usize).map_or("", String::as_str);
        let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
        let cells = [
            text(&words.serial),
            String::new(),
            text(&words.lot),
            text(&words.model),
            code.to_owned(),
            reason.to_owned(),
            cure.to_owned(),
            file.to_owned(),
            row.line.to_string(),
        ];
        let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
        writeln!(to, "{}", cells.join(","))
    }
}

/// A cell: no formula, and in quotes where it must be (RFC 4180 §2).
fn cell(text: &str) -> String {
    let shield = if text.starts_with(FORMULA) { "'" } else { "" };
    let quoted = text.contains(['"', ',', ';', '|', '\t', '\r', '\n'])
        || text.starts_with([' ', SHIELD])
        || text.ends_with(' ');
    match quoted {
        true => format!("\"{shield}{}\"", text.replace('"', "\"\"")),
        false => format!("{shield}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas_and_come_back() {
        let cases = [
            ("SN-1", "SN-1"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("=a;b", "\"'=a;b\""),
        ];
        for (text, expected) in cases {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(unshielded("'-5"), "-5");
        assert_eq!(unshielded("-5"), "-5");
        assert_eq!(unshielded("'quoted'"), "'quoted'");
    }
}
