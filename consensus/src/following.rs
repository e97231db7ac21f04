//! Catching up: pages of the log from any peer, believed only under a quorum's signature.

use crate::bft::{Shared, locked};
use crate::exchange::{PeerId, Request, Response};
use crate::limits;
use muster_identity::cbor::Decode as _;
use muster_ledger::{Block, Checkpoint, Entry};
use muster_registry::Error;

impl Shared {
    /// Takes what peers have and this node has not, until nobody is ahead or nobody helps.
    pub(crate) async fn catch_up(&self) {
        loop {
            let height = self.application.chain().height();
            let highest = self.highest();
            if highest <= height || self.stopped().is_some() {
                break;
            }
            *locked(&self.catching_up) = Some(highest);
            if !self.take_from_any().await {
                break;
            }
            let height = self.application.chain().height();
            tracing::info!("caught up to block {height} of {highest}");
        }
        *locked(&self.catching_up) = None;
    }

    /// Whether any peer brought this node further.
    async fn take_from_any(&self) -> bool {
        let Some(exchange) = self.exchange() else { return false };
        let height = self.application.chain().height();
        let mut ahead = exchange.peers();
        ahead.retain(|peer| peer.status.is_some_and(|status| status.height > height));
        ahead.sort_by_key(|peer| peer.round_trip);
        for peer in ahead {
            match self.take_from(peer.id).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(why) => {
                    tracing::warn!("{} cannot be followed: {why}", peer.id);
                    exchange.drop_peer(peer.id, &why);
                }
            }
        }
        false
    }

    /// Takes pages of one peer up to its signed head. Nothing is written before that head confirms
    /// all of it.
    async fn take_from(&self, peer: PeerId) -> Result<bool, String> {
        let Some(exchange) = self.exchange() else { return Ok(false) };
        let first = self.application.chain().size();
        let (mut entries, mut bytes): (Vec<Entry>, usize) = (Vec::new(), 0);
        loop {
            let from = first + entries.len() as u64;
            let count = limits::FEED_PAGE as u64;
            let answer = exchange.ask(peer, Request::Feed { from, count }).await;
            let Ok(Response::Feed { entries: page, checkpoint }) = answer else { return Ok(false) };
            let checkpoint = Checkpoint::parse(&checkpoint).map_err(|e| e.to_string())?;
            let size = checkpoint.head().size;
            if size <= first {
                return Ok(false);
            }
            let stalled = page.is_empty() && from < size;
            for entry in page {
                bytes += entry.len();
                entries.push(Entry::from_cbor(&entry).map_err(|e| e.to_string())?);
            }
            if stalled {
                return Err("its head has entries that it does not hand out".into());
            }
            if first + (entries.len() as u64) < size {
                if bytes > limits::CATCH_UP_BYTES {
                    return Err("more entries than fit in memory before a signed head".into());
                }
                continue;
            }
            // What was decided since the head was signed waits for the next head.
            entries.truncate(usize::try_from(size - first).map_err(|e| e.to_string())?);
            let blocks = Block::from_entries(entries).map_err(|e| e.to_string())?;
            let before = self.validators();
            match self.application.catch_up(blocks, &checkpoint).await {
                Ok(()) => {}
                Err(error @ (Error::Peer(_) | Error::Caller(_))) => return Err(error.to_string()),
                // A disk that is full, a database that is away: no fault of whoever answered.
                Err(error) => {
                    tracing::warn!("what other nodes have cannot be taken now: {error}");
                    return Ok(false);
                }
            }
            if self.unsigned() && before != self.validators() {
                self.handover.begin(self.application.chain().height(), before);
            }
            self.take_lines(&checkpoint);
            return Ok(true);
        }
    }
}
