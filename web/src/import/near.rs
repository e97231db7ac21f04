//! The node of this process, as the pipeline asks it.

use super::job::Job;
use muster_api::{
    BatchView, ClientError, LineNoted, LineRecords, NetworkView, Problem, Rows, Sealed,
    UploadOpened, Verdicts,
};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{EntryProof, Receipt, SignedOperation};
use muster_provisioning::{Answer, Node};
use muster_registry::Registry;
use std::sync::Arc;

/// The node, until somebody cancels the import: then it answers nothing more, and only takes back
/// what it was given. So a pipeline that is cancelled ends as one that was refused.
pub(super) struct Near {
    pub(super) registry: Registry,
    pub(super) job: Arc<Job>,
}

impl Near {
    fn go_on(&self) -> Result<(), ClientError> {
        if self.job.is_cancelled() {
            return Err(Problem::new(409, "cancelled", "the import was cancelled").into());
        }
        Ok(())
    }
}

fn read<T: Decode>(body: &[u8]) -> Result<T, Problem> {
    T::from_cbor(body).map_err(|e| Problem::new(400, "malformed", e.to_string()))
}

fn found<T>(answer: Option<T>) -> Result<T, Problem> {
    answer.ok_or_else(|| Problem::new(404, "not-found", "it is not on this ledger"))
}

impl Node for Near {
    fn network(&self) -> Answer<'_, NetworkView> {
        Box::pin(async {
            self.go_on()?;
            Ok(self.registry.network().await?)
        })
    }

    fn open_upload(&self, request: Vec<u8>) -> Answer<'_, UploadOpened> {
        Box::pin(async move {
            self.go_on()?;
            Ok(self.registry.open_upload(&request).await?)
        })
    }

    fn upload_rows<'a>(&'a self, upload: &'a str, rows: Vec<u8>) -> Answer<'a, Verdicts> {
        Box::pin(async move {
            self.go_on()?;
            Ok(self.registry.stage(upload, read::<Rows>(&rows)?).await?)
        })
    }

    fn note_line<'a>(&'a self, upload: &'a str, records: Vec<u8>) -> Answer<'a, LineNoted> {
        Box::pin(async move {
            self.go_on()?;
            Ok(self.registry.note_line(upload, read::<LineRecords>(&records)?).await?)
        })
    }

    fn seal_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, Sealed> {
        Box::pin(async move {
            self.go_on()?;
            Ok(self.registry.seal(upload).await?)
        })
    }

    fn drop_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { Ok(self.registry.drop_upload(upload).await?) })
    }

    fn submit_upload<'a>(
        &'a self,
        upload: &'a str,
        operation: &'a SignedOperation,
    ) -> Answer<'a, EntryProof> {
        Box::pin(async move {
            self.go_on()?;
            let upload = Some(upload).filter(|upload| !upload.is_empty());
            Ok(self.registry.submit(operation.clone(), upload).await?)
        })
    }

    fn batch<'a>(&'a self, batch: &'a str) -> Answer<'a, BatchView> {
        Box::pin(async move {
            self.go_on()?;
            let id = batch.parse().map_err(|_| Problem::new(400, "batch", "no id of a batch"))?;
            Ok(found(self.registry.batch(&id).await?)?)
        })
    }

    fn receipt<'a>(&'a self, did: &'a Did) -> Answer<'a, Receipt> {
        Box::pin(async move {
            self.go_on()?;
            Ok(found(self.registry.receipt(did).await?)?)
        })
    }
}
