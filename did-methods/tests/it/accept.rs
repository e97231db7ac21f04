use crate::resolve;
use muster_did_methods::{Answer, Error, MediaType, Representation, negotiate};

const RESULT: Representation = Representation::Result("application/did-resolution");

#[test]
fn headers_choose_what_is_sent() {
    use Representation::{Document, Result};
    let profiled = "application/ld+json;profile=\"https://w3id.org/did-resolution\"";
    let cases = [
        (None, RESULT),
        (Some(""), RESULT),
        (Some("*/*"), RESULT),
        (Some("application/*"), RESULT),
        (Some("application/did-resolution"), RESULT),
        (Some("application/json"), Result("application/json")),
        (Some("application/did"), Document(MediaType::Did)),
        (Some("application/did+json"), Document(MediaType::DidJson)),
        (Some("Application/DID+LD+JSON"), Document(MediaType::DidLdJson)),
        (Some("application/ld+json"), Document(MediaType::LdJson)),
        (Some(profiled), Result(profiled)),
        (Some("text/html, application/did;q=0.5, */*;q=0.1"), Document(MediaType::Did)),
        (Some("application/did;q=0.5,application/ld+json;q=0.9"), Document(MediaType::LdJson)),
        (Some("application/did;q=0.5,application/ld+json;q=0.5"), Document(MediaType::Did)),
        (Some("application/did ; q=0 , application/did+json"), Document(MediaType::DidJson)),
    ];
    for (header, expected) in cases {
        assert_eq!(negotiate(header), Ok(expected), "{header:?}");
    }
    let long = format!("application/did,{}", "x/y,".repeat(400));
    for header in ["text/html", "application/did;q=0", "application/did;q=2", "image/*", &long] {
        assert_eq!(negotiate(Some(header)), Err(Error::RepresentationNotSupported), "{header}");
    }
}

#[tokio::test]
async fn answers_carry_the_document_or_the_result() {
    let did = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH";
    let alone = Answer::new(resolve(did).await, Representation::Document(MediaType::DidJson));
    assert_eq!((alone.status, alone.content_type), (200, "application/did+json"));
    let document: serde_json::Value = serde_json::from_slice(&alone.body).expect("JSON");
    assert_eq!(document["id"], did);
    let whole = Answer::new(resolve(did).await, RESULT);
    let result: serde_json::Value = serde_json::from_slice(&whole.body).expect("JSON");
    assert_eq!(result["didDocument"], document);

    // A failure is told in the result, whatever was asked for.
    let failed = Answer::new(resolve("did:x:y").await, Representation::Document(MediaType::Did));
    assert_eq!((failed.status, failed.content_type), (501, "application/did-resolution"));
    let none = Answer::failed(Error::RepresentationNotSupported);
    assert_eq!(none.status, 406);
    let said: serde_json::Value = serde_json::from_slice(&none.body).expect("JSON");
    let kind = &said["didResolutionMetadata"]["error"]["type"];
    assert_eq!(kind, "https://www.w3.org/ns/did#REPRESENTATION_NOT_SUPPORTED");
}
