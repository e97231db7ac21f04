//! Requests to stage rows: signed, and their payload alone.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_fuzz::sign1_payload;
use muster_identity::cbor::Encode;
use muster_ledger::UploadRequest;

pub fn run(data: &[u8]) -> bool {
    let Ok(verified) = UploadRequest::verify(data) else {
        return muster_fuzz::one_encoding::<UploadRequest>(data);
    };
    let payload = verified.request().to_cbor();
    assert_eq!(Some(payload.as_slice()), sign1_payload(data), "a second form of a request");
    true
}

muster_fuzz::target!(run);
