//! Proposals on their way: cut into parts, and put together again within bounds.

use super::context::{Part, PartsHead, ValueId};
use super::limits;
use malachite::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachite::app::types::PeerId;
use std::collections::BTreeMap;

/// A proposal as parts, to be published in this order.
pub(crate) fn cut(id: StreamId, head: PartsHead, bytes: &[u8]) -> Vec<StreamMessage<Part>> {
    let mut parts = vec![StreamContent::Data(Part::Head(head))];
    let pieces = bytes.chunks(limits::PIECE_BYTES);
    parts.extend(pieces.map(|piece| StreamContent::Data(Part::Piece(piece.to_vec()))));
    parts.push(StreamContent::Fin);
    let numbered = (0..).zip(parts);
    numbered.map(|(n, content)| StreamMessage::new(id.clone(), n, content)).collect()
}

/// Proposals that are not complete. What a publisher may fill is bounded for each and in all; the
/// oldest stream goes first.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: BTreeMap<(Vec<u8>, Vec<u8>), Stream>,
    begun: u64,
}

#[derive(Debug, Default)]
struct Stream {
    /// When it began, as a count.
    begun: u64,
    /// Its head was refused or its parts contradict each other: the rest is swallowed.
    refused: bool,
    head: Option<PartsHead>,
    pieces: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    /// The number of the message that ends it.
    end: Option<u64>,
}

impl Streams {
    /// Takes a part; gives the proposal if it is complete and what its head says. `admits` judges
    /// a head: its signature, its height and whose turn it is.
    pub(crate) fn take(
        &mut self,
        publisher: PeerId,
        part: StreamMessage<Part>,
        admits: impl FnOnce(&PartsHead) -> bool,
    ) -> Option<(PartsHead, Vec<u8>)> {
        let key = (publisher.to_bytes(), part.stream_id.to_bytes().to_vec());
        if !self.open.contains_key(&key) {
            self.make_room(&key.0);
            self.begun += 1;
            let stream = Stream { begun: self.begun, ..Stream::default() };
            self.open.insert(key.clone(), stream);
        }
        let stream = self.open.get_mut(&key)?;
        if stream.refused {
            return None;
        }
        if !stream.add(part, admits) {
            *stream = Stream { begun: stream.begun, refused: true, ..Stream::default() };
            return None;
        }
        if !stream.complete() {
            return None;
        }
        let stream = self.open.get_mut(&key)?;
        let done = Stream { begun: stream.begun, refused: true, ..Stream::default() };
        let done = std::mem::replace(stream, done);
        let bytes = done.pieces.into_values().collect::<Vec<_>>().concat();
        let head = done.head?;
        let whole = bytes.len() == head.bytes as usize && ValueId::of(&bytes) == head.value;
        whole.then_some((head, bytes))
    }

    /// Drops the streams of heights that are decided. Streams without a head stay in their bounds.
    pub(crate) fn forget(&mut self, decided: u64) {
        self.open.retain(|_, s| s.head.as_ref().is_none_or(|head| head.height.0 > decided));
    }

    fn make_room(&mut self, publisher: &[u8]) {
        let mine = |key: &&(Vec<u8>, Vec<u8>)| key.0 == publisher;
        while self.open.keys().filter(mine).count() >= limits::STREAMS_OF_ONE {
            self.drop_oldest(Some(publisher));
        }
        while self.open.len() >= limits::STREAMS {
            self.drop_oldest(None);
        }
    }

    fn drop_oldest(&mut self, of: Option<&[u8]>) {
        let candidates = self.open.iter().filter(|(key, _)| of.is_none_or(|p| key.0 == p));
        let oldest = candidates.min_by_key(|(_, s)| s.begun).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.open.remove(&key);
        }
    }
}

impl Stream {
    /// Whether the part fits what was there.
    fn add(&mut self, part: StreamMessage<Part>, admits: impl FnOnce(&PartsHead) -> bool) -> bool {
        let n = part.sequence;
        match part.content {
            StreamContent::Data(Part::Head(head)) => {
                let fits = n == 0 && self.head.is_none() && admits(&head);
                self.head = Some(head);
                fits
            }
            StreamContent::Data(Part::Piece(piece)) => {
                self.bytes += piece.len();
                let most = self.head.as_ref().map_or(limits::PROPOSAL_BYTES, |h| h.bytes as usize);
                let fits = n > 0 && n < limits::PIECES && self.bytes <= most;
                fits && self.pieces.insert(n, piece).is_none()
            }
            StreamContent::Fin => n <= limits::PIECES && self.end.replace(n).is_none(),
        }
    }

    fn complete(&self) -> bool {
        let end = self.end.is_some_and(|end| self.pieces.len() as u64 + 1 == end);
        end && self.head.is_some()
    }
}

#[cfg(test)]
mod tests;
