//! Rules, protocol version and proposals, as readers see them.

use crate::Error;
use crate::console::stated::Stated;
use crate::metrics;
use crate::node::{Node, Published, locked};
use data_encoding::BASE64URL_NOPAD;
use muster_api::{
    ApprovalView, ApprovedView, EndedView, Exposition, MatterView, NextProtocolView, Problem,
    ProposalView, ProposalsView, ProtocolView, RulesView,
};
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{
    Action, Chain, Entry, Matter, OpenProposal, Operation, Outcome, ProposalId, ProposalRecord,
    Refusal, Target, View as _, approvals_needed, limits,
};

/// Entries that a proposal may have: itself, an approval or two of each key, and its end.
const ENTRIES_OF_PROPOSAL: u64 = 2 + 2 * limits::ORGANISATION_KEYS as u64;

/// A proposal that an approval is about.
pub(crate) struct Approved {
    /// What was proposed.
    pub(crate) action: Action,
    /// Whose it is.
    pub(crate) proposer: Did,
    pub(crate) view: ApprovedView,
}

impl Node {
    /// Says once what is ahead, and once that it is there.
    pub(crate) fn say_upgrade(&self, chain: &Chain) {
        let Ok(ahead) = chain.upgrade_ahead() else { return };
        let mut said = locked(&self.said_upgrade);
        if *said == ahead {
            return;
        }
        match &ahead {
            Some(ahead) if ahead.due => {
                tracing::error!("{ahead}; nothing is added and no newer head is signed");
            }
            Some(ahead) => tracing::warn!("{ahead}: install a newer one before"),
            None => tracing::info!("the protocol version that was announced is off"),
        }
        *said = ahead;
    }

