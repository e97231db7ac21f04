//! Joining by an invitation: the browser makes a key, and shows the secret of the link. The
//! secret and the hash of the genesis are behind the link's `#`, which no browser sends anywhere.

use crate::frame::Frame;
use crate::people::{Invited, Joined, has};
use crate::session::Visitor;
use crate::sign_in::bytes;
use crate::{Console, Failure, failure};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::HEXLOWER;
use muster_api::{InviteClaim, Problem};
use muster_identity::{PublicKey, Signature};
use muster_ledger::{Capabilities, Capability, NewKey};
use serde::Deserialize;
use serde_json::json;

/// Characters of what somebody calls the place of a key.
const LABEL: usize = 64;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/join", get(page))
        .route("/console/join/look", post(look))
        .route("/console/join/claim", post(claim))
        .route("/console/join/state", post(state))
        .route("/console/invites", post(invite))
        .route("/console/invites/withdraw", post(withdraw))
        .route("/console/settle", post(settle))
        .route("/console/people/remove-key", post(remove_key))
}

#[derive(Template)]
#[template(path = "join.html")]
struct Join {
    frame: Frame,
}

async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Option<Visitor>,
) -> Response {
    let frame = Frame::new(&console, &headers, "", "Join", who.as_ref());
    failure::rendered(&Join { frame })
}

#[derive(Deserialize)]
struct Secret {
    secret: String,
}

impl Console {
    async fn opened(&self, secret: &str) -> Result<Invited, Problem> {
        let secret = bytes(secret)?;
        let book = self.book().await;
        book.opened(&secret, self.now()).cloned().ok_or_else(|| {
            Problem::new(
                410,
                "invite-over",
                "this invitation is over: used, taken back, or too old",
            )
            .cure("ask for a new one")
        })
    }

    /// Makes the key of an invitation somebody's, if the ledger has it already.
    async fn admit(&self, id: &str) -> Result<Joined, Problem> {
        let now = self.now();
        let on_ledger = |did: &_, key: &str, needs| {
            let record = self.organisation_record(did).ok().flatten();
            let key = PublicKey::from_multikey(key).ok();
            record.zip(key).is_some_and(|(record, key)| has(&record, &key, needs))
        };
        self.change(|book| book.admit(id, on_ledger, now)).await
    }
}

/// What an invitation is for, so that its reader can see who asks him in.
async fn look(
    State(console): State<Console>,
    Json(Secret { secret }): Json<Secret>,
) -> Result<Response, Failure> {
    let invited = console.opened(&secret).await?;
    let invite = invited.invite().ok_or_else(|| Problem::new(500, "corrupt", "an invitation"))?;
    let record = console.organisation_record(invite.organisation())?;
    let (label, seq) = record.map_or((String::new(), 0), |r| (r.label, r.seq));
    let terms = invite.terms();
    Ok(Json(json!({
        "organisation": invite.organisation().to_string(),
        "label": label,
        "seq": seq,
        "network": HEXLOWER.encode(&console.network().0),
        "name": terms.name,
        "role": terms.role.word(),
        "purpose": crate::people::purpose(terms.role),
        "ledger": Capabilities::of_role(terms.role).is_some(),
        "further": invited.person.is_some(),
        "expires": invited.expires,
    }))
    .into_response())
}

#[derive(Deserialize)]
struct Claimed {
    secret: String,
    key: String,
    label: String,
    seq: u64,
    proof: String,
}

async fn claim(
    State(console): State<Console>,
    Json(claimed): Json<Claimed>,
) -> Result<Response, Failure> {
    let invited = console.opened(&claimed.secret).await?;
    let malformed = |what: &str| Problem::new(400, "malformed", format!("{what} cannot be read"));
    let invite = invited.invite().ok_or_else(|| Problem::new(500, "corrupt", "an invitation"))?;
    let key = PublicKey::from_multikey(&claimed.key).map_err(|_| malformed("the key"))?;
    let proof = bytes(&claimed.proof)?;
    let proof = Signature(proof.try_into().map_err(|_| malformed("the proof"))?);
    // The key itself wants to join this organisation of this network.
    let message = NewKey::message(&console.network(), invite.organisation(), claimed.seq, &key);
    key.verify(&message, &proof).map_err(|_| {
        Problem::new(400, "proof", "the proof is not the key's own signature")
            .cure("reload the page, and try again")
    })?;
    let label: String = claimed.label.chars().filter(|c| !c.is_control()).take(LABEL).collect();
    let claim = InviteClaim { key: claimed.key, label, seq: claimed.seq, proof: claimed.proof };
    console.change(|book| book.claim(&invited.id, claim)).await?;
    let joined = console.admit(&invited.id).await? == Joined::Yes;
    Ok(Json(json!({ "joined": joined })).into_response())
}

