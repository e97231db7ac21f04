mod faults;
mod proxy;
mod same;
#[path = "../../../tests/it/server.rs"]
#[allow(dead_code, reason = "the tests of the binary need more of it")]
mod server;

use super::{BlockRow, Commit, StoreUrl, postgres::Postgres};
use crate::Error;
use crate::claims::Claim;
use crate::tests::genesis;
use muster_ledger::Time;

/// The store of a database.
async fn open(url: &str) -> Result<Postgres, Error> {
    let StoreUrl::Postgres(url) = url.parse()? else { panic!("the URL of a database") };
    Postgres::open(&url, &genesis()).await
}

/// A block of two entries.
fn commit_of(height: u64) -> Commit {
    let size = 2 * height;
    let mut key = [200; 16];
    key[..8].copy_from_slice(&height.to_be_bytes());
    Commit {
        first: size - 2,
        entries: vec![height.to_be_bytes().to_vec(), Vec::new()],
        block: BlockRow {
            height,
            time: Time(height),
            size,
            log_root: [height as u8; 32],
            state_root: [1; 32],
        },
        state: vec![(vec![1], vec![height as u8].into())],
        evict: Vec::new(),
        keys: vec![Claim(key)],
        flips: Vec::new(),
        touched: vec![([9; 32], size - 1)],
    }
}
