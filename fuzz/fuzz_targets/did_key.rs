//! `did:key` and `did:jwk`: identifiers that are keys, sent by anybody.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_did_methods::{Jwk, Key, Options, Resolver, negotiate};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub fn run(data: &[u8]) -> bool {
    let Ok(did) = str::from_utf8(data) else { return false };
    // Must not panic.
    let _ = negotiate(Some(did));

    let (resolver, options) =
        (Resolver::new(vec![Box::new(Key), Box::new(Jwk)]), Options::default());
    let resolution = pin!(resolver.resolve(did, &options));
    let Poll::Ready(resolution) = resolution.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a method that needs no registry waits for something")
    };
    let error = resolution.did_resolution_metadata.error.as_ref();
    let Some(document) = &resolution.did_document else {
        assert!(error.is_some(), "neither a document nor an error");
        return false;
    };
    assert!(error.is_none(), "both a document and an error");
    assert_eq!(document["id"], did, "the document of another DID");
    let methods = document["verificationMethod"].as_array().expect("methods");
    assert!((1..=2).contains(&methods.len()), "a key, and perhaps its agreement key");
    assert!(methods.iter().all(|method| method["controller"] == did), "another controller");
    true
}

muster_fuzz::target!(run);
