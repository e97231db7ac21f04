//! From a draft to a leaf, on all cores: texts are read, keys decompressed, documents verified, so
//! that a bad row is refused with its place before anything is sent. Possession signatures are
//! left to the node, which verifies each of them anyway.

use crate::formats::{Document, Draft, Finding, Span, Verdict, base64};
use crate::keys::LineKey;
use crate::making;
use crate::sources::Sources;
use crate::{Error, RowFault, recovery};
use muster_api::LineResult;
use muster_api::limits::LOT_BYTES;
use muster_identity::cbor::Encode;
use muster_identity::{Did, PossessionTerms, PublicKey, Recovery, Signature, sha256};
use muster_ledger::limits::{MODEL_BYTES, SERIAL_BYTES};
use muster_ledger::{Evidence, Leaf, SerialCommitment, VouchedBy};
use zeroize::Zeroizing;

/// What the command says about every row.
pub(crate) struct Terms {
    pub(crate) directory_secret: Zeroizing<[u8; 32]>,
    pub(crate) challenge: Vec<u8>,
    /// The model of rows that name none.
    pub(crate) model: Option<String>,
    /// Whether rows of other models are refused.
    pub(crate) only_model: bool,
    /// What documents are judged by, and the line's keys.
    pub(crate) sources: Sources,
}

/// A row of a file: its texts, or why it cannot be read.
pub(crate) struct Found {
    /// Its number over all files.
    pub(crate) number: u32,
    pub(crate) file: u32,
    pub(crate) line: u64,
    /// Where it stands, if it can be taken out of its file.
    pub(crate) span: Option<Span>,
    pub(crate) draft: Result<Draft, RowFault>,
}

/// A row whose fields were read.
pub(crate) struct Checked {
    pub(crate) serial: Option<Box<str>>,
    pub(crate) note: Option<Box<str>>,
    /// For the list of what is missing.
    pub(crate) lot: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) outcome: Checks,
    /// What the line says of it.
    pub(crate) told: Option<Box<Told>>,
}

/// What the line says of a row's device.
pub(crate) struct Told {
    pub(crate) result: LineResult,
    /// As it is sent (CBOR).
    pub(crate) record: Box<[u8]>,
    pub(crate) serial: Mark,
}

/// What the checks of a row came to.
pub(crate) enum Checks {
    Ready(Box<Device>),
    /// It has no key yet, or cannot be judged yet.
    Waiting(Option<Box<RowFault>>),
    Refused(Box<RowFault>),
    /// The field of this name holds a private key: the file is refused.
    PrivateKey(String),
}

impl From<Result<Option<Device>, RowFault>> for Checks {
    fn from(outcome: Result<Option<Device>, RowFault>) -> Self {
        match outcome {
            Ok(Some(device)) => Self::Ready(Box::new(device)),
            Ok(None) => Self::Waiting(None),
            Err(fault) => Self::Refused(Box::new(fault)),
        }
    }
}

/// A device that may be staged.
pub(crate) struct Device {
    pub(crate) did: Did,
    pub(crate) model: String,
    /// It is enrolled to be revoked.
    pub(crate) scrap: bool,
    /// The row as it is sent (CBOR).
    pub(crate) row: Box<[u8]>,
    /// What its serial number is compared by.
    pub(crate) serial: Mark,
}

