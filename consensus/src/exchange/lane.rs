//! What waits to be told to one peer. There are two lanes, each with one request on its way, so that
//! order is kept and a signature does not wait behind a thousand operations.

use super::Message;
use crate::limits;
use muster_identity::cbor::{Encode as _, Writer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes around the messages of a request: heads of an array, its kind, an array.
const FRAME_HEAD_BYTES: usize = 16;

/// An encoded message; all lanes share its bytes.
#[derive(Clone)]
pub(super) struct Said {
    bytes: Arc<[u8]>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Status,
    Beat,
    Signed,
    Operation,
}

impl Said {
    /// `None` for a message that no peer would take: above its bound.
    pub(super) fn new(message: &Message) -> Option<Self> {
        let kind = match message {
            Message::Operation(_) => Kind::Operation,
            Message::Ready { .. } | Message::Cosignature(_) => Kind::Signed,
            Message::Beat { .. } => Kind::Beat,
            Message::Status(_) => Kind::Status,
        };
        let fits = match message {
            Message::Operation(bytes) => bytes.len() <= muster_ledger::limits::OPERATION_BYTES,
            Message::Cosignature(note) => note.len() <= muster_ledger::limits::NOTE_BYTES,
            _ => true,
        };
        fits.then(|| Self { bytes: message.to_cbor().into(), kind })
    }

    pub(super) fn is_operation(&self) -> bool {
        self.kind == Kind::Operation
    }
}

/// Messages in the order in which they were said, and the request that is on its way.
pub(super) struct Lane {
    most: usize,
    most_bytes: usize,
    /// Shortest time between two requests.
    pace: Duration,
    waiting: VecDeque<Said>,
    bytes: usize,
    on_its_way: Option<(Vec<Said>, Instant)>,
    not_before: Option<Instant>,
    failures: u32,
}

/// The peer does not keep up.
pub(super) struct Overflow;

impl Lane {
    fn new(most: usize, most_bytes: usize, pace: Duration) -> Self {
        Self {
            most,
            most_bytes,
            pace,
            waiting: VecDeque::new(),
            bytes: 0,
            on_its_way: None,
            not_before: None,
            failures: 0,
        }
    }

    pub(super) fn operations() -> Self {
        Self::new(limits::LANE_MESSAGES, limits::LANE_BYTES, limits::OPERATIONS_PACE)
    }

    pub(super) fn urgent() -> Self {
        Self::new(limits::URGENT_MESSAGES, limits::URGENT_BYTES, limits::LANE_PACE)
    }

    fn remove(&mut self, at: usize) {
        if let Some(said) = self.waiting.remove(at) {
            self.bytes -= said.bytes.len();
        }
    }

    pub(super) fn push(&mut self, said: Said) -> Result<(), Overflow> {
        // A newer status says all that an older one does.
        if said.kind == Kind::Status
            && let Some(at) = self.waiting.iter().position(|waits| waits.kind == Kind::Status)
        {
            self.remove(at);
        }
        while self.waiting.len() >= self.most || self.bytes + said.bytes.len() > self.most_bytes {
            let passing = |waits: &Said| matches!(waits.kind, Kind::Status | Kind::Beat);
            match self.waiting.iter().position(passing) {
                Some(at) => self.remove(at),
                None => return Err(Overflow),
            }
        }
        self.bytes += said.bytes.len();
        self.waiting.push_back(said);
        Ok(())
    }

    /// The next request, if there is something to say and nothing on its way.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        let due = self.not_before.is_none_or(|at| at <= now);
        if self.on_its_way.is_some() || self.waiting.is_empty() || !due {
            return None;
        }
        let (mut taken, mut bytes) = (Vec::new(), FRAME_HEAD_BYTES);
        while let Some(said) = self.waiting.front()
            && bytes + said.bytes.len() <= limits::REQUEST_BYTES
            && taken.len() < limits::TOLD_AT_ONCE
        {
            bytes += said.bytes.len();
            taken.extend(self.waiting.pop_front());
        }
        self.bytes -= taken.iter().map(|said: &Said| said.bytes.len()).sum::<usize>();
        let mut w = Writer::default();
        w.array(2).uint(0).array(taken.len());
        let mut frame = w.into_bytes();
        for said in &taken {
            frame.extend_from_slice(&said.bytes);
        }
        self.on_its_way = Some((taken, now));
        self.not_before = Some(now + self.pace);
        Some(frame)
    }

    /// When [`Self::next`] is worth asking again, if waiting is all that is missing.
    pub(super) fn due(&self) -> Option<Instant> {
        let waits = self.on_its_way.is_none() && !self.waiting.is_empty();
        self.not_before.filter(|_| waits)
    }

    /// The request arrived; how long that took.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<Duration> {
        self.failures = 0;
        let (_, sent) = self.on_its_way.take()?;
        Some(now.saturating_duration_since(sent))
    }

    /// Whether the last request failed.
    pub(super) fn fails(&self) -> bool {
        self.failures > 0
    }

    /// The peer is busy: the same again, later.
    pub(super) fn busy(&mut self, now: Instant) {
        if let Some((said, _)) = self.on_its_way.take() {
            for said in said.into_iter().rev() {
                self.bytes += said.bytes.len();
                self.waiting.push_front(said);
            }
        }
        self.not_before = Some(now + limits::BUSY_PAUSE);
    }

    /// The request failed: the same again, or whether that happened too often.
    pub(super) fn failed(&mut self, now: Instant) -> Result<(), Overflow> {
        self.failures += 1;
        self.busy(now);
        if self.failures < limits::FAILURES_IN_A_ROW { Ok(()) } else { Err(Overflow) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Status};
    use super::*;
    use muster_identity::cbor::Decode as _;

    fn operation(n: u64, bytes: usize) -> Message {
        let mut operation = vec![0; bytes];
        operation[..8].copy_from_slice(&n.to_be_bytes());
        Message::Operation(operation)
    }

    fn push(lane: &mut Lane, message: &Message) -> bool {
        lane.push(Said::new(message).unwrap()).is_ok()
    }

    fn told(frame: &[u8]) -> Vec<Message> {
        assert!(frame.len() <= limits::REQUEST_BYTES, "a request of {} bytes", frame.len());
        match Frame::from_cbor(frame).unwrap() {
            Frame::Told(messages) => messages,
            Frame::Asked(_) => panic!("asked"),
        }
    }

    #[test]
    fn order_is_kept_over_requests_and_over_failures() {
        let (mut lane, mut now) = (Lane::operations(), Instant::now());
        let all: Vec<_> = (0..1_000).map(|n| operation(n, 300 + n as usize)).collect();
        assert!(all.iter().all(|message| push(&mut lane, message)));
        let mut arrived = Vec::new();
        for round in 0.. {
            now += limits::BUSY_PAUSE;
            let Some(frame) = lane.next(now) else { break };
            assert!(lane.next(now).is_none(), "two on their way");
            match round % 3 {
                0 => lane.busy(now),
                1 => assert!(lane.failed(now).is_ok()),
                _ => {
                    arrived.extend(told(&frame));
                    assert!(lane.arrived(now).is_some());
                }
            }
        }
        assert_eq!(arrived, all);
        assert_eq!(lane.bytes, 0);
    }

    #[test]
    fn a_full_lane_drops_what_passes_and_nothing_else() {
        let mut lane = Lane::urgent();
        let note = |n: usize| Message::Cosignature(n.to_string());
        for height in 0..3 {
            assert!(push(&mut lane, &Message::Status(Status { height, ..Status::default() })));
        }
        assert_eq!(lane.waiting.len(), 1, "an old status stays");
        for n in 1..limits::URGENT_MESSAGES {
            assert!(push(&mut lane, &note(n)));
        }
        assert!(push(&mut lane, &note(0)), "the status gives way");
        assert!(!push(&mut lane, &note(1)), "a signature is lost silently");
        assert!(!push(&mut lane, &Message::Status(Status::default())));
    }

    #[test]
    fn bytes_are_bounded_and_so_is_patience() {
        let (mut lane, mut now) = (Lane::operations(), Instant::now());
        let most = limits::LANE_BYTES / 16_384;
        let pushed =
            (0..2 * most as u64).filter(|n| push(&mut lane, &operation(*n, 16_380))).count();
        assert!(pushed <= most && pushed + 2 > most, "{pushed}");
        for round in 1..=limits::FAILURES_IN_A_ROW {
            now += limits::BUSY_PAUSE;
            assert!(lane.next(now).is_some());
            assert_eq!(lane.failed(now).is_err(), round == limits::FAILURES_IN_A_ROW);
        }
        assert!(Said::new(&operation(0, 16_385)).is_none(), "an operation that no peer takes");
    }

    #[test]
    fn a_lane_keeps_its_pace() {
        let (mut lane, now) = (Lane::operations(), Instant::now());
        push(&mut lane, &operation(1, 9));
        assert!(lane.next(now).is_some());
        push(&mut lane, &operation(2, 9));
        assert_eq!(lane.due(), None, "the answer is what is missing");
        lane.arrived(now);
        assert!(lane.next(now).is_none());
        assert_eq!(lane.due(), Some(now + limits::OPERATIONS_PACE));
        assert!(lane.next(now + limits::OPERATIONS_PACE).is_some());
    }
}
