use crate::GatewayStatus;
use std::fmt::Write as _;

/// The status as Prometheus reads it.
pub(crate) fn text(status: &GatewayStatus) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, String)]| {
        let name = format!("muster_gateway_{name}");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value.to_string())];

    let mut decisions = vec![(r#"{reason="accepted"}"#.into(), status.accepted.to_string())];
    let refused = status.refused.iter();
    decisions.extend(refused.map(|(code, n)| (format!(r#"{{reason="{code}"}}"#), n.to_string())));
    family("decisions_total", "counter", "Decisions by reason.", &decisions);

    let help = "Devices let through by a roll older than it should be.";
    family("stale_total", "counter", help, &one(status.accepted_stale));
    let help = "Whether this machine's clock is behind the roll's checkpoint.";
    family("clock_behind", "gauge", help, &one(status.clock_behind.into()));
    let help = "Devices whose parts are on disk.";
    family("devices", "gauge", help, &one(status.devices));
    family("ready", "gauge", "Whether it can say yes.", &one(status.ready.into()));
    family("roll_size", "gauge", "Log entries of the verified roll.", &one(status.size));
    family("roll_height", "gauge", "Height of the verified roll.", &one(status.height));
    let age = status.roll_age_ms.map_or("+Inf".into(), seconds);
    family("roll_age_seconds", "gauge", "Age of the verified roll.", &[(String::new(), age)]);
    let max = seconds(status.max_roll_age_ms);
    let max = [(String::new(), max)];
    family("roll_age_limit_seconds", "gauge", "At which age it refuses.", &max);
    let help = "Heads that a quorum's signature convicts.";
    family("forks_total", "counter", help, &one(status.forks_seen));
    let help = "Whether it follows no further.";
    family("stopped", "gauge", help, &one(status.stopped.is_some().into()));
    let (height, needed) = status.upgrade.as_ref().map_or((0, false), |u| (u.height, u.needed));
    let help = "Height from which on a newer program is needed, 0 if none is announced.";
    family("upgrade_height", "gauge", help, &one(height));
    let help = "1 if that height is reached.";
    family("upgrade_needed", "gauge", help, &one(needed.into()));
    let help = "Devices whose evidence is at hand.";
    family("evidence", "gauge", help, &one(status.evidence as u64));
    let help = "Presentations remembered.";
    family("presentations", "gauge", help, &one(status.presentations as u64));

    let faults = status.nodes.iter().flat_map(|node| {
        let url = node.url.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "");
        let line = move |(code, n): (&&str, &u64)| {
            (format!(r#"{{node="{url}",fault="{code}"}}"#), n.to_string())
        };
        node.faults.iter().map(line).collect::<Vec<_>>()
    });
    let faults: Vec<_> = faults.collect();
    family("node_faults_total", "counter", "Faults of nodes by kind.", &faults);
    out
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
