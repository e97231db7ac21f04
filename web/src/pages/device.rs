//! One device: how it stands and why, its keys, its document, what happened to it, the proof that
//! it was enrolled, and which gateways refuse it.

mod coverage;
mod history;
mod standing;

use super::devices::{short, short_id};
use crate::Console;
use crate::failure::rendered;
use crate::frame::Frame;
use crate::session::Visitor;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use coverage::Coverage;
use history::Change;
use muster_api::{DeviceView, Problem, Resolve as _};
use muster_identity::cbor::Decode as _;
use muster_identity::{Did, PublicKey};
use muster_ledger::{Leaf, Retired, Standing, View as _, owner_of};
use muster_registry::Reader;
use standing::{Can, Reason};

#[derive(Template)]
#[template(path = "device.html")]
struct Device {
    frame: Frame,
    view: DeviceView,
    name: String,
    short: String,
    owner: String,
    /// Whether it is the visitor's organisation's: only then private rows are shown.
    own: bool,
    reasons: Vec<Reason>,
    can: Can,
    /// Holds that its owner may lift, for the page to compare.
    holds: String,
    keys: Vec<KeyLine>,
    document: String,
    history: Vec<Change>,
    more: bool,
    coverage: Option<Coverage>,
}

struct KeyLine {
    key: String,
    /// How it came.
    came: &'static str,
    /// How it ended, in words; empty while it is in use.
    over: &'static str,
    /// Its owner may revoke it.
    ends: bool,
}

/// A page for a DID that is not here.
#[derive(Template)]
#[template(path = "device_unknown.html")]
struct Unknown {
    frame: Frame,
    asked: String,
    malformed: Option<String>,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Path(asked): Path<String>,
) -> Response {
    let frame = |title: String| Frame::new(&console, &headers, "/devices", title, Some(&who));
    let did: Did = match asked.parse() {
        Ok(did) => did,
        Err(fault) => {
            let malformed = Some(format!("{fault}"));
            let page = Unknown { frame: frame("Not a device".into()), asked, malformed };
            return (StatusCode::BAD_REQUEST, rendered(&page)).into_response();
        }
    };
    let title = format!("Device {}", short(&asked));
    match build(&console, frame(title), &who, &did).await {
        Ok(Some(page)) => rendered(&page),
        Ok(None) => {
            let frame = frame("Unknown device".into());
            let page = Unknown { frame, asked, malformed: None };
            (StatusCode::NOT_FOUND, rendered(&page)).into_response()
        }
        Err(problem) => crate::failure::page(frame("Device".into()), &problem),
    }
}

async fn build(
    console: &Console,
    mut frame: Frame,
    who: &Visitor,
    did: &Did,
) -> Result<Option<Device>, Problem> {
    let registry = console.registry();
    let reader = Reader::Organisation(who.session.organisation);
    let Some(view) = registry.read_as(reader).device(did).await? else { return Ok(None) };
    let own = view.owner == who.session.organisation.to_string();
    let batch = view.batch.parse().map_err(|_| damaged("the batch of the device"))?;
    let chain = registry.chain()?;
    let record = chain.state().device(did)?;
    let batch_record = chain.state().batch(&batch)?.ok_or_else(|| damaged("the batch"))?;
    let (history, more) = history::of(console, who, did, &batch).await?;
    let now = registry.head()?.head().time;
    let standing = record.as_ref().map(|r| &r.standing);
    // A device that left its batch does not stand as that does.
    let of_batch = match view.left {
        Some(_) => Standing::default(),
        None => batch_record.standing.clone(),
    };
    let reasons = standing::reasons(standing, &of_batch, &history, now);
    let can = match own && frame.acts() {
        true => Can::of(standing, now),
        false => Can::default(),
    };
    let coverage = coverage::of(console, who, &view, &history).await?;
    let document = registry.resolve(did).await.did_document;
    let document = serde_json::to_string_pretty(&document).map_err(|_| damaged("the document"))?;
    let keys = keys(console, did, &view, record.as_ref(), can.revoke_key).await?;
    let owner = console
        .organisation_record(owner_of(record.as_ref(), &batch_record))?
        .map_or_else(|| short_id(&view.owner), |o| o.label);
    let name = view.serial.clone().unwrap_or_else(|| short(&view.did));
    frame.title = format!("Device {}", name.chars().take(64).collect::<String>());
    let holds = view.holds.iter().filter(|h| h.power == "owner").map(|h| h.hold.as_str());
    Ok(Some(Device {
        holds: holds.collect::<Vec<_>>().join(" "),
        short: short(&view.did),
        name,
        owner,
        own,
        reasons,
        can,
        keys,
        document,
        history,
        more,
        coverage,
        frame,
        view,
    }))
}

/// Its keys, the present one first. The first of all is in its inception, whose hash is the DID.
async fn keys(
    console: &Console,
    did: &Did,
    view: &DeviceView,
    record: Option<&muster_ledger::DeviceRecord>,
    may_end: bool,
) -> Result<Vec<KeyLine>, Problem> {
    let part = console.registry().device_part(did).await?;
    let part = part.ok_or_else(|| damaged("the device's leaf"))?;
    let leaf = Leaf::from_cbor(&part.leaf).map_err(|_| damaged("the device's leaf"))?;
    let first = leaf.inception.key;
    let old: Vec<_> = record.iter().flat_map(|r| &r.retired).collect();
    // By what the key before it ended.
    let came = |key: &PublicKey| {
        let place = old.iter().position(|retired| retired.key == *key).unwrap_or(old.len());
        let before = place.checked_sub(1).and_then(|before| old.get(before));
        match before.map(|retired| retired.why) {
            _ if *key == first => "with the device: the DID is made of it",
            Some(Retired::Recovered) => "by a recovery: the key before did not sign for it",
            _ => "by a rotation, signed by the key before and by itself",
        }
    };
    let mut lines = Vec::new();
    if let Some(text) = &view.key {
        let key = PublicKey::from_multikey(text).map_err(|_| damaged("a key"))?;
        lines.push(KeyLine { key: text.clone(), came: came(&key), over: "", ends: may_end });
    }
    for retired in old.iter().rev() {
        let over = match retired.why {
            Retired::Rotated => "replaced",
            Retired::Revoked => "revoked",
            Retired::Recovered => "replaced by a recovery",
        };
        let key = retired.key.to_multikey();
        lines.push(KeyLine { key, came: came(&retired.key), over, ends: false });
    }
    Ok(lines)
}

fn damaged(what: &str) -> Problem {
    Problem::new(500, "corrupt", format!("{what} is damaged"))
        .cure("run `muster ledger audit` on the node, and tell whoever runs it")
}
