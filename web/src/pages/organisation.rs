use super::shown;
use crate::Console;
use crate::frame::{Frame, Moment};
use crate::people::purpose;
use crate::session::Visitor;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{GrantView, Problem};
use muster_identity::Role;
use muster_ledger::Capabilities;

#[derive(Template)]
#[template(path = "organisation.html")]
struct Organisation {
    frame: Frame,
    people: Vec<PersonLine>,
    invites: Vec<InviteLine>,
    others: Vec<LedgerKey>,
    grants: Vec<GrantView>,
    rules: Option<String>,
    /// Changes of keys need the approval of others: nobody is admitted by one signature here.
    approved: bool,
    evidence: String,
    sessions: Vec<SessionLine>,
    roles: Vec<RoleLine>,
    /// One's own person has one key and no recovery key named yet.
    unsettled: bool,
    me: String,
    my_role: &'static str,
}

struct PersonLine {
    name: String,
    role: &'static str,
    joined: Moment,
    settled: bool,
    me: bool,
    keys: Vec<KeyLine>,
}

struct KeyLine {
    key: String,
    label: String,
    added: Moment,
    /// What it may do on the ledger; empty if the ledger does not know it.
    can: String,
    mine: bool,
}

struct InviteLine {
    id: String,
    name: String,
    role: &'static str,
    expires: Moment,
    claim: Option<(String, String)>,
    /// The visitor may admit who waits: an admin, or she herself whose further key it is.
    admits: bool,
    own: bool,
}

/// A key that the ledger knows and no person here has.
struct LedgerKey {
    key: String,
    can: String,
}

struct SessionLine {
    id: String,
    browser: String,
    used: Moment,
    made: Moment,
    this: bool,
}

struct RoleLine {
    word: &'static str,
    purpose: &'static str,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/organisation", "Organisation", Some(&who));
    shown(build(&console, frame.clone(), who).await, || frame)
}

async fn build(console: &Console, frame: Frame, who: Visitor) -> Result<Organisation, Problem> {
    let did = who.session.organisation;
    let record = console.organisation_record(&did)?;
    let on_ledger = record.as_ref().map(|r| r.keys.clone()).unwrap_or_default();
    let can = |key: &str| {
        let found = on_ledger.iter().find(|k| k.key.to_multikey() == key);
        found.map_or(String::new(), |k| k.capabilities.words().collect::<Vec<_>>().join(", "))
    };
    let now = console.now();
    let text = did.to_string();
    let book = console.book().await;
    let people: Vec<PersonLine> = book
        .people
        .iter()
        .filter(|p| p.organisation == text)
        .map(|p| PersonLine {
            name: p.name.clone(),
            role: p.role().word(),
            joined: Moment(p.joined),
            settled: p.settled,
            me: p.keys.iter().any(|k| who.keys.contains(&k.key)),
            keys: p
                .keys
                .iter()
                .map(|k| KeyLine {
                    key: k.key.clone(),
                    label: k.label.clone(),
                    added: Moment(k.added),
                    can: can(&k.key),
                    mine: k.key == who.session.key.to_multikey(),
                })
                .collect(),
        })
        .collect();
    let me = book.by_key(&who.session.key.to_multikey()).map(|(person, _)| person.no);
    let waiting = book.invites.iter().filter(|i| i.expires > now);
    let invites = waiting
        .filter_map(|i| {
            let invite = i.invite().filter(|invite| *invite.organisation() == did)?;
            let terms = invite.terms();
            Some(InviteLine {
                id: i.id.clone(),
                name: terms.name.clone(),
                role: terms.role.word(),
                expires: Moment(i.expires),
                claim: i.claim.as_ref().map(|c| (c.key.clone(), c.label.clone())),
                admits: i.claim.is_some()
                    && Capabilities::of_role(terms.role).is_some()
                    && who.role == Role::Admin
                    && (who.settled || (i.person.is_some() && i.person == me)),
                own: i.person.is_some() && i.person == me,
            })
        })
        .collect();
    let known = |key: &str| people.iter().any(|p| p.keys.iter().any(|k| k.key == key));
    let others = on_ledger
        .iter()
        .map(|k| LedgerKey {
            key: k.key.to_multikey(),
            can: k.capabilities.words().collect::<Vec<_>>().join(", "),
        })
        .filter(|k| !known(&k.key))
        .collect();
    drop(book);
    let sessions = console
        .sessions()
        .of(&who.keys, now)
        .into_iter()
        .map(|s| SessionLine {
            this: s.id == who.session.id,
            id: s.id,
            browser: s.browser,
            used: Moment(s.used),
            made: Moment(s.made),
        })
        .collect();
    let network = console.registry().network().await?;
    let rules = super::approvals::rules(&network.rules);
    let approved = network.rules.approval.as_ref().is_some_and(|approval| approval.governance);
    let evidence = network.rules.evidence;
    let grants = network.grants.into_iter().filter(|g| g.organisation == text).collect();
    let roles =
        Role::ALL.iter().map(|r| RoleLine { word: r.word(), purpose: purpose(*r) }).collect();
    Ok(Organisation {
        frame,
        people,
        invites,
        others,
        grants,
        rules,
        approved,
        evidence,
        sessions,
        roles,
        unsettled: !who.settled,
        me: who.name,
        my_role: who.role.word(),
    })
}
