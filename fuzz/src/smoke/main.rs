//! Runs every fuzz target for a few seconds on stable Rust. It mutates the test vectors without
//! coverage feedback; inputs that a decoder accepts join the corpus, so mutation does not stop
//! at the first check. `cargo fuzz` on nightly reaches deeper; this runs on every change.

mod mutate;
mod options;
mod seeds;
mod watch;

use muster_fuzz::{TARGETS, Target};
use mutate::{Mutator, Rng};
use options::Options;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;
use watch::Watch;

/// Largest corpus: accepted mutants beyond it replace older ones.
const MAX_CORPUS: usize = 4096;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("smoke: {fault}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<&Target> = TARGETS.iter().filter(|t| options.chooses(t.name)).collect();
    if chosen.is_empty() {
        eprintln!("smoke: no such target; there are: {}", names());
        return ExitCode::from(2);
    }
    println!("fuzz smoke: seed {}, {} s a target", options.seed, options.seconds.as_secs());
    // Panics are what we look for; the default hook would print each to standard error.
    panic::set_hook(Box::new(|_| {}));
    let mut failures = 0;
    for target in &chosen {
        if let Err(finding) = fuzz(target, &options) {
            failures += 1;
            println!("{:<14} FAILED: {}", target.name, finding.message);
            report(target, &options, &finding.input);
        }
    }
    println!("fuzz smoke: {} targets, {failures} failed", chosen.len());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An input that broke an invariant.
struct Finding {
    input: Vec<u8>,
    message: String,
}

/// Feeds all seeds, then mutants until the time is up.
fn fuzz(target: &Target, options: &Options) -> Result<(), Finding> {
    let seeds = seeds::load(target.name);
    let watch = Watch::start(target.name);
    // Only inputs that were accepted, or at least the seeds, are worth mutating.
    let mut accepted: Vec<Vec<u8>> = Vec::new();
    for seed in &seeds {
        if attempt(target, seed, &watch)? {
            accepted.push(seed.clone());
        }
    }
    let from_seeds = accepted.len();
    let mut known: BTreeSet<Vec<u8>> = accepted.iter().cloned().collect();
    let mut mutator = Mutator::new(Rng::new(options.seed, target.name), seeds);
    let (mut runs, mut hits) = (0_u64, 0_u64);
    let start = Instant::now();
    while start.elapsed() < options.seconds {
        for _ in 0..64 {
            let input = mutator.next(&accepted);
            runs += 1;
            if !attempt(target, &input, &watch)? {
                continue;
            }
            hits += 1;
            if known.len() < MAX_CORPUS && known.insert(input.clone()) {
                accepted.push(input);
            }
        }
    }
    println!("{:<14} ok: {runs} runs, {hits} accepted, {from_seeds} valid seeds", target.name);
    if from_seeds == 0 {
        println!("{:<14} WEAK: no seed is valid; add one to fuzz/seeds/{0}/", target.name);
    }
    Ok(())
}

/// Runs the target once; a panic is a finding.
fn attempt(target: &Target, input: &[u8], watch: &Watch) -> Result<bool, Finding> {
    let _running = watch.running(input);
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Finding { input: input.to_vec(), message: text.unwrap_or("it panicked").to_owned() }
    })
}

/// Keeps the input as a file and says how to go on.
fn report(target: &Target, options: &Options, input: &[u8]) {
    let hex: String = input.iter().take(512).map(|byte| format!("{byte:02x}")).collect();
    println!("  input, {} bytes: {hex}", input.len());
    println!("  again: cargo xtask fuzz --only {} --seed {}", target.name, options.seed);
    let dir = seeds::folder().join("artifacts");
    let file = dir.join(format!("{}-{}", target.name, options.seed));
    match fs::create_dir_all(&dir).and_then(|()| fs::write(&file, input)) {
        Ok(()) => println!("  kept in fuzz/artifacts/{}-{}", target.name, options.seed),
        Err(fault) => println!("  could not be kept in fuzz/artifacts: {fault}"),
    }
    println!(
        "  when it is mended, add the input to fuzz/seeds/{}/ so it stays mended",
        target.name
    );
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}
