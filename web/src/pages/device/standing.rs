//! How a device stands, in words: its own standing and its batch's, and what may be done to it.

use super::history::Change;
use crate::frame::Moment;
use muster_ledger::{HoldRecord, Power, Standing, Status, Time};

/// Why it does not stand well.
pub(super) struct Reason {
    /// `held` or `revoked`, for its colour.
    pub(super) tone: &'static str,
    /// One sentence.
    pub(super) words: String,
    /// When a hold ends by itself.
    pub(super) until: Option<Moment>,
    /// It is the batch's: it is lifted there.
    pub(super) batch: bool,
}

/// What its owner may do to it now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Can {
    pub(super) hold: bool,
    pub(super) release: bool,
    pub(super) revoke: bool,
    pub(super) deactivate: bool,
    pub(super) revoke_key: bool,
}

impl Can {
    pub(super) fn of(own: Option<&Standing>, now: Time) -> Self {
        let ended = own.is_some_and(|s| s.revoked);
        let gone = own.is_some_and(|s| s.deactivated);
        let lifts = own.is_some_and(|s| s.holds.iter().any(|h| in_force(h, now) && is_owners(h)));
        Self {
            hold: !ended && !gone,
            release: lifts && !ended && !gone,
            revoke: !ended && !gone,
            deactivate: !gone,
            revoke_key: !ended && !gone,
        }
    }

    /// Whether anything may be done at all.
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

fn in_force(hold: &HoldRecord, now: Time) -> bool {
    hold.until.is_none_or(|until| now < until)
}

fn is_owners(hold: &HoldRecord) -> bool {
    matches!(hold.power, Power::Owner)
}

/// All reasons, its own first. `history` says what was given as a reason, newest first.
pub(super) fn reasons(
    own: Option<&Standing>,
    batch: &Standing,
    history: &[Change],
    now: Time,
) -> Vec<Reason> {
    let mut all = Vec::new();
    for (standing, of_batch) in own.map(|s| (s, false)).into_iter().chain([(batch, true)]) {
        let who = if of_batch { "Its whole batch" } else { "It" };
        let given = |action: &str| {
            let last = history.iter().find(|c| c.batch == of_batch && c.action == action);
            match last.and_then(|c| c.reason.as_deref()) {
                Some(reason) => format!(" The reason given: {reason}."),
                None => String::new(),
            }
        };
        if standing.deactivated {
            let words = format!("{who} was deactivated for good: the DID is over, with all keys.");
            all.push(Reason { tone: "revoked", words, until: None, batch: of_batch });
        }
        if standing.revoked {
            let words = format!("{who} was revoked for good.{}", given("revoke"));
            all.push(Reason { tone: "revoked", words, until: None, batch: of_batch });
        }
        let holds: Vec<_> = standing.holds.iter().filter(|h| in_force(h, now)).collect();
        for hold in &holds {
            let by = match hold.power {
                Power::Owner => "its owner",
                Power::Incident => "a gateway, for an incident",
                Power::Governance => "the network",
            };
            // Which reason is which hold's cannot be told when there are several.
            let given = if holds.len() == 1 { given("hold") } else { String::new() };
            let open = if hold.until.is_none() { ", until it is released" } else { "" };
            let words = format!("{who} is held by {by}{open}.{given}");
            let until = hold.until.map(|t| Moment(t.0));
            all.push(Reason { tone: "held", words, until, batch: of_batch });
        }
    }
    all
}

/// What a state means at a gateway, in words.
pub(super) fn meaning(state: &str) -> &'static str {
    match state {
        "active" => "In good standing: gateways let it in.",
        "held" => "Suspended: gateways refuse it until every hold is lifted or over.",
        "revoked" => "Ended for good: gateways refuse it, and nothing lets it in again.",
        _ => "The DID is over for good: gateways refuse it, and its document is empty.",
    }
}

/// The strictest first, as the ledger judges.
pub(super) fn is_stricter(state: &str) -> bool {
    state != Status::Active.word()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::Did;
    use muster_ledger::HoldId;

    fn hold(power: Power, until: Option<u64>) -> HoldRecord {
        let by = Did::from_digest([1; 32]);
        HoldRecord { id: HoldId([1; 16]), by, power, until: until.map(Time) }
    }

    fn held(holds: Vec<HoldRecord>) -> Standing {
        Standing { holds, ..Standing::default() }
    }

    #[test]
    fn an_owner_lifts_its_own_holds_that_are_in_force() {
        let can = |standing: &Standing| Can::of(Some(standing), Time(10));
        assert!(can(&held(vec![hold(Power::Owner, None)])).release);
        assert!(can(&held(vec![hold(Power::Owner, Some(11))])).release);
        assert!(!can(&held(vec![hold(Power::Owner, Some(10))])).release, "it is over");
        assert!(!can(&held(vec![hold(Power::Incident, None)])).release, "another power's");
        assert!(!Can::of(None, Time(10)).release && Can::of(None, Time(10)).hold);
    }

    #[test]
    fn what_ended_is_not_ended_again() {
        let revoked = Standing { revoked: true, ..Standing::default() };
        let can = Can::of(Some(&revoked), Time(0));
        assert_eq!(can, Can { deactivate: true, ..Can::default() });
        let gone = Standing { deactivated: true, ..Standing::default() };
        assert!(!Can::of(Some(&gone), Time(0)).any());
    }

    #[test]
    fn reasons_name_whose_they_are_and_holds_that_are_over_are_none() {
        let own = held(vec![hold(Power::Owner, Some(5)), hold(Power::Incident, None)]);
        let batch = Standing { revoked: true, ..Standing::default() };
        let found = reasons(Some(&own), &batch, &[], Time(6));
        let words: Vec<_> = found.iter().map(|r| (r.batch, r.words.as_str())).collect();
        assert_eq!(
            words,
            [
                (false, "It is held by a gateway, for an incident, until it is released."),
                (true, "Its whole batch was revoked for good."),
            ]
        );
        assert!(reasons(None, &Standing::default(), &[], Time(0)).is_empty());
    }
}
