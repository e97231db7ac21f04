//! Rows that are JSON objects, however a file holds them together.

use super::document::Document;
use super::fields::{Draft, Field, Unknown};
use super::json::Json;
use super::key_text::{Jwk, KeyText};
use super::{Item, Mapping, azure, microchip, secrets};
use crate::RowFault;
use std::collections::VecDeque;

/// Makes rows of objects.
#[derive(Debug, Default)]
pub(super) struct JsonRows {
    mapping: Mapping,
    unknown: Unknown,
    /// Of one object: some warnings, then its row.
    pub(super) ready: VecDeque<Item>,
}

/// The field that holds a private key.
pub(super) struct PrivateKey(pub(super) String);

impl JsonRows {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self { mapping, ..Self::default() }
    }

    /// Reads an object.
    pub(super) fn row(&mut self, line: u64, text: &str) -> Result<(), PrivateKey> {
        let row = match Json::parse(text) {
            Ok(json) => match secrets::in_json(&json) {
                Some(field) => return Err(PrivateKey(field)),
                None => self.draft(line, json, text),
            },
            Err(_) if secrets::in_unreadable(text.as_bytes()) => {
                return Err(PrivateKey("row".into()));
            }
            Err(column) => Err(RowFault::new(
                "not-json",
                format!("the row is not JSON from column {column} on"),
            )),
        };
        self.ready.push_back(match row {
            Ok(draft) => Item::Draft(draft),
            Err(fault) => Item::Refused { line, fault },
        });
        Ok(())
    }

    fn draft(&mut self, line: u64, json: Json, text: &str) -> Result<Draft, RowFault> {
        let Json::Object(members) = json else {
            return Err(RowFault::new("not-json", "the row is not a JSON object"));
        };
        if microchip::is_entry(&members) {
            let document = Some(Document::Microchip(text.into()));
            return Ok(Draft { line, document, ..Draft::default() });
        }
        let mut draft = Draft { line, ..Draft::default() };
        let (mut seen, mut aliases) = (Vec::new(), Vec::new());
        let list = members.iter().find(|(_, value)| is_rows(value));
        let list = list.map(|(name, _)| secrets::shown(name));
        let cloud = azure::read(&members)?;
        for (name, value) in members {
            let own = || Field::named(&name).filter(|field| !self.mapping.names(*field));
            let Some(field) = self.mapping.of_name(&name).or_else(own) else {
                match Field::alias(&name) {
                    _ if cloud.as_ref().is_some_and(|cloud| cloud.reads(&name)) => {}
                    Some(_) if value == Json::Null => {}
                    Some((field, rank)) => aliases.push((rank, field, value, name)),
                    // Of a device's twin in a cloud, most says nothing about its key.
                    None if cloud.is_some() => {}
                    None => self.ready.extend(self.unknown.warn(line, &name).map(Item::Warning)),
                }
                continue;
            };
            if seen.contains(&field) {
                let reason = format!("`{}` stands twice", field.name());
                return Err(RowFault::new("duplicate-field", reason).of_field(field.name()));
            }
            seen.push(field);
            set(&mut draft, field, &name, value)?;
        }
        aliases.sort_by_key(|(rank, ..)| *rank);
        for (_, field, value, name) in aliases {
            if seen.contains(&field) {
                self.ready.extend(self.unknown.lesser(line, &name, field).map(Item::Warning));
            } else {
                seen.push(field);
                set(&mut draft, field, &name, value)?;
            }
        }
        if let Some(text) = cloud.and_then(|cloud| cloud.settle(&mut draft)) {
            self.ready.extend(self.unknown.once(line, text).map(Item::Warning));
        }
        let draft = draft.settle();
        let says_nothing = draft.serial.is_none() && draft.document.is_none();
        match list.filter(|_| says_nothing) {
            Some(list) => {
                let reason = format!("no device; its rows seem to be the list `{list}` within");
                Err(RowFault::new("nested-list", reason))
            }
            None => Ok(draft),
        }
    }
}

/// Whether a member is a list of objects.
fn is_rows(value: &Json) -> bool {
    matches!(value, Json::Array(items) if matches!(items.first(), Some(Json::Object(_))))
}

fn set(draft: &mut Draft, field: Field, name: &str, value: Json) -> Result<(), RowFault> {
    let found = match value {
        Json::Null => return Ok(()),
        Json::Text(text) | Json::Integer(text) => {
            draft.set(field, &text);
            return Ok(());
        }
        Json::Object(members) if field == Field::PublicKey => {
            draft.public_key = Some(KeyText::Jwk(Jwk::from_members(members)));
            return Ok(());
        }
        Json::Fraction => "a number too long or with a fraction, which readers round",
        Json::Bool => "a truth value",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    let reason = format!("`{}` is {found}", secrets::shown(name));
    Err(RowFault::new("type", reason).of_field(field.name()))
}
