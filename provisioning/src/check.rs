//! From a draft to a leaf, on all cores: texts are read, keys decompressed, possession
//! signatures verified, so that a bad row is refused with its place before anything is sent.

use crate::formats::{Draft, base64};
use crate::{Error, RowFault};
use muster_api::limits::LOT_BYTES;
use muster_identity::cbor::Encode;
use muster_identity::{Did, Inception, PossessionTerms, Signature};
use muster_ledger::limits::{MODEL_BYTES, SERIAL_BYTES};
use muster_ledger::{Evidence, Leaf, Network, SerialCommitment, VouchedBy, merkle};
use zeroize::Zeroizing;

/// What the command says about every row.
pub(crate) struct Terms {
    pub(crate) network: Network,
    pub(crate) organisation: Did,
    pub(crate) directory_secret: Zeroizing<[u8; 32]>,
    pub(crate) challenge: Vec<u8>,
    /// The model of rows that name none.
    pub(crate) model: Option<String>,
    /// Whether rows of other models are refused.
    pub(crate) only_model: bool,
}

/// A row of a file: its texts, or why it cannot be read.
pub(crate) struct Found {
    pub(crate) line: u64,
    pub(crate) draft: Result<Draft, RowFault>,
}

/// A row whose fields were read. `outcome` is the device, nothing for a row that waits, or why
/// the row is refused.
pub(crate) struct Checked {
    pub(crate) serial: Option<Box<str>>,
    pub(crate) lot: Option<Box<str>>,
    pub(crate) outcome: Result<Option<Device>, RowFault>,
}

/// A device that may be staged.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) did: Did,
    pub(crate) model: String,
    pub(crate) leaf: Box<[u8]>,
    pub(crate) hash: merkle::Hash,
}

impl Terms {
    /// Refuses what would refuse every row.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.challenge.len() > PossessionTerms::MAX_CHALLENGE {
            return Err(Error::Argument {
                what: "--challenge",
                why: "use at most 32 bytes".into(),
            });
        }
        match &self.model {
            Some(name) if !is_model(name) => Err(Error::Argument {
                what: "--model",
                why: "use 1 to 64 characters of printable ASCII".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks many rows on all cores; the answers stand in the order of the rows.
    pub(crate) fn check_all(&self, rows: &[Found]) -> Result<Vec<Checked>, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = rows.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = rows
                .chunks(share)
                .map(|part| {
                    scope.spawn(|| part.iter().map(|row| self.row(row)).collect::<Vec<_>>())
                })
                .collect();
            let mut all = Vec::with_capacity(rows.len());
            for thread in threads {
                let part = thread.join().map_err(|_| Error::Internal("a check panicked".into()))?;
                all.extend(part);
            }
            Ok(all)
        })
    }

    fn row(&self, found: &Found) -> Checked {
        let draft = match &found.draft {
            Ok(draft) => draft,
            Err(fault) => return Checked { serial: None, lot: None, outcome: Err(fault.clone()) },
        };
        let serial = serial(draft);
        let known = serial.as_ref().ok().map(|s| Box::from(*s));
        let outcome = serial.and_then(|serial| {
            if draft.lot.as_ref().is_some_and(|lot| !is_label(lot, LOT_BYTES)) {
                return Err(RowFault::new("lot", "the lot is too long or not printable"));
            }
            self.device(draft, serial)
        });
        let lot = draft.lot.as_deref().filter(|_| outcome.is_ok()).map(Box::from);
        Checked { serial: known, lot, outcome }
    }

    fn device(&self, draft: &Draft, serial: &str) -> Result<Option<Device>, RowFault> {
        let model = self.model_of(draft)?;
        let Some(text) = &draft.public_key else {
            return match draft.possession {
                Some(_) => Err(RowFault::new("possession-form", "a possession without a key")),
                None => Ok(None),
            };
        };
        let key = text.read(draft.key_type.as_deref())?;
        let inception = Inception::from_key(key);
        let did = Did::of(&inception);
        let commitment = SerialCommitment::new(&self.directory_secret, &did, serial);
        let evidence = self.evidence(draft)?;
        let leaf = Leaf { inception, evidence, serial: commitment, owner_recovery: false };
        leaf.check(&self.network, &self.organisation).map_err(|_| {
            let reason =
                "the signature is not by this key over this network, manufacturer and challenge";
            RowFault::new("bad-possession", reason)
        })?;
        let leaf = leaf.to_cbor();
        let hash = merkle::leaf_hash(&leaf);
        Ok(Some(Device { did, model: model.into(), leaf: leaf.into(), hash }))
    }

    fn evidence(&self, draft: &Draft) -> Result<Evidence, RowFault> {
        let challenge = draft.challenge.as_ref().map_or(&self.challenge[..], |c| c.as_bytes());
        if challenge.len() > PossessionTerms::MAX_CHALLENGE {
            return Err(RowFault::new("challenge", "the challenge is longer than 32 bytes"));
        }
        let Some(text) = &draft.possession else {
            return Ok(Evidence::Vouched { by: VouchedBy::Enroller, digest: None });
        };
        let bytes = base64(text).and_then(|bytes| bytes.try_into().ok());
        let signature = Signature(bytes.ok_or_else(|| {
            RowFault::new("possession-form", "the signature is not 64 bytes in base64url")
        })?);
        Ok(Evidence::Possession { challenge: challenge.to_vec(), signature })
    }

    fn model_of<'a>(&'a self, draft: &'a Draft) -> Result<&'a str, RowFault> {
        match (draft.model.as_deref(), self.model.as_deref()) {
            (Some(own), Some(asked)) if self.only_model && own != asked => {
                let reason = format!("the row is of another model than --model {asked}");
                Err(RowFault::new("other-model", reason))
            }
            (Some(own), _) if !is_model(own) => {
                Err(RowFault::new("model", "the model is too long or not printable ASCII"))
            }
            (Some(model), _) | (None, Some(model)) => Ok(model),
            (None, None) => Err(RowFault::new("model-missing", "the row names no model")),
        }
    }
}

fn serial(draft: &Draft) -> Result<&str, RowFault> {
    match &draft.serial {
        None => Err(RowFault::new("serial-missing", "the row has no serial number")),
        Some(serial) if is_label(serial, SERIAL_BYTES) => Ok(serial),
        Some(_) => Err(RowFault::new("serial", "the serial number is too long or not printable")),
    }
}

/// Text of 1 to `bound` bytes that people can tell from another: no control characters, and
/// none that are invisible or turn the direction of writing.
fn is_label(text: &str, bound: usize) -> bool {
    let invisible = |c| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    (1..=bound).contains(&text.len()) && !text.chars().any(|c| c.is_control() || invisible(c))
}

/// As the ledger has it: safe in a header and a path.
fn is_model(text: &str) -> bool {
    (1..=MODEL_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}
