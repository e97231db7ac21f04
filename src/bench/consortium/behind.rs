//! One node is stopped while blocks are made, and comes back.

use super::super::figure::Figure;
use super::singles::one_by_one;
use super::town::Town;
use anyhow::Result;
use muster_ledger::DeviceRef;
use std::time::Instant;

/// How much faster than blocks were made a node that was away is asked to take them.
const ASKED_TIMES: f64 = 20.0;

pub(super) struct Behind {
    blocks: f64,
    /// Blocks a second, as they were made.
    made: f64,
    /// Seconds from the start of the process until it had all of them.
    seconds: f64,
    /// Of them, until it was ready.
    start_up: f64,
}

impl Behind {
    /// One operation in each block, as fast as they are made.
    pub(super) async fn measure(town: &mut Town, devices: Vec<DeviceRef>) -> Result<Self> {
        let last = town.len() - 1;
        let client = town.client(0)?;
        town.stop(last).await?;
        let from = client.consensus().await?.height;
        // Each is signed when the one before is acknowledged, so each has a block of its own.
        let blocks = devices.len() as u64;
        let to = from + blocks;
        let start = Instant::now();
        one_by_one(&town.desk(0)?, devices).await?;
        let took = start.elapsed().as_secs_f64();
        let blocks = blocks as f64;
        let start = Instant::now();
        town.start(last).await?;
        let start_up = start.elapsed().as_secs_f64();
        town.until(last, "it has all blocks", |view| view.height >= to).await?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { blocks, made: blocks / took, seconds, start_up })
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let name = |what| format!("consortium: {} blocks behind, {what}", self.blocks);
        let rate = self.blocks / self.seconds;
        vec![
            Figure::new(name("made"), self.made, "blocks/s"),
            Figure::new(name("until it is ready"), self.start_up, "s"),
            Figure::new(name("taken"), rate, "blocks/s")
                .asked(ASKED_TIMES * self.made)
                .more_is_better(),
            Figure::new(name("times as fast as made"), rate / self.made, "times")
                .asked(ASKED_TIMES)
                .more_is_better(),
        ]
    }
}
