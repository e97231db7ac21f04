//! Log lines, on standard error, for people or for machines (`docs/config.md`). Nothing secret is
//! ever in one: no key, passphrase, presentation, nonce, session or serial number.

mod id;
mod json;
mod refusals;
mod requests;

pub(crate) use id::Within;
pub(crate) use requests::{Asked, Log, is_problem, with_instance};

use crate::cli::{Cli, LogFormat};
use json::JsonLines;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The engine tells of every vote, and every two seconds of every peer that is away; what of it
/// matters, the node says itself. A level named for the same target goes before it.
const ENGINE: &str =
    "arc_malachitebft=warn,arc_malachitebft_network=off,arc_malachitebft_discovery=off,libp2p=warn";

/// Begins to write log lines. Without a word about it they are warnings, or for servers also what
/// they do.
pub(crate) fn start(cli: &Cli) {
    let default = if cli.command.is_server() { "info" } else { "warn" };
    let level = cli.log_level.as_ref().map_or(default, |level| level.0.as_str());
    // It was checked when it was read.
    let filter = EnvFilter::try_new(format!("{ENGINE},{level}"));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::registry().with(filter);
    match cli.log {
        LogFormat::Json => lines.with(JsonLines::new(std::io::stderr())).init(),
        LogFormat::Human => {
            let colour = std::io::stderr().is_terminal();
            let lines_of = fmt::layer().with_timer(Stamp).with_ansi(colour);
            lines.with(lines_of.with_writer(std::io::stderr)).init();
        }
    }
    std::panic::set_hook(Box::new(panicked));
}

/// What a line for people begins with: the time, and the request that it is of.
struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, to: &mut fmt::format::Writer<'_>) -> std::fmt::Result {
        SystemTime.format_time(to)?;
        id::present().map_or(Ok(()), |id| write!(to, " request_id={id}"))
    }
}

/// A panic is a fault of ours: it stands in the log as every other line does.
fn panicked(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let words = info.payload_as_str().unwrap_or("no words");
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Only if the operator asks (RUST_BACKTRACE).
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => {
            tracing::error!(target: "muster::panic", place, thread, %trace, "panic: {words}");
        }
        _ => tracing::error!(target: "muster::panic", place, thread, "panic: {words}"),
    }
}