    /// Refuses to begin what could not be finished.
    pub(crate) fn check_protocol(&self) -> Result<(), Problem> {
        match self.published()?.chain.upgrade_ahead()?.filter(|ahead| ahead.due) {
            Some(ahead) => {
                let version = ahead.next.version;
                let known = self.published()?.chain.state().protocol()?.version;
                Err(Refusal::Upgrade { version, height: ahead.next.height, known }.into())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn protocol_metrics(&self, text: &mut Exposition) {
        let Ok(published) = self.published() else { return };
        let Ok(view) = protocol_view(&published.chain) else { return };
        let due = matches!(published.chain.upgrade_ahead(), Ok(Some(ahead)) if ahead.due);
        let next = view.next.unwrap_or_default();
        text.one(&metrics::PROTOCOL, view.version);
        text.one(&metrics::NEXT_PROTOCOL, next.version);
        text.one(&metrics::NEXT_PROTOCOL_HEIGHT, next.height);
        text.one(&metrics::UPGRADE_NEEDED, u8::from(due));
    }

    /// What an operation approves; none if it is no approval. Read off the entries of the proposal
    /// up to a place of the log.
    pub(crate) async fn approved(
        &self,
        published: &Published,
        operation: &Operation,
        place: u64,
    ) -> Result<Option<Approved>, Problem> {
        let Action::Approve(approve) = &operation.action else { return Ok(None) };
        let id = approve.proposal;
        let mut places = self.store.touched(vec![id.0], ENTRIES_OF_PROPOSAL).await?;
        // Keys that come and go can approve more often than that: what was proposed is always read.
        let first = self.store.first_touched(id.0).await?;
        if let Some(first) = first.filter(|first| !places.contains(first)) {
            places.insert(0, first);
        }
        let size = published.checkpoint.head().size;
        let entries = self.store.entries_at(places).await?;
        let (mut proposed, mut approved_by, mut last) = (None, Vec::new(), None);
        for (at, bytes) in entries.iter().filter(|(at, _)| *at < size) {
            // Signatures of own entries were verified before: many approvals are shown at once.
            let stated = Stated::read(bytes)?;
            match &stated.operation.action {
                Action::Propose(a) => {
                    let author = stated.operation.author;
                    proposed = Some(((*a.action).clone(), author, stated.public_key()?));
                }
                Action::Approve(_) => {
                    last = Some(*at);
                    if *at <= place {
                        approved_by.push(stated.public_key()?.to_multikey());
                    }
                }
                _ => {}
            }
        }
        let (action, proposer, key) =
            proposed.ok_or_else(|| Error::damaged("an approval of no proposal"))?;
        let closed = published.chain.state().proposal(&id)?;
        let carried_out =
            last == Some(place) && closed == Some(ProposalRecord::Closed(Outcome::CarriedOut));
        let view = ApprovedView {
            proposal: id.to_string(),
            action: action.word().into(),
            carried_out,
            proposed_by: key.to_multikey(),
            approved_by,
        };
        Ok(Some(Approved { action, proposer, view }))
    }

    pub(crate) async fn proposals_view(&self) -> Result<ProposalsView, Problem> {
        let (published, overview) = self.overview()?;
        let (state, time) = (published.chain.state(), published.checkpoint.head().time);
        let rules = state.rules()?;
        let counts = rules.approval.is_some_and(|approval| approval.devices.is_some());
        let mut view = ProposalsView { people: rules.people(), ..ProposalsView::default() };
        for did in overview.organisations.keys() {
            let record = state.oversight(did)?;
            if counts {
                let (organisation, today) = (did.to_string(), record.ended_on(time));
                view.ended.push(EndedView { organisation, today });
            }
            for id in record.open {
                match state.proposal(&id)? {
                    Some(ProposalRecord::Open(open)) if open.expires > time => {
                        view.proposals.push(self.proposal_view(&published, did, &id, &open).await?);
                    }
                    _ => {}
                }
            }
        }
        view.proposals.sort_by_key(|proposal| proposal.entry);
        Ok(view)
    }

    async fn proposal_view(
        &self,
        published: &Published,
        did: &Did,
        id: &ProposalId,
        open: &OpenProposal,
    ) -> Result<ProposalView, Problem> {
        let state = published.chain.state();
        let several = state.members()?.are_several();
        let bytes = self.store.entries(open.entry, 1).await?.pop();
        let bytes = bytes.ok_or_else(|| Error::damaged("an entry is missing"))?;
        let entry = Entry::from_cbor(&bytes).map_err(Error::damaged)?;
        let (target, devices) = match open.action.target() {
            Some(Target::Device(device)) => (Some(device.did.to_string()), Some(1)),
            Some(Target::Batch(batch)) => {
                let record = state.batch(&batch)?;
                (Some(batch.to_string()), record.map(|record| record.count))
            }
            None => (None, None),
        };
        let approve = muster_ledger::Capability::Approve;
        let mut counting = Vec::new();
        for approved in &open.approvals {
            let record = state.organisation(&approved.organisation)?;
            if record.is_some_and(|record| record.may(&approved.key, approve)) {
                counting.push(approved);
            }
        }
        let matter = open.action.matter().filter(|_| several);
        let reason = match (&open.action, open.reason.as_str()) {
            (Action::Revoke(a), "") => a.reason.clone(),
            (_, reason) => reason.into(),
        };
        Ok(ProposalView {
            proposal: id.to_string(),
            organisation: did.to_string(),
            key: open.key.to_multikey(),
            action: open.action.word().into(),
            target,
            devices,
            reason: (!reason.is_empty()).then_some(reason),
            entry: open.entry,
            proposed: entry.time.0,
            expires: open.expires.0,
            matter: matter.map(|matter| matter.word().into()),
            needed: approvals_needed(state, &open.action)?,
            approvals: counting.iter().map(|approved| approved.key.to_multikey()).collect(),
            approved_by: match matter {
                Some(_) => counting.iter().map(|a| a.organisation.to_string()).collect(),
                None => Vec::new(),
            },
            signed: BASE64URL_NOPAD.encode(&entry.operation.0),
        })
    }
}

pub(crate) fn rules_view(chain: &Chain) -> Result<RulesView, Problem> {
    let (rules, members) = (chain.state().rules()?, chain.state().members()?);
    let shown = members.are_several() || rules.table.is_some();
    let table = Matter::ALL.into_iter().filter(|_| shown).map(|matter| {
        let threshold = rules.table().get(matter);
        MatterView {
            matter: matter.word().into(),
            threshold: threshold.to_string(),
            organisations: threshold.of(members.0.len().max(1)) as u64,
            stated: rules.table.is_some(),
        }
    });
    Ok(RulesView {
        table: table.collect(),
        trust_period_ms: rules.trust_period_ms,
        evidence: rules.evidence.word().into(),
        approval: rules.approval.map(|approval| ApprovalView {
            devices: approval.devices,
            people: approval.people,
            governance: approval.governance,
        }),
    })
}

pub(crate) fn protocol_view(chain: &Chain) -> Result<ProtocolView, Problem> {
    let (record, height) = (chain.state().protocol()?, chain.height() + 1);
    let next = record.next.filter(|next| record.at(height) != next.version);
    Ok(ProtocolView {
        version: record.at(height),
        next: next.map(|next| NextProtocolView {
            version: next.version,
            height: next.height,
            confirm_from: record.confirm_from.map(|time| time.0),
        }),
        upgrade: chain.upgrade_ahead()?.map(|ahead| ahead.to_string()),
    })
}
