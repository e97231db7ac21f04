//! DID documents of the methods that need no registry.

use serde_json::{Map, Value, json};

/// What a key may do, as DID Core 1.0 §5.3 names it.
pub(crate) const SIGNING: [&str; 4] =
    ["authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation"];

/// Where a key agrees.
pub(crate) const AGREEING: &str = "keyAgreement";

/// A document under construction.
pub(crate) struct Builder {
    did: String,
    contexts: Vec<&'static str>,
    methods: Vec<Value>,
    relations: Map<String, Value>,
}

impl Builder {
    pub(crate) fn new(did: &str, context: &'static str) -> Self {
        let contexts = Vec::from(["https://www.w3.org/ns/did/v1", context]);
        Self { did: did.into(), contexts, methods: Vec::new(), relations: Map::new() }
    }

    /// Adds a verification method: its fragment, its type, the member that holds the key.
    pub(crate) fn key(
        mut self,
        fragment: &str,
        kind: &str,
        member: &str,
        key: Value,
        relations: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let id = format!("{}#{fragment}", self.did);
        self.methods.push(json!({ "id": id, "type": kind, "controller": self.did, member: key }));
        for relation in relations {
            let list = self.relations.entry(relation).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(json!(id));
            }
        }
        self
    }

    pub(crate) fn finish(self) -> Value {
        let mut document = json!({
            "@context": self.contexts,
            "id": self.did,
            "verificationMethod": self.methods,
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.relations);
        }
        document
    }
}
