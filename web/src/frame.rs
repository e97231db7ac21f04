//! What stands around every page.

use crate::session::Visitor;
use crate::{Console, assets, people};
use axum::http::HeaderMap;
use axum::http::header;
use data_encoding::HEXLOWER;
use muster_ledger::Time;
use std::fmt;

/// The frame of a page: its title, who is signed in, where one can go.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) title: String,
    /// The place in the navigation that is marked.
    pub(crate) here: &'static str,
    pub(crate) assets: String,
    pub(crate) theme: &'static str,
    pub(crate) network: String,
    /// Where the console is reached.
    pub(crate) origin: String,
    pub(crate) organisation: String,
    pub(crate) visitor: Option<Visitor>,
}

/// A place in the navigation.
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    pub(crate) icon: &'static str,
}

const fn place(path: &'static str, name: &'static str, icon: &'static str) -> Place {
    Place { path, name, icon }
}

/// All places, in the order of daily use.
const PLACES: [Place; 10] = [
    place("/", "Overview", "overview"),
    place("/devices", "Devices", "devices"),
    place("/batches", "Batches", "batches"),
    place("/import", "Import", "import"),
    place("/revoke", "Revoke", "revoke"),
    place("/approvals", "Approvals", "approvals"),
    place("/gateways", "Gateways", "gateways"),
    place("/ledger", "Ledger", "ledger"),
    place("/organisation", "Organisation", "organisation"),
    place("/audit", "Audit", "audit"),
];

impl Frame {
    /// The frame of a page.
    pub(crate) fn new(
        console: &Console,
        headers: &HeaderMap,
        here: &'static str,
        title: impl Into<String>,
        visitor: Option<&Visitor>,
    ) -> Self {
        let organisation = visitor
            .and_then(|v| console.organisation_record(&v.session.organisation).ok().flatten())
            .map_or(String::new(), |record| record.label);
        Self {
            title: title.into(),
            here,
            assets: assets::base(),
            theme: theme(headers),
            origin: console.origins().first().into(),
            network: HEXLOWER.encode(&console.network().0),
            organisation,
            visitor: visitor.cloned(),
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &'static Place> {
        PLACES.iter()
    }

    /// The first letter of the visitor's name.
    pub(crate) fn initial(&self) -> String {
        self.visitor.iter().flat_map(|v| v.name.chars().next()).collect()
    }

    /// Enough of the network's hash to tell it from others at a glance.
    pub(crate) fn short_network(&self) -> &str {
        self.network.get(..8).unwrap_or(&self.network)
    }

    pub(crate) fn csrf(&self) -> &str {
        self.visitor.as_ref().map_or("", |v| &v.session.csrf)
    }

    /// Whether the visitor may sign operations now.
    pub(crate) fn acts(&self) -> bool {
        self.visitor.as_ref().is_some_and(|v| v.settled && people::acts(v.role))
    }

    /// Whether the visitor may invite people now.
    pub(crate) fn administers(&self) -> bool {
        self.visitor.as_ref().is_some_and(|v| v.settled && people::administers(v.role))
    }

    /// The signing key and its organisation, for scripts.
    pub(crate) fn key(&self) -> String {
        self.visitor.as_ref().map_or(String::new(), |v| v.session.key.to_multikey())
    }

    pub(crate) fn organisation_did(&self) -> String {
        self.visitor.as_ref().map_or(String::new(), |v| v.session.organisation.to_string())
    }
}

/// Dark, light, or what the system has; kept in a cookie so that no page flashes.
fn theme(headers: &HeaderMap) -> &'static str {
    let has = |word: &str| {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
        cookies.flat_map(|v| v.split(';')).any(|pair| pair.trim() == word)
    };
    if has("theme=dark") {
        "dark"
    } else if has("theme=light") {
        "light"
    } else {
        "auto"
    }
}

/// A moment: UTC for reading without scripts, which show it in the reader's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

/// A moment that is told as so long ago.
pub(crate) struct Ago(Moment);

impl Moment {
    pub(crate) fn ago(self) -> Ago {
        Ago(self)
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = iso(self.0.0);
        let utc = iso.get(..19).unwrap_or(&iso).replace('T', " ");
        write!(f, r#"<time datetime="{iso}" data-ago>{utc} UTC</time>"#)
    }
}

impl askama::filters::HtmlSafe for Ago {}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = iso(self.0);
        let utc = iso.get(..19).unwrap_or(&iso).replace('T', " ");
        write!(f, r#"<time datetime="{iso}">{utc} UTC</time>"#)
    }
}

/// It writes its own mark-up from digits alone.
impl askama::filters::HtmlSafe for Moment {}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn iso(ms: u64) -> String {
    let whole = Time(ms).to_string();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), ms % 1_000)
}

/// A number in groups of three, as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl askama::filters::HtmlSafe for Count {}

/// A number, or a borrowed one: templates have both.
pub(crate) trait Number {
    fn number(&self) -> u64;
}

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl<N: Number> Number for &N {
    fn number(&self) -> u64 {
        (**self).number()
    }
}

/// A number in groups, for templates.
pub(crate) fn count(n: impl Number) -> Count {
    Count(n.number())
}

/// A moment, for templates.
pub(crate) fn moment(ms: impl Number) -> Moment {
    Moment(ms.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(iso(1_795_643_999_999), "2026-11-25T21:59:59.999Z");
    }

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Count(n).to_string(), text);
        }
    }
}
