//! Whether a file that nobody named is one of devices: in folders and archives lie all kinds.

use super::{Format, Item, Mapping};
use crate::Error;

impl Format {
    /// Whether a file that begins like this, and was recognised as this format, seems to hold
    /// devices. Any text could be a table and any object a row, so its first row is looked at. One
    /// with a private key counts, so that it is found when the file is read.
    pub(crate) fn holds_devices(self, head: &[u8], mapping: &Mapping) -> bool {
        match self {
            Self::X509 | Self::Microchip => return true,
            Self::Foreign(_) => return false,
            Self::Jsonl | Self::Json | Self::Csv => {}
        }
        for item in self.read_mapped("", head, mapping) {
            match item {
                Ok(Item::Warning(_)) => {}
                Ok(Item::Draft(draft)) => {
                    return self == Self::Csv
                        || draft.serial.is_some()
                        || draft.public_key.is_some()
                        || draft.document.is_some();
                }
                // Texts of other kinds begin with a brace too; one broken row is not the last.
                Ok(Item::Refused { fault, .. }) if fault.code == "not-json" => {}
                Ok(Item::Refused { .. }) | Err(Error::PrivateKey { .. }) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}
