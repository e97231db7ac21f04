//! `--keys FILE`: public keys that the line read, for rows whose manifest names none.

use crate::check::signature_of;
use crate::formats::{Draft, Format, Item};
use crate::limits::{ROWS, WARNINGS};
use crate::{Error, RowFault, missing, recovery};
use muster_identity::{PossessionTerms, PublicKey, Recovery, Signature};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// One device's key as the line read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineKey {
    /// The key.
    pub key: PublicKey,
    /// The device's possession signature and the challenge in the row, if they are there.
    pub possession: Option<Box<(Option<String>, Signature)>>,
    /// Who may give the device another key, if the row says so.
    pub recovery: Option<Recovery>,
}

/// All of them, by serial number.
#[derive(Debug, Default)]
pub struct LineKeys {
    rows: HashMap<Box<str>, Result<LineKey, Box<RowFault>>>,
    used: AtomicU64,
}

impl LineKeys {
    /// Reads the file: CSV or JSON lines with `uniqueId` (or `serial`) and `publicKey`.
    pub fn load(path: &Path, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let file = path.display().to_string();
        let fault = |error| Error::File { file: file.clone(), error };
        let manifest = |why: &str, cure: &str| Error::Manifest {
            file: file.clone(),
            why: why.into(),
            cure: cure.into(),
        };
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(fault)?);
        let format = Format::detect(input.fill_buf().map_err(fault)?);
        let format =
            format.filter(|f| matches!(f, Format::Jsonl | Format::Csv)).ok_or_else(|| {
                manifest(
                    "neither JSON lines nor CSV",
                    "give rows of uniqueId (or serial) and publicKey",
                )
            })?;
        let mut all = Self::default();
        for item in format.read(&file, input) {
            match item? {
                Item::Draft(draft) => all.add(draft),
                Item::Warning(text) if missing::is_own_column(&text) => {}
                Item::Warning(text) => warn(warnings, format!("{file}, {text}")),
                Item::Refused { line, fault } => {
                    warn(warnings, format!("{file}, line {line} is not used: {}", fault.reason));
                }
            }
            if all.rows.len() > ROWS {
                return Err(manifest("more than 4,194,304 rows", "split the files"));
            }
        }
        Ok(all)
    }

    fn add(&mut self, draft: Draft) {
        let Some(serial) = draft.serial.as_deref() else { return };
        // A line of the list of what is missing that nobody has filled in yet.
        if draft.public_key.is_none() && draft.possession.is_none() && draft.document.is_none() {
            return;
        }
        let line = draft.line;
        let read = read(&draft).map_err(|mut fault| {
            fault.reason = format!("--keys, line {line}: {}", fault.reason);
            Box::new(fault)
        });
        match self.rows.entry(normal(serial).into()) {
            Entry::Vacant(place) => {
                place.insert(read);
            }
            Entry::Occupied(mut place) if *place.get() != read => {
                let reason =
                    format!("--keys names two keys for the serial number, also in line {line}");
                *place.get_mut() = Err(Box::new(RowFault::new("duplicate-serial", reason)));
            }
            Entry::Occupied(_) => {}
        }
    }

    /// The line's key for a device.
    pub fn of(&self, serial: &str) -> Option<Result<&LineKey, RowFault>> {
        let found = self.rows.get(&*normal(serial))?;
        self.used.fetch_add(1, Ordering::Relaxed);
        Some(found.as_ref().map_err(|fault| (**fault).clone()))
    }

    /// A warning if keys were left over: then a serial number is wrong, here or there.
    pub(crate) fn left_over(&self) -> Option<String> {
        let (all, used) = (self.rows.len() as u64, self.used.load(Ordering::Relaxed));
        (used < all).then(|| format!("--keys: {} of {all} keys belong to no row", all - used))
    }
}

fn read(draft: &Draft) -> Result<LineKey, RowFault> {
    let text = draft.public_key.as_ref();
    let text = text.ok_or_else(|| RowFault::new("public-key", "the row has no key"))?;
    let key = text.read(draft.key_type.as_deref())?;
    if draft.challenge.as_ref().is_some_and(|c| c.len() > PossessionTerms::MAX_CHALLENGE) {
        return Err(RowFault::new("challenge", "the challenge is longer than 32 bytes"));
    }
    let possession = draft.possession.as_deref().map(signature_of).transpose()?;
    let possession = possession.map(|signature| Box::new((draft.challenge.clone(), signature)));
    Ok(LineKey { key, possession, recovery: recovery::stated(draft)? })
}

/// Chip ids are hexadecimal, and tools differ in the case of its letters. The list of what is
/// missing shields serial numbers from spreadsheets.
fn normal(serial: &str) -> std::borrow::Cow<'_, str> {
    let serial = missing::unshielded(serial);
    if serial.len() == 18 && serial.bytes().all(|b| b.is_ascii_hexdigit()) {
        serial.to_ascii_lowercase().into()
    } else {
        serial.into()
    }
}

fn warn(warnings: &mut Vec<String>, text: String) {
    if warnings.len() < WARNINGS {
        warnings.push(text);
    }
}
