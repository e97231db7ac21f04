//! `muster ledger status`: the head, checked, and how the node decides.

use super::ledger::replay;
use super::{Session, moment};
use crate::cli::NodeArg;
use anyhow::Result;
use data_encoding::BASE64;
use muster_api::{ClientError, ConsensusRole, ConsensusView, UnderWayView};
use muster_ledger::View as _;
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Characters of a key or id that a table shows: enough to tell them apart.
const SHORT: usize = 16;

pub(super) async fn run(session: &Session, node: &NodeArg) -> Result<ExitCode> {
    let client = node.client()?;
    let consensus = match client.consensus().await {
        Ok(view) => Some(view),
        // A node of an older version decides alone and has no such page.
        Err(ClientError::Refused(problem)) if problem.status == 404 => None,
        Err(error) => return Err(error.into()),
    };
    let (chain, checkpoint) = replay(&session.home, &client, |_, _| Ok(())).await?;
    let head = checkpoint.head();
    let devices = client.network().await?.devices;
    let ahead = chain.upgrade_ahead()?;
    if let Some(ahead) = &ahead {
        session.output.warn(ahead.to_string());
    }
    let version = chain.state().protocol()?.at(chain.height() + 1);
    let validators = chain.state().validators()?;
    let signers: Vec<String> =
        checkpoint.signers(&validators).iter().map(|key| key.to_multikey()).collect();
    let validators: Vec<String> = validators.0.iter().map(|key| key.to_multikey()).collect();
    let mut words = format!(
        "network {}\n{} log entries, height {}, {} state records, {devices} devices enrolled\n\
         signed at {} by {}\nlog root   {}\nstate root {}\n\
         All operations were fetched and replayed: both roots are as signed.",
        head.network,
        head.size,
        head.height,
        chain.state().len(),
        moment(head.time.0),
        match signers.len() {
            0..=2 => signers.join(", "),
            n => format!("{n} of {} validators", validators.len()),
        },
        BASE64.encode(&head.log_root),
        BASE64.encode(&head.state_root),
    );
    if let Some(view) = &consensus {
        words.push_str(&table(view)?);
    }
    Ok(session.output.result(
        &json!({
            "network": head.network.to_string(),
            "size": head.size,
            "height": head.height,
            "time": head.time.0,
            "log_root": BASE64.encode(&head.log_root),
            "state_root": BASE64.encode(&head.state_root),
            "protocol": { "version": version, "upgrade": ahead.map(|ahead| ahead.to_string()) },
            "validators": validators,
            "records": chain.state().len(),
            "devices": devices,
            "consensus": consensus,
        }),
        words,
    ))
}

