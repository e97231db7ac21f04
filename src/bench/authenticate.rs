//! `muster bench authenticate`: whole decisions of the verifier, on one core, for devices drawn
//! uniformly, in turn with bare verifications of the same signatures, so that all meet the same
//! noise. What a gateway does around a decision (HTTP, its clock, its locks) is not in it.

use super::cores;
use super::enrol::network;
use super::figure::{Figure, quantile};
use super::folder::Folder;
use super::limit::signatures;
use super::register::{Batch, Device, Register};
use crate::cli::BenchAuthenticate;
use crate::commands::Session;
use crate::home::Home;
use crate::host::random;
use crate::output::Output;
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_identity::{Algorithm, Audience, Did, Freshness, Signer as _, present};
use muster_ledger::{DevicePart, Network, State, Time};
use muster_verifier::{
    Enrolment, Evidence, Inquiry, Policy, ReplayMemory, RollView, Verified, verify,
};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Decisions of one turn: some milliseconds, so that what a turn finds in the processor's caches
/// is mostly its own.
const TURN: usize = 100;

/// Devices of the P-256 batch at most: their keys take longer to make, and ten hashes more of a path
/// would be lost beside two signatures.
const P256_DEVICES: u64 = 10_000;

/// Of the decisions, one in so many is made with P-256 too: it takes ten times longer.
const P256_PART: usize = 5;

/// The second in which all presentations are made.
const NOW: u64 = 1_800_000_000;

/// A presentation of a device that was drawn, with everything either side needs, made beforehand.
struct Drawn {
    did: Did,
    /// Whether it is one of those to be revoked.
    marked: bool,
    token: String,
    /// The device part as a request carries it, for as many as are asked for.
    carried: String,
    bare: Bare,
}

enum Bare {
    Ed25519(signatures::Ed25519),
    P256(signatures::P256),
}

impl Bare {
    fn holds(&self) -> bool {
        match self {
            Self::Ed25519(signed) => signed.holds(),
            Self::P256(signed) => signed.holds(),
        }
    }
}

/// What a decision starts from.
#[derive(Clone, Copy)]
enum Proof {
    /// The evidence was checked before, and is looked up.
    Kept,
    /// The request carries it, and it is checked.
    Carried,
}

/// What is done with some of those who were drawn.
type Turn<'a> = dyn FnMut(&[Drawn]) -> Result<()> + 'a;

/// One of those who take turns.
struct Runner<'a> {
    turn: Box<Turn<'a>>,
    drawn: &'a [Drawn],
    next: usize,
    /// Microseconds each, of each turn.
    samples: Vec<f64>,
}

impl<'a> Runner<'a> {
    /// Starts somewhere in the list, so that nobody finds in the processor's caches what another
    /// has just read.
    fn new(drawn: &'a [Drawn], part: f64, turn: impl FnMut(&[Drawn]) -> Result<()> + 'a) -> Self {
        let turns = drawn.len() / TURN;
        let next = (turns as f64 * part) as usize % turns;
        Self { turn: Box::new(turn), drawn, next, samples: Vec::new() }
    }

    fn run(&mut self) -> Result<()> {
        let part = &self.drawn[self.next * TURN..][..TURN];
        let start = ran();
        (self.turn)(part)?;
        self.samples.push((ran() - start) * 1e6 / TURN as f64);
        self.next = (self.next + 1) % (self.drawn.len() / TURN);
        Ok(())
    }

    /// Each second, by the median turn.
    fn rate(&self) -> f64 {
        1e6 / quantile(&self.samples, 0.5)
    }
}

/// Seconds that this thread ran: what others take from the core is not in them.
fn ran() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Lets them run in turn until each had its whole list once.
fn in_turn(runners: &mut [Runner<'_>]) -> Result<()> {
    let turns = runners.iter().map(|runner| runner.drawn.len() / TURN).min().unwrap_or(0);
    for _ in 0..turns {
        for runner in runners.iter_mut() {
            runner.run()?;
        }
    }
    Ok(())
}

fn bare(drawn: &[Drawn]) -> Result<()> {
    ensure!(drawn.iter().all(|drawn| drawn.bare.holds()), "a signature does not verify");
    Ok(())
}

/// Decides, and checks that each verdict is what the state says of the device.
struct Gate<'a> {
    state: &'a State,
    network: Network,
    policy: Policy,
    memory: ReplayMemory,
    kept: &'a HashMap<Did, Arc<Enrolment>>,
    proof: Proof,
    refused: fn(&Drawn) -> bool,
}

