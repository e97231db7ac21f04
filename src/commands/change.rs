use super::approve::propose;
use super::{Session, coverage, moment};
use crate::cli::{Deactivate, Hold, PowerArg, Release, Revoke, Rotate, WatchArg};
use crate::host::{Machine, random};
use crate::signing::{Desk, Named, PATIENCE_MS, device_ref, sign, submit};
use anyhow::{Context as _, Result, bail, ensure};
use muster_api::Host as _;
use muster_identity::{PublicKey, Signer};
use muster_ledger::{self as ledger, Action, HoldId, NewKey, Power, VerifiedEntry};
use serde_json::{Value, json};
use std::process::ExitCode;

const ADMIN: &str = "keys/admin.pem";

/// Says that an operation is done: it is in the log, under a checkpoint that was checked here.
pub(super) fn done(
    session: &Session,
    entry: &VerifiedEntry,
    what: &str,
    extra: &[(&str, String)],
) -> ExitCode {
    let (object, words) = told(entry, what, extra);
    session.output.result(&object, words)
}

/// The same, and if it was asked for, waits until the gateways go by it.
pub(super) async fn done_everywhere(
    session: &Session,
    desk: &Desk,
    entry: &VerifiedEntry,
    told: (Value, String),
    watch: WatchArg,
) -> Result<ExitCode> {
    let (mut object, words) = told;
    if !watch.watch {
        return Ok(session.output.result(&object, words));
    }
    session.output.say(words);
    let place = entry.index.to_string();
    let view = coverage::watch(session, &desk.client, &place, watch)
        .await
        .context("it is done, and the gateways cannot be asked after")?;
    object["coverage"] = json!(view);
    session.output.result(&object, coverage::line(&view));
    Ok(coverage::exit(&view, watch))
}

pub(super) fn told(entry: &VerifiedEntry, what: &str, extra: &[(&str, String)]) -> (Value, String) {
    let head = entry.checkpoint.head();
    let mut object = json!({
        "done": what,
        "entry": entry.index,
        "height": entry.entry.height,
        "time": entry.entry.time.0,
        "operation": entry.operation.hash().to_string(),
        "checkpoint": { "size": head.size, "time": head.time.0 },
    });
    let mut words = format!(
        "{what}: log entry {}, block {}, {}; proved under the quorum's checkpoint of size {}",
        entry.index,
        entry.entry.height,
        moment(entry.entry.time.0),
        head.size
    );
    for (name, value) in extra {
        object[*name] = value.clone().into();
        words.push_str(&format!("\n{name} {value}"));
    }
    (object, words)
}

pub(super) async fn revoke(session: &Session, arg: Revoke) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let named = Named::parse(&arg.target)?;
    let (action, what) = match (&arg.key, named) {
        (None, named) => {
            let (target, _) = named.target(&desk.client).await?;
            let what = format!("revoked {}", arg.target);
            (Action::Revoke(ledger::Revoke { target, reason: arg.reason.clone() }), what)
        }
        (Some(key), Named::Device(did)) => {
            let key = PublicKey::from_multikey(key).context("--key")?;
            let (device, _) = device_ref(&desk.client, &did).await?;
            let what = format!("revoked key {key} of {did}");
            (Action::RevokeKey(ledger::RevokeKey { device, key }), what)
        }
        (Some(_), Named::Batch(_)) => bail!("--key is for a device, not for a batch"),
    };
    if arg.propose.propose {
        return propose(session, &desk, action, &format!("{what}, if approved"), arg.propose).await;
    }
    let entry = desk.submit(action).await?;
    done_everywhere(session, &desk, &entry, told(&entry, &what, &[]), arg.watch).await
}

