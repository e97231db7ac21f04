use super::shown;
use crate::Console;
use crate::frame::Frame;
use crate::people::{self, Names};
use crate::session::{Visitor, encoded};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::{Problem, StateCounts};
use muster_registry::{BatchPage, BatchSearch, UploadView};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "batches.html")]
struct Batches {
    frame: Frame,
    may_import: bool,
    model: String,
    first: bool,
    page: BatchPage,
    uploads: Vec<UploadView>,
    imports: Vec<(String, String, &'static str)>,
    older: Option<String>,
    names: Names,
}

/// The standings that some devices have.
pub(super) fn states(counts: &StateCounts) -> Vec<(&'static str, u64)> {
    let all = [
        ("active", counts.active),
        ("held", counts.held),
        ("revoked", counts.revoked),
        ("deactivated", counts.deactivated),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    model: String,
    before: Option<u64>,
}

impl Asked {
    /// The address of the page behind an entry.
    fn older(&self, before: u64) -> String {
        let model = match self.model.trim() {
            "" => String::new(),
            model => format!("model={}&", encoded(model)),
        };
        format!("/batches?{model}before={before}")
    }
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
    Query(asked): Query<Asked>,
) -> Response {
    let frame = Frame::new(&console, &headers, "/batches", "Batches", Some(&who));
    shown(build(&console, frame.clone(), &who, asked).await, || frame)
}

async fn build(
    console: &Console,
    frame: Frame,
    who: &Visitor,
    asked: Asked,
) -> Result<Batches, Problem> {
    let organisation = who.session.organisation;
    let model = Some(asked.model.trim().to_owned()).filter(|model| !model.is_empty());
    let search = BatchSearch { owner: Some(organisation), model, before: asked.before };
    let page = console.registry().find_batches(&search).await?;
    let uploads = console.registry().open_uploads(&organisation).await?;
    let acts = people::acts(who.role);
    let imports = console.imports().filter(|_| acts).map(|all| all.of(&organisation));
    let busy = imports.unwrap_or_default().into_iter().filter(|job| job.stage().is_busy());
    let imports = busy.map(|job| {
        let names = job.look(|s| s.files.iter().map(|f| f.name.clone()).collect::<Vec<_>>());
        let word = super::import::stage_words(job.stage()).0;
        (job.id.clone(), names.join(", "), word)
    });
    let names = people::names(&*console.book().await, &organisation.to_string());
    let older = page.next.map(|before| asked.older(before));
    Ok(Batches {
        imports: imports.collect(),
        may_import: acts,
        first: asked.before.is_none(),
        model: asked.model.trim().to_owned(),
        frame,
        page,
        uploads,
        older,
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_was_asked() {
        let asked = |model: &str| Asked { model: model.into(), before: None };
        assert_eq!(asked("").older(7), "/batches?before=7");
        assert_eq!(asked(" a&b=c ").older(7), "/batches?model=a%26b%3Dc&before=7");
    }
}
