//! Joining by an invitation: the browser makes a key, and shows the secret of the link. The
//! secret and the hash of the genesis are behind the link's `#`, which no browser sends anywhere.

use crate::frame::Frame;
use crate::people::{Invited, Joined, gone, has};
use crate::session::Visitor;
use crate::sign_in::{BODY, bytes};
use crate::{Console, Failure, failure};
use askama::Template;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::HEXLOWER;
use muster_api::{InviteClaim, Problem};
use muster_identity::{Did, PublicKey, Signature, sha256};
use muster_ledger::{Capabilities, Capability, NewKey};
use serde::Deserialize;
use serde_json::json;

/// Bytes of a link's secret.
const SECRET: usize = 32;

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
        .layer(DefaultBodyLimit::max(BODY))
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
        let secret: [u8; SECRET] = bytes(secret)?
            .try_into()
            .map_err(|_| Problem::new(400, "malformed", "the secret of the link is not whole"))?;
        let hash = sha256(&[&secret]);
        let book = self.book().await;
        let invited = book.opened(&hash, self.now()).ok_or_else(gone)?;
        // Whoever lost the right to invite meanwhile invites nobody.
        if book.stands(invited, |did, key, needs| self.on_ledger(did, key, needs)) {
            Ok(invited.clone())
        } else {
            Err(gone())
        }
    }

    /// Whether the ledger gives a key at least this.
    pub(crate) fn on_ledger(&self, did: &Did, key: &str, needs: Capabilities) -> bool {
        let record = self.organisation_record(did).ok().flatten();
        let key = PublicKey::from_multikey(key).ok();
        record.zip(key).is_some_and(|(record, key)| has(&record, &key, needs))
    }

    /// Makes the key of an invitation somebody's, if the ledger has it already. Pages ask this
    /// again and again: nothing is written before it is so.
    async fn admit(&self, id: &str) -> Result<Joined, Problem> {
        let on_ledger = |did: &Did, key: &str, needs| self.on_ledger(did, key, needs);
        if self.book().await.ready(id, on_ledger)? == Joined::Waits {
            return Ok(Joined::Waits);
        }
        let now = self.now();
        let organisation = self.organisation_of(id).await;
        let joined = self.change(|book| book.admit(id, on_ledger, now)).await?;
        self.tell_people(organisation);
        Ok(joined)
    }

    /// The organisation that an open invitation is for.
    pub(crate) async fn organisation_of(&self, id: &str) -> Option<Did> {
        let book = self.book().await;
        let invited = book.invites.iter().find(|i| i.id == id)?;
        Some(*invited.invite()?.organisation())
    }

    /// Makes everybody a person whom the ledger has by now, though the page with which they
    /// joined is closed.
    pub(crate) async fn admit_claimed(&self) {
        let claimed: Vec<String> = {
            let book = self.book().await;
            let claimed = book.invites.iter().filter(|i| i.claim.is_some());
            claimed.map(|i| i.id.clone()).collect()
        };
        for id in claimed {
            if let Err(problem) = self.admit(&id).await {
                tracing::info!("an invitation admits nobody: {problem}");
            }
        }
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
    if invited.claim.as_ref() != Some(&claim) {
        console.change(|book| book.claim(&invited.id, claim)).await?;
        console.tell_people(Some(*invite.organisation()));
    }
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
    let known = async || console.book().await.by_key(&key).is_some();
    let joined = || Json(json!({ "joined": true })).into_response();
    if known().await {
        return Ok(joined());
    }
    let looked = async {
        let invited = console.opened(&secret).await?;
        let joined = console.admit(&invited.id).await? == Joined::Yes;
        Ok::<_, Problem>((invited, joined))
    };
    let (invited, joined) = match looked.await {
        Ok(looked) => looked,
        // Somebody admitted the key between the two looks.
        Err(_) if known().await => return Ok(joined()),
        Err(problem) => return Err(Failure::from(problem)),
    };
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
    if console.organisation_of(&id).await != Some(who.session.organisation) {
        return Err(gone().into());
    }
    console.change(|book| book.withdraw(&id)).await?;
    console.tell_people(Some(who.session.organisation));
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
    let ours = who.session.organisation.to_string();
    console
        .change(|book| match book.remove_key(&key, &ours) {
            true => Ok(()),
            false => Err(Problem::new(404, "not-found", "nobody has that key here")),
        })
        .await?;
    console.sessions().end(|s| s.key.to_multikey() == key);
    console.tell_people(Some(who.session.organisation));
    console.note_act(&who.session, "remove-key", key).await;
    Ok(StatusCode::NO_CONTENT)
}
