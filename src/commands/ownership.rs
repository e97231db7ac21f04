//! `muster transfer`: who answers for a device or batch. `muster recover`: a key for a device that
//! lost its own.

use super::approve::do_or_propose;
use super::change::{done, new_key};
use super::{Session, moment};
use crate::cli::{RecoverArg, SignArg, Transfer, TransferOffer, TransferOpen};
use crate::host::Machine;
use crate::signing::{Desk, Named};
use anyhow::{Context as _, Result, bail};
use muster_api::{Host as _, OfferView};
use muster_ledger::{
    self as ledger, AcceptTransfer, Action, CancelTransfer, DeviceRef, OfferId, OfferTransfer,
    Target,
};
use std::process::ExitCode;

const ADMIN: &str = "keys/admin.pem";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub(super) async fn transfer(session: &Session, command: Transfer) -> Result<ExitCode> {
    match command {
        Transfer::Offer(arg) => offer(session, &arg).await,
        Transfer::Accept(arg) => {
            let (desk, target, offer) = open(session, &arg).await?;
            let action = Action::AcceptTransfer(AcceptTransfer { target, offer });
            let entry = desk.submit(action).await?;
            let what = format!("took over {}", arg.target);
            Ok(done(session, &entry, &what, &[("owner", desk.organisation().to_string())]))
        }
        Transfer::Cancel(arg) => {
            let (desk, target, offer) = open(session, &arg).await?;
            let action = Action::CancelTransfer(CancelTransfer { target, offer });
            let entry = desk.submit(action).await?;
            Ok(done(session, &entry, &format!("ended the offer of {}", arg.target), &[]))
        }
    }
}

async fn offer(session: &Session, arg: &TransferOffer) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let to = arg.to.parse().context("--to")?;
    let (target, seq) = Named::parse(&arg.target)?.target(&desk.client).await?;
    let expires = Machine.now().plus_ms(arg.days * DAY_MS);
    let action = Action::OfferTransfer(OfferTransfer { target, to, seq, expires });
    let what = format!("offered {} to {to} until {}", arg.target, moment(expires.0));
    do_or_propose(session, &desk, action, &what, &[("to", to.to_string())], arg.propose).await
}

/// What is offered, and by which offer.
async fn open(session: &Session, arg: &TransferOpen) -> Result<(Desk, Target, OfferId)> {
    let sign: &SignArg = &arg.sign;
    let desk = Desk::open(&session.home, sign, ADMIN)?;
    let named = Named::parse(&arg.target)?;
    let view: Option<OfferView> = match &named {
        Named::Device(did) => desk.client.device(did).await?.offer,
        Named::Batch(id) => desk.client.batch(&id.to_string()).await?.offer,
    };
    let id = match (&arg.offer, view) {
        (Some(id), _) => id.parse().context("--offer")?,
        (None, Some(view)) => view.offer.parse().context("the node names a malformed offer")?,
        (None, None) => bail!("no offer of {} is open", arg.target),
    };
    let (target, _) = named.target(&desk.client).await?;
    Ok((desk, target, id))
}

pub(super) async fn recover(session: &Session, arg: RecoverArg) -> Result<ExitCode> {
    let did = arg.device.parse().context("the device")?;
    let owner = arg.sign_with.clone().or_else(|| arg.with.clone());
    let sign = SignArg { sign_with: owner, node: arg.node.clone() };
    let desk = Desk::open(&session.home, &sign, ADMIN)?;
    let view = desk.client.device(&did).await?;
    // What it declared stands in its part alone.
    let part = desk.client.device_part(&did).await?;
    let device = DeviceRef { did, part: Some(Box::new(part)) };
    let new = session.home.keys().read(&arg.new)?;
    let key = new_key(&desk.genesis.network(), &did, view.seq, &new)?;
    let recover = ledger::Recover { device, seq: view.seq, key, next_key: None };
    let author = if arg.with.is_some() { did } else { desk.organisation() };
    let entry = desk.submit_as(author, Action::Recover(recover)).await?;
    let told = [("key", key.key.to_string())];
    Ok(done(session, &entry, &format!("recovered {did}: it has another key"), &told))
}
