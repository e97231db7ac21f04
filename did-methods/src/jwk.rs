use crate::document::{AGREEING, Builder, SIGNING};
use crate::{DidText, Error, Method, Options};
use data_encoding::BASE64URL_NOPAD;
use muster_api::{BoxFuture, DocumentMetadata, Resolution};
use serde_json::{Map, Value};

/// `did:jwk`: the identifier is a JSON Web Key (RFC 7517) in base64url.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jwk;

/// Members that only a private key has (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Method for Jwk {
    fn name(&self) -> &str {
        "jwk"
    }

    fn resolve<'a>(&'a self, did: &'a DidText, _: &'a Options) -> BoxFuture<'a, Resolution> {
        Box::pin(std::future::ready(match document(did) {
            Ok(document) => Resolution::found(document, DocumentMetadata::default()),
            Err(error) => error.into(),
        }))
    }
}

fn document(did: &DidText) -> Result<Value, Error> {
    let fault = |why: &str| Error::InvalidDid(format!("did:jwk: {why}"));
    let bytes = BASE64URL_NOPAD
        .decode(did.id().as_bytes())
        .map_err(|_| fault("not base64url without padding"))?;
    let jwk: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|_| fault("not a JSON object"))?;
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return Err(fault("the key is private; whoever has this DID has the key"));
    }
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let needs: &[&str] = match text("kty") {
        "EC" => &["crv", "x", "y"],
        "OKP" => &["crv", "x"],
        "RSA" => &["n", "e"],
        _ => return Err(fault("an unknown `kty`")),
    };
    if let Some(missing) = needs.iter().find(|name| text(name).is_empty()) {
        return Err(fault(&format!("`{missing}` is missing")));
    }
    // The method says: `sig` leaves out agreement, `enc` leaves all else out. A key that cannot
    // sign is not offered for signatures, whatever its `use`.
    let only_agrees = matches!(text("crv"), "X25519" | "X448");
    let signing = SIGNING.into_iter().filter(|_| !only_agrees && text("use") != "enc");
    let agreeing = (text("use") != "sig").then_some(AGREEING);
    let relations: Vec<_> = signing.chain(agreeing).collect();
    let builder = Builder::new(did.as_str(), "https://w3id.org/security/suites/jws-2020/v1");
    Ok(builder.key("0", "JsonWebKey2020", "publicKeyJwk", Value::Object(jwk), relations).finish())
}
