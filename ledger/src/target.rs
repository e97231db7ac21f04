use crate::{BatchId, DevicePart};
use alloc::boxed::Box;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error};

/// A device, with its device part where the state may not know it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRef {
    /// The device.
    pub did: Did,
    /// Proof of its enrolment; needed for the first operation on the device.
    pub part: Option<Box<DevicePart>>,
}

/// What a restricting or releasing operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One device.
    Device(DeviceRef),
    /// Every device of a batch that has not left it.
    Batch(BatchId),
}

/// By which power a hold is placed; the same power releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The owner's (capability `operate`).
    Owner = 1,
    /// A gateway's report of an incident (capability `gateway`); always with an end.
    Incident = 2,
    /// The network's (capability `approve`).
    Governance = 3,
}

impl Encode for DeviceRef {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.part.is_some() { 2 } else { 1 }).value(&self.did);
        if let Some(part) = &self.part {
            w.value(&**part);
        }
    }
}

impl Decode for DeviceRef {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(2)?;
        if items == 0 {
            return Err(r.fault("a device is named by its DID"));
        }
        let did = r.value()?;
        let part = if items == 2 { Some(Box::new(r.value()?)) } else { None };
        Ok(Self { did, part })
    }
}

impl Encode for Target {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Device(device) => w.uint(1).value(device),
            Self::Batch(batch) => w.uint(2).value(batch),
        };
    }
}

impl Decode for Target {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            1 => Ok(Self::Device(r.value()?)),
            2 => Ok(Self::Batch(r.value()?)),
            _ => Err(r.fault("an unknown kind of target")),
        }
    }
}

impl Encode for Power {
    fn encode(&self, w: &mut Writer) {
        w.uint(*self as u64);
    }
}

impl Decode for Power {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.uint()? {
            1 => Ok(Self::Owner),
            2 => Ok(Self::Incident),
            3 => Ok(Self::Governance),
            _ => Err(r.fault("an unknown power")),
        }
    }
}
