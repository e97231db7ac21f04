use super::{Fleet, Lot, Parts, Visitor};
use crate::commands::Session;
use crate::host::{Machine, new_key, random};
use anyhow::Result;
use muster_api::Host as _;
use muster_identity::{Algorithm, Holder, Registered, Signer as _, register};
use std::time::Duration;

/// Between two devices that come to the gateway.
const PAUSE: Duration = Duration::from_millis(400);

/// One of so many is a stranger.
const STRANGERS: u64 = 25;

/// Registers the demonstration's gateway, so that it is seen to confirm.
pub(super) async fn register_gateway(session: &Session, parts: &Parts) -> Result<()> {
    let holder = Holder { key: parts.gateway_key.public_key(), site: "This machine".into() };
    let said = Registered { gateway: "gate-1".into(), holder: Some(holder), made: Machine.now().0 };
    let desk = super::desk(session, parts)?;
    let token = register(&desk.organisation(), &said, &*desk.key)?;
    desk.client.register_gateway(token).await?;
    Ok(())
}

/// Devices of the lot come to the gateway, now and then a stranger, until the program ends: the
/// console of a demonstration shows a fleet at work.
pub(super) async fn go_on(fleet: Fleet, lot: Lot, visitor: Visitor) {
    loop {
        let drawn = u64::from_le_bytes(random());
        let key = match drawn % STRANGERS {
            0 => Ok(new_key(Algorithm::Ed25519)),
            _ => fleet.key(&lot.serial(1 + (drawn >> 32) % lot.devices)),
        };
        let sent = match key {
            Ok(key) => visitor.greet(&key).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!("a visit came to nothing: {error:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
