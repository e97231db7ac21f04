use super::{
    BatchRecord, DeviceRecord, GrantRecord, HoldRecord, Left, Offer, OrganisationRecord, Retired,
    RetiredKey, Standing,
};
use crate::{DeviceKey, action, limits};
use alloc::boxed::Box;
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

impl Encode for OrganisationRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(3).uint(1).text(&self.label).uint(2).list(&self.keys).uint(3).uint(self.seq);
    }
}

impl Decode for OrganisationRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            label: action::printable(m.required(1)?, limits::LABEL_BYTES)?,
            keys: m.required(2)?.list(limits::ORGANISATION_KEYS)?,
            seq: m.required(3)?.uint()?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for GrantRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(8).uint(1).value(&self.issuer).uint(2).value(&self.organisation);
        w.uint(3).array(self.models.len());
        for model in &self.models {
            w.text(model);
        }
        w.uint(4).uint(self.count).uint(5).uint(self.used).uint(6).value(&self.expires);
        w.uint(7).value(&self.evidence).uint(8).bool(self.withdrawn);
    }
}

impl Decode for GrantRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            issuer: m.required(1)?.value()?,
            organisation: m.required(2)?.value()?,
            models: action::models(m.required(3)?)?,
            count: m.required(4)?.uint()?,
            used: m.required(5)?.uint()?,
            expires: m.required(6)?.value()?,
            evidence: m.required(7)?.value()?,
            withdrawn: m.required(8)?.bool()?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for BatchRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(8 + usize::from(self.offer.is_some())).uint(1).value(&self.owner);
        w.uint(2).value(&self.grant).uint(3).text(&self.model);
        w.uint(4).uint(self.count).uint(5).bytes(&self.root).uint(6).uint(self.entry);
        w.uint(7).uint(self.seq).uint(8).value(&self.standing);
        if let Some(offer) = &self.offer {
            w.uint(9).value(&**offer);
        }
    }
}

impl Decode for BatchRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            owner: m.required(1)?.value()?,
            grant: m.required(2)?.value()?,
            model: action::model(m.required(3)?)?,
            count: m.required(4)?.uint_max(limits::BATCH_DEVICES)?,
            root: m.required(5)?.array_of()?,
            entry: m.required(6)?.uint()?,
            seq: m.required(7)?.uint()?,
            standing: m.required(8)?.value()?,
            offer: m.optional(9)?.map(|r| r.value().map(Box::new)).transpose()?,
        };
        m.end()?;
        if record.offer.as_ref().is_some_and(|offer| offer.batch.is_some()) {
            return Err(r.fault("a batch is in no batch"));
        }
        Ok(record)
    }
}

impl Encode for DeviceRecord {
    fn encode(&self, w: &mut Writer) {
        let optional = [
            self.key.written().is_some(),
            self.next_key.is_some(),
            self.left.is_some(),
            self.offer.is_some(),
        ];
        w.map(5 + optional.into_iter().filter(|present| *present).count())
            .uint(1)
            .value(&self.batch)
            .uint(2)
            .uint(self.index);
        w.uint(3).uint(self.seq);
        if let Some(keys) = self.key.written() {
            w.uint(4).list(keys);
        }
        w.uint(5).list(&self.retired);
        if let Some(next) = &self.next_key {
            w.uint(6).bytes(next);
        }
        w.uint(7).value(&self.standing);
        if let Some(left) = &self.left {
            w.uint(8).array(2).value(&left.owner).uint(left.entry);
        }
        if let Some(offer) = &self.offer {
            w.uint(9).value(&**offer);
        }
    }
}

impl Decode for DeviceRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            batch: m.required(1)?.value()?,
            index: m.required(2)?.uint_max(limits::BATCH_DEVICES)?,
            seq: m.required(3)?.uint()?,
            key: m.optional(4)?.map(DeviceKey::read).transpose()?.unwrap_or(DeviceKey::Own),
            retired: m.required(5)?.list(limits::RETIRED_KEYS)?,
            next_key: m.optional(6)?.map(|r| r.array_of()).transpose()?,
            standing: m.required(7)?.value()?,
            left: m.optional(8)?.map(left).transpose()?,
            offer: m.optional(9)?.map(|r| r.value().map(Box::new)).transpose()?,
        };
        m.end()?;
        if record.offer.as_ref().is_some_and(|o| o.batch.is_some() == record.left.is_some()) {
            return Err(r.fault("an offer counts the changes of the batch that a device is in"));
        }
        if record.key == DeviceKey::Own && !(record.retired.is_empty() && record.next_key.is_none())
        {
            return Err(r.fault("a device with the key of its bare inception never had another"));
        }
        Ok(record)
    }
}

fn left(r: &mut Reader<'_>) -> Result<Left, Error> {
    r.tuple(2)?;
    Ok(Left { owner: r.value()?, entry: r.uint()? })
}

/// `[id, to, expires]`, and the batch's change counter where there is one.
impl Encode for Offer {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.batch.is_some() { 4 } else { 3 });
        w.value(&self.id).value(&self.to).value(&self.expires);
        if let Some(seq) = self.batch {
            w.uint(seq);
        }
    }
}

impl Decode for Offer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(4)?;
        if items < 3 {
            return Err(r.fault("an offer has an id, a receiver and an end"));
        }
        Ok(Self {
            id: r.value()?,
            to: r.value()?,
            expires: r.value()?,
            batch: if items == 4 { Some(r.uint()?) } else { None },
        })
    }
}

impl Encode for RetiredKey {
    fn encode(&self, w: &mut Writer) {
        w.array(2).value(&self.key).uint(self.why as u64);
    }
}

impl Decode for RetiredKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let key = r.value()?;
        let why = match r.uint()? {
            1 => Retired::Rotated,
            2 => Retired::Revoked,
            3 => Retired::Recovered,
            _ => return Err(r.fault("an unknown reason for a retired key")),
        };
        Ok(Self { key, why })
    }
}

impl Encode for Standing {
    fn encode(&self, w: &mut Writer) {
        w.array(4).bool(self.revoked).bool(self.deactivated).uint(self.released);
        w.list(&self.holds);
    }
}

impl Decode for Standing {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        Ok(Self {
            revoked: r.bool()?,
            deactivated: r.bool()?,
            released: r.uint()?,
            holds: r.list(limits::HOLDS)?,
        })
    }
}

impl Encode for HoldRecord {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.until.is_some() { 4 } else { 3 });
        w.value(&self.id).value(&self.by).value(&self.power);
        if let Some(until) = &self.until {
            w.value(until);
        }
    }
}

impl Decode for HoldRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(4)?;
        if items < 3 {
            return Err(r.fault("a hold has an id, an author and a power"));
        }
        Ok(Self {
            id: r.value()?,
            by: r.value()?,
            power: r.value()?,
            until: if items == 4 { Some(r.value()?) } else { None },
        })
    }
}
