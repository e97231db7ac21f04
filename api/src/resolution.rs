use serde::{Deserialize, Serialize};

/// The answer to a resolution (DID Resolution 1.0 §4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// About the process: content type, or the error.
    pub did_resolution_metadata: ResolutionMetadata,
    /// The document, `null` if there is none.
    pub did_document: Option<serde_json::Value>,
    /// About the document.
    pub did_document_metadata: DocumentMetadata,
}

/// `didResolutionMetadata`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionMetadata {
    /// Media type of the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ResolutionError>,
}

/// An error is an object with a type URL (DID Resolution 1.0 §10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolutionError {
    /// Such as `https://www.w3.org/ns/did#NOT_FOUND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In words.
    pub title: String,
    /// More words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// `didDocumentMetadata`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentMetadata {
    /// RFC 3339, of the enrolment's block.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// RFC 3339, of the last change's block.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated: Option<String>,
    /// Whether the DID has ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deactivated: Option<bool>,
    /// The device's change counter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version_id: Option<String>,
    /// Muster's own: `active`, `held`, `revoked`, `deactivated`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing: Option<String>,
}

impl Resolution {
    /// A failed resolution. `name` is the last part of the type URL, such as `NOT_FOUND`.
    pub fn failed(name: &str, title: impl Into<String>) -> Self {
        Self {
            did_resolution_metadata: ResolutionMetadata {
                content_type: None,
                error: Some(ResolutionError {
                    kind: format!("https://www.w3.org/ns/did#{name}"),
                    title: title.into(),
                    detail: None,
                }),
            },
            did_document: None,
            did_document_metadata: DocumentMetadata::default(),
        }
    }

    /// A document and what is known about it.
    pub fn found(document: serde_json::Value, metadata: DocumentMetadata) -> Self {
        Self {
            did_resolution_metadata: ResolutionMetadata {
                content_type: Some("application/did".into()),
                error: None,
            },
            did_document: Some(document),
            did_document_metadata: metadata,
        }
    }

    /// The HTTP status of the answer (DID Resolution 1.0, HTTP binding).
    pub fn http_status(&self) -> u16 {
        let error = self.did_resolution_metadata.error.as_ref();
        match error.and_then(|e| e.kind.rsplit('#').next()) {
            None if self.did_document_metadata.deactivated == Some(true) => 410,
            None => 200,
            Some("INVALID_DID" | "INVALID_DID_URL" | "INVALID_OPTIONS") => 400,
            Some("NOT_FOUND") => 404,
            Some("REPRESENTATION_NOT_SUPPORTED") => 406,
            Some("METHOD_NOT_SUPPORTED" | "FEATURE_NOT_SUPPORTED") => 501,
            Some(_) => 500,
        }
    }
}
