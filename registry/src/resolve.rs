use crate::Error;
use crate::node::Node;
use muster_api::{DocumentMetadata, Problem, Resolution};
use muster_identity::cbor::Decode as _;
use muster_identity::{Did, Document, Relationships};
use muster_ledger::{Entry, Status, status};

impl Node {
    /// Resolves a device's DID (DID Resolution 1.0) under the newest signed head.
    pub(crate) async fn resolve(&self, did: &Did) -> Resolution {
        match self.try_resolve(did).await {
            Ok(Some(found)) => found,
            Ok(None) => Resolution::failed("NOT_FOUND", format!("{did} is not on this ledger")),
            Err(problem) => Resolution::failed("INTERNAL_ERROR", problem.title),
        }
    }

    async fn try_resolve(&self, did: &Did) -> Result<Option<Resolution>, Problem> {
        let published = self.published()?;
        let Some(device) = self.find(&published, did).await? else { return Ok(None) };
        let head = published.checkpoint.head();
        let record = device.record.as_ref();
        let standing = status(record, &device.batch, head.time);
        let inception = &device.leaf.inception;
        let keys = record.map_or(Some(inception.key), |r| r.key.given(inception.key));
        let document = match standing {
            Status::Deactivated => Document::deactivated(did),
            _ => Document::for_keys(
                did,
                keys.as_slice(),
                inception.agreement.as_ref(),
                match standing {
                    Status::Active => Relationships::InForce,
                    _ => Relationships::Withheld,
                },
            ),
        };
        // The document changes with the device and with its batch.
        let mut subjects = vec![*did.digest()];
        // Until it leaves by a transfer, which is a change of its own.
        if record.is_none_or(|r| r.left.is_none()) {
            subjects.push(device.row.batch.0);
        }
        let last = self.store.touched(subjects, 2).await?.into_iter().rfind(|e| *e < head.size);
        let enrolled = device.batch.entry;
        let times = self.times([Some(enrolled), last.filter(|e| *e > enrolled)]).await?;
        let metadata = DocumentMetadata {
            created: times[0].clone(),
            updated: times[1].clone(),
            deactivated: (standing == Status::Deactivated).then_some(true),
            version_id: Some(record.map_or(0, |r| r.seq).to_string()),
            standing: Some(standing.word().into()),
        };
        let document = serde_json::to_value(&document).map_err(|e| Error::Us(e.to_string()))?;
        Ok(Some(Resolution::found(document, metadata)))
    }

    /// When the blocks of some entries were made.
    async fn times(&self, places: [Option<u64>; 2]) -> Result<[Option<String>; 2], Error> {
        let wanted: Vec<u64> = places.iter().flatten().copied().collect();
        let mut times = [None, None];
        for (place, bytes) in self.store.entries_at(wanted).await? {
            let entry = Entry::from_cbor(&bytes).map_err(Error::damaged)?;
            for (time, _) in times.iter_mut().zip(places).filter(|(_, p)| *p == Some(place)) {
                *time = Some(entry.time.to_string());
            }
        }
        Ok(times)
    }
}
