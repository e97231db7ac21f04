//! Operations: built here as bytes, signed in the browser, sent back and put on the ledger. What
//! the browser does not find as it meant it, it does not sign; what it did not sign, nobody takes.

mod intent;

use crate::session::Visitor;
use crate::sign_in::bytes;
use crate::{Console, Failure, people};
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use futures_util::future::join_all;
use intent::Intent;
use muster_api::Problem;
use muster_identity::cbor::Encode as _;
use muster_ledger::{Action, Capabilities, Operation, SignedOperation, View as _};
use serde::Deserialize;
use serde_json::{Value, json};

/// Operations in one request: what a block takes easily beside those of others.
pub(crate) const AT_ONCE: usize = 64;

/// How long an operation may wait for its block (ms): time to read and to sign it.
const PATIENCE_MS: u64 = 10 * 60 * 1_000;

/// Bytes of a request: so many operations of the longest kind, in base64.
const BODY: usize = AT_ONCE * (muster_ledger::limits::OPERATION_BYTES * 4 / 3 + 16);

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/prepare", post(prepare))
        .route("/console/submit", post(submit))
        .layer(DefaultBodyLimit::max(BODY))
}

fn may_act(who: &Visitor) -> Result<(), Problem> {
    who.must(people::acts, "sign operations")?;
    if !who.settled {
        let title = "joining is not finished: there is no second way in yet";
        return Err(Problem::new(403, "unsettled", title)
            .cure("bring in a second key, or name the recovery key"));
    }
    Ok(())
}

/// The operations that do what somebody means, as bytes to sign.
async fn prepare(
    State(console): State<Console>,
    who: Visitor,
    Json(intent): Json<Intent>,
) -> Result<Response, Failure> {
    let own = match &intent {
        Intent::Admit { invite } => console.is_own_invite(&who, invite).await,
        _ => false,
    };
    if own {
        who.must(people::acts, "sign operations")?;
    } else {
        may_act(&who)?;
    }
    let built = intent.build(&console, &who).await?;
    let valid_until = muster_ledger::Time(console.now()).plus_ms(PATIENCE_MS);
    let operations: Vec<Value> = built
        .into_iter()
        .map(|built| {
            let operation = Operation {
                network: console.network(),
                author: who.session.organisation,
                valid_until,
                action: built.action,
            };
            json!({
                "payload": BASE64URL_NOPAD.encode(&operation.to_cbor()),
                "about": built.about,
                "devices": built.devices,
            })
        })
        .collect();
    Ok(Json(json!({
        "operations": operations,
        "network": HEXLOWER.encode(&console.network().0),
        "organisation": who.session.organisation.to_string(),
    }))
    .into_response())
}

#[derive(Deserialize)]
struct Signed {
    operations: Vec<String>,
}

/// Puts signed operations on the ledger; says of each what became of it.
async fn submit(
    State(console): State<Console>,
    who: Visitor,
    Json(Signed { operations }): Json<Signed>,
) -> Result<Response, Failure> {
    // What an unsettled person may put in, is looked at operation by operation.
    who.must(people::acts, "sign operations")?;
    if operations.len() > AT_ONCE {
        let title = format!("at most {AT_ONCE} operations at once");
        return Err(Problem::new(413, "too-many", title).into());
    }
    let each = operations.iter().map(|text| one(&console, &who, text));
    let done: Vec<Value> = join_all(each)
        .await
        .into_iter()
        .map(|done| done.unwrap_or_else(|problem| json!({ "problem": problem })))
        .collect();
    Ok(Json(json!({ "done": done })).into_response())
}

async fn one(console: &Console, who: &Visitor, text: &str) -> Result<Value, Problem> {
    let signed = SignedOperation(bytes(text)?);
    let hash = signed.hash();
    let verified = signed.verify().map_err(|e| Problem::new(400, "malformed", e.to_string()))?;
    // A session puts in what its own key signed: the ledger would take others', but then this
    // session's owner would answer for them here.
    let own = *verified.key() == who.session.key
        && verified.operation().author == who.session.organisation;
    if !own {
        let title = "the operation is signed by another key than the session's";
        return Err(Problem::new(403, "other-key", title));
    }
    if !who.settled && !console.settles(who, &verified.operation().action).await {
        may_act(who)?;
    }
    let keys = matches!(verified.operation().action, Action::ChangeKeys(_));
    let proof = console.registry().submit(signed, None).await?;
    if keys {
        console.admit_claimed().await;
    }
    let entry =
        proof.verify(&console.network(), &console.registry().chain()?.state().validators()?);
    let entry = entry.map_err(|e| Problem::new(500, "corrupt", e.to_string()))?;
    Ok(json!({
        "entry": entry.index,
        "height": entry.entry.height,
        "time": entry.entry.time.0,
        "operation": hash.to_string(),
    }))
}

impl Console {
    /// Whether an invitation brings in a further key of this visitor.
    async fn is_own_invite(&self, who: &Visitor, id: &str) -> bool {
        let book = self.book().await;
        let person = book.by_key(&who.session.key.to_multikey()).map(|(person, _)| person.no);
        let invited = book.invites.iter().find(|i| i.id == id);
        person.is_some() && invited.is_some_and(|i| i.person == person)
    }

    /// Whether an action does no more than to admit the further key with which a visitor gets her
    /// second way in: a lone admin has nobody else to do it.
    async fn settles(&self, who: &Visitor, action: &Action) -> bool {
        let Action::ChangeKeys(change) = action else { return false };
        let ([(new, capabilities)], []) = (&*change.add, &*change.remove) else { return false };
        let book = self.book().await;
        let Some((person, _)) = book.by_key(&who.session.key.to_multikey()) else { return false };
        let key = new.key.to_multikey();
        Capabilities::of_role(person.role()) == Some(*capabilities)
            && book.invites.iter().any(|i| {
                i.person == Some(person.no) && i.claim.as_ref().is_some_and(|c| c.key == key)
            })
    }
}
