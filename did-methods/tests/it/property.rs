//! Whatever the text: no panic, and an answer that is either a document or an error.

use crate::{error, resolve};
use data_encoding::BASE64URL_NOPAD;
use muster_did_methods::negotiate;
use proptest::prelude::*;

fn answered(did: &str) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let resolution = runtime.block_on(resolve(did));
    prop_assert_ne!(resolution.did_document.is_some(), error(&resolution).is_some());
    Ok(())
}

proptest! {
    #[test]
    fn any_text(text in ".{0,60}") {
        answered(&text)?;
        let _ = negotiate(Some(&text));
    }

    #[test]
    fn any_did_key(bytes in prop::collection::vec(any::<u8>(), 0..150), kind in 0..8_usize) {
        let prefixes: [&[u8]; 8] = [
            &[], &[0xed, 1], &[0xec, 1], &[0x80, 0x24], &[0xe7, 1], &[0x81, 0x24], &[0xeb, 1], &[0x85, 0x24],
        ];
        let bytes = [prefixes[kind], &bytes].concat();
        answered(&format!("did:key:{}", multibase::encode(multibase::Base::Base58Btc, bytes)))?;
    }

    #[test]
    fn any_did_jwk(json in "\\{(\"(kty|crv|x|y|d|use)\":(\"(EC|OKP|A)\"|1|null),?){0,5}\\}") {
        answered(&format!("did:jwk:{}", BASE64URL_NOPAD.encode(json.as_bytes())))?;
    }

    #[test]
    fn any_accept_header(header in "(application/(did|json|ld\\+json|\\*)|\\*/\\*|[;,= q0-9.\"]){0,12}") {
        let _ = negotiate(Some(&header));
    }
}
