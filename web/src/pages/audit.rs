use super::shown;
use crate::frame::Frame;
use crate::people::{Names, audits, names};
use crate::session::{Visitor, encoded};
use crate::{Console, Failure, csv};
use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use muster_api::{LogPage, LogRow, Problem, limits};
use muster_identity::{Did, PublicKey};
use muster_ledger::{BatchId, Time};
use muster_registry::{Act, LogFilter};
use serde::Deserialize;
use std::io;
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Acts of people on one page.
const ACTS: u64 = 50;

/// Exports of the log at once.
const AT_ONCE: usize = 4;

/// What the columns of an export are.
const HEADER: &str =
    "entry,height,time,action,words,subject,reason,author,key,name,operation,leaf\r\n";

/// Words of actions, for the filter.
const ACTIONS: [&str; 16] = [
    "enrol",
    "hold",
    "release",
    "revoke",
    "deactivate",
    "revoke-key",
    "rotate",
    "change-keys",
    "grant",
    "withdraw-grant",
    "change-validators",
    "change-rules",
    "upgrade-protocol",
    "propose",
    "approve",
    "withdraw-proposal",
];

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    asked: Asked,
    actions: [&'static str; 16],
    rows: Vec<(LogRow, String)>,
    older: Option<String>,
    export: String,
    /// None: the visitor's role does not see them.
    acts: Option<Vec<(Act, String)>>,
    older_acts: Option<u64>,
}

/// The filter as it stands in the URL.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    key: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    before: Option<u64>,
    acts: Option<u64>,
}

impl Asked {
    fn filter(&self) -> Result<LogFilter, Problem> {
        let fault = |what: &str, why: &str| {
            Problem::new(400, "filter", format!("{what} cannot be read")).cure(why)
        };
        let day = |text: &str, what: &str| match text {
            "" => Ok(None),
            text => day(text).map(Some).ok_or_else(|| fault(what, "write it as 2026-11-25")),
        };
        let (key, about) = (self.key.trim(), self.about.trim());
        let key = match key {
            "" => None,
            key => Some(
                PublicKey::from_multikey(key)
                    .map_err(|_| fault("the key", "a key is a Multikey, such as z6Mk..."))?,
            ),
        };
        let subject = match about {
            "" => None,
            about if about.starts_with("did:") => Some(
                *about
                    .parse::<Did>()
                    .map_err(|_| fault("the DID", "it begins with did:muster:z"))?
                    .digest(),
            ),
            about => Some(
                about
                    .parse::<BatchId>()
                    .map_err(|_| fault("the id", "a DID, or 64 hexadecimal digits"))?
                    .0,
            ),
        };
        let next_day = |time: Time| time.plus_ms(86_400_000);
        Ok(LogFilter {
            key,
            action: ACTIONS.iter().find(|a| **a == self.action).map(|a| (*a).into()),
            subject,
            from: day(&self.from, "the first day")?,
            to: day(&self.to, "the last day")?.map(next_day),
        })
    }

