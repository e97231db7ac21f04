//! All devices, found by what one knows of them.

pub(crate) mod asked;
pub(crate) mod export;

use super::shown;
use crate::Console;
use crate::frame::{Count, Frame};
use crate::session::{Visitor, cookie};
use askama::Template;
use asked::Asked;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{DevicePage, DeviceRow, Problem};

/// Rows of a page: what fits a screen or two, and 100 kB with everything around it.
const ROWS: u64 = 50;

/// Models that are offered to choose from; others are typed.
const MODELS: usize = 200;

/// Characters of a serial number or lot in a list; the device's own page shows all.
const SHOWN: usize = 64;

/// Columns that can be left out, by their word in the cookie, and what they are called.
const COLUMNS: [(&str, &str); 6] = [
    ("did", "DID"),
    ("model", "Model"),
    ("lot", "Lot"),
    ("batch", "Batch"),
    ("owner", "Owner"),
    ("seen", "Last seen"),
];

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    frame: Frame,
    asked: Asked,
    /// Why nothing could be looked for.
    fault: Option<Problem>,
    rows: Vec<Row>,
    count: String,
    /// All that match, where it is known; else none.
    total: Option<u64>,
    next: Option<String>,
    building: bool,
    models: Vec<String>,
    owners: Vec<(String, String)>,
    columns: Columns,
    ledger_is_empty: bool,
}

struct Row {
    did: String,
    short: String,
    name: String,
    named: bool,
    model: String,
    lot: String,
    batch: String,
    state: String,
    owner: String,
    seen: Option<u64>,
}

/// Which columns are shown.
struct Columns(Vec<&'static str>);

impl Columns {
    fn of(headers: &HeaderMap, owners: usize) -> Self {
        let usual = if owners > 1 { "did.model.lot.owner.seen" } else { "did.model.lot.seen" };
        let kept = cookie(headers, "columns").unwrap_or_else(|| usual.into());
        let has = |word: &&str| kept.split('.').any(|k| k == *word);
        Self(COLUMNS.iter().map(|(word, _)| *word).filter(has).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        COLUMNS.iter().map(|(word, name)| (*word, *name, self.has(word)))
    }
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Query(asked): Query<Asked>,
) -> Response {
    let frame = Frame::new(&console, &headers, "/devices", "Devices", Some(&who));
    shown(build(&console, &headers, frame.clone(), &who, asked).await, || frame)
}

async fn build(
    console: &Console,
    headers: &HeaderMap,
    frame: Frame,
    who: &Visitor,
    asked: Asked,
) -> Result<Devices, Problem> {
    let registry = console.registry();
    let network = registry.network().await?;
    let owners: Vec<_> = network.organisations.into_iter().map(|o| (o.did, o.label)).collect();
    let counts = registry.overview_counts().await?;
    let models = counts.models.into_keys().take(MODELS).collect();
    let (page, fault) = match asked.search(who, ROWS) {
        Err(problem) => (DevicePage::default(), Some(problem)),
        // A place of another search cannot be read: that is the asker's fault, like the rest.
        Ok(search) => match registry.find_devices(&search).await {
            Ok(page) => (page, None),
            Err(problem) if problem.status < 500 => (DevicePage::default(), Some(problem)),
            Err(problem) => return Err(problem),
        },
    };
    let next = page.next.as_ref().map(|after| {
        let after = crate::session::encoded(after);
        match asked.query() {
            query if query.is_empty() => format!("/devices?after={after}"),
            query => format!("/devices?{query}&after={after}"),
        }
    });
    Ok(Devices {
        columns: Columns::of(headers, owners.len()),
        count: counted(&page, !asked.after.is_empty()),
        rows: page.rows.into_iter().map(|row| Row::of(row, &owners)).collect(),
        total: page.total,
        building: page.building,
        ledger_is_empty: counts.devices.all() == 0,
        frame,
        asked,
        fault,
        next,
        models,
        owners,
    })
}

/// How many there are, as far as it is known.
fn counted(page: &DevicePage, further: bool) -> String {
    let (known, at_least) = match page.total {
        Some(total) => (total, ""),
        None if further => return format!("{} on this page", Count(page.rows.len() as u64)),
        None => (page.at_least, "at least "),
    };
    let word = if known == 1 { "device" } else { "devices" };
    format!("{at_least}{} {word}", Count(known))
}

impl Row {
    fn of(row: DeviceRow, owners: &[(String, String)]) -> Self {
        let label = owners.iter().find(|(did, _)| *did == row.owner);
        let short = short(&row.did);
        Self {
            owner: label.map_or_else(|| short_id(&row.owner), |(_, label)| label.clone()),
            named: row.serial.is_some(),
            name: row.serial.map_or_else(|| short.clone(), |serial| cut(&serial)),
            lot: row.lot.map(|lot| cut(&lot)).unwrap_or_default(),
            short,
            did: row.did,
            model: row.model,
            batch: row.batch,
            state: row.state,
            seen: row.last_seen,
        }
    }
}

/// A DID's own part, enough of it to tell it from others.
pub(crate) fn short(did: &str) -> String {
    short_id(did.strip_prefix("did:muster:").unwrap_or(did))
}

/// The two ends of an id.
pub(crate) fn short_id(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= 18 {
        return id.to_owned();
    }
    let part = |chars: &[char]| chars.iter().collect::<String>();
    format!("{}…{}", part(&chars[..8]), part(&chars[chars.len() - 6..]))
}

/// The beginning of a text that anybody may have written, however long.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_says_no_more_than_is_known() {
        let page = |total, at_least| DevicePage { total, at_least, ..DevicePage::default() };
        assert_eq!(counted(&page(Some(1), 1), false), "1 device");
        assert_eq!(counted(&page(Some(1_000_000), 50), false), "1,000,000 devices");
        assert_eq!(counted(&page(None, 1_500), false), "at least 1,500 devices");
        assert_eq!(counted(&page(None, 0), true), "0 on this page");
    }

    #[test]
    fn ids_are_shortened_in_the_middle_and_texts_at_the_end() {
        assert_eq!(short("did:muster:zQmABCDEFGHIJKLMNOPQRSTUVWXYZ"), "zQmABCDE…UVWXYZ");
        assert_eq!(short_id("short"), "short");
        assert_eq!(cut(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
        assert_eq!(cut(&"é".repeat(SHOWN + 9)), format!("{}…", "é".repeat(SHOWN)));
    }

    #[test]
    fn columns_are_those_of_the_cookie_and_no_others() {
        let mut headers = HeaderMap::new();
        assert!(Columns::of(&headers, 1).has("lot") && !Columns::of(&headers, 1).has("owner"));
        assert!(Columns::of(&headers, 2).has("owner"));
        headers.insert("cookie", "columns=batch.nonsense".parse().expect("a header"));
        assert_eq!(Columns::of(&headers, 2).0, ["batch"]);
    }
}
