use crate::{Error, Gateway, limits};
use muster_identity::cbor::Encode as _;
use muster_ledger::DevicePart;
use muster_verifier::{Enrolment, EvidenceFault};

/// What became of device parts that were loaded beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preloaded {
    /// Kept on disk.
    pub kept: u64,
    /// Of batches that are not on the roll.
    pub unknown: u64,
    /// That prove nothing.
    pub false_parts: u64,
}

impl Gateway {
    /// Keeps device parts loaded beforehand; says how many of them the roll proves.
    pub fn preload(&self, parts: &[DevicePart]) -> Result<Preloaded, Error> {
        let Some(roll) = self.roll() else { return Err(Error::NoHead) };
        let mut told = Preloaded::default();
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            match Enrolment::check(part, roll.view(0)) {
                Ok(checked) => kept.push((checked.did(), part.to_cbor())),
                Err(EvidenceFault::UnknownBatch) => told.unknown += 1,
                Err(EvidenceFault::False | EvidenceFault::Damaged) => told.false_parts += 1,
            }
        }
        for chunk in kept.chunks(limits::PRELOAD_CHUNK) {
            self.0.evidence.devices.preload(chunk)?;
        }
        told.kept = kept.len() as u64;
        Ok(told)
    }
}
