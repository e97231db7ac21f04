//! What a gateway tells Prometheus.

use crate::GatewayStatus;
use muster_api::{Exposition, seconds};

muster_api::metrics! {
    pub table;

    /// Decisions by reason: accepted, or why not.
    DECISIONS: Counter "muster_gateway_decisions_total" ["reason"] in "decisions";
    /// Devices let through by a roll older than it should be.
    STALE: Counter "muster_gateway_stale_total" [] in "decisions";
    /// Whether it can say yes.
    READY: Gauge "muster_gateway_ready" [] in "0 or 1";
    /// Log entries of the verified roll.
    ROLL_SIZE: Gauge "muster_gateway_roll_size" [] in "entries";
    /// Height of the verified roll.
    ROLL_HEIGHT: Gauge "muster_gateway_roll_height" [] in "blocks";
    /// Age of the verified roll: how far it is behind the network at most.
    ROLL_AGE: Gauge "muster_gateway_roll_age_seconds" [] in "seconds";
    /// At which age of the roll it refuses.
    ROLL_AGE_LIMIT: Gauge "muster_gateway_roll_age_limit_seconds" [] in "seconds";
    /// Whether this machine's clock is behind the roll's checkpoint, and so wrong.
    CLOCK_BEHIND: Gauge "muster_gateway_clock_behind" [] in "0 or 1";
    /// Heads that a quorum's signature convicts: forks, roll-backs, false roots.
    FORKS: Counter "muster_gateway_forks_total" [] in "heads";
    /// Whether it follows no further, and must be upgraded or looked at.
    STOPPED: Gauge "muster_gateway_stopped" [] in "0 or 1";
    /// Height from which on a newer program is needed, 0 if none is announced.
    UPGRADE_HEIGHT: Gauge "muster_gateway_upgrade_height" [] in "blocks";
    /// Whether that height is reached.
    UPGRADE_NEEDED: Gauge "muster_gateway_upgrade_needed" [] in "0 or 1";
    /// Whether a node is the one that is followed.
    FOLLOWED: Gauge "muster_gateway_node_followed" ["node"] in "0 or 1";
    /// Faults of nodes by kind.
    NODE_FAULTS: Counter "muster_gateway_node_faults_total" ["node", "fault"] in "faults";
    /// Log entries under the last head that a node took an acknowledgement of.
    ACKNOWLEDGED: Gauge "muster_gateway_acknowledged_size" ["node"] in "entries";
    /// Devices whose parts are on disk.
    DEVICES: Gauge "muster_gateway_devices" [] in "devices";
    /// Devices whose evidence is at hand.
    EVIDENCE: Gauge "muster_gateway_evidence" [] in "devices";
    /// Presentations remembered, so that none is good twice.
    PRESENTATIONS: Gauge "muster_gateway_presentations" [] in "presentations";
}

/// The status as Prometheus reads it.
pub(crate) fn text(status: &GatewayStatus) -> String {
    let mut text = Exposition::default();
    let accepted = std::iter::once((["accepted".into()], status.accepted));
    let refused = status.refused.iter().map(|(code, n)| ([(*code).into()], *n));
    text.many(&DECISIONS, accepted.chain(refused));
    text.one(&STALE, status.accepted_stale);
    text.one(&READY, u8::from(status.ready));
    text.one(&ROLL_SIZE, status.size);
    text.one(&ROLL_HEIGHT, status.height);
    text.one(&ROLL_AGE, status.roll_age_ms.map_or("+Inf".into(), of_ms));
    text.one(&ROLL_AGE_LIMIT, of_ms(status.max_roll_age_ms));
    text.one(&CLOCK_BEHIND, u8::from(status.clock_behind));
    text.one(&FORKS, status.forks_seen);
    text.one(&STOPPED, u8::from(status.stopped.is_some()));
    let (height, needed) = status.upgrade.as_ref().map_or((0, false), |u| (u.height, u.needed));
    text.one(&UPGRADE_HEIGHT, height);
    text.one(&UPGRADE_NEEDED, u8::from(needed));
    let nodes = || status.nodes.iter();
    text.many(&FOLLOWED, nodes().map(|node| ([node.url.clone()], u8::from(node.followed))));
    let faults = nodes().flat_map(|node| {
        node.faults.iter().map(|(code, n)| ([node.url.clone(), (*code).into()], *n))
    });
    text.many(&NODE_FAULTS, faults);
    let told = status.acknowledged.iter().flatten().map(|told| ([told.url.clone()], told.size));
    text.many(&ACKNOWLEDGED, told);
    text.one(&DEVICES, status.devices);
    text.one(&EVIDENCE, status.evidence);
    text.one(&PRESENTATIONS, status.presentations);
    text.finish()
}

fn of_ms(ms: u64) -> String {
    seconds(ms.saturating_mul(1_000))
}
