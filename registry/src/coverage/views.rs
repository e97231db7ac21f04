//! What is asked about gateways.

use super::book::{Book, Name, Post};
use super::operators;
use crate::node::{Node, Published};
use crate::readers::Reader;
use crate::{Error, metrics};
use muster_api::{
    CoverageView, CoveredView, Exposition, GatewayView, GatewaysView, Problem, ReportView, limits,
    seconds,
};
use muster_identity::cbor::Decode as _;
use muster_identity::{Did, PublicKey};
use muster_ledger::{self as ledger, Action, BatchId, Head};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What may be asked about: an entry by its place, or the last restriction of a device or batch,
/// that of its batch included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// The entry at a place of the log.
    Entry(u64),
    /// The last restriction of a device or its batch.
    Device(Did),
    /// The last restriction of a batch.
    Batch(BatchId),
}

/// Newest entries of a subject that are looked through for a restriction.
const LOOKED_AT: u64 = 64;

/// Whether an action ends or suspends something, so that a gateway must know of it.
fn restricts(action: &Action) -> bool {
    matches!(
        action,
        Action::Hold(_) | Action::Revoke(_) | Action::Deactivate(_) | Action::RevokeKey(_)
    )
}

/// How a gateway does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Void,
    Never,
    Silent,
    Speaking(&'static str),
}

impl Condition {
    fn word(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Never => "never",
            Self::Silent => "silent",
            Self::Speaking(mode) => mode,
        }
    }
}

/// Whose registrations hold, when and under which head.
struct Judge {
    organisations: BTreeMap<Did, Organisation>,
    now: u64,
    head: Head,
}

/// An organisation with gateways: its DID as text, which takes longer to write than all else of a
/// row, and its operators' keys as multicodec.
struct Organisation {
    text: String,
    operators: Vec<Vec<u8>>,
}

impl Judge {
    fn new(published: &Published, book: &Book, now: u64) -> Result<Self, Problem> {
        let mut organisations = BTreeMap::new();
        for ((of, _), _) in book.posts() {
            if let Entry::Vacant(place) = organisations.entry(*of) {
                let keys = operators(published.chain.state(), of)?;
                let operators = keys.iter().map(PublicKey::to_multicodec).collect();
                place.insert(Organisation { text: of.to_string(), operators });
            }
        }
        Ok(Self { organisations, now, head: *published.checkpoint.head() })
    }

    fn condition(&self, name: &Name, post: &Post) -> Condition {
        let organisation = self.organisations.get(&name.0);
        if !organisation.is_some_and(|o| o.operators.iter().any(|k| k == post.registration.key())) {
            return Condition::Void;
        }
        match &post.heard {
            None => Condition::Never,
            Some(heard) if self.now.saturating_sub(heard.received) > limits::SILENT_AFTER_MS => {
                Condition::Silent
            }
            Some(heard) => Condition::Speaking(heard.statement.mode.word()),
        }
    }

    fn organisation(&self, name: &Name) -> String {
        self.organisations.get(&name.0).map_or_else(|| name.0.to_string(), |o| o.text.clone())
    }

    fn view(&self, name: &Name, post: &Post) -> GatewayView {
        let holder = post.holder();
        let heard = post.heard.as_ref();
        let said = heard.map(|heard| &heard.statement);
        let report = post.told.as_ref().and_then(|told| Some((told.received, told.report()?)));
        GatewayView {
            gateway: name.1.clone(),
            organisation: self.organisation(name),
            key: holder.map(|h| h.key.to_multikey()).unwrap_or_default(),
            site: holder.map(|h| h.site.clone()).unwrap_or_default(),
            registered: post.registration.registered().made,
            state: match holder {
                Some(_) => self.condition(name, post).word().into(),
                None => "ended".into(),
            },
            heard: heard.map(|heard| heard.received),
            size: said.map(|said| said.size),
            height: said.map(|said| said.height),
            lag_entries: said.map(|said| self.head.size.saturating_sub(said.size)),
            lag_ms: said.map(|said| self.head.time.0.saturating_sub(said.checkpoint)),
            clock_ahead_ms: heard.and_then(|heard| {
                i64::try_from(i128::from(heard.statement.made) - i128::from(heard.received)).ok()
            }),
            report: report.map(|(received, report)| ReportView {
                received,
                uptime: report.uptime,
                roll_age_ms: report.roll_age,
                accepted: report.accepted,
                refused: report.refused.iter().cloned().collect::<BTreeMap<_, _>>(),
                forks: report.forks,
            }),
        }
    }
}

/// The smallest delay that so many of a hundred do not exceed (nearest rank).
fn percentile(ascending: &[u64], percent: usize) -> Option<u64> {
    let rank = (ascending.len() * percent).div_ceil(100);
    ascending.get(rank.checked_sub(1)?).copied()
}

impl Node {
    pub(crate) fn gateway_view(&self, name: &Name) -> Result<GatewayView, Problem> {
        let (published, book) = (self.published()?, self.coverage.book());
        let judge = Judge::new(&published, &book, self.host.now().0)?;
        let post = book.post(name).ok_or_else(|| Error::Us("a gateway vanished".into()))?;
        Ok(judge.view(name, post))
    }

    pub(crate) fn gateways_view(&self, reader: Reader) -> Result<GatewaysView, Problem> {
        let (published, book) = (self.published()?, self.coverage.book());
        let judge = Judge::new(&published, &book, self.host.now().0)?;
        let own = book.posts().filter(|(name, _)| reader.sees(&name.0));
        let gateways: Vec<_> = own.map(|(name, post)| judge.view(name, post)).collect();
        let count = |not: &[&str]| {
            gateways.iter().filter(|g| !not.contains(&g.state.as_str())).count() as u64
        };
        Ok(GatewaysView {
            size: judge.head.size,
            checkpoint: judge.head.time.0,
            registered: count(&["void"]),
            acknowledging: count(&["void", "never", "silent"]),
            gateways,
        })
    }

