//! A search as it stands in an address, so that it can be kept, sent and opened again.

use crate::session::{Visitor, encoded};
use muster_api::Problem;
use muster_ledger::Status;
use muster_registry::DeviceSearch;
use serde::Deserialize;
use std::str::FromStr;

/// Characters of a searched text: longer than every serial number, DID and key.
const TEXT: usize = 512;

/// The parts of a search, as somebody typed them. An empty one does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// The beginning of a serial number, DID or key, or a lot.
    pub(crate) q: String,
    pub(crate) model: String,
    pub(crate) lot: String,
    /// An organisation's DID.
    pub(crate) owner: String,
    pub(crate) state: String,
    /// A batch's id.
    pub(crate) batch: String,
    /// Where the page begins.
    pub(crate) after: String,
}

impl Asked {
    /// The question to the registry. Private rows are those of the visitor's own organisation.
    pub(crate) fn search(&self, who: &Visitor, limit: u64) -> Result<DeviceSearch, Problem> {
        for (_, text) in self.parts() {
            if text.chars().count() > TEXT {
                let title = format!("a search has at most {TEXT} characters");
                return Err(Problem::new(400, "search", title).cure("search for less of it"));
            }
        }
        Ok(DeviceSearch {
            organisation: Some(who.session.organisation),
            text: given(&self.q),
            lot: given(&self.lot),
            model: given(&self.model),
            owner: read(&self.owner, "the owner", "the DID of an organisation")?,
            batch: read(&self.batch, "the batch", "64 hexadecimal digits")?,
            state: state(&self.state)?,
            after: given(&self.after),
            limit,
        })
    }

    fn parts(&self) -> [(&'static str, &str); 6] {
        [
            ("q", &self.q),
            ("model", &self.model),
            ("lot", &self.lot),
            ("owner", &self.owner),
            ("state", &self.state),
            ("batch", &self.batch),
        ]
    }

    /// The search as a query string, without the place in it.
    pub(crate) fn query(&self) -> String {
        let parts = self.parts().into_iter().filter(|(_, text)| !text.trim().is_empty());
        let pairs = parts.map(|(name, text)| format!("{name}={}", encoded(text.trim())));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Whether nothing narrows it.
    pub(crate) fn is_open(&self) -> bool {
        self.query().is_empty()
    }
}

fn given(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn read<T: FromStr>(text: &str, what: &str, form: &str) -> Result<Option<T>, Problem> {
    let text = given(text);
    let value = text.as_deref().map(str::parse).transpose();
    value.map_err(|_| {
        Problem::new(400, "search", format!("{what} cannot be read"))
            .cure(format!("write {form}, or leave it empty"))
    })
}

fn state(text: &str) -> Result<Option<Status>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let all = [Status::Active, Status::Held, Status::Revoked, Status::Deactivated];
    let found = all.into_iter().find(|status| status.word() == text);
    found.map(Some).ok_or_else(|| {
        Problem::new(400, "search", "there is no such state")
            .cure("choose active, held, revoked or deactivated")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::session::Session;
    use muster_identity::{Algorithm, Did, Role, SecretKey, Signer as _};

    fn visitor() -> Visitor {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32].into()).expect("a key");
        let session = Session {
            id: "a".into(),
            key: key.public_key(),
            organisation: Did::from_digest([1; 32]),
            csrf: String::new(),
            made: 0,
            used: 0,
            browser: String::new(),
        };
        Visitor { session, name: "a".into(), role: Role::Viewer, settled: true, keys: Vec::new() }
    }

    #[test]
    fn what_is_empty_does_not_narrow_and_spaces_do_not_count() {
        let asked = Asked { q: " SN-1 ".into(), model: "  ".into(), ..Asked::default() };
        let search = asked.search(&visitor(), 50).expect("a search");
        assert_eq!(search.text.as_deref(), Some("SN-1"));
        assert_eq!((search.model, search.limit), (None, 50));
        assert_eq!(search.organisation, Some(Did::from_digest([1; 32])));
        assert_eq!(asked.query(), "q=SN-1");
        assert!(Asked { after: "x".into(), ..Asked::default() }.is_open());
    }

    #[test]
    fn the_query_reads_back_as_the_same_search() {
        let asked = Asked {
            q: "a&b=%<é>".into(),
            lot: "L 7+1".into(),
            state: "held".into(),
            ..Asked::default()
        };
        let uri = format!("/devices?{}", asked.query()).parse().expect("an address");
        let back = axum::extract::Query::<Asked>::try_from_uri(&uri).expect("a query").0;
        assert_eq!(back, asked);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        let refused = |asked: Asked| asked.search(&visitor(), 1).expect_err("refused").title;
        let state = Asked { state: "lost".into(), ..Asked::default() };
        assert_eq!(refused(state), "there is no such state");
        let owner = Asked { owner: "acme".into(), ..Asked::default() };
        assert_eq!(refused(owner), "the owner cannot be read");
        let batch = Asked { batch: "zz".into(), ..Asked::default() };
        assert_eq!(refused(batch), "the batch cannot be read");
        let long = Asked { q: "x".repeat(TEXT + 1), ..Asked::default() };
        assert!(refused(long).starts_with("a search has at most"));
    }
}
