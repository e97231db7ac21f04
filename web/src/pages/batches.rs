use super::shown;
use crate::frame::{Count, Frame, Moment};
use crate::session::{Visitor, encoded};
use crate::{Console, Failure, people};
use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use muster_api::Problem;
use muster_registry::{BatchPage, BatchSearch, UploadView};
use serde::Deserialize;
use serde_json::json;

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
    })
}

/// How far the uploads under way are, for a page that is open.
pub(crate) async fn uploads(
    State(console): State<Console>,
    who: Visitor,
) -> Result<Response, Failure> {
    let uploads = console.registry().open_uploads(&who.session.organisation).await?;
    let uploads: Vec<_> = uploads
        .iter()
        .map(|u| json!({ "number": u.number, "staged": u.staged, "rows": u.rows }))
        .collect();
    Ok(Json(json!({ "uploads": uploads })).into_response())
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
