//! `muster org rules` and `muster org protocol`.

use super::approve::do_or_propose;
use super::confirm::confirm;
use super::org::ours;
use super::{Session, moment};
use crate::cli::{NodeArg, OrgProtocol, OrgRules, OrgRulesCommand, OrgRulesSet};
use crate::signing::Desk;
use anyhow::{Result, anyhow, ensure};
use muster_api::{MatterView, NetworkView, RulesView};
use muster_ledger::{
    Action, Approval, ChangeRules, EvidencePolicy, Matter, NextProtocol, Rules, Table, Threshold,
    UpgradeProtocol, limits,
};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

const ROOT: &str = "keys/root.pem";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub(super) async fn run(session: &Session, arg: &OrgRules) -> Result<ExitCode> {
    match &arg.command {
        None => show(session, &arg.node).await,
        Some(OrgRulesCommand::Set(arg)) => set(session, arg).await,
    }
}

async fn show(session: &Session, node: &NodeArg) -> Result<ExitCode> {
    let client = node.client()?;
    let (network, proposals) = (client.network().await?, client.proposals().await?);
    let rules = read(&network.rules)?;
    let mut words = in_words(&rules).replace("; ", "\n");
    for row in &network.rules.table {
        let MatterView { matter, threshold, organisations, .. } = row;
        write!(words, "\n{matter:<11}{threshold} of the organisations, now {organisations}")?;
    }
    for ended in proposals.ended.iter().filter(|_| rules.approval.is_some()) {
        write!(words, "\n{} ended {} without approval today", ended.organisation, ended.today)?;
    }
    write!(words, "\nprotocol version {}", network.protocol.version)?;
    if let Some(next) = &network.protocol.next {
        write!(words, ", from block {} on {}", next.height, next.version)?;
        if let Some(from) = next.confirm_from {
            write!(words, ", if it is announced again after {}", moment(from))?;
        }
    }
    if let Some(upgrade) = &network.protocol.upgrade {
        write!(words, "\n{upgrade}")?;
    }
    if !proposals.proposals.is_empty() {
        write!(words, "\n{} proposals wait: muster approve --list", proposals.proposals.len())?;
    }
    let object = json!({
        "rules": network.rules, "protocol": network.protocol, "ended": proposals.ended,
        "proposals": proposals.proposals.len(),
    });
    Ok(session.output.result(&object, words))
}

/// Rules as one reads them, parted by semicolons. A table comes with whoever shows it, but for one
/// that is proposed.
pub(super) fn in_words(rules: &Rules) -> String {
    let mut words = format!(
        "evidence of grants: {} or better; followers trust a head for {} days",
        rules.evidence.word(),
        rules.trust_period_ms / DAY_MS
    );
    match &rules.approval {
        None => words.push_str("; one signature suffices for everything"),
        Some(approval) => {
            let others = approval.people;
            if let Some(devices) = approval.devices {
                let _ = write!(
                    words,
                    "; above {devices} ended devices a day {others} others must approve"
                );
            }
            if approval.governance {
                let _ = write!(
                    words,
                    "; of a change of keys, rules or protocol version {others} others must approve"
                );
            }
        }
    }
    words
}

/// The present rules, from the node's words.
fn read(view: &RulesView) -> Result<Rules> {
    let all = [EvidencePolicy::Enroller, EvidencePolicy::Document, EvidencePolicy::Possession];
    let evidence = all.into_iter().find(|policy| policy.word() == view.evidence);
    Ok(Rules {
        trust_period_ms: view.trust_period_ms,
        evidence: evidence.ok_or_else(|| anyhow!("the node does not say its rules"))?,
        approval: view.approval.as_ref().map(|approval| Approval {
            devices: approval.devices,
            people: approval.people,
            governance: approval.governance,
        }),
        table: table(view)?,
    })
}

