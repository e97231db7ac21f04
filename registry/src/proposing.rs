//! Blocks in the making: which operations go into one, and whether another node's may be voted for.

use crate::Error;
use crate::claims::{BY_OPERATION, Claim};
use crate::consensus::MayEnrol;
use crate::limits::{LOOK_AGAIN_SECONDS, TOLD_PATIENCE_MS};
use crate::mempool::Waiting;
use crate::metrics::Metrics;
use crate::node::{Node, locked};
use crate::reserved::Reserved;
use muster_api::Problem;
use muster_identity::PublicKey;
use muster_identity::cbor::Encode as _;
use muster_ledger::{
    Block, Chain, Changes, Entry, OpenProposal, Refusal, Time, carried_out, limits,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What an operation does, and the proposal that it carries out.
type Tried = (Changes, Option<OpenProposal>);

/// Why an operation is not in a block.
enum Left {
    /// It may be in a later one.
    Waits,
    Refused(Box<Problem>),
}

impl From<Problem> for Left {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<Error> for Left {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

fn attempt(chain: &Chain, waiting: &Waiting, time: Time) -> Result<Tried, Refusal> {
    let changes = chain.try_apply(&waiting.verified, time)?;
    let done = carried_out(chain.state(), waiting.verified.operation(), &changes)?;
    Ok((changes, done))
}

/// The keys that an operation brings.
fn keys_of(waiting: &Waiting, done: Option<&OpenProposal>) -> Vec<PublicKey> {
    done.map_or(&waiting.verified.operation().action, |it| &it.action).new_keys()
}

/// Who has a key that is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyHolder {
    /// It is on the ledger.
    Ledger,
    /// It is staged.
    Upload(u64),
}

impl Node {
    /// Resolves when the pool has something for a block.
    pub(crate) async fn something_waits(&self, may_enrol: MayEnrol<'_>) {
        loop {
            let changed = self.mempool.changed.notified();
            let now = if self.alone { Ok(Time(0)) } else { self.pace.check() };
            match now {
                _ if self.mempool.len() == 0 => {}
                // Alone, all of it goes into a block or is refused.
                Ok(_) if self.alone => return,
                Ok(now) if self.pick(now, may_enrol, 1).await.is_some() => return,
                // The clock is complained about, and nothing is begun.
                _ => {}
            }
            let again = Duration::from_secs(LOOK_AGAIN_SECONDS);
            let _ = tokio::time::timeout(again, changed).await;
        }
    }

    /// The earliest time of the next block: never before a head that was signed, since a hold that
    /// ran out there stays so.
    fn next_time(&self, chain: &Chain, now: Time) -> Time {
        let published = self.published().map(|p| p.checkpoint.head().time).unwrap_or_default();
        let signed = locked(&self.signed).last().map(|head| head.time).unwrap_or_default();
        now.max(chain.time().plus_ms(1)).max(published).max(signed)
    }

    /// A block of what waits, of so many operations at most, and the keys that it brings.
    pub(crate) async fn pick(
        &self,
        now: Time,
        may_enrol: MayEnrol<'_>,
        most: usize,
    ) -> Option<(Block, Vec<Reserved>)> {
        let before = self.decided();
        let mut chain = before.clone();
        let time = self.next_time(&chain, now);
        let height = chain.height() + 1;
        // Each operation has a head of at most five bytes in a block, the block of thirty.
        let mut room = limits::BLOCK_BYTES - 5 * limits::BLOCK_OPERATIONS - 30;
        let (mut operations, mut keys) = (Vec::new(), Vec::new());
        for waiting in self.mempool.all() {
            if operations.len() >= most || waiting.signed.0.len() > room {
                break;
            }
            if waiting.enrols(&self.network).is_some_and(|(batch, _)| !may_enrol(&batch)) {
                if let Err(refusal) = attempt(&before, &waiting, time) {
                    self.refused_by(&before, &waiting, refusal, now);
                }
                continue;
            }
            let tried = match attempt(&chain, &waiting, time) {
                Ok(tried) => tried,
                Err(refusal) => {
                    // What only this block stands in the way of is judged once it is decided.
                    let first = operations.is_empty().then_some(refusal);
                    let refusal = first.or_else(|| attempt(&before, &waiting, time).err());
                    if let Some(refusal) = refusal {
                        self.refused_by(&before, &waiting, refusal, now);
                    }
                    continue;
                }
            };
            match self.free_keys(&waiting, &tried).await {
                Ok(reserved) => keys.push(reserved),
                Err(Left::Waits) => continue,
                Err(Left::Refused(problem)) => {
                    self.refused(&waiting, *problem, now);
                    continue;
                }
            }
            let operation = waiting.signed.clone();
            let entry = Entry { height, time, operation: operation.clone() }.to_cbor();
            room -= operation.0.len();
            chain = chain.push(&entry, &tried.0);
            operations.push(operation);
        }
        (!operations.is_empty()).then_some((Block { height, time, operations }, keys))
    }

    /// A state refuses an operation by this node's clock.
    fn refused_by(&self, before: &Chain, waiting: &Waiting, refusal: Refusal, now: Time) {
        let problem = self.refusal(refusal, now, |at| attempt(before, waiting, at).err());
        self.refused(waiting, problem, now);
    }

    /// The state refuses an operation. A client is told at once; a peer's is kept for a while,
    /// since this node may be behind the one that took it.
    fn refused(&self, waiting: &Waiting, problem: Problem, now: Time) {
        let hash = waiting.verified.hash();
        let over = waiting.verified.operation().valid_until < now;
        if self.mempool.is_ours(&hash) || over || now.since(waiting.since) > TOLD_PATIENCE_MS {
            Metrics::count(&self.metrics.refused);
            self.mempool.refuse(&hash, &problem);
            self.foreign.tell();
        }
    }

    /// Refuses keys that are on the ledger. The state alone does not know those that came in
    /// leaves.
    async fn free_keys(&self, waiting: &Arc<Waiting>, tried: &Tried) -> Result<Reserved, Left> {
        let claims = Claim::brought_by(&tried.0);
        let reserved = self.reserved.keys(&claims);
        if claims.is_empty() {
            return Ok(reserved);
        }
        let keys = keys_of(waiting, tried.1.as_ref());
        let used = |claim: &Claim| {
            let key = keys.iter().find(|key| Claim::of_key(key) == *claim).copied();
            key.map(|key| Left::from(Problem::from(Refusal::KeyUsed(key))))
        };
        if self.alone {
            // Nobody else decides: what is staged here is in nobody's way elsewhere.
            let taken = self.store.claimed(claims).await?;
            return taken.iter().find_map(used).map_or(Ok(reserved), Err);
        }
        for (claim, holder) in self.holders(claims).await? {
            match holder {
                KeyHolder::Ledger => return Err(used(&claim).unwrap_or(Left::Waits)),
                KeyHolder::Upload(upload) if self.promised(upload) => return Err(Left::Waits),
                // The ledger comes before what is staged, which leaves.
                KeyHolder::Upload(_) => {}
            }
        }
        Ok(reserved)
    }

    /// Who has those of these keys that somebody has.
    pub(crate) async fn holders(
        &self,
        claims: Vec<Claim>,
    ) -> Result<BTreeMap<Claim, KeyHolder>, Error> {
        if claims.is_empty() {
            return Ok(BTreeMap::new());
        }
        // Read where it is written, behind whatever is being staged.
        let taken = self.store.claimed(claims).await?;
        if taken.is_empty() {
            return Ok(BTreeMap::new());
        }
        let numbers = self.store.claims_of(taken).await?;
        let live: BTreeSet<u64> = self.store.batch_numbers().await?.into_values().collect();
        let holder = |number| match number {
            BY_OPERATION => KeyHolder::Ledger,
            number if live.contains(&number) => KeyHolder::Ledger,
            number => KeyHolder::Upload(number),
        };
        Ok(numbers.into_iter().map(|(claim, number)| (claim, holder(number))).collect())
    }

    /// Whether another node's block may be voted for.
    pub(crate) async fn check_block(&self, block: &Block, now: Time) -> Result<(), Error> {
        let peer = |what: &str| Err(Error::Peer(what.into()));
        let ahead = block.time.since(now).max(now.since(block.time));
        if ahead > limits::CLOCK_DRIFT_MS {
            return peer("a block's time is more than 10 s from the clock");
        }
        let before = self.decided();
        if block.time < self.next_time(&before, Time::default()) {
            return peer("a block's time is before that of a head that was signed");
        }
        let step = self.extend(before, block.clone()).await?;
        for (claim, holder) in self.holders(Claim::brought_by(&step.changes)).await? {
            match holder {
                KeyHolder::Ledger => return peer("a block brings a key that is on the ledger"),
                KeyHolder::Upload(upload) if self.promised(upload) => {
                    return peer("a block brings a key of a batch that this node voted for");
                }
                KeyHolder::Upload(upload) => {
                    let batches = step.batches(&self.network);
                    let mut flips = batches.iter().filter_map(|batch| self.mempool.flip(batch));
                    if flips.any(|flip| flip.upload == upload) {
                        return Err(Error::Peer(format!("a block brings a key twice: {claim:?}")));
                    }
                }
            }
        }
        let refused = |id| self.mempool.batches(|all| all.get(id).is_some_and(|b| b.is_refused()));
        if step.batches(&self.network).iter().any(refused) {
            return peer("a block enrols a batch that was found to be bad");
        }
        *locked(&self.checked) = Some(step);
        Ok(())
    }
}
