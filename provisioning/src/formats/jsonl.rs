//! JSON lines.

use super::fields::{Draft, Field, Unknown, is_unique_id};
use super::json::Json;
use super::key_text::{Jwk, KeyText};
use super::lines::Lines;
use super::{Item, secrets};
use crate::{Error, RowFault};
use std::collections::VecDeque;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Jsonl<R> {
    lines: Lines<R>,
    unknown: Unknown,
    /// Of one line: some warnings, then its row.
    ready: VecDeque<Item>,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        Self { lines, unknown: Unknown::default(), ready: VecDeque::new() }
    }

    fn line(&mut self, line: u64, text: &str) -> Result<(), Error> {
        let row = match Json::parse(text) {
            Ok(json) => {
                if let Some(field) = secrets::in_json(&json) {
                    return Err(self.lines.private_key(line, field));
                }
                self.draft(line, json)
            }
            Err(column) => {
                self.lines.search(line, text.as_bytes())?;
                Err(RowFault::new(
                    "not-json",
                    format!("the row is not JSON from column {column} on"),
                ))
            }
        };
        self.ready.push_back(match row {
            Ok(draft) => Item::Draft(draft),
            Err(fault) => Item::Refused { line, fault },
        });
        Ok(())
    }

    fn draft(&mut self, line: u64, json: Json) -> Result<Draft, RowFault> {
        let Json::Object(members) = json else {
            return Err(RowFault::new("not-json", "the row is not a JSON object"));
        };
        let mut draft = Draft { line, ..Draft::default() };
        let mut seen = Vec::new();
        let mut unique_id = None;
        for (name, value) in members {
            let Some(field) = Field::named(&name) else {
                if let (true, Json::Text(text)) = (is_unique_id(&name), &value) {
                    unique_id.get_or_insert_with(|| text.clone());
                    continue;
                }
                self.ready.extend(self.unknown.warn(line, &name).map(Item::Warning));
                continue;
            };
            if seen.contains(&field) {
                let reason = format!("`{}` stands twice", field.name());
                return Err(RowFault::new("duplicate-field", reason).of_field(field.name()));
            }
            seen.push(field);
            match value {
                Json::Null => {}
                Json::Text(text) | Json::Integer(text) => draft.set(field, &text),
                Json::Object(members) if field == Field::PublicKey => {
                    draft.public_key = Some(KeyText::Jwk(Jwk::from_members(members)));
                }
                other => return Err(wrong_type(field, &other)),
            }
        }
        if let (None, Some(id)) = (&draft.serial, unique_id) {
            draft.set(Field::Serial, &id);
        }
        Ok(draft)
    }
}

fn wrong_type(field: Field, value: &Json) -> RowFault {
    let found = match value {
        Json::Fraction => "a number too long or with a fraction, which readers round",
        Json::Bool => "a truth value",
        Json::Array(_) => "a list",
        _ => "an object",
    };
    RowFault::new("type", format!("`{}` is {found}", field.name())).of_field(field.name())
}

impl<R: BufRead> Iterator for Jsonl<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let done = match line.text {
                Ok(text) if text.trim().is_empty() => Ok(()),
                Ok(text) => self.line(line.number, &text),
                Err(fault) => {
                    self.ready.push_back(Item::Refused { line: line.number, fault });
                    Ok(())
                }
            };
            if let Err(error) = done {
                return Some(Err(error));
            }
        }
    }
}
