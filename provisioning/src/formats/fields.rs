use super::document::Document;
use super::key_text::KeyText;
use super::secrets::{bare, shown};
use crate::limits::WARNINGS;
use std::collections::BTreeSet;

/// The fields of a row, by the same names in every format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Serial number; required.
    Serial,
    /// The device's public key; without it the row waits.
    PublicKey,
    /// What kind of key a raw `publicKey` is.
    KeyType,
    /// The device's possession signature.
    Possession,
    /// The challenge it signed.
    Challenge,
    /// Lot, reel or work order.
    Lot,
    /// Model id.
    Model,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Serial,
        Self::PublicKey,
        Self::KeyType,
        Self::Possession,
        Self::Challenge,
        Self::Lot,
        Self::Model,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::PublicKey => "publicKey",
            Self::KeyType => "keyType",
            Self::Possession => "possession",
            Self::Challenge => "challenge",
            Self::Lot => "lot",
            Self::Model => "model",
        }
    }

    /// The field of this name; case, blanks, `_` and `-` do not matter.
    pub fn named(name: &str) -> Option<Self> {
        let name = bare(name);
        Self::ALL.into_iter().find(|field| bare(field.name()) == name)
    }

    /// The field that an unknown name may have meant.
    fn near(name: &str) -> Option<Self> {
        let name = bare(name);
        let likely = |field: &Self| {
            let known = bare(field.name());
            let distance = distance(&name, &known);
            name.contains(&known) || distance * 2 <= name.chars().count().max(known.len())
        };
        let mut fields: Vec<_> = Self::ALL.into_iter().filter(likely).collect();
        fields.sort_by_key(|field| distance(&name, &bare(field.name())));
        fields.first().copied()
    }
}

/// Levenshtein's distance; the names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A row as the file has it: texts, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Where the row begins, from 1.
    pub line: u64,
    /// Serial number.
    pub serial: Option<String>,
    /// Public key.
    pub public_key: Option<KeyText>,
    /// Kind of a raw key.
    pub key_type: Option<String>,
    /// Possession signature.
    pub possession: Option<String>,
    /// Challenge.
    pub challenge: Option<String>,
    /// Lot.
    pub lot: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// The document that says the rest, in formats that have one.
    pub document: Option<Document>,
}

impl Draft {
    /// Sets a field; an empty text is none.
    pub(super) fn set(&mut self, field: Field, text: &str) {
        let text = Some(text.trim()).filter(|text| !text.is_empty()).map(String::from);
        match field {
            Field::Serial => self.serial = text,
            Field::PublicKey => self.public_key = text.map(KeyText::Text),
            Field::KeyType => self.key_type = text,
            Field::Possession => self.possession = text,
            Field::Challenge => self.challenge = text,
            Field::Lot => self.lot = text,
            Field::Model => self.model = text,
        }
    }
}

/// Unknown names that were told of already.
#[derive(Debug, Default)]
pub(super) struct Unknown(BTreeSet<String>);

impl Unknown {
    /// A warning about an unknown name, the first time.
    pub(super) fn warn(&mut self, line: u64, name: &str) -> Option<String> {
        let shown = shown(name);
        if self.0.len() >= WARNINGS || !self.0.insert(shown.clone()) {
            return None;
        }
        let meant = Field::near(name).map(|f| format!("; did you mean `{}`?", f.name()));
        Some(format!("line {line}: `{shown}` is unknown and ignored{}", meant.unwrap_or_default()))
    }
}

/// Whether a name is that which chip vendors have for the serial number. It counts where there is
/// no `serial`.
pub(super) fn is_unique_id(name: &str) -> bool {
    bare(name) == "uniqueid"
}
