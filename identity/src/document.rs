use crate::{AgreementKey, Did, Error, PublicKey};
use alloc::{format, string::String, string::ToString, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// DID Core 1.0, and Multikey as Controlled Identifiers 1.0 §2.2.2 defines it.
const CONTEXTS: [&str; 2] =
    ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];

/// A DID document (DID Core 1.0 §5) with Multikeys. It has no `controller`: in DID Core that is
/// who may change the document, and nobody but the device may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    did: Did,
    authentication: Vec<PublicKey>,
    agreement: Option<AgreementKey>,
    relationships: Relationships,
}

/// Whether the document's keys may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relationships {
    /// The keys authenticate, and the agreement key agrees.
    InForce,
    /// Held or revoked: the keys stay readable as verification methods, and no verification
    /// relationship (DID Core §5.3) names them.
    Withheld,
}

impl Document {
    /// The document of a DID with these keys.
    pub fn for_keys(
        did: &Did,
        authentication: &[PublicKey],
        agreement: Option<&AgreementKey>,
        relationships: Relationships,
    ) -> Self {
        Self {
            did: *did,
            authentication: authentication.to_vec(),
            agreement: agreement.copied(),
            relationships,
        }
    }

    /// The document of a deactivated DID (DID Core §8.2): its `id` and nothing else.
    pub fn deactivated(did: &Did) -> Self {
        Self::for_keys(did, &[], None, Relationships::Withheld)
    }

    /// The DID it describes.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The authentication keys, in force or not.
    pub fn authentication_keys(&self) -> &[PublicKey] {
        &self.authentication
    }

    /// The key-agreement key, in force or not.
    pub fn agreement_key(&self) -> Option<&AgreementKey> {
        self.agreement.as_ref()
    }

    /// Whether the keys may be used.
    pub fn relationships(&self) -> Relationships {
        self.relationships
    }

    fn wire(&self) -> Wire {
        let did = self.did.to_string();
        let method = |multikey: String| Method {
            id: format!("{did}#{multikey}"),
            kind: MULTIKEY.to_string(),
            controller: did.clone(),
            public_key_multibase: multikey,
        };
        let signing: Vec<_> =
            self.authentication.iter().map(|key| method(key.to_multikey())).collect();
        let agreeing: Vec<_> = self.agreement.iter().map(|key| method(key.to_multikey())).collect();
        // A relationship that is present has at least one method (DID Core §5.3.1), so one
        // without any is left out.
        let named = |methods: &[Method]| match self.relationships {
            Relationships::InForce => methods.iter().map(|m| m.id.clone()).collect(),
            Relationships::Withheld => Vec::new(),
        };
        Wire {
            context: CONTEXTS.map(String::from).to_vec(),
            authentication: named(&signing),
            key_agreement: named(&agreeing),
            verification_method: signing.into_iter().chain(agreeing).collect(),
            id: did,
        }
    }

    /// Reads back exactly what [`Self::wire`] writes: build the document that the keys call
    /// for, and compare.
    fn from_wire(wire: &Wire) -> Result<Self, Error> {
        let (mut authentication, mut agreement) = (Vec::new(), None);
        for method in &wire.verification_method {
            match PublicKey::from_multikey(&method.public_key_multibase) {
                Ok(key) => authentication.push(key),
                Err(_) => {
                    agreement = Some(AgreementKey::from_multikey(&method.public_key_multibase)?);
                }
            }
        }
        let relationships = if wire.authentication.is_empty() && wire.key_agreement.is_empty() {
            Relationships::Withheld
        } else {
            Relationships::InForce
        };
        let document = Self { did: wire.id.parse()?, authentication, agreement, relationships };
        if document.wire() == *wire {
            Ok(document)
        } else {
            Err(Error::Did("not a document of this method"))
        }
    }
}

const MULTIKEY: &str = "Multikey";

/// The JSON form, members in the order of DID Core's examples.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    #[serde(rename = "@context")]
    context: Vec<String>,
    id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verification_method: Vec<Method>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authentication: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key_agreement: Vec<String>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Method {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    controller: String,
    public_key_multibase: String,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.wire().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_wire(&Wire::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
