//! Invitations of people to a node's console (`docs/formats/people.md`).

use serde::{Deserialize, Serialize};

/// `POST /v1/invites` and `GET /v1/invites/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteView {
    /// Its identifier, the `jti` of the token.
    pub invite: String,
    /// When it ends (ms).
    pub expires: u64,
    /// The key that used it and waits to be admitted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub claim: Option<InviteClaim>,
}

/// A key that used an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteClaim {
    /// Multikey.
    pub key: String,
    /// Where it is kept, in its holder's words.
    pub label: String,
    /// Change counter of the organisation that `proof` is made for.
    pub seq: u64,
    /// The key's signature that it wants to join, base64url.
    pub proof: String,
}

#[cfg(feature = "client")]
impl crate::Client {
    /// Hands an invitation in (`muster-invite+jwt`).
    pub async fn invite(&self, token: &str) -> Result<InviteView, crate::ClientError> {
        self.post_json("/v1/invites", token.as_bytes().to_vec()).await
    }

    /// What became of an invitation; refused with `invite-over` once nobody can use it any more.
    pub async fn invited(&self, id: &str) -> Result<InviteView, crate::ClientError> {
        self.get_json(&format!("/v1/invites/{id}")).await
    }
}