/// Half of a SHA-256, to compare serial numbers by.
pub(crate) type Mark = [u8; 16];

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

    /// Checks a row.
    pub(crate) fn row(&self, found: &Found) -> Checked {
        let draft = match &found.draft {
            Ok(draft) => draft,
            Err(fault) => {
                let outcome = Checks::Refused(Box::new(fault.clone()));
                let (lot, model) = (None, None);
                return Checked { serial: None, note: None, lot, model, outcome, told: None };
            }
        };
        let (mut checked, lot) = match &draft.document {
            Some(document) => self.document(found, draft, document),
            None => (self.plain(found, draft), None),
        };
        if let Some(said) = &draft.making {
            making::settle(&mut checked, said, lot.or_else(|| draft.lot.clone()));
        }
        checked
    }

    fn plain(&self, found: &Found, draft: &Draft) -> Checked {
        let serial = serial(draft);
        let known = serial.as_ref().ok().map(|s| Box::from(*s));
        let outcome = serial.and_then(|serial| {
            if draft.lot.as_ref().is_some_and(|lot| !is_label(lot, LOT_BYTES)) {
                return Err(RowFault::new("lot", "the lot is too long or not printable"));
            }
            self.device(found.number, draft, serial)
        });
        let outcome = Checks::from(outcome);
        let (lot, model) = self.origin(found.span.is_none(), draft, &outcome);
        Checked { serial: known, note: None, lot, model, outcome, told: None }
    }

    /// A row that is a document, and its lot. What it says of lot and model stands behind what the
    /// user says.
    fn document(
        &self,
        found: &Found,
        draft: &Draft,
        document: &Document,
    ) -> (Checked, Option<String>) {
        let (number, is_apart) = (found.number, found.span.is_none());
        let Finding { serial: found, lot, model, note, verdict } = document.judge(&self.sources);
        let model = if self.model.is_some() { None } else { model };
        let model = draft.model.clone().or(model);
        let lot = draft.lot.clone().or(lot);
        // What stands beside the document in its row comes first.
        let own_lot = draft.lot.is_some();
        let draft = Draft {
            line: draft.line,
            serial: draft.serial.clone().or(found),
            model,
            public_key: draft.public_key.clone(),
            key_type: draft.key_type.clone(),
            possession: draft.possession.clone(),
            challenge: draft.challenge.clone(),
            recovery: draft.recovery.clone(),
            // A document may say anything; only a label is taken over.
            lot: lot.clone().filter(|lot| is_label(lot, LOT_BYTES)),
            ..Draft::default()
        };
        let nameless = |mut fault: RowFault| {
            if fault.code == "serial-missing" {
                fault.reason = NAMELESS.into();
            }
            fault
        };
        let serial = serial(&draft).map_err(nameless).and_then(|serial| match &lot {
            Some(lot) if own_lot && !is_label(lot, LOT_BYTES) => {
                Err(RowFault::new("lot", "the lot is too long or not printable"))
            }
            _ => Ok(serial),
        });
        let known = serial.as_ref().ok().map(|s| Box::from(*s));
        let outcome = match (verdict, serial) {
            (Verdict::PrivateKey(field), _) => Checks::PrivateKey(field),
            (Verdict::Refused(fault), _) | (_, Err(fault)) => Checks::Refused(Box::new(fault)),
            (Verdict::Waiting(fault), Ok(_)) => Checks::Waiting(Some(Box::new(fault))),
            (Verdict::NoKey, Ok(serial)) => match self.device(number, &draft, serial) {
                Ok(None) => Checks::Waiting(Some(Box::new(RowFault::new(
                    "key-missing",
                    "the entry is good and names no key",
                )))),
                other => other.into(),
            },
            (Verdict::Key { key, by, digest }, Ok(serial)) => {
                let evidence = Evidence::Vouched { by, digest: Some(digest) };
                self.beside(&draft, key, evidence)
                    .and_then(|evidence| self.vouched(number, &draft, serial, key, evidence))
                    .map(Some)
                    .into()
            }
        };
        let (lot, model) = self.origin(is_apart, &draft, &outcome);
        let note = note.map(Box::from);
        (Checked { serial: known, note, lot, model, outcome, told: None }, draft.lot)
    }

    /// Lot and model of a row that may come into the list of what is missing: one that has a
    /// trouble, or could not be taken out of its file if the node refused it.
    fn origin(
        &self,
        is_apart: bool,
        draft: &Draft,
        outcome: &Checks,
    ) -> (Option<String>, Option<String>) {
        if !is_apart && matches!(outcome, Checks::Ready(_)) {
            return (None, None);
        }
        let model = draft.model.as_ref().or(self.model.as_ref()).filter(|model| is_model(model));
        (draft.lot.clone().filter(|lot| is_label(lot, LOT_BYTES)), model.cloned())
    }

    /// What stands beside a document in its row: the key again, or the device's own signature,
    /// which is more than a document.
    fn beside(
        &self,
        draft: &Draft,
        key: PublicKey,
        evidence: Evidence,
    ) -> Result<Evidence, RowFault> {
        if let Some(text) = &draft.public_key
            && text.read(draft.key_type.as_deref())? != key
        {
            let reason = "`publicKey` is another key than the document names";
            return Err(RowFault::new("other-key", reason));
        }
        if draft.possession.is_some() { self.evidence(draft) } else { Ok(evidence) }
    }

    /// A device whose key a document names. If the line read a key too it must be the same.
    fn vouched(
        &self,
        number: u32,
        draft: &Draft,
        serial: &str,
        key: PublicKey,
        evidence: Evidence,
    ) -> Result<Device, RowFault> {
        let mut recovery = recovery::stated(draft)?;
        let evidence = match self.sources.keys.of(serial).transpose()? {
            Some(line) if line.key != key => {
                let reason = "the line read another key than the document names";
                return Err(RowFault::new("other-key", reason));
            }
            Some(line) => {
                recovery = recovery.or(line.recovery);
                self.line_evidence(line).unwrap_or(evidence)
            }
            None => evidence,
        };
        self.leaf(number, draft, serial, (key, recovery), evidence)
    }

    fn device(&self, number: u32, draft: &Draft, serial: &str) -> Result<Option<Device>, RowFault> {
        let Some(text) = &draft.public_key else {
            if draft.possession.is_some() {
                return Err(RowFault::new("possession-form", "a possession without a key"));
            }
            self.model_of(draft)?;
            let Some(line) = self.sources.keys.of(serial).transpose()? else { return Ok(None) };
            // Nobody but the line says that the key is the device's.
            let word = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
            let evidence = self.line_evidence(line).unwrap_or(word);
            let recovery = recovery::stated(draft)?.or(line.recovery);
            return self.leaf(number, draft, serial, (line.key, recovery), evidence).map(Some);
        };
        let model = self.model_of(draft)?;
        if let Some(key) = text.stated_ed25519(draft.key_type.as_deref())
            && draft.possession.is_some()
            && draft.recovery.is_none()
        {
            let commit = |did: &_| SerialCommitment::new(&self.directory_secret, did, serial);
            let (did, leaf) = Leaf::of_stated_key(&key, &self.evidence(draft)?, commit);
            return Ok(Some(ready(number, draft, serial, model, did, leaf)));
        }
        let key = text.read(draft.key_type.as_deref())?;
        let evidence = self.evidence(draft)?;
        let recovery = recovery::stated(draft)?;
        self.leaf(number, draft, serial, (key, recovery), evidence).map(Some)
    }

    fn leaf(
        &self,
        number: u32,
        draft: &Draft,
        serial: &str,
        (key, recovery): (PublicKey, Option<Recovery>),
        evidence: Evidence,
    ) -> Result<Device, RowFault> {
        let model = self.model_of(draft)?;
        let (inception, owner_recovery) = recovery::declared(key, recovery, &evidence)?;
        let did = Did::of(&inception);
        let commitment = SerialCommitment::new(&self.directory_secret, &did, serial);
        let leaf = Leaf { inception, evidence, serial: commitment, owner_recovery };
        Ok(ready(number, draft, serial, model, did, leaf.to_cbor()))
    }

    /// The device's own signature, if the line collected it.
    fn line_evidence(&self, line: &LineKey) -> Option<Evidence> {
        let (challenge, signature) = line.possession.as_deref()?;
        let challenge = challenge.as_ref().map_or(&self.challenge[..], |c| c.as_bytes()).to_vec();
        Some(Evidence::Possession { challenge, signature: *signature })
    }

    fn evidence(&self, draft: &Draft) -> Result<Evidence, RowFault> {
        let challenge = draft.challenge.as_ref().map_or(&self.challenge[..], |c| c.as_bytes());
        if challenge.len() > PossessionTerms::MAX_CHALLENGE {
            return Err(RowFault::new("challenge", "the challenge is longer than 32 bytes"));
        }
        let Some(text) = &draft.possession else {
            return Ok(Evidence::Vouched { by: VouchedBy::Enroller, digest: None });
        };
        let signature = signature_of(text)?;
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

fn ready(number: u32, draft: &Draft, serial: &str, model: &str, did: Did, leaf: Vec<u8>) -> Device {
    let lot = draft.lot.clone();
    let row = muster_api::Row { number: number.into(), leaf, serial: serial.into(), lot };
    let (row, serial) = (row.to_cbor().into(), mark(serial));
    Device { did, model: model.into(), scrap: false, row, serial }
}

pub(crate) fn mark(serial: &str) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(&sha256(&[serial.as_bytes()])[..16]);
    mark
}

/// A possession signature as text.
pub(crate) fn signature_of(text: &str) -> Result<Signature, RowFault> {
    let bytes = base64(text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Signature).ok_or_else(|| {
        RowFault::new("possession-form", "the signature is not 64 bytes in base64url")
    })
}

/// A certificate may be about anything.
const NAMELESS: &str = "the document names no device: no serial number, common name or hardware \
                        module; give serial and document together in a table";

fn serial(draft: &Draft) -> Result<&str, RowFault> {
    match &draft.serial {
        None => Err(RowFault::new("serial-missing", "the row has no serial number")),
        Some(serial) if is_label(serial, SERIAL_BYTES) => Ok(serial),
        Some(_) => Err(RowFault::new("serial", "the serial number is too long or not printable")),
    }
}

/// Text of 1 to `bound` bytes that people can tell from another: no control characters, and
/// none that are invisible or turn the direction of writing.
pub(crate) fn is_label(text: &str, bound: usize) -> bool {
    let invisible = |c| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    (1..=bound).contains(&text.len()) && !text.chars().any(|c| c.is_control() || invisible(c))
}

/// As the ledger has it: safe in a header and a path.
fn is_model(text: &str) -> bool {
    (1..=MODEL_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}