pub(super) async fn hold(session: &Session, arg: Hold) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let power = match arg.power {
        PowerArg::Owner => Power::Owner,
        PowerArg::Incident => Power::Incident,
        PowerArg::Governance => Power::Governance,
    };
    ensure!(
        power != Power::Incident || arg.hours.is_some(),
        "an incident hold needs an end: say --hours"
    );
    let seen = desk.client.network().await?.size;
    let (target, _) = Named::parse(&arg.target)?.target(&desk.client).await?;
    let id = HoldId(random());
    let until = arg.hours.map(|h| Machine.now().plus_ms(h.saturating_mul(3_600_000)));
    let hold = ledger::Hold { target, id, power, until, seen, reason: arg.reason };
    let action = Action::Hold(hold);
    if arg.propose.propose {
        let what = format!("held {}, if approved", arg.target);
        return propose(session, &desk, action, &what, arg.propose).await;
    }
    let entry = desk.submit(action).await?;
    let told = told(&entry, &format!("held {}", arg.target), &[("hold", id.to_string())]);
    done_everywhere(session, &desk, &entry, told, arg.watch).await
}

pub(super) async fn release(session: &Session, arg: Release) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let named = Named::parse(&arg.target)?;
    let hold: HoldId = match &arg.hold {
        Some(id) => id.parse().context("--hold")?,
        None => {
            let holds = match &named {
                Named::Device(did) => desk.client.device(did).await?.holds,
                Named::Batch(id) => desk.client.batch(&id.to_string()).await?.holds,
            };
            match holds.as_slice() {
                [only] => only.hold.parse().context("the node names a malformed hold")?,
                [] => bail!("there is no hold on {}", arg.target),
                several => bail!(
                    "there are {} holds on {}; say which with --hold: {}",
                    several.len(),
                    arg.target,
                    several.iter().map(|h| h.hold.as_str()).collect::<Vec<_>>().join(", ")
                ),
            }
        }
    };
    let (target, seq) = named.target(&desk.client).await?;
    let release = ledger::Release { target, hold, seq };
    let (action, what) = (Action::Release(release), format!("released {}", arg.target));
    if arg.propose.propose {
        return propose(session, &desk, action, &format!("{what}, if approved"), arg.propose).await;
    }
    let entry = desk.submit(action).await?;
    Ok(done(session, &entry, &what, &[]))
}

pub(super) async fn deactivate(session: &Session, arg: Deactivate) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let (target, _) = Named::parse(&arg.target)?.target(&desk.client).await?;
    let (action, what) =
        (Action::Deactivate(ledger::Deactivate { target }), format!("deactivated {}", arg.target));
    if arg.propose.propose {
        return propose(session, &desk, action, &format!("{what}, if approved"), arg.propose).await;
    }
    let entry = desk.submit(action).await?;
    let told = told(&entry, &what, &[]);
    done_everywhere(session, &desk, &entry, told, arg.watch).await
}

/// Signed by the device itself, with its old key and its new one.
pub(super) async fn rotate(session: &Session, arg: Rotate) -> Result<ExitCode> {
    let genesis = session.home.genesis()?;
    let client = arg.node.client()?;
    let keys = session.home.keys();
    let (old, new) = (keys.read(&arg.key)?, keys.read(&arg.new)?);
    let did = super::device::speaks_for(&old, arg.did.as_deref())?;
    let (device, view) = device_ref(&client, &did).await?;
    let key = new_key(&genesis.network(), &did, view.seq, &new)?;
    let rotate = ledger::Rotate { device, seq: view.seq, key, next_key: None };
    let signed = sign(&genesis, did, &old, Action::Rotate(rotate), PATIENCE_MS)?;
    let entry = submit(&client, &genesis, &session.home.validators()?, &signed).await?;
    Ok(done(session, &entry, &format!("rotated the key of {did}"), &[("key", key.key.to_string())]))
}

/// A key with its own signature that it wants to join a DID.
pub(super) fn new_key(
    network: &ledger::Network,
    joins: &muster_identity::Did,
    seq: u64,
    key: &dyn Signer,
) -> Result<NewKey> {
    let public = key.public_key();
    let proof = key.sign(&NewKey::message(network, joins, seq, &public))?;
    Ok(NewKey { key: public, proof })
}
