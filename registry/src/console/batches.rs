//! Batches in a list, and uploads that may become some.

use crate::node::Node;
use crate::queries::change_view;
use crate::{Error, Registry};
use muster_api::{BatchView, ChangeView, Problem, StateCounts, limits};
use muster_identity::Did;
use std::collections::HashMap;

/// A page of batches, newest first. What is not set does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchSearch {
    /// Of this owner.
    pub owner: Option<Did>,
    /// Of this model.
    pub model: Option<String>,
    /// Enrolled before this entry of the log: where the page before ended.
    pub before: Option<u64>,
}

/// A batch in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    /// What it is.
    pub batch: BatchView,
    /// Its enrolment.
    pub enrolled: ChangeView,
    /// Its devices by standing.
    pub states: StateCounts,
}

/// Batches of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches.
    pub rows: Vec<BatchRow>,
    /// Ask for what was enrolled before this entry; none at the end.
    pub next: Option<u64>,
    /// How many batches the search finds in all, and with how many devices.
    pub batches: u64,
    /// See `batches`.
    pub devices: u64,
}

/// An upload that is open. Whoever reads this gets no right to add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadView {
    /// Its number at this node.
    pub number: u64,
    /// Model of the batch that it may become.
    pub model: String,
    /// Rows staged.
    pub staged: u64,
    /// Rows that its request named.
    pub rows: u64,
    /// Whether nothing will be enrolled.
    pub rehearsal: bool,
    /// When it was opened (ms).
    pub opened: u64,
    /// When rows came last (ms).
    pub active: u64,
    /// When it is thrown away (ms).
    pub expires: u64,
}

impl Node {
    async fn find_batches(&self, search: &BatchSearch) -> Result<BatchPage, Problem> {
        let mut page = BatchPage::default();
        let mut found = Vec::new();
        {
            let roster = self.console.roster();
            for (entry, batch) in roster.newest() {
                let fits = search.owner.is_none_or(|owner| batch.owner == owner)
                    && search.model.as_ref().is_none_or(|model| batch.model == *model);
                if !fits {
                    continue;
                }
                (page.batches, page.devices) = (page.batches + 1, page.devices + batch.count);
                if search.before.is_none_or(|before| entry < before)
                    && found.len() <= limits::SEARCH_PAGE as usize
                {
                    found.push((entry, batch.id, batch.tally()));
                }
            }
        }
        if found.len() > limits::SEARCH_PAGE as usize {
            found.pop();
            page.next = found.last().map(|(entry, ..)| *entry);
        }
        let mut places: Vec<u64> = found.iter().map(|(entry, ..)| *entry).collect();
        places.sort_unstable();
        let entries = self.store.entries_at(places).await?;
        let changes = tokio::task::spawn_blocking(move || {
            let changes = entries.into_iter().map(|(place, bytes)| change_view(place, &bytes));
            changes.map(|change| change.map(|(c, _)| (c.entry, c))).collect()
        });
        let changes: Result<HashMap<u64, ChangeView>, Error> =
            changes.await.map_err(|e| Error::Us(e.to_string()))?;
        let mut changes = changes?;
        let missing = || Error::damaged("a batch or its entry is missing");
        for (entry, id, states) in found {
            let batch = self.batch_view(&id)?.ok_or_else(missing)?;
            let enrolled = changes.remove(&entry).ok_or_else(missing)?;
            page.rows.push(BatchRow { batch, enrolled, states });
        }
        Ok(page)
    }
}

impl Registry {
    /// A page of batches.
    pub async fn find_batches(&self, search: &BatchSearch) -> Result<BatchPage, Problem> {
        self.node().find_batches(search).await
    }

    /// The open uploads of an organisation, newest first.
    pub async fn open_uploads(&self, organisation: &Did) -> Result<Vec<UploadView>, Problem> {
        let node = self.node();
        let now = node.host.now();
        let all = node.store.uploads().await?;
        let open = all.into_iter().rev().filter(|u| u.organisation == *organisation);
        let open = open.filter(|u| u.expires > now).map(|u| UploadView {
            number: u.number,
            model: u.model,
            staged: u.staged,
            rows: u.rows,
            rehearsal: u.rehearsal,
            opened: u.opened.0,
            active: u.active.0,
            expires: u.expires.0,
        });
        Ok(open.collect())
    }
}
