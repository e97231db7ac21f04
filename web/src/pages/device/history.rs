//! What happened to a device and to its batch, newest first, and who signed it.

use crate::Console;
use crate::frame::Moment;
use crate::session::Visitor;
use muster_api::Problem;
use muster_identity::Did;
use muster_ledger::BatchId;
use muster_registry::LogFilter;

/// Changes that are shown of the device, and of its batch; the page of the ledger has all.
const SHOWN: u64 = 50;

/// One change.
pub(super) struct Change {
    pub(super) entry: u64,
    pub(super) time: Moment,
    pub(super) action: String,
    pub(super) title: String,
    pub(super) tone: &'static str,
    /// It was of the whole batch.
    pub(super) batch: bool,
    /// The name of whoever signed, where this node knows it.
    pub(super) who: Option<String>,
    pub(super) key: String,
    /// The organisation that answers for it.
    pub(super) author: String,
    pub(super) reason: Option<String>,
    pub(super) hash: String,
}

/// The newest changes, and whether there are more.
pub(super) async fn of(
    console: &Console,
    who: &Visitor,
    did: &Did,
    batch: &BatchId,
) -> Result<(Vec<Change>, bool), Problem> {
    let mut all = Vec::new();
    let mut more = false;
    for (subject, of_batch) in [(*did.digest(), false), (batch.0, true)] {
        let filter = LogFilter { subject: Some(subject), ..LogFilter::default() };
        let page = console.registry().log_page(None, &filter, SHOWN).await?;
        more |= page.next.is_some();
        all.extend(page.rows.into_iter().map(|row| (row, of_batch)));
    }
    all.sort_by_key(|(row, _)| std::cmp::Reverse(row.change.entry));
    // One entry may concern both.
    all.dedup_by_key(|(row, _)| row.change.entry);
    let organisation = who.session.organisation.to_string();
    let book = console.book().await;
    let changes = all.into_iter().map(|(row, of_batch)| {
        let change = row.change;
        let person = book.by_key(&change.key).filter(|(p, _)| p.organisation == organisation);
        let label = change.author.parse().ok();
        let label = label.and_then(|did| console.organisation_record(&did).ok().flatten());
        let (title, tone) = titled(&change.action, of_batch);
        Change {
            entry: change.entry,
            time: Moment(change.time),
            title,
            tone,
            batch: of_batch,
            who: person.map(|(p, _)| p.name.clone()),
            author: label.map_or_else(|| super::short(&change.author), |record| record.label),
            key: change.key,
            reason: change.reason,
            hash: change.hash,
            action: change.action,
        }
    });
    Ok((changes.collect(), more))
}

/// An action as it looks from the device, and its colour.
fn titled(action: &str, batch: bool) -> (String, &'static str) {
    let (words, tone) = match action {
        "enrol" => return ("Enrolled, with its batch".into(), "good"),
        "hold" => ("held", "held"),
        "release" => ("released", "good"),
        "revoke" => ("revoked", "revoked"),
        "deactivate" => ("deactivated", "revoked"),
        "revoke-key" => return ("Key revoked".into(), "revoked"),
        "rotate" => return ("Key replaced".into(), "good"),
        other => (other, ""),
    };
    match batch {
        true => (format!("Whole batch {words}"), tone),
        false => (format!("{}{}", words[..1].to_uppercase(), &words[1..]), tone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_whether_the_whole_batch_was_meant() {
        assert_eq!(titled("hold", false), ("Held".into(), "held"));
        assert_eq!(titled("revoke", true), ("Whole batch revoked".into(), "revoked"));
        assert_eq!(titled("enrol", true), ("Enrolled, with its batch".into(), "good"));
        assert_eq!(titled("something-new", false).0, "Something-new");
    }
}