/// How the node decides, as a table. It is the node's word.
fn table(view: &ConsensusView) -> Result<String, std::fmt::Error> {
    let mut words = String::from("\n\n");
    match view.role {
        ConsensusRole::Solo => {
            words.push_str("The node decides alone (solo).");
            return Ok(words);
        }
        ConsensusRole::Validator => words.push_str("The node is a validator"),
        ConsensusRole::Access => {
            words.push_str("The node is an access node: it follows the validators");
        }
    }
    write!(words, ", at height {}", view.height)?;
    if view.round > 0 {
        write!(words, ", round {} of the next", view.round)?;
    }
    if let Some(to) = view.catching_up_to {
        write!(words, ", fetching blocks up to {to}")?;
    }
    match view.votes_from {
        _ if view.role != ConsensusRole::Validator => {}
        None => words.push_str(", does not know yet from which height on it votes"),
        Some(from) if from > view.height + 1 => write!(words, ", votes from height {from} on")?,
        Some(_) => {}
    }
    let quorum = view.quorum;
    let enough = if quorum.present >= quorum.needed { "enough" } else { "TOO FEW to decide" };
    write!(
        words,
        "\nvalidators {} of {} heard of, {} must sign: {enough}",
        quorum.present, quorum.of, quorum.needed
    )?;
    for one in &view.validators {
        let label = if one.label.is_empty() { "(no member's key)" } else { &one.label };
        write!(
            words,
            "\n  {}  {label:<24} {}, {}",
            short(&one.key),
            if one.present { "heard of" } else { "not heard of" },
            if one.signed { "signed the head" } else { "did not sign the head" },
        )?;
        if let Some(height) = one.last_seen {
            write!(words, ", last seen at height {height}")?;
        }
    }
    write!(words, "\npeers {}", view.peers.len())?;
    for peer in &view.peers {
        let state = if peer.connected { "connected" } else { "not connected" };
        write!(words, "\n  {:<24} {state}", peer.address)?;
        if let Some(height) = peer.height {
            write!(words, ", height {height}, {} behind", peer.lag.unwrap_or_default())?;
        }
        if let Some(ms) = peer.round_trip_ms {
            write!(words, ", answers in {ms} ms")?;
        }
        if let Some(seen) = peer.last_seen.filter(|_| !peer.connected) {
            write!(words, ", last heard of at {}", moment(seen))?;
        }
    }
    batches(&mut words, "announced, not decided", &view.batches)?;
    batches(&mut words, "decided, leaves not here yet", &view.missing_leaves)?;
    write!(words, "\nevidence {}", view.evidence.len())?;
    for one in &view.evidence {
        write!(
            words,
            "\n  {} of {} at height {}: {}",
            one.what,
            short(&one.validator),
            one.height,
            one.file
        )?;
    }
    Ok(words)
}

fn batches(words: &mut String, what: &str, batches: &[UnderWayView]) -> std::fmt::Result {
    for batch in batches {
        write!(
            words,
            "\nbatch {} {what}: {} of {} leaves here, {} validators ready",
            short(&batch.batch),
            batch.here,
            batch.count,
            batch.ready
        )?;
    }
    Ok(())
}

fn short(text: &str) -> &str {
    text.get(..SHORT).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_api::{EvidenceView, PeerView, QuorumView, ValidatorView};

    #[test]
    fn the_table_says_what_is_wrong() {
        let view = ConsensusView {
            role: ConsensusRole::Validator,
            height: 12,
            votes_from: Some(13),
            round: 2,
            quorum: QuorumView { needed: 3, present: 2, of: 4 },
            validators: vec![ValidatorView {
                key: "z6MkfRkaVYGLhpsqY6ijWzAShj".into(),
                label: "North".into(),
                ..ValidatorView::default()
            }],
            peers: vec![PeerView {
                address: "10.0.0.2:7710".into(),
                connected: true,
                height: Some(9),
                lag: Some(3),
                ..PeerView::default()
            }],
            batches: vec![UnderWayView { batch: "aa".into(), count: 7, here: 3, ready: 1 }],
            evidence: vec![EvidenceView {
                what: "double-vote".into(),
                validator: "z6Mk".into(),
                height: 5,
                file: "evidence/5".into(),
            }],
            ..ConsensusView::default()
        };
        let words = table(&view).expect("written");
        for told in [
            "at height 12, round 2 of the next",
            "2 of 4 heard of, 3 must sign: TOO FEW",
            "z6MkfRkaVYGLhpsq  North",
            "not heard of, did not sign the head",
            "10.0.0.2:7710            connected, height 9, 3 behind",
            "batch aa announced, not decided: 3 of 7 leaves here, 1 validators ready",
            "evidence 1",
            "double-vote of z6Mk at height 5: evidence/5",
        ] {
            assert!(words.contains(told), "{told} in {words}");
        }
        assert!(!words.contains("votes from"), "height 13 is the next one: {words}");
        let restored = ConsensusView { role: view.role, height: 12, ..ConsensusView::default() };
        let words = table(&restored).expect("written");
        assert!(words.contains("at height 12, does not know yet from which"), "{words}");
        let words = table(&ConsensusView { votes_from: Some(14), ..restored }).expect("written");
        assert!(words.contains("at height 12, votes from height 14 on"), "{words}");
        let alone = table(&ConsensusView::default()).expect("written");
        assert_eq!(alone.trim(), "The node decides alone (solo).");
    }
}
