use super::{Session, devices, lots, words};
use crate::cli::{LotScrap, SignArg};
use crate::commands::confirm::confirm;
use crate::signing::{Desk, Named};
use anyhow::Result;
use muster_api::{ClientError, LotDeviceView, LotQuery, LotView};
use muster_ledger::{Action, Capability, Revoke};
use muster_provisioning::Finished;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

const ADMIN: &str = "keys/admin.pem";

/// Public, on the ledger.
const REASON: &str = "withdrawn by the owner";

/// Devices that are shown before they are revoked.
const SHOWN: usize = 20;

/// What became of the scrap of an enrolment, and how its lots stand.
#[derive(Default)]
pub(in crate::commands) struct Scrapped {
    /// Batches that were revoked.
    revoked: Vec<String>,
    /// Batches that are to be revoked by another key.
    left: Vec<String>,
    /// Scrapped devices of the organisation that are valid, whatever lot they are of.
    valid: usize,
    lots: Vec<LotView>,
}

impl Scrapped {
    /// Whether nothing scrapped is valid.
    pub(in crate::commands) fn is_over(&self) -> bool {
        self.left.is_empty() && self.valid == 0
    }

    /// Adds what scripts read.
    pub(in crate::commands) fn add_to(&self, object: &mut Value) {
        if !self.revoked.is_empty() || !self.left.is_empty() || self.valid > 0 {
            let Self { revoked, left, valid, .. } = self;
            object["scrap"] = json!({ "revoked": revoked, "left": left, "valid": valid });
        }
        if !self.lots.is_empty() {
            object["lots"] = json!(self.lots);
        }
    }

    /// In words, a line each.
    pub(in crate::commands) fn words(&self) -> String {
        let mut text = String::new();
        for batch in &self.revoked {
            text.push_str(&format!("\nscrap revoked: batch {batch}"));
        }
        for batch in &self.left {
            text.push_str(&format!(
                "\nSCRAP IS VALID: batch {batch}; this key may not revoke it, one with `operate` may: \
                 muster revoke {batch} --sign-with FILE"
            ));
        }
        if self.valid > 0 {
            text.push_str(&format!(
                "\nSCRAP IS VALID: {} scrapped devices; see `muster lot report`, and end it by \
                 `muster lot scrap LOT`",
                self.valid
            ));
        }
        for lot in &self.lots {
            text.push_str(&format!("\n{}", words::line(lot)));
        }
        text
    }
}

/// Revokes the scrap of an enrolment, each batch by one operation, also what an earlier run of the
/// same rows left valid; then asks how everything stands. Nothing is revoked on a node's word:
/// the batches are those that the command's own rows make.
pub(in crate::commands) async fn after_enrol(
    session: &Session,
    sign: &SignArg,
    finished: &Finished,
) -> Result<Scrapped> {
    let mut scrapped = Scrapped::default();
    if finished.summary().dry_run {
        return Ok(scrapped);
    }
    let desk = Desk::open(&session.home, sign, ADMIN)?;
    let network = desk.genesis.network();
    let batches = finished.scrap_ids(&network)?;
    let may = batches.is_empty() || may_operate(&desk).await?;
    for batch in batches {
        let batch = batch.to_string();
        let standing = match desk.client.batch(&batch).await {
            Ok(view) => view.standing,
            // Rows that an earlier run enrolled among others are no batch of their own.
            Err(ClientError::Refused(problem)) if problem.code() == "not-found" => continue,
            Err(error) => return Err(error.into()),
        };
        if standing == "revoked" || standing == "deactivated" {
            continue;
        }
        if may {
            revoke(&desk, &batch).await?;
            scrapped.revoked.push(batch);
        } else {
            scrapped.left.push(batch);
        }
    }
    let organisation = Some(desk.organisation().to_string());
    let all = LotQuery { organisation: organisation.clone(), ..LotQuery::default() };
    let valid = devices(&desk.client, &all, "scrap-valid").await?;
    // Those of batches that another key is to revoke are told of already.
    let told = |device: &&LotDeviceView| {
        !device.batch.as_ref().is_some_and(|batch| scrapped.left.contains(batch))
    };
    scrapped.valid = valid.iter().filter(told).count();
    for (lot, order) in finished.lots() {
        let query = LotQuery {
            organisation: organisation.clone(),
            lot: Some(lot.into()),
            order: Some(order.into()),
            ..LotQuery::default()
        };
        scrapped.lots.extend(lots(&desk.client, query).await?);
    }
    Ok(scrapped)
}

/// Whether the key may revoke.
async fn may_operate(desk: &Desk) -> Result<bool> {
    let (organisation, key) =
        (desk.organisation().to_string(), desk.key.public_key().to_multikey());
    let network = desk.client.network().await?;
    let organisation = network.organisations.iter().find(|o| o.did == organisation);
    let key = organisation.and_then(|o| o.keys.iter().find(|known| known.key == key));
    Ok(key.is_some_and(|key| key.capabilities.iter().any(|c| c == Capability::Operate.word())))
}

/// Revokes a device or a whole batch.
async fn revoke(desk: &Desk, target: &str) -> Result<()> {
    let (target, _) = Named::parse(target)?.target(&desk.client).await?;
    let revoke = Revoke { target, reason: REASON.into() };
    desk.submit(Action::Revoke(revoke)).await.map(drop)
}

pub(super) async fn run(session: &Session, arg: LotScrap) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let query = LotQuery {
        organisation: Some(desk.organisation().to_string()),
        lot: Some(arg.lot.clone()),
        order: arg.order.clone(),
        ..LotQuery::default()
    };
    let valid = devices(&desk.client, &query, "scrap-valid").await?;
    let mut batches: BTreeMap<&str, usize> = BTreeMap::new();
    for device in valid.iter().filter(|device| device.scrap_batch) {
        *batches.entry(device.batch.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let single: Vec<&LotDeviceView> = valid.iter().filter(|device| !device.scrap_batch).collect();
    if valid.is_empty() {
        let text = format!("nothing scrapped of lot {} is valid", arg.lot);
        return Ok(session.output.result(&json!({ "revoked": 0, "operations": 0 }), text));
    }
    for (batch, count) in &batches {
        session.output.say(format!("batch {batch}: {count} devices, all scrap"));
    }
    for device in single.iter().take(SHOWN) {
        let did = device.did.as_deref().unwrap_or_default();
        session.output.say(format!("device {}  {did}", device.serial));
    }
    if single.len() > SHOWN {
        session.output.say(format!("... and {} more devices", single.len() - SHOWN));
    }
    if !arg.yes {
        let count = valid.len();
        let would = format!("{count} devices would be revoked for good");
        let ask = format!("Revoke {count} devices for good?");
        confirm(session, &would, &ask, count as u64)?;
    }
    let mut operations = 0;
    let targets = batches.keys().copied().chain(single.iter().filter_map(|d| d.did.as_deref()));
    for target in targets {
        revoke(&desk, target).await.map_err(|e| {
            e.context(format!(
                "{operations} operations are done, then {target} failed; run it again"
            ))
        })?;
        operations += 1;
    }
    let text = format!("revoked {} devices by {operations} operations", valid.len());
    Ok(session.output.result(&json!({ "revoked": valid.len(), "operations": operations }), text))
}
