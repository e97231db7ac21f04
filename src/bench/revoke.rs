//! `muster bench revoke`: from the acknowledgement of a revocation to the first refusal at a
//! following gateway, for each device in turn. The limit is one durable write and one round trip
//! over loopback, which either leg needs at least. A ratio of 1 is the limit itself.

use super::figure::{Figure, quantile};
use super::folder::Folder;
use super::limit::loopback;
use crate::cli::BenchRevoke;
use crate::commands::{Session, enrolment, watch};
use crate::demo::{Fleet, Lot, Parts, Visitor, did_of};
use crate::home::Home;
use crate::signing::{Desk, device_ref};
use anyhow::{Context as _, Result};
use muster_api::Client;
use muster_ledger::{Action, Revoke, Target};
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn run(session: &Session, arg: &BenchRevoke) -> Result<Vec<Figure>> {
    let (folder, devices) = (Folder::empty(None)?, arg.devices);
    let home = &Home::at(&folder.path("home"));
    let parts = Parts::start(home, 0).await?;
    let fleet = Fleet::open(home)?;
    let lot =
        Lot { prefix: "SN".into(), model: "bench", devices, manifest: home.path("manifest.jsonl") };
    fleet.write(home, &parts.genesis, &lot)?;
    let desk = || -> Result<Desk> {
        Ok(Desk {
            client: Client::new(&parts.node)?,
            genesis: parts.genesis.clone(),
            validators: parts.genesis.validators.clone(),
            key: Arc::new(home.key("keys/admin.pem")?),
        })
    };
    let enrolment = enrolment(home, desk()?)?;
    watch(session.output, enrolment, vec![lot.manifest.clone()], None).await?;

    let visitor = Visitor::new(&parts)?;
    let desk = desk()?;
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for number in 1..=devices {
        let key = fleet.key(&lot.serial(number))?;
        let (device, _) = device_ref(&desk.client, &did_of(&key)).await?;
        let start = Instant::now();
        let revoke = Revoke { target: Target::Device(device), reason: String::new() };
        desk.submit(Action::Revoke(revoke)).await?;
        acknowledged.push(start.elapsed().as_secs_f64() * 1_000.0);
        refused.push(visitor.until_refused(&key, "revoked").await?);
    }
    parts.stop().await;
    let bare = loopback::times(Some(&folder.path("bare")), devices).await;
    let bare = bare.context("the bare writes and round trips")?;
    Ok([("p50", 0.50), ("p99", 0.99)]
        .into_iter()
        .flat_map(|(name, q)| {
            let limit = quantile(&bare, q);
            [("sign to acknowledgement", &acknowledged), ("acknowledgement to refusal", &refused)]
                .map(|(what, samples)| {
                    let name = format!("revoke: {what}, {name}");
                    Figure::new(name, quantile(samples, q), "ms").limit(limit)
                })
        })
        .collect())
}
