//! Microchip trust platform manifests, versions 1 and 2: a JSON array of flattened JWS (RFC 7515
//! §7.2.2). The array is cut into its entries here, as it streams by; each is read and judged by
//! whoever checks the rows, on all cores (`docs/formats/microchip.md`).

mod chain;
mod entry;
mod judge;

pub(super) use judge::judge;

use super::Item;
use super::document::Document;
use super::fields::Draft;
use super::json::Json;
use super::pieces::Pieces;
use super::scan::Scanner;
use crate::Error;
use std::io::BufRead;

/// The members of a flattened JWS.
const MEMBERS: [&str; 4] = ["payload", "protected", "header", "signature"];

/// Whether a file begins like a manifest: an array whose first entry begins like a JWS.
pub(super) fn is_manifest(head: &[u8]) -> bool {
    let inside = |head: &[u8], c: u8| Some(head.strip_prefix(&[c])?.trim_ascii_start().to_vec());
    let Some(entry) = inside(head, b'[') else { return false };
    let Some(member) = inside(&entry, b'{') else { return entry.starts_with(b"]") };
    MEMBERS.iter().any(|name| member.starts_with(format!("\"{name}\"").as_bytes()))
}

/// Whether an object is such an entry, standing alone.
pub(super) fn is_entry(members: &[(String, Json)]) -> bool {
    let has = |wanted: &&str| members.iter().any(|(name, _)| name == wanted);
    ["payload", "protected", "signature"].iter().all(has)
}

#[derive(Debug)]
pub(super) struct Microchip<R>(pub(super) Pieces<R>);

impl<R: BufRead> Microchip<R> {
    pub(super) fn new(file: &str, input: R) -> Self {
        Self(Pieces::new(file, input, Scanner::default()))
    }
}

impl<R: BufRead> Iterator for Microchip<R> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next()?;
        Some(entry.map(|(line, text)| match text {
            Ok(text) => {
                let document = Some(Document::Microchip(text.into()));
                Item::Draft(Draft { line, document, ..Draft::default() })
            }
            Err(fault) => Item::Refused { line, fault },
        }))
    }
}