    /// The filter as a query, without its place.
    fn query(&self) -> String {
        let parts = [
            ("key", &self.key),
            ("action", &self.action),
            ("about", &self.about),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let set = parts.iter().filter(|(_, v)| !v.is_empty());
        set.map(|(n, v)| format!("{n}={}", encoded(v))).collect::<Vec<_>>().join("&")
    }
}

/// Midnight (UTC) of a day written as `2026-11-25`.
fn day(text: &str) -> Option<Time> {
    let mut parts = text.splitn(3, '-').map(|p| p.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from the civil date (Howard Hinnant's algorithm), as `frame::iso` goes back.
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y / 400, y % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(Time(days.checked_sub(719_468)? * 86_400_000))
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/audit", "Audit", Some(&who));
    shown(build(&console, frame.clone(), asked, &who).await, || frame)
}

async fn build(
    console: &Console,
    frame: Frame,
    asked: Asked,
    who: &Visitor,
) -> Result<Audit, Problem> {
    let page =
        console.registry().log_page(asked.before, &asked.filter()?, limits::LOG_PAGE).await?;
    let names = names(&*console.book().await, &who.session.organisation.to_string());
    let query = asked.query();
    let older = page.next.map(|before| format!("/audit?{query}&before={before}"));
    let (acts, older_acts) = match audits(who.role) {
        false => (None, None),
        true => {
            let before = asked.acts.unwrap_or(u64::MAX);
            let found = console.registry().acts(&who.session.organisation, before, ACTS).await?;
            let older = found.last().filter(|_| found.len() as u64 == ACTS).map(|(no, _)| *no);
            let named = |(_, act): (u64, Act)| (names.of(&act.who), act);
            (Some(found.into_iter().map(named).map(|(n, a)| (a, n)).collect()), older)
        }
    };
    let rows = rows(page, &names);
    let export = format!("/audit/export.csv?{query}");
    Ok(Audit { frame, asked, actions: ACTIONS, rows, older, export, acts, older_acts })
}

fn rows(page: LogPage, names: &Names) -> Vec<(LogRow, String)> {
    let named = |row: LogRow| {
        let name = names.of(&row.change.key);
        (row, name)
    };
    page.rows.into_iter().map(named).collect()
}

/// Exports at once: each reads the log from its end to its beginning.
static EXPORTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// The log as the filter finds it, RFC 4180: all of it, page by page.
pub(crate) async fn csv(
    State(console): State<Console>,
    Query(asked): Query<Asked>,
    who: Visitor,
) -> Result<Response, Failure> {
    let filter = asked.filter()?;
    let Ok(turn) = EXPORTS.clone().try_acquire_owned() else {
        let title = format!("{AT_ONCE} exports are under way already");
        return Err(Problem::new(503, "exports", title).cure("try again in a minute").into());
    };
    let names = names(&*console.book().await, &who.session.organisation.to_string());
    let about = match asked.query() {
        query if query.is_empty() => "the whole log".to_owned(),
        query => format!("audit?{query}"),
    };
    console.note_act(&who.session, "export", about).await;
    let pages = stream::try_unfold((asked.before, false), move |(before, over)| {
        let (console, filter) = (console.clone(), filter.clone());
        async move {
            if over {
                return Ok(None);
            }
            let page = console.registry().log_page(before, &filter, limits::LOG_PAGE).await;
            let page = page.map_err(|problem| {
                tracing::warn!("an export ended early: {problem}");
                io::Error::other(problem.title)
            })?;
            let next = page.next;
            Ok(Some((page, (next, next.is_none()))))
        }
    });
    // The place of an export is free again when it is sent, or given up.
    let lines = pages.map_ok(move |page| {
        let _turn = &turn;
        Bytes::from(lines(page, &names))
    });
    let header = stream::iter([Ok::<_, io::Error>(Bytes::from_static(HEADER.as_bytes()))]);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"muster-audit.csv\""),
    ];
    Ok((headers, Body::from_stream(header.chain(lines))).into_response())
}

/// Lines of a page.
fn lines(page: LogPage, names: &Names) -> String {
    let mut out = String::new();
    for (row, name) in rows(page, names) {
        let change = &row.change;
        let cells = [
            &change.entry.to_string(),
            &change.height.to_string(),
            &crate::frame::iso(change.time),
            &change.action,
            &row.words,
            &row.subject,
            change.reason.as_deref().unwrap_or(""),
            &change.author,
            &change.key,
            &name,
            &change.hash,
            &row.leaf_hash,
        ];
        csv::line(&cells, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back() {
        for text in ["1970-01-01", "2000-02-29", "2026-11-25", "9999-12-31"] {
            assert_eq!(crate::frame::iso(day(text).expect(text).0).get(..10), Some(text));
        }
        for text in ["", "2026", "2026-13-01", "2026-00-10", "1969-12-31", "2026-11-25x", "x"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