impl Gate<'_> {
    fn decide(&mut self, drawn: &Drawn) -> Result<Result<Verified, &'static str>> {
        let part;
        let evidence = match self.proof {
            Proof::Kept => {
                self.kept.get(&drawn.did).map_or(Evidence::None, |e| Evidence::Checked(e))
            }
            Proof::Carried => {
                part = DevicePart::from_cbor(&BASE64URL_NOPAD.decode(drawn.carried.as_bytes())?)?;
                Evidence::Part(&part)
            }
        };
        let (checkpoint_time, age_ms) = (Time(NOW * 1_000), 0);
        let roll = RollView { network: self.network, state: self.state, checkpoint_time, age_ms };
        let inquiry = Inquiry {
            presentation: &drawn.token,
            request_id: None,
            nonce_given: None,
            path: None,
            now: Time(NOW * 1_000),
            policy: &self.policy,
            roll,
            evidence,
        };
        Ok(verify(&inquiry, &mut self.memory).map_err(|rejected| rejected.code()))
    }

    fn turn(&mut self, drawn: &[Drawn]) -> Result<()> {
        for drawn in drawn {
            match (self.decide(drawn)?, (self.refused)(drawn)) {
                (Ok(verified), false) => ensure!(*verified.did() == drawn.did, "another device"),
                (Err("revoked"), true) => {}
                (verdict, _) => anyhow::bail!("{} got {verdict:?}", drawn.did),
            }
        }
        Ok(())
    }
}

pub(super) async fn run(session: &Session, arg: &BenchAuthenticate) -> Result<Vec<Figure>> {
    ensure!(arg.revoked <= arg.devices, "--revoked is at most --devices");
    let folder = Folder::empty(None)?;
    let home = Home::at(&folder.path("home"));
    let genesis = network(&home, arg.devices + P256_DEVICES)?;
    let mut register = Register::new(genesis, home.key("keys/admin.pem")?);
    let (output, devices, revoked, others, decisions) = (
        session.output,
        arg.devices,
        arg.revoked,
        arg.others,
        usize::try_from(arg.decisions)?.next_multiple_of(TURN),
    );
    cores::aside(move || {
        let mut figures = ed25519(output, &mut register, (devices, revoked, others), decisions)?;
        let decisions = (decisions / P256_PART).next_multiple_of(TURN);
        figures.extend(p256(output, &mut register, devices.min(P256_DEVICES), decisions)?);
        Ok(figures)
    })
    .await
}

fn ed25519(
    output: Output,
    register: &mut Register,
    (devices, revoked, others): (u64, u64, u64),
    decisions: usize,
) -> Result<Vec<Figure>> {
    output.say(format!("enrolling {devices} devices with Ed25519 keys"));
    let batch = register.enrol(Algorithm::Ed25519, devices)?;
    output.say(format!("revoking {revoked}, and {others} others"));
    // Every so many-th in the order of leaves, which is random.
    let marked: Vec<usize> = (0..revoked).map(|n| (n * devices / revoked) as usize).collect();
    let none = register.chain.state().clone();
    let some = register.revoked(&batch, &marked)?;
    let all: Vec<usize> = (0..batch.len()).collect();
    let all = register.revoked(&batch, &all)?;
    let beside = register.others_revoked(&batch, others)?;
    output.say("signing presentations");
    let marked: HashSet<usize> = marked.into_iter().collect();
    let drawn = draw(&batch, &marked, decisions)?;
    let kept = keep(register, &drawn)?;
    let gate = |state, proof, refused| gate(register, state, &kept, proof, refused);

    output.say("deciding");
    let good: fn(&Drawn) -> bool = |_| false;
    let [mut a, mut b, mut c, mut d, mut e] = [
        gate(&some, Proof::Kept, |drawn: &Drawn| drawn.marked)?,
        gate(&none, Proof::Kept, good)?,
        gate(&beside, Proof::Kept, good)?,
        gate(&none, Proof::Carried, good)?,
        gate(&all, Proof::Kept, |_| true)?,
    ];
    let mut runners = [
        Runner::new(&drawn, 0.0, bare),
        Runner::new(&drawn, 0.15, |drawn| a.turn(drawn)),
        Runner::new(&drawn, 0.3, |drawn| b.turn(drawn)),
        Runner::new(&drawn, 0.45, |drawn| c.turn(drawn)),
        Runner::new(&drawn, 0.6, |drawn| d.turn(drawn)),
        Runner::new(&drawn, 0.75, |drawn| e.turn(drawn)),
    ];
    in_turn(&mut runners)?;
    let [bare, some, none, beside, first, all] = runners.each_ref().map(Runner::rate);
    Ok(vec![
        figure(format!("authenticate: {revoked} of {devices} revoked"), some, bare),
        figure("authenticate: none revoked".into(), none, bare),
        figure("authenticate: all revoked, refused".into(), all, bare),
        figure(format!("authenticate: {others} others revoked, none"), beside, none),
        figure("authenticate: first contact".into(), first, bare / 2.0),
    ])
}

