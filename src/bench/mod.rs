//! `muster bench`: our figures beside the limit of this machine, measured in the same run by
//! code that uses none of our crates, or beside what is asked.

mod authenticate;
mod console;
mod consortium;
mod cores;
mod disk;
mod during;
mod enrol;
mod figure;
mod flood;
mod folder;
mod followers;
mod gateway;
mod limit;
mod load;
mod manifest;
mod pinned;
mod process;
mod read_back;
mod register;
mod resolve;
mod revoke;
mod roll;

use crate::cli::Bench;
use crate::commands::{Session, stop_signal};
use anyhow::{Result, anyhow};
use figure::Figure;
use serde_json::Value;
use std::process::ExitCode;

pub(crate) async fn run(session: &Session, bench: Bench) -> Result<ExitCode> {
    if let Bench::Bare(arg) = &bench {
        return gateway::bare(session, arg).await;
    }
    session.output.say(build());
    let figures = tokio::select! {
        figures = measure(session, &bench) => Some(figures?),
        () = stop_signal() => None,
    };
    // Processes have ended and folders are gone by now, but a thread may still be at work.
    let Some(figures) = figures else {
        session.output.failed(&anyhow!("stopped"));
        std::process::exit(1);
    };
    let lines: Vec<String> = figures.iter().map(Figure::line).collect();
    let objects = figures.iter().map(Figure::object).collect();
    Ok(session.output.result(&Value::Array(objects), lines.join("\n")))
}

async fn measure(session: &Session, bench: &Bench) -> Result<Vec<Figure>> {
    match bench {
        Bench::Enrol(arg) => enrol::run(session, arg).await,
        Bench::Resolve(arg) => resolve::run(session, arg).await,
        Bench::Authenticate(arg) => authenticate::run(session, arg).await,
        Bench::Gateway(arg) => gateway::run(session, arg).await,
        Bench::Bare(_) => Ok(Vec::new()),
        Bench::Console(arg) => console::run(session, arg).await,
        Bench::Revoke(arg) => revoke::run(session, arg).await,
        Bench::Consortium(arg) => consortium::run(session, arg).await,
    }
}

/// Which build gave the figures: a build for the machine's own processor verifies faster.
fn build() -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let features: Vec<&str> = [
        ("avx2", cfg!(target_feature = "avx2")),
        ("avx512ifma", cfg!(target_feature = "avx512ifma")),
        ("neon", cfg!(target_feature = "neon")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect();
    let features = if features.is_empty() {
        "no vector extension presumed (RUSTFLAGS=-Ctarget-cpu=native presumes this machine's)"
            .to_owned()
    } else {
        format!("built for {}", features.join(", "))
    };
    format!("{profile} build, {}, {features}, {} cores", std::env::consts::ARCH, cores::count())
}
