//! What nodes use while nobody asks anything of them.

use super::super::figure::Figure;
use super::super::process::Server;
use super::town::Town;
use anyhow::Result;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What is asked of us: of a core in hundredths, and MiB.
const ASKED_PER_CENT: f64 = 2.0;
const ASKED_MIB: f64 = 80.0;

/// Seconds before, in which what went on before ends.
const SETTLING: Duration = Duration::from_secs(3);

/// Of each node: hundredths of a core, and MiB. Empty where the system does not tell.
pub(super) struct Quiet(Vec<(f64, f64)>);

impl Quiet {
    pub(super) async fn measure(town: &Town, seconds: u64) -> Result<Self> {
        sleep(SETTLING).await;
        let of = |i| town.node(i).map(Server::cpu_of_all);
        let used = || (0..town.len()).map(of).collect::<Result<Vec<Option<f64>>>>();
        let before = used()?;
        let start = Instant::now();
        sleep(Duration::from_secs(seconds)).await;
        let after = used()?;
        let took = start.elapsed().as_secs_f64();
        let mut nodes = Vec::new();
        for (i, (before, after)) in before.into_iter().zip(after).enumerate() {
            if let (Some(before), Some(after), Some(mib)) = (before, after, town.node(i)?.memory())
            {
                nodes.push(((after - before) / took * 100.0, mib));
            }
        }
        Ok(Self(nodes))
    }

    pub(super) fn figures(&self, when: &str) -> Vec<Figure> {
        let of = |(i, (per_cent, mib)): (usize, &(f64, f64))| {
            let name = |what| format!("consortium: quiet {when}, node {}, {what}", i + 1);
            [
                Figure::new(name("processor"), *per_cent, "%").asked(ASKED_PER_CENT),
                Figure::new(name("memory"), *mib, "MiB").asked(ASKED_MIB),
            ]
        };
        self.0.iter().enumerate().flat_map(of).collect()
    }
}