fn p256(
    output: Output,
    register: &mut Register,
    devices: u64,
    decisions: usize,
) -> Result<Vec<Figure>> {
    output.say(format!("enrolling {devices} devices with P-256 keys"));
    let batch = register.enrol(Algorithm::P256, devices)?;
    let drawn = draw(&batch, &HashSet::new(), decisions)?;
    let kept = keep(register, &drawn)?;
    let state = register.chain.state().clone();
    let gate = |proof| gate(register, &state, &kept, proof, |_| false);
    let (mut a, mut b) = (gate(Proof::Kept)?, gate(Proof::Carried)?);
    let mut runners = [
        Runner::new(&drawn, 0.0, bare),
        Runner::new(&drawn, 0.3, |drawn| a.turn(drawn)),
        Runner::new(&drawn, 0.6, |drawn| b.turn(drawn)),
    ];
    in_turn(&mut runners)?;
    let [bare, kept, first] = runners.each_ref().map(Runner::rate);
    Ok(vec![
        figure("authenticate: P-256".into(), kept, bare),
        figure("authenticate: P-256, first contact".into(), first, bare / 2.0),
    ])
}

fn figure(name: String, ours: f64, beside: f64) -> Figure {
    Figure::new(name, ours, "decisions/s").limit(beside).more_is_better()
}

fn gate<'a>(
    register: &Register,
    state: &'a State,
    kept: &'a HashMap<Did, Arc<Enrolment>>,
    proof: Proof,
    refused: fn(&Drawn) -> bool,
) -> Result<Gate<'a>> {
    let policy = Policy::new(audience()?);
    let (network, memory) = (register.genesis.network(), ReplayMemory::new(0));
    Ok(Gate { state, network, policy, memory, kept, proof, refused })
}

fn audience() -> Result<Audience> {
    Ok("gateway.example".parse()?)
}

/// Draws devices, each with the same chance (but for one part in 2^44), and signs for them.
fn draw(batch: &Batch, marked: &HashSet<usize>, decisions: usize) -> Result<Vec<Drawn>> {
    let audience = audience()?;
    let window = Freshness::Window { iat: NOW, exp: NOW + 60 };
    let devices = batch.len() as u64;
    let places: Vec<usize> =
        (0..decisions).map(|_| (u64::from_be_bytes(random()) % devices) as usize).collect();
    cores::map(&places, |place| {
        let Device { key, did, part } = batch.device(*place)?;
        let token = present(&did, &audience, &window, &random(), &key)?;
        let (message, signature) = token.rsplit_once('.').context("a token has three parts")?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes())?;
        let signature = signature.try_into().ok().context("a signature has 64 bytes")?;
        let (public, message) = (key.public_key(), message.as_bytes().to_vec());
        let bare = match public.algorithm() {
            Algorithm::Ed25519 => {
                let key = public.raw().try_into()?;
                Bare::Ed25519(signatures::Ed25519 { key, message, signature })
            }
            _ => Bare::P256(signatures::P256 { key: public.raw().to_vec(), message, signature }),
        };
        let carried = BASE64URL_NOPAD.encode(&part.to_cbor());
        Ok(Drawn { did, marked: marked.contains(place), token, carried, bare })
    })
}

/// Checks the evidence of those that were drawn, as a gateway that met them before.
fn keep(register: &Register, drawn: &[Drawn]) -> Result<HashMap<Did, Arc<Enrolment>>> {
    let (network, state) = (register.genesis.network(), register.chain.state());
    let roll = RollView { network, state, checkpoint_time: Time(0), age_ms: 0 };
    let checked = cores::map(drawn, |drawn| {
        let part = DevicePart::from_cbor(&BASE64URL_NOPAD.decode(drawn.carried.as_bytes())?)?;
        let checked = Enrolment::check(&part, roll);
        let checked = checked.map_err(|fault| anyhow::anyhow!("a device part: {fault:?}"))?;
        Ok((drawn.did, Arc::new(checked)))
    })?;
    Ok(checked.into_iter().collect())
}
