//! All devices of a search as a file, however many. The file is written while it is read, so
//! neither side keeps it whole; one that ends early is not whole, and the transfer says so.

use super::asked::Asked;
use crate::frame::iso;
use crate::session::Visitor;
use crate::{Console, Failure, csv};
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use muster_api::DeviceRow;
use muster_registry::Export;
use std::io;

/// The names of the columns (RFC 4180 §2, rule 3).
const HEADER: &str = "serial,did,model,lot,state,owner,batch,last_seen,last_changed_by_entry\r\n";

#[derive(Clone, Copy)]
enum Form {
    Csv,
    Json,
}

pub(crate) async fn csv(
    console: State<Console>,
    who: Visitor,
    asked: Query<Asked>,
) -> Result<Response, Failure> {
    export(console, who, asked, Form::Csv).await
}

pub(crate) async fn json(
    console: State<Console>,
    who: Visitor,
    asked: Query<Asked>,
) -> Result<Response, Failure> {
    export(console, who, asked, Form::Json).await
}

async fn export(
    State(console): State<Console>,
    who: Visitor,
    Query(asked): Query<Asked>,
    form: Form,
) -> Result<Response, Failure> {
    let asked = Asked { after: String::new(), ..asked };
    let search = asked.search(&who, 0)?;
    let pages = console.registry().export(&search)?;
    let about = match asked.query() {
        query if query.is_empty() => "all devices".to_owned(),
        query => format!("devices?{query}"),
    };
    console.note_act(&who.session, "export", about).await;
    let (kind, name) = match form {
        Form::Csv => ("text/csv; charset=utf-8; header=present", "devices.csv"),
        Form::Json => ("application/json", "devices.json"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(written(pages, form))).into_response())
}

/// Where a file is.
enum At {
    Begin(Export),
    Rows { pages: Export, first: bool },
    Over,
}

fn written(pages: Export, form: Form) -> impl stream::Stream<Item = Result<Bytes, io::Error>> {
    stream::unfold(At::Begin(pages), move |at| async move {
        let (mut pages, mut first) = match at {
            At::Over => return None,
            At::Begin(pages) => {
                let begin = match form {
                    Form::Csv => HEADER,
                    Form::Json => "[",
                };
                return Some((Ok(begin.into()), At::Rows { pages, first: true }));
            }
            At::Rows { pages, first } => (pages, first),
        };
        let rows = match pages.next().await {
            Ok(Some(rows)) => rows,
            Ok(None) => {
                let end = match form {
                    Form::Csv => "",
                    Form::Json => "\n]\n",
                };
                return Some((Ok(end.into()), At::Over));
            }
            Err(problem) => {
                tracing::warn!("an export ended early: {problem}");
                return Some((Err(io::Error::other(problem.title)), At::Over));
            }
        };
        let mut text = String::new();
        for row in rows {
            match form {
                Form::Csv => line(&row, &mut text),
                Form::Json => {
                    text.push_str(if first { "\n" } else { ",\n" });
                    text.push_str(&serde_json::to_string(&row).expect("our own types serialise"));
                }
            }
            first = false;
        }
        Some((Ok(text.into()), At::Rows { pages, first }))
    })
}

fn line(row: &DeviceRow, out: &mut String) {
    let cells = [
        row.serial.clone().unwrap_or_default(),
        row.did.clone(),
        row.model.clone(),
        row.lot.clone().unwrap_or_default(),
        row.state.clone(),
        row.owner.clone(),
        row.batch.clone(),
        row.last_seen.map(iso).unwrap_or_default(),
        row.changed.map(|entry| entry.to_string()).unwrap_or_default(),
    ];
    csv::line(&cells, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_as_many_cells_as_the_header() {
        let row = DeviceRow { did: "did:muster:z".into(), ..DeviceRow::default() };
        let mut out = String::new();
        line(&row, &mut out);
        assert_eq!(out.matches(',').count(), HEADER.matches(',').count());
        assert!(out.ends_with("\r\n"));
    }
}
