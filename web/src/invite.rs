//! Invitations as the command line makes them: a token signed by a root key goes in, and what came
//! of it can be asked by its identifier, which nobody can guess.

use crate::people::Invited;
use crate::session::Visitor;
use crate::{Console, Failure, people};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_api::{InviteView, Problem};
use muster_identity::{Invite, PublicKey};
use muster_ledger::{Capabilities, Capability};

/// Bytes of a token.
const TOKEN: usize = 1_024;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/v1/invites", post(take).layer(DefaultBodyLimit::max(TOKEN)))
        .route("/v1/invites/{id}", get(look).delete(withdraw))
}

async fn take(State(console): State<Console>, token: String) -> Result<Response, Failure> {
    let invited = console.invited(&token, None).await?;
    Ok((StatusCode::CREATED, Json(view(&invited))).into_response())
}

fn view(invited: &Invited) -> InviteView {
    let Invited { id, expires, claim, .. } = invited;
    InviteView { invite: id.clone(), expires: *expires, claim: claim.clone() }
}

async fn look(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Failure> {
    let book = console.book().await;
    let Some(invited) = book.invites.iter().find(|i| i.id == id) else {
        let title = "this invitation is over: used, taken back, or too old";
        return Err(Problem::new(410, "invite-over", title).into());
    };
    Ok(Json(view(invited)).into_response())
}

/// Whoever knows the identifier may take the invitation back: it is told to its maker alone.
async fn withdraw(
    State(console): State<Console>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let organisation = console.organisation_of(&id).await;
    console.change(|book| book.withdraw(&id)).await?;
    console.tell_people(organisation);
    Ok(StatusCode::NO_CONTENT)
}

impl Console {
    /// Takes an invitation: signed by a root key, or, for a further key of a person, by one of
    /// hers.
    pub(crate) async fn invited(
        &self,
        token: &str,
        by: Option<&Visitor>,
    ) -> Result<Invited, Problem> {
        let malformed = |e: String| Problem::new(400, "malformed", format!("the invitation: {e}"));
        let invite = Invite::parse(token).map_err(|e| malformed(e.to_string()))?;
        let key = PublicKey::from_multicodec(invite.key()).map_err(|e| malformed(e.to_string()))?;
        invite.verify_signature(&key).map_err(|e| malformed(e.to_string()))?;
        let terms = invite.terms();
        if terms.network != self.network().0 {
            let title = "the invitation is for another network";
            return Err(Problem::new(409, "wrong-network", title));
        }
        let (now, organisation) = (self.now(), *invite.organisation());
        let expires = terms.exp.saturating_mul(1_000);
        if expires <= now || terms.iat.saturating_mul(1_000) > now + 60_000 {
            let title = "the invitation is over, or from the future";
            return Err(Problem::new(409, "clock", title).cure("look at the clocks"));
        }
        let record = self.organisation_record(&organisation)?;
        let root =
            record.is_some_and(|r| people::has(&r, &key, Capabilities::of(&[Capability::Root])));
        // A further key of one's own, for the role one has.
        let own = match by {
            Some(who) if !root || terms.name == who.name => {
                let book = self.book().await;
                let person = book.by_key(&key.to_multikey()).map(|(person, _)| person);
                person
                    .filter(|p| who.session.key == key && p.role() == terms.role)
                    .filter(|p| p.name == terms.name)
                    .map(|p| p.no)
            }
            _ => None,
        };
        let ended = self.book().await.is_ended(&key.to_multikey());
        if ended || (!root && own.is_none()) {
            let title = "an invitation is signed by a root key of the organisation";
            return Err(Problem::new(403, "capability", title)
                .cure("sign with keys/root.pem, or as an admin in the console"));
        }
        let invited = Invited {
            id: terms.jti.clone(),
            token: token.into(),
            secret_hash: terms.secret_hash,
            made: now,
            expires,
            person: own,
            claim: None,
        };
        // Who was admitted meanwhile is not forgotten as somebody who never came.
        self.admit_claimed().await;
        self.change(|book| book.invite(invited.clone(), now)).await?;
        self.tell_people(Some(organisation));
        Ok(invited)
    }
}
