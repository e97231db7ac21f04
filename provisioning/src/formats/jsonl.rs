//! JSON lines.

use super::fields::{Draft, Field, Unknown};
use super::json::Json;
use super::key_text::{Jwk, KeyText};
use super::lines::Lines;
use super::{Item, Mapping, secrets};
use crate::{Error, RowFault};
use std::collections::VecDeque;
use std::io::BufRead;

#[derive(Debug)]
pub(super) struct Jsonl<R> {
    lines: Lines<R>,
    mapping: Mapping,
    unknown: Unknown,
    /// Of one line: some warnings, then its row.
    ready: VecDeque<Item>,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) fn new(lines: Lines<R>, mapping: Mapping) -> Self {
        Self { lines, mapping, unknown: Unknown::default(), ready: VecDeque::new() }
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
        let mut aliases = Vec::new();
        for (name, value) in members {
            let own = || Field::named(&name).filter(|field| !self.mapping.names(*field));
            let Some(field) = self.mapping.of_name(&name).or_else(own) else {
                match (Field::alias(&name), value) {
                    (Some((field, rank)), Json::Text(text) | Json::Integer(text)) => {
                        aliases.push((rank, field, text, name));
                    }
                    _ => self.ready.extend(self.unknown.warn(line, &name).map(Item::Warning)),
                }
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
        aliases.sort_unstable_by_key(|(rank, ..)| *rank);
        for (_, field, text, name) in aliases {
            if seen.contains(&field) {
                self.ready.extend(self.unknown.warn(line, &name).map(Item::Warning));
            } else {
                seen.push(field);
                draft.set(field, &text);
            }
        }
        Ok(draft.settle())
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
