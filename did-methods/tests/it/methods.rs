use crate::{error, resolve, resolver};
use data_encoding::BASE64URL_NOPAD;
use muster_did_methods::{DidText, MediaType, Options};
use muster_identity::{Did, PublicKey};
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_no_did_is_refused() {
    let long = format!("did:key:z{}", "1".repeat(3_000));
    let bad = [
        "",
        "did",
        "did:",
        "did:key",
        "did:key:",
        "did::z",
        "DID:key:z6Mk",
        "did:Key:z6Mk",
        "did:k-y:z6Mk",
        "did:key:z6Mk#z6Mk",
        "did:key:z6Mk?x=1",
        "did:key:z6Mk/path",
        "did:web:a b",
        "did:web:a%2",
        "did:web:a%zz",
        "did:web:a:",
        "did:web:\u{e9}",
        "urn:x:y",
        " did:key:z6Mk",
        "did:key:z6Mk ",
        &long,
    ];
    for text in bad {
        let resolution = resolve(text).await;
        assert_eq!(error(&resolution), Some("INVALID_DID"), "{text}");
        assert_eq!(resolution.http_status(), 400);
        assert_eq!(resolution.did_document, None);
    }
    for text in ["did:web:example.com%3A8443:a", "did:a1:::x", "did:x:a_b-c.d", "did:muster:z"] {
        let did: DidText = text.parse().expect("a DID by its syntax");
        assert_eq!(format!("did:{}:{}", did.method(), did.id()), text);
    }
}

#[tokio::test]
async fn methods_are_found_by_name() {
    assert_eq!(resolver().methods().collect::<Vec<_>>(), ["muster", "key", "jwk"]);
    let other = resolve("did:web:example.com").await;
    assert_eq!((error(&other), other.http_status()), (Some("METHOD_NOT_SUPPORTED"), 501));
    let known = Did::from_digest([7; 32]).to_string();
    let found = resolve(&known).await;
    assert_eq!(found.did_document, Some(json!({ "id": known })));
    assert_eq!(found.did_resolution_metadata.content_type.as_deref(), Some("application/did"));
    let unknown = resolve(&Did::from_digest([0; 32]).to_string()).await;
    assert_eq!((error(&unknown), unknown.http_status()), (Some("NOT_FOUND"), 404));
    assert_eq!(error(&resolve("did:muster:zz").await), Some("INVALID_DID"));
}

#[tokio::test]
async fn the_accepted_media_type_is_named() {
    let options = Options::accepting(MediaType::DidLdJson);
    let did = Did::from_digest([7; 32]).to_string();
    let found = resolver().resolve(&did, &options).await;
    let metadata = found.did_resolution_metadata;
    assert_eq!(metadata.content_type.as_deref(), Some("application/did+ld+json"));
}

#[tokio::test]
async fn did_key_documents_have_multikeys() {
    let did = "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169";
    let document = resolve(did).await.did_document.expect("a document");
    let id = "zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169";
    let url = format!("{did}#{id}");
    let expected = json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [
            { "id": url, "type": "Multikey", "controller": did, "publicKeyMultibase": id }
        ],
        "authentication": [url],
        "assertionMethod": [url],
        "capabilityInvocation": [url],
        "capabilityDelegation": [url],
        "keyAgreement": [url],
    });
    assert_eq!(document, expected);
    let x25519 = "did:key:z6LSmArkPSdTKjEESsExHRrSwUzYUHgDuWDewXc4nocasvFU";
    let document = resolve(x25519).await.did_document.expect("a document");
    assert_eq!(document.get("authentication"), None);
    assert_eq!(document["keyAgreement"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_did_key_that_is_no_key_is_refused() {
    let encode = |bytes: &[u8]| multibase::encode(multibase::Base::Base58Btc, bytes);
    let mut weak = [0; 34];
    weak[..3].copy_from_slice(&[0xed, 0x01, 0x01]);
    let bad = [
        "did:key:z6Mk".to_owned(),
        "did:key:z0OIl".to_owned(),
        "did:key:u7QE".to_owned(),
        "did:key:f00".to_owned(),
        format!("did:key:{}", encode(&weak)),
        format!("did:key:{}", encode(&[&[0xe7, 0x01, 0x04][..], &[1; 32]].concat())),
        format!("did:key:{}", encode(&[&[0xe7, 0x01, 0x02][..], &[1; 31]].concat())),
        format!("did:key:{}", encode(&[&[0x99, 0x77][..], &[1; 32]].concat())),
        // A private key (multicodec ed25519-priv) is no key to publish.
        format!("did:key:{}", encode(&[&[0x80, 0x26][..], &[1; 32]].concat())),
        format!("did:key:z{}", "2".repeat(1_500)),
        "did:key:1.1:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH".to_owned(),
    ];
    for did in bad {
        assert_eq!(error(&resolve(&did).await), Some("INVALID_DID"), "{did}");
    }
}

async fn jwk(jwk: Value) -> muster_api::Resolution {
    let text = BASE64URL_NOPAD.encode(jwk.to_string().as_bytes());
    resolve(&format!("did:jwk:{text}")).await
}

#[tokio::test]
async fn did_jwk_follows_the_use_of_the_key() {
    let ec = |purpose: Option<&str>| {
        let mut jwk = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
        if let Some(purpose) = purpose {
            jwk["use"] = purpose.into();
        }
        jwk
    };
    let agreement = json!({ "kty": "OKP", "crv": "X25519", "x": "AA" });
    let cases = [
        (ec(None), true, true),
        (ec(Some("sig")), true, false),
        (ec(Some("enc")), false, true),
        (agreement, false, true),
    ];
    for (key, signs, agrees) in cases {
        let document = jwk(key.clone()).await.did_document.expect("a document");
        assert_eq!(document["verificationMethod"][0]["publicKeyJwk"], key);
        assert_eq!(document.get("authentication").is_some(), signs, "{key}");
        assert_eq!(document.get("keyAgreement").is_some(), agrees, "{key}");
    }
}

#[tokio::test]
async fn a_did_jwk_with_a_private_or_broken_key_is_refused() {
    let bad = [
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "c2VjcmV0" }),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA" }),
        json!({ "kty": "EC", "crv": "P-256", "x": 1, "y": "AA" }),
        json!({ "crv": "P-256" }),
        json!([]),
    ];
    for key in bad {
        let resolution = jwk(key.clone()).await;
        assert_eq!(error(&resolution), Some("INVALID_DID"), "{key}");
        let said = serde_json::to_string(&resolution).expect("JSON");
        assert!(!said.contains("c2VjcmV0"), "{said}");
    }
    for did in ["did:jwk:e30=", "did:jwk:%20", "did:jwk:AAAA"] {
        assert_eq!(error(&resolve(did).await), Some("INVALID_DID"), "{did}");
    }
}

#[tokio::test]
async fn a_did_key_names_the_same_key_as_the_ground() {
    let text = "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH";
    let key = PublicKey::from_multikey(text).expect("a key");
    let document = resolve(&format!("did:key:{text}")).await.did_document.expect("a document");
    assert_eq!(document["verificationMethod"][0]["publicKeyMultibase"], key.to_multikey());
}
