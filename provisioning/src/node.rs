//! The node that a pipeline enrols through, wherever it is: at the other end of a connection, or
//! in this process.

use muster_api::{
    BatchView, BoxFuture, Client, ClientError, LineNoted, NetworkView, Sealed, UploadOpened,
    Verdicts,
};
use muster_identity::Did;
use muster_ledger::{EntryProof, Receipt, SignedOperation};

/// What a node answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ClientError>>;

/// What the pipeline asks of a node (`docs/formats/upload.md`). Nothing of it is believed that can
/// be checked.
pub trait Node: Send + Sync {
    /// Grants, and which network it is.
    fn network(&self) -> Answer<'_, NetworkView>;
    /// Opens an upload by a signed request.
    fn open_upload(&self, request: Vec<u8>) -> Answer<'_, UploadOpened>;
    /// Sends rows: the body that [`muster_api::Rows::join`] makes.
    fn upload_rows<'a>(&'a self, upload: &'a str, rows: Vec<u8>) -> Answer<'a, Verdicts>;
    /// Sends what the line says of devices.
    fn note_line<'a>(&'a self, upload: &'a str, records: Vec<u8>) -> Answer<'a, LineNoted>;
    /// Ends the rows.
    fn seal_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, Sealed>;
    /// Throws an upload away.
    fn drop_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, ()>;
    /// Submits the operation that makes a sealed upload live.
    fn submit_upload<'a>(
        &'a self,
        upload: &'a str,
        operation: &'a SignedOperation,
    ) -> Answer<'a, EntryProof>;
    /// A batch.
    fn batch<'a>(&'a self, batch: &'a str) -> Answer<'a, BatchView>;
    /// A device's receipt.
    fn receipt<'a>(&'a self, did: &'a Did) -> Answer<'a, Receipt>;
}

impl Node for Client {
    fn network(&self) -> Answer<'_, NetworkView> {
        Box::pin(Client::network(self))
    }

    fn open_upload(&self, request: Vec<u8>) -> Answer<'_, UploadOpened> {
        Box::pin(Client::open_upload(self, request))
    }

    fn upload_rows<'a>(&'a self, upload: &'a str, rows: Vec<u8>) -> Answer<'a, Verdicts> {
        Box::pin(Client::upload_rows(self, upload, rows))
    }

    fn note_line<'a>(&'a self, upload: &'a str, records: Vec<u8>) -> Answer<'a, LineNoted> {
        Box::pin(Client::note_line(self, upload, records))
    }

    fn seal_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, Sealed> {
        Box::pin(Client::seal_upload(self, upload))
    }

    fn drop_upload<'a>(&'a self, upload: &'a str) -> Answer<'a, ()> {
        Box::pin(Client::drop_upload(self, upload))
    }

    fn submit_upload<'a>(
        &'a self,
        upload: &'a str,
        operation: &'a SignedOperation,
    ) -> Answer<'a, EntryProof> {
        Box::pin(Client::submit_upload(self, upload, operation))
    }

    fn batch<'a>(&'a self, batch: &'a str) -> Answer<'a, BatchView> {
        Box::pin(Client::batch(self, batch))
    }

    fn receipt<'a>(&'a self, did: &'a Did) -> Answer<'a, Receipt> {
        Box::pin(Client::receipt(self, did))
    }
}