/// The table that the rules state, from the node's words; none if they state none.
fn table(view: &RulesView) -> Result<Option<Table>> {
    if !view.table.iter().any(|row| row.stated) {
        return Ok(None);
    }
    let mut table = Table::DEFAULT;
    for row in &view.table {
        let matter = Matter::ALL.into_iter().find(|matter| matter.word() == row.matter);
        let matter = matter.ok_or_else(|| anyhow!("the node names an unknown {:?}", row.matter))?;
        let words = [Threshold::Half, Threshold::TwoThirds, Threshold::All];
        let worded = words.into_iter().find(|threshold| threshold.to_string() == row.threshold);
        let threshold = match worded {
            Some(threshold) => threshold,
            None => Threshold::Number(row.threshold.parse()?),
        };
        table = table.with(matter, threshold);
    }
    Ok(Some(table))
}

/// A table with one line changed, as the command line says it.
fn decide(table: Table, word: &str) -> Result<Table> {
    let fault = || {
        let matters = Matter::ALL.map(Matter::word).join(", ");
        anyhow!(
            "--decide {word}: say MATTER=HOW; the matters are {matters}; how is a number, half, \
             two-thirds or all"
        )
    };
    let (matter, how) = word.split_once('=').ok_or_else(fault)?;
    let matter = Matter::ALL.into_iter().find(|known| known.word() == matter).ok_or_else(fault)?;
    let threshold = match how {
        "half" => Threshold::Half,
        "two-thirds" => Threshold::TwoThirds,
        "all" => Threshold::All,
        number => match number.parse() {
            Ok(n) if (1..=limits::ORGANISATIONS as u64).contains(&n) => Threshold::Number(n),
            _ => return Err(fault()),
        },
    };
    Ok(table.with(matter, threshold))
}

async fn set(session: &Session, arg: &OrgRulesSet) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let NetworkView { rules: present, .. } = desk.client.network().await?;
    let mut rules = read(&present)?;
    let before = rules.approval.unwrap_or(Approval { devices: None, people: 1, governance: false });
    let approval = Approval {
        devices: match arg.approve_no_devices {
            true => None,
            false => arg.approve_above.or(before.devices),
        },
        people: arg.approvals.unwrap_or(before.people),
        governance: arg.approve_governance.unwrap_or(before.governance),
    };
    ensure!(
        (1..=limits::APPROVALS as u64).contains(&approval.people),
        "--approvals is between 1 and {}",
        limits::APPROVALS
    );
    let asks = approval.devices.is_some() || approval.governance;
    ensure!(
        asks || arg.approvals.is_none(),
        "--approvals of what? say --approve-above DEVICES or --approve-governance true"
    );
    rules.approval = asks.then_some(approval);
    if !arg.decide.is_empty() {
        let before = rules.table();
        rules.table = Some(arg.decide.iter().try_fold(before, |table, word| decide(table, word))?);
    }
    if let Some(days) = arg.trust_days {
        rules.trust_period_ms = days * DAY_MS;
    }
    if let Some(evidence) = arg.evidence {
        rules.evidence = evidence.into();
    }
    let seq = ours(&desk).await?.seq;
    let what = format!("changed the rules: {}", in_words(&rules));
    let action = Action::ChangeRules(ChangeRules { seq, rules });
    do_or_propose(session, &desk, action, &what, &[], arg.propose).await
}

pub(super) async fn protocol(session: &Session, arg: &OrgProtocol) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let next = arg.version.zip(arg.height);
    let next = next.map(|(version, height)| NextProtocol { version, height });
    if let Some(next) = next.filter(|next| next.version > muster_ledger::PROTOCOL && !arg.yes) {
        let known = muster_ledger::PROTOCOL;
        let would = format!(
            "from block {} on nodes and gateways that know protocol {known} only, as this program \
             does, would stop",
            next.height
        );
        let ask = format!("{would}. Announce protocol {}?", next.version);
        confirm(session, &would, &ask, next.height)?;
    }
    let seq = ours(&desk).await?.seq;
    let what = match &next {
        Some(next) => format!(
            "announced or, 24 hours after that, confirmed protocol {} from block {}",
            next.version, next.height
        ),
        None => "took the announced protocol version back".into(),
    };
    let action = Action::UpgradeProtocol(UpgradeProtocol { seq, next });
    do_or_propose(session, &desk, action, &what, &[], arg.propose).await
}
