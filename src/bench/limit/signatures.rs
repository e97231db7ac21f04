//! Signatures verified on all cores.

use anyhow::{Result, anyhow, ensure};
use ed25519_dalek::VerifyingKey;
use p256::ecdsa::signature::Verifier as _;
use std::time::{Duration, Instant};

/// A signature by a key of its own.
pub(crate) struct Ed25519 {
    /// The raw key, which has to be decompressed.
    pub(crate) key: [u8; 32],
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

impl Ed25519 {
    /// Whether it verifies strictly, the key decompressed for it.
    pub(crate) fn holds(&self) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.key)
            .is_ok_and(|key| key.verify_strict(&self.message, &signature).is_ok())
    }
}

/// A signature by the one key of a vendor.
pub(crate) struct Es256 {
    /// What was signed, not its hash.
    pub(crate) message: Vec<u8>,
    /// r and s.
    pub(crate) signature: [u8; 64],
}

impl Es256 {
    fn holds(&self, key: &p256::ecdsa::VerifyingKey) -> bool {
        p256::ecdsa::Signature::from_slice(&self.signature)
            .is_ok_and(|signature| key.verify(&self.message, &signature).is_ok())
    }
}

/// An ECDSA signature on P-256 by a key of its own.
pub(crate) struct P256 {
    /// A compressed point (SEC 1).
    pub(crate) key: Vec<u8>,
    /// What was signed, not its hash.
    pub(crate) message: Vec<u8>,
    /// r and s.
    pub(crate) signature: [u8; 64],
}

impl P256 {
    /// Whether it verifies, the key decompressed for it.
    pub(crate) fn holds(&self) -> bool {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.key);
        let signature = p256::ecdsa::Signature::from_slice(&self.signature);
        matches!((key, signature), (Ok(k), Ok(s)) if k.verify(&self.message, &s).is_ok())
    }
}

/// Time to verify all of them.
pub(crate) fn ed25519(all: &[Ed25519]) -> Result<Duration> {
    on_all_cores(all, Ed25519::holds)
}

/// Time to verify all of them by a key (SEC 1) that is prepared once.
pub(crate) fn es256(key: &[u8], all: &[Es256]) -> Result<Duration> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key)?;
    on_all_cores(all, |signed| signed.holds(&key))
}

fn on_all_cores<T: Sync>(all: &[T], holds: impl Fn(&T) -> bool + Sync) -> Result<Duration> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(cores).max(1);
    let holds = &holds;
    let start = Instant::now();
    let good = std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().filter(|one| holds(one)).count()))
            .collect();
        let mut good = 0;
        for thread in threads {
            good += thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        }
        Ok::<usize, anyhow::Error>(good)
    })?;
    let took = start.elapsed();
    ensure!(good == all.len(), "{} signatures of the manifest do not verify", all.len() - good);
    Ok(took)
}
