//! Faults at random from a seed, against one cluster under load. `cargo xtask soak` runs it for
//! minutes; here it runs for some faults from a seed that is always the same.

use crate::cluster::{Cluster, PATIENCE};
use crate::crash::caught_up;
use crate::disks::limit_files;
use crate::link::{Flow, Shape};
use crate::load::Load;
use crate::network::NODES;
use std::env;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What chooses. The order of events follows from the seed alone.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillOne,
    KillTwo,
    KillAll,
    Restart,
    Pause,
    SilentOne,
    CutOne,
    SilentHalves,
    CutHalves,
    Slow,
    FullDisk,
    ClockAhead,
    Year2040,
    Enrol,
}

use Fault::{
    ClockAhead, CutHalves, CutOne, Enrol, FullDisk, KillAll, KillOne, KillTwo, Pause, Restart,
    SilentHalves, SilentOne, Slow, Year2040,
};

const FAULTS: [Fault; 14] = [
    KillOne,
    KillTwo,
    KillAll,
    Restart,
    Pause,
    SilentOne,
    CutOne,
    SilentHalves,
    CutHalves,
    Slow,
    FullDisk,
    ClockAhead,
    Year2040,
    Enrol,
];

/// What is told of a run.
struct Diary(Instant);

impl Diary {
    fn note(&self, words: &str) {
        println!("soak: {:8.2} s  {words}", self.0.elapsed().as_secs_f64());
    }
}

/// How long it goes on, and from which seed.
struct Plan {
    seed: u64,
    faults: usize,
    time: Duration,
}

impl Plan {
    fn read() -> Self {
        let number = |name: &str| -> Option<u64> {
            let text = env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
        };
        let seed = number("MUSTER_SOAK_SEED").unwrap_or(20_261_126);
        match number("MUSTER_SOAK_MINUTES") {
            Some(minutes) => {
                Self { seed, faults: usize::MAX, time: Duration::from_secs(60 * minutes) }
            }
            None => Self { seed, faults: 4, time: PATIENCE },
        }
    }

    /// Each kill may leave a client with a device of which it does not know how it stands.
    fn devices(&self) -> usize {
        256 + 4 * self.time.as_secs() as usize
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_random_from_a_seed() {
    let plan = Plan::read();
    let mut dice = Dice(plan.seed);
    let diary = Diary(Instant::now());
    diary.note(&format!("seed {}", plan.seed));
    let mut cluster = Cluster::running().await;
    let serials = cluster.enrol(0, "SN", plan.devices()).await;
    cluster.agree(&[0, 1, 2, 3]).await;
    let load = Load::start(&cluster, serials, &[0, 1, 2, 3], 2, true).await;
    load.goes_on(&cluster, 20).await;
    let begun = Instant::now();
    let mut number = 0;
    while number < plan.faults && begun.elapsed() < plan.time {
        number += 1;
        let fault = FAULTS[dice.throw(FAULTS.len())];
        let victim = dice.throw(NODES);
        let lasts = Duration::from_millis(500 + dice.throw(4_500) as u64);
        let before = load.count();
        let words = format!("{number}: {fault:?} at node {} for {lasts:?}", victim + 1);
        diary.note(&words);
        befall(&mut cluster, fault, victim, lasts, number).await;
        // All of it is over: everybody has what the others have, and writes go on.
        for node in 0..NODES {
            cluster.serves(node).await;
        }
        for node in 0..NODES {
            caught_up(&cluster, node, (node + 1) % NODES).await;
        }
        load.goes_on(&cluster, 8).await;
        cluster.all_live();
        cluster.watch.check();
        let size = cluster.size(victim).await;
        let written = load.count() - before;
        diary.note(&format!("{number}: over; {written} acknowledged meanwhile, size {size}"));
    }
    let written = load.stop().await;
    diary.note(&format!(
        "{number} faults; {} operations acknowledged, {} without an answer, the longest in {:?}",
        written.acknowledged.len(),
        written.unanswered.len(),
        written.longest
    ));
    cluster.is_sound(&written).await;
    diary.note("one ledger on all nodes, every acknowledged entry at its place, nobody accused");
}

async fn befall(
    cluster: &mut Cluster,
    fault: Fault,
    victim: usize,
    lasts: Duration,
    number: usize,
) {
    let next = (victim + 1) % NODES;
    match fault {
        KillOne => down(cluster, &[victim], lasts).await,
        KillTwo => down(cluster, &[victim, next], lasts).await,
        KillAll => down(cluster, &[0, 1, 2, 3], lasts).await,
        Restart => {
            cluster.nodes[victim].stop().await;
            cluster.nodes[victim].start();
        }
        Pause => {
            cluster.nodes[victim].signal("STOP");
            sleep(lasts).await;
            cluster.nodes[victim].signal("CONT");
        }
        SilentOne => parted(cluster, &[victim], Flow::Silent, lasts).await,
        CutOne => parted(cluster, &[victim], Flow::Cut, lasts).await,
        SilentHalves => parted(cluster, &[victim, next], Flow::Silent, lasts).await,
        CutHalves => parted(cluster, &[victim, next], Flow::Cut, lasts).await,
        Slow => {
            let delay = Duration::from_millis(200);
            cluster.around(victim, Shape { delay, bytes_a_second: 50_000, ..Shape::OPEN });
            sleep(lasts).await;
            cluster.heal();
        }
        FullDisk => {
            limit_files(cluster.nodes[victim].pid(), "0");
            sleep(lasts).await;
            limit_files(cluster.nodes[victim].pid(), "unlimited");
        }
        ClockAhead => clock(cluster, victim, "+3600s", lasts).await,
        Year2040 => clock(cluster, victim, "@2040-01-01 00:00:00", lasts).await,
        Enrol => drop(cluster.enrol(victim, &format!("E{number}"), 50).await),
    }
}

async fn down(cluster: &mut Cluster, nodes: &[usize], lasts: Duration) {
    nodes.iter().for_each(|node| cluster.nodes[*node].kill());
    sleep(lasts).await;
    nodes.iter().for_each(|node| cluster.nodes[*node].start());
}

async fn parted(cluster: &Cluster, nodes: &[usize], flow: Flow, lasts: Duration) {
    cluster.part(nodes, flow);
    sleep(lasts).await;
    cluster.heal();
}

async fn clock(cluster: &mut Cluster, node: usize, clock: &'static str, lasts: Duration) {
    cluster.nodes[node].stop().await;
    cluster.nodes[node].set_clock(Some(clock));
    cluster.nodes[node].start();
    sleep(lasts).await;
    cluster.nodes[node].stop().await;
    cluster.nodes[node].set_clock(None);
    cluster.nodes[node].start();
}
