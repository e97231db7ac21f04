//! The log in words.

use super::asking::LogFilter;
use super::stated::{Concerns, Stated};
use crate::Error;
use crate::node::{Node, Published};
use crate::queries::{change_view, reason};
use data_encoding::HEXLOWER;
use muster_api::{ChangeView, LogPage, LogRow, Problem, limits};
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{Action, Time, VerifiedOperation};
use std::sync::Arc;

/// Entries that are read at once.
const TOGETHER: u64 = 128;

impl Node {
    pub(super) async fn log_page(
        self: &Arc<Self>,
        before: Option<u64>,
        filter: &LogFilter,
        limit: u64,
    ) -> Result<LogPage, Problem> {
        let published = self.published()?;
        let size = published.checkpoint.head().size;
        let limit = match limit {
            0 => limits::LOG_PAGE,
            limit => limit.min(limits::LOG_PAGE),
        } as usize;
        let mut below = before.map_or(size, |before| before.min(size));
        if let Some(to) = filter.to {
            below = below.min(self.size_before(&published, to).await?);
        }
        let floor = match filter.from {
            Some(from) => self.size_before(&published, from).await?,
            None => 0,
        };
        let mut page = LogPage::default();
        let mut looked = 0;
        while below > floor {
            let entries = self.entries_below(filter, below, floor).await?;
            let Some((last, _)) = entries.last() else { return Ok(page) };
            let last = *last;
            looked += entries.len() as u64;
            let (node, under, filter) = (self.clone(), published.clone(), filter.clone());
            let room = limit + 1 - page.rows.len();
            let rows =
                tokio::task::spawn_blocking(move || node.log_rows(&under, &entries, &filter, room));
            for (mut row, verified) in rows.await.map_err(|e| Error::Us(e.to_string()))?? {
                if let Some(verified) = verified {
                    self.tell_approval(&published, &mut row, &verified).await?;
                }
                page.rows.push(row);
            }
            if page.rows.len() > limit {
                page.rows.truncate(limit);
                page.next = page.rows.last().map(|row| row.change.entry);
                return Ok(page);
            }
            below = last;
            if looked >= limits::LOG_LOOKS {
                page.next = Some(below).filter(|below| *below > floor);
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Entries below a place, descending.
    async fn entries_below(
        &self,
        filter: &LogFilter,
        below: u64,
        floor: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut entries = match filter.subject {
            Some(subject) => {
                let mut places = self.store.touched_below(subject, below, TOGETHER).await?;
                places.retain(|place| *place >= floor);
                self.store.entries_at(places).await?
            }
            None => {
                let from = below.saturating_sub(TOGETHER).max(floor);
                (from..).zip(self.store.entries(from, below - from).await?).collect()
            }
        };
        entries.reverse();
        Ok(entries)
    }

    /// Those of some entries that are asked for, in words.
    fn log_rows(
        &self,
        published: &Published,
        entries: &[(u64, Vec<u8>)],
        filter: &LogFilter,
        room: usize,
    ) -> Result<Vec<(LogRow, Option<VerifiedOperation>)>, Error> {
        let key = filter.key.map(|key| key.to_multicodec());
        let mut rows = Vec::new();
        for (place, bytes) in entries {
            let stated = Stated::read(bytes)?;
            let action = &stated.operation.action;
            let fits = key.as_ref().is_none_or(|key| *key == stated.key)
                && filter.action.as_ref().is_none_or(|word| word == action.word());
            if !fits {
                continue;
            }
            let concerns = Concerns::of(&self.network, &stated.operation);
            let proposed = match action {
                Action::Propose(a) => &*a.action,
                action => action,
            };
            let devices = self.named(&published.chain, proposed);
            let (change, verified) = change_view(*place, bytes)?;
            let approves = matches!(action, Action::Approve(_)).then_some(verified);
            let row = LogRow {
                change,
                subject: concerns.text(&self.network),
                subject_kind: concerns.kind().into(),
                devices,
                words: words(action, concerns, devices),
                leaf_hash: HEXLOWER.encode(&leaf_hash(bytes)),
            };
            rows.push((row, approves));
            if rows.len() == room {
                break;
            }
        }
        Ok(rows)
    }

    /// Says of an approval what it was about, and whether it carried that out.
    async fn tell_approval(
        &self,
        published: &Published,
        row: &mut LogRow,
        verified: &VerifiedOperation,
    ) -> Result<(), Problem> {
        let place = row.change.entry;
        let Some(approved) = self.approved(published, verified.operation(), place).await? else {
            return Ok(());
        };
        let concerns = Concerns::of_action(&self.network, approved.proposer, &approved.action);
        row.devices = self.named(&published.chain, &approved.action);
        row.words = match approved.view.carried_out {
            true => format!(
                "approved, and so carried out: {}",
                words(&approved.action, concerns, row.devices)
            ),
            false => format!("approved: {}", approved.action.word()),
        };
        row.subject = concerns.text(&self.network);
        row.subject_kind = concerns.kind().into();
        row.change.reason = Some(reason(&approved.action).to_owned()).filter(|r| !r.is_empty());
        row.change.approved = Some(approved.view);
        Ok(())
    }

    /// Entries of blocks before a time: block times ascend, so it is looked for by halves.
    async fn size_before(&self, published: &Published, time: Time) -> Result<u64, Error> {
        let (mut low, mut high) = (0, published.checkpoint.head().height);
        let mut size = 0;
        // The last block before it is at `low` or above, and not above `high`.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let block = self.store.blocks(middle, 1).await?.pop();
            let block = block.ok_or_else(|| Error::damaged("a block is missing"))?;
            if block.time < time {
                (low, size) = (middle, block.size);
            } else {
                high = middle - 1;
            }
        }
        Ok(size)
    }

    pub(super) async fn last_changes(
        self: &Arc<Self>,
        count: u64,
    ) -> Result<Vec<ChangeView>, Problem> {
        let page = self.log_page(None, &LogFilter::default(), count).await?;
        Ok(page.rows.into_iter().map(|row| row.change).collect())
    }
}

/// An operation in one sentence.
fn words(action: &Action, concerns: Concerns, devices: u64) -> String {
    let what = match (concerns, devices) {
        (Concerns::Batch(_), 1) => "a batch of one device".to_owned(),
        (Concerns::Batch(_), n) => format!("a batch of {n} devices"),
        _ => "a device".to_owned(),
    };
    match action {
        Action::Enrol(a) => format!("enrolled {what} of model {}", a.model),
        Action::Hold(a) => match a.until {
            Some(until) => format!("held {what} until {until}"),
            None => format!("held {what}"),
        },
        Action::Release(_) => format!("released a hold of {what}"),
        Action::Revoke(_) => format!("revoked {what}"),
        Action::Deactivate(_) => format!("deactivated {what}"),
        Action::RevokeKey(_) => "revoked a key of a device".into(),
        Action::Rotate(_) => "replaced the key of a device".into(),
        Action::ChangeKeys(a) => {
            let (more, less) = (a.add.len(), a.remove.len());
            format!("changed the keys of an organisation: {more} added, {less} removed")
        }
        Action::Grant(a) => {
            format!("granted the enrolment of {} devices until {}", a.count, a.expires)
        }
        Action::WithdrawGrant(_) => "withdrew a grant".into(),
        Action::ChangeValidators(a) => {
            format!("changed the validators: {} from now on", a.validators.0.len())
        }
        Action::ChangeRules(_) => "changed the rules of the network".into(),
        Action::UpgradeProtocol(a) => match a.next {
            Some(next) => {
                format!("announced protocol version {} for height {}", next.version, next.height)
            }
            None => "took an announced protocol version back".into(),
        },
        Action::Propose(a) => {
            format!("proposed, for others to approve: {}", words(&a.action, concerns, devices))
        }
        Action::Approve(_) => "approved a proposal".into(),
        Action::WithdrawProposal(_) => "withdrew a proposal".into(),
        Action::Admit(a) => format!("took the organisation {:?} in", a.admission.label),
        Action::Expel(_) => "put an organisation out".into(),
        Action::OfferTransfer(a) => {
            format!("offered {what} to another organisation until {}", a.expires)
        }
        Action::AcceptTransfer(_) => format!("took {what} over: its owner from now on"),
        Action::CancelTransfer(_) => format!("ended the offer of {what}"),
        Action::Recover(_) => "recovered a device: gave it a key that it did not sign for".into(),
    }
}