#[derive(Deserialize)]
struct Asked {
    secret: String,
    key: String,
}

/// Whether the key is somebody's by now, and the counter that its proof must be made for.
async fn state(
    State(console): State<Console>,
    Json(Asked { secret, key }): Json<Asked>,
) -> Result<Response, Failure> {
    if console.book().await.by_key(&key).is_some() {
        return Ok(Json(json!({ "joined": true })).into_response());
    }
    let invited = console.opened(&secret).await?;
    let joined = console.admit(&invited.id).await? == Joined::Yes;
    let invite = invited.invite();
    let record = invite.and_then(|i| console.organisation_record(i.organisation()).ok().flatten());
    Ok(Json(json!({ "joined": joined, "seq": record.map_or(0, |r| r.seq) })).into_response())
}

#[derive(Deserialize)]
struct NewInvite {
    token: String,
}

/// An invitation made in the browser of somebody who is signed in.
async fn invite(
    State(console): State<Console>,
    who: Visitor,
    Json(NewInvite { token }): Json<NewInvite>,
) -> Result<Response, Failure> {
    let invited = console.invited(&token, Some(&who)).await?;
    let about = invited
        .invite()
        .map_or(String::new(), |i| format!("{}, {}", i.terms().name, i.terms().role.word()));
    console.note_act(&who.session, "invite", about).await;
    let answer = Json(json!({ "invite": invited.id, "expires": invited.expires }));
    Ok((StatusCode::CREATED, answer).into_response())
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

async fn withdraw(
    State(console): State<Console>,
    who: Visitor,
    Json(Named { id }): Json<Named>,
) -> Result<StatusCode, Failure> {
    let own = {
        let book = console.book().await;
        let person = book.by_key(&who.session.key.to_multikey()).map(|(p, _)| p.no);
        book.invites.iter().any(|i| i.id == id && i.person.is_some() && i.person == person)
    };
    if !own {
        who.must(crate::people::administers, "take invitations back")?;
    }
    console.change(|book| book.withdraw(&id)).await?;
    console.note_act(&who.session, "withdraw-invite", id).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Settled {
    /// A root key of the organisation, other than one's own, that somebody keeps offline.
    recovery: String,
}

/// Says that there is a way back without this browser: a recovery key on the ledger.
async fn settle(
    State(console): State<Console>,
    who: Visitor,
    Json(Settled { recovery }): Json<Settled>,
) -> Result<StatusCode, Failure> {
    let record = console.organisation_record(&who.session.organisation)?;
    let key = PublicKey::from_multikey(&recovery).ok();
    let root = Capabilities::of(&[Capability::Root]);
    let known = record.zip(key).is_some_and(|(record, key)| has(&record, &key, root));
    if !known || who.keys.contains(&recovery) {
        let title = "that is no other root key of the organisation";
        return Err(Problem::new(409, "recovery", title)
            .cure("read it from `muster key show recovery.pem`, or bring in a second key")
            .into());
    }
    let own = who.session.key.to_multikey();
    console
        .change(|book| {
            let no = book.by_key(&own).map(|(p, _)| p.no);
            if let Some(person) = no.and_then(|no| book.person(no)) {
                person.settled = true;
            }
            Ok(())
        })
        .await?;
    console.note_act(&who.session, "settle", format!("recovery key {recovery}")).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct OneKey {
    key: String,
}

/// Ends a key's access to this console: one's own further keys, or, as an admin, anybody's. On
/// the ledger it is removed by an operation.
async fn remove_key(
    State(console): State<Console>,
    who: Visitor,
    Json(OneKey { key }): Json<OneKey>,
) -> Result<StatusCode, Failure> {
    if !who.keys.contains(&key) {
        who.must(crate::people::administers, "end the access of others")?;
    }
    let found = console.change(|book| Ok(book.remove_key(&key))).await?;
    if !found {
        return Err(Problem::new(404, "not-found", "nobody has that key here").into());
    }
    console.sessions().end(|s| s.key.to_multikey() == key);
    console.note_act(&who.session, "remove-key", key).await;
    Ok(StatusCode::NO_CONTENT)
}
