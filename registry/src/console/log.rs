//! The log in words.

use super::asking::LogFilter;
use super::stated::{Concerns, Stated};
use crate::Error;
use crate::node::{Node, Published};
use crate::queries::change_view;
use data_encoding::HEXLOWER;
use muster_api::{ChangeView, LogPage, LogRow, Problem, limits};
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{Action, Time};
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
        let published = self.published();
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
            let (node, published, filter) = (self.clone(), published.clone(), filter.clone());
            let room = limit + 1 - page.rows.len();
            let rows = tokio::task::spawn_blocking(move || {
                node.log_rows(&published, &entries, &filter, room)
            });
            page.rows.extend(rows.await.map_err(|e| Error::Us(e.to_string()))??);
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
    ) -> Result<Vec<LogRow>, Error> {
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
            let devices = self.named(&published.chain, action);
            rows.push(LogRow {
                change: change_view(*place, bytes)?,
                subject: concerns.text(&self.network),
                subject_kind: concerns.kind().into(),
                devices,
                words: words(action, concerns, devices),
                leaf_hash: HEXLOWER.encode(&leaf_hash(bytes)),
            });
            if rows.len() == room {
                break;
            }
        }
        Ok(rows)
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
        Action::Grant(a) => format!("granted the enrolment of {} devices until {}", a.count, a.expires),
        Action::WithdrawGrant(_) => "withdrew a grant".into(),
        Action::ChangeValidators(a) => {
            format!("changed the validators: {} from now on", a.validators.0.len())
        }
    }
}
