//! `muster bench revoke`: from the acknowledgement of a revocation to the first refusal at a
//! following gateway, for each device in turn. The limit is one durable write and one round trip
//! over loopback, which either leg needs at least. A ratio of 1 is the limit itself. With further
//! followers: from the signature to the refusal at each of them.

use super::figure::{Figure, quantile};
use super::folder::Folder;
use super::followers::{Followers, Refused};
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

/// What is asked of us: a device is refused everywhere within a second at p99, and none of its
/// sessions lives on after two.
const ASKED_MS: f64 = 1_000.0;
const ASKED_SESSION_MS: f64 = 2_000.0;

pub(super) async fn run(session: &Session, arg: &BenchRevoke) -> Result<Vec<Figure>> {
    let (folder, devices) = (Folder::empty(None)?, arg.devices);
    let home = &Home::at(&folder.path("home"));
    let parts = Parts::start(home, 0).await?;
    let fleet = Fleet::open(home)?;
    let lot =
        Lot { prefix: "SN".into(), model: "bench", devices, manifest: home.path("manifest.jsonl") };
    fleet.write(home, &parts.genesis, &lot)?;
    let desk = || -> Result<Desk> {
        let key = Arc::new(home.key("keys/admin.pem")?);
        Desk::with(home, Client::new(&parts.node)?, key)
    };
    let enrolment = enrolment(home, desk()?)?;
    watch(session.output, enrolment, vec![lot.manifest.clone()], None).await?;

    let visitor = Visitor::new(&parts)?;
    let desk = desk()?;
    let followers = Followers::start(home, &parts.genesis, &parts.node, arg.followers).await?;
    let mut everywhere = Refused::default();
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for number in 1..=devices {
        let key = Arc::new(fleet.key(&lot.serial(number))?);
        let sessions = followers.meet(&key).await?;
        let (device, _) = device_ref(&desk.client, &did_of(&key)).await?;
        let start = Instant::now();
        let revoke = Revoke { target: Target::Device(device), reason: String::new() };
        let submitted = async {
            desk.submit(Action::Revoke(revoke)).await?;
            acknowledged.push(start.elapsed().as_secs_f64() * 1_000.0);
            refused.push(visitor.until_refused(&key, "revoked").await?);
            Ok(())
        };
        let asked = followers.until_refused(&key, sessions, start, &mut everywhere);
        tokio::try_join!(submitted, asked)?;
    }
    followers.stop().await;
    parts.stop().await;
    let bare = loopback::times(Some(&folder.path("bare")), devices).await;
    let bare = bare.context("the bare writes and round trips")?;
    let mut figures: Vec<Figure> = [("p50", 0.50), ("p99", 0.99)]
        .into_iter()
        .flat_map(|(name, q)| {
            let limit = quantile(&bare, q);
            [("sign to acknowledgement", &acknowledged), ("acknowledgement to refusal", &refused)]
                .map(|(what, samples)| {
                    let name = format!("revoke: {what}, {name}");
                    Figure::new(name, quantile(samples, q), "ms").limit(limit)
                })
        })
        .collect();
    figures.extend(everywhere.figures(arg.followers));
    Ok(figures)
}

impl Refused {
    fn figures(&self, followers: u64) -> Vec<Figure> {
        if followers == 0 {
            return Vec::new();
        }
        let name = |what| format!("revoke: signed to refused at {followers} followers, {what}");
        let figure = |what, q| Figure::new(name(what), quantile(&self.presentations, q), "ms");
        let session = "revoke: signed to the end of a session at any follower, max";
        vec![
            figure("p50", 0.50),
            figure("p99", 0.99).asked(ASKED_MS),
            figure("max", 1.0),
            Figure::new(session, quantile(&self.sessions, 1.0), "ms").asked(ASKED_SESSION_MS),
        ]
    }
}
