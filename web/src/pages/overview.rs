use super::shown;
use crate::Console;
use crate::frame::{Frame, Moment};
use crate::session::Visitor;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use muster_api::Problem;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    devices: u64,
    size: u64,
    height: u64,
    head: Moment,
}

pub(crate) async fn page(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Visitor,
) -> Response {
    let frame = Frame::new(&console, &headers, "/", "Overview", Some(&who));
    shown(build(&console, frame.clone()).await, || frame)
}

async fn build(console: &Console, frame: Frame) -> Result<Overview, Problem> {
    let network = console.registry().network().await?;
    let head = Moment(network.checkpoint_time);
    let (size, height) = (network.size, network.height);
    Ok(Overview { frame, devices: network.devices, size, height, head })
}
