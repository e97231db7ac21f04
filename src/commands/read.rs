use super::{Session, coverage, moment};
use crate::cli::{Resolve, Subject, Verify};
use crate::home::read_genesis;
use crate::reading;
use crate::signing::Named;
use anyhow::{Context as _, Result};
use muster_api::{ChangeView, HoldView};
use muster_identity::PublicKey;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::{Evidence, Receipt, ValidatorSet};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

pub(super) async fn resolve(session: &Session, arg: &Resolve) -> Result<ExitCode> {
    let client = arg.node.client()?;
    let resolution = client.resolve_did(&arg.did).await?;
    let object = serde_json::to_value(&resolution)?;
    session.output.result(&object, serde_json::to_string_pretty(&resolution)?);
    match resolution.did_resolution_metadata.error {
        None => Ok(ExitCode::SUCCESS),
        Some(_) => Ok(ExitCode::FAILURE),
    }
}

/// Checks a receipt with nothing but the genesis file.
pub(super) fn verify(session: &Session, arg: &Verify) -> Result<ExitCode> {
    let genesis = match &arg.genesis {
        Some(file) => read_genesis(file)?,
        None => session.home.genesis()?,
    };
    let file = arg.file.display();
    let bytes = fs::read(&arg.file).with_context(|| format!("cannot read {file}"))?;
    let receipt = Receipt::from_cbor(&bytes).with_context(|| format!("{file} is not a receipt"))?;
    let validators = match &arg.genesis {
        _ if !arg.validator.is_empty() => {
            let keys = arg.validator.iter().map(|key| PublicKey::from_multikey(key));
            let mut keys: Vec<_> = keys.collect::<Result<_, _>>().context("--validator")?;
            keys.sort();
            ValidatorSet(keys)
        }
        Some(_) => genesis.validators.clone(),
        None => session.home.validators()?,
    };
    let good = receipt
        .verify_under(&genesis.network(), &validators)
        .with_context(|| format!("{file} proves nothing on network {}", genesis.network()))?;
    let evidence = match &good.device.leaf().evidence {
        Evidence::Possession { .. } => "the device's own signature",
        Evidence::Vouched { .. } => "vouched for by the manufacturer",
    };
    let head = good.checkpoint.head();
    let enrolled = moment(good.entry.time.0);
    let signed = moment(head.time.0);
    Ok(session.output.result(
        &json!({
            "valid": true,
            "did": good.device.did().to_string(),
            "batch": good.device.batch().to_string(),
            "index": good.device.index(),
            "model": good.enrol.model,
            "manufacturer": good.manufacturer.to_string(),
            "enrolled": enrolled,
            "evidence": evidence,
            "checkpoint": { "size": head.size, "time": signed },
        }),
        format!(
            "valid: {} was enrolled\n\
             by         {}\n\
             at         {enrolled}, block {}\n\
             batch      {}, device {} of {}, model {}\n\
             evidence   {evidence}\n\
             checkpoint {} log entries, signed by a quorum at {signed}\n\
             A receipt says that a device was enrolled, not that it is in good standing now.",
            good.device.did(),
            good.manufacturer,
            good.entry.height,
            good.device.batch(),
            good.device.index() + 1,
            good.enrol.count,
            good.enrol.model,
            head.size,
        ),
    ))
}

pub(super) async fn show(session: &Session, arg: &Subject) -> Result<ExitCode> {
    let client = reading::client(&session.home, &arg.read)?;
    let history = client.history(&arg.target).await?;
    let (mut object, mut words) = match Named::parse(&arg.target)? {
        Named::Device(did) => {
            let device = client.device_in_full(&did).await?;
            if let Some(file) = &arg.receipt {
                let receipt = client.receipt(&did).await?;
                fs::write(file, receipt.to_cbor())
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
            let words = format!(
                "{}\nstanding  {}\nmodel     {}\nserial    {}\nowner     {}\nbatch     {}\nkey       {}\n{}",
                device.did,
                device.standing,
                device.model,
                device.serial.as_deref().unwrap_or("(not known here)"),
                device.owner,
                device.batch,
                device.key.as_deref().unwrap_or("(none)"),
                holds(&device.holds),
            );
            (json!({ "device": device, "history": history }), words)
        }
        Named::Batch(id) => {
            let batch = client.batch(&id.to_string()).await?;
            let words = format!(
                "batch {}\nstanding  {}\nmodel     {}\ndevices   {}\nowner     {}\n{}",
                batch.batch,
                batch.standing,
                batch.model,
                batch.count,
                batch.owner,
                holds(&batch.holds),
            );
            (json!({ "batch": batch, "history": history }), words)
        }
    };
    if let Some(view) = coverage::known(&client, &arg.target).await? {
        let action = &view.action;
        writeln!(
            words,
            "gateways  {}, since {action} at entry {}",
            coverage::line(&view),
            view.entry
        )?;
        object["coverage"] = json!(view);
    }
    for change in &history {
        writeln!(words, "{}", change_line(change))?;
    }
    Ok(session.output.result(&object, words.trim_end()))
}

fn holds(holds: &[HoldView]) -> String {
    holds.iter().fold(String::new(), |mut words, hold| {
        let until = hold.until.map_or("released".to_owned(), moment);
        let _ = writeln!(words, "hold      {} ({}), until {until}", hold.hold, hold.power);
        words
    })
}

fn change_line(change: &ChangeView) -> String {
    let reason = change.reason.as_deref().map_or(String::new(), |r| format!(" ({r})"));
    let approved = change.approved.as_ref().map_or(String::new(), |approved| {
        let what = if approved.carried_out { "did" } else { "of" };
        format!(
            " [{what} {}, proposed by {}, approved by {}]",
            approved.action,
            approved.proposed_by,
            approved.approved_by.join(", ")
        )
    });
    format!(
        "{}  {}{reason}{approved}  by {} with key {}",
        moment(change.time),
        change.action,
        change.author,
        change.key
    )
}