    /// The same in numbers, for Prometheus.
    pub(crate) fn gateways_metrics(&self, text: &mut Exposition) {
        // The registrations of an organisation whose record cannot be read are no reason to
        // withhold all other metrics: readiness and the log tell of that.
        let Ok(view) = self.gateways_view(Reader::Operator) else { return };
        let speaks = |g: &&GatewayView| matches!(&*g.state, "live" | "stale" | "stopped");
        let slowest = |lag: fn(&GatewayView) -> Option<u64>| {
            view.gateways.iter().filter(speaks).filter_map(lag).max().unwrap_or(0)
        };
        let reports = view.gateways.iter().filter_map(|g| g.report.as_ref());
        text.one(&metrics::GATEWAYS, view.registered);
        text.one(&metrics::ACKNOWLEDGING, view.acknowledging);
        text.one(&metrics::SLOWEST_ENTRIES, slowest(|g| g.lag_entries));
        let ms = slowest(|g| g.lag_ms);
        text.one(&metrics::SLOWEST_SECONDS, seconds(ms.saturating_mul(1_000)));
        text.one(&metrics::FORKS, reports.map(|report| report.forks).sum::<u64>());
    }

    pub(crate) async fn coverage_view(
        &self,
        of: Covered,
        reader: Reader,
    ) -> Result<CoverageView, Problem> {
        let published = self.published()?;
        let (place, entry, action) = self.covered(&published, of).await?;
        let book = self.coverage.book();
        let judge = Judge::new(&published, &book, self.host.now().0)?;
        let mut view = CoverageView {
            entry: place,
            height: entry.height,
            time: entry.time.0,
            action: action.word().into(),
            ..CoverageView::default()
        };
        let mut delays = Vec::new();
        for (name, post) in book.posts().filter(|(name, _)| reader.sees(&name.0)) {
            let condition = judge.condition(name, post);
            if condition == Condition::Void {
                continue;
            }
            let refuses = post.heard.as_ref().is_some_and(|heard| heard.statement.size > place);
            view.registered += 1;
            match (refuses, condition) {
                (true, _) => view.acknowledged += 1,
                (false, Condition::Speaking(_)) => view.waiting += 1,
                (false, _) => view.silent += 1,
            }
            let first = post.first_beyond(place).filter(|_| refuses);
            // Nothing refuses before it is in the log.
            let since = first.map(|(row, _)| row.since.max(entry.time.0));
            let delay = first.zip(since).filter(|((_, known), _)| *known);
            let delay = delay.map(|(_, since)| since - entry.time.0);
            delays.extend(delay);
            view.gateways.push(CoveredView {
                gateway: name.1.clone(),
                organisation: judge.organisation(name),
                site: post.holder().map(|h| h.site.clone()).unwrap_or_default(),
                state: condition.word().into(),
                refuses,
                since,
                delay_ms: delay,
                stated: first.map(|(row, _)| row.stated),
                received: first.map(|(row, _)| row.received),
            });
        }
        delays.sort_unstable();
        (view.p50_ms, view.p99_ms) = (percentile(&delays, 50), percentile(&delays, 99));
        Ok(view)
    }

    /// The entry that is asked about, and what it did: an approval did what it carried out.
    async fn covered(
        &self,
        published: &Published,
        of: Covered,
    ) -> Result<(u64, ledger::Entry, Action), Problem> {
        let size = published.checkpoint.head().size;
        let subjects = match of {
            Covered::Entry(place) if place < size => {
                let bytes = self.store.entries(place, 1).await?.pop();
                let bytes = bytes.ok_or_else(|| Error::damaged("an entry is missing"))?;
                let (entry, action) = self.did(published, place, &bytes).await?;
                return Ok((place, entry, action));
            }
            Covered::Entry(place) => {
                let title = format!("the log has {size} entries, none at place {place}");
                return Err(Problem::new(404, "not-found", title));
            }
            Covered::Batch(id) => vec![id.0],
            Covered::Device(did) => {
                let batch = self.find(published, &did).await?.map(|device| device.row.batch.0);
                [Some(*did.digest()), batch].into_iter().flatten().collect()
            }
        };
        let places = self.store.touched(subjects, LOOKED_AT).await?;
        let entries = self.store.entries_at(places).await?;
        for (place, bytes) in entries.into_iter().rev().filter(|(place, _)| *place < size) {
            let (entry, action) = self.did(published, place, &bytes).await?;
            if restricts(&action) {
                return Ok((place, entry, action));
            }
        }
        Err(Problem::new(404, "not-restricted", "nothing was held, revoked or deactivated here"))
    }

    /// What an entry did.
    async fn did(
        &self,
        published: &Published,
        place: u64,
        bytes: &[u8],
    ) -> Result<(ledger::Entry, Action), Problem> {
        let entry = ledger::Entry::from_cbor(bytes).map_err(Error::damaged)?;
        let operation = entry.operation.verify().map_err(Error::damaged)?;
        let action = match self.approved(published, operation.operation(), place).await? {
            Some(approved) if approved.view.carried_out => approved.action,
            _ => operation.operation().action.clone(),
        };
        Ok((entry, action))
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99)), (Some(7), Some(7)));
        assert_eq!(percentile(&[1, 2, 3], 50), Some(2));
        assert_eq!(percentile(&[1, 2, 3], 99), Some(3));
        assert_eq!(percentile(&[], 50), None);
    }
}
