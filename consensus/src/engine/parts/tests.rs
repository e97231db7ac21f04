use super::*;
use crate::engine::context::{Address, Height, Seal};
use malachite::app::types::core::Round;

fn head(bytes: &[u8]) -> PartsHead {
    PartsHead {
        height: Height(5),
        round: Round::new(0),
        pol_round: Round::Nil,
        proposer: Address([2; 32]),
        value: ValueId::of(bytes),
        bytes: bytes.len() as u32,
        seal: Seal([3; 64]),
    }
}

fn publisher(n: u8) -> PeerId {
    // The identity multihash of an Ed25519 key in protobuf (libp2p peer ids).
    let bytes = [&[0, 36, 8, 1, 18, 32][..], &[n; 32]].concat();
    PeerId::from_bytes(&bytes).expect("a peer id")
}

fn stream(n: u8) -> StreamId {
    StreamId::new(vec![n].into())
}

fn proposal(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i % 251) as u8).collect()
}

#[test]
fn parts_make_the_whole_in_any_order() {
    for bytes in [0, 1, limits::PIECE_BYTES, limits::PIECE_BYTES + 1, limits::PROPOSAL_BYTES] {
        let whole = proposal(bytes);
        let mut parts = cut(stream(1), head(&whole), &whole);
        for turn in 0..parts.len() {
            parts.rotate_left(turn);
            let mut streams = Streams::default();
            let last = parts.len() - 1;
            for (n, part) in parts.iter().enumerate() {
                let taken = streams.take(publisher(1), part.clone(), |_| true);
                assert_eq!(taken.is_some(), n == last, "part {n} of {last}, {bytes} bytes");
                if let Some(taken) = taken {
                    assert_eq!(taken, (head(&whole), whole.clone()));
                }
            }
            assert!(
                parts.iter().all(|p| streams.take(publisher(1), p.clone(), |_| true).is_none())
            );
        }
    }
}

#[test]
fn what_is_not_what_its_head_says_is_dropped() {
    let whole = proposal(1_000);
    let take = |parts: Vec<StreamMessage<Part>>, admits: bool| {
        let mut streams = Streams::default();
        let taken = parts.into_iter().filter_map(|p| streams.take(publisher(1), p, |_| admits));
        taken.count()
    };
    assert_eq!(take(cut(stream(1), head(&whole), &whole), true), 1);
    assert_eq!(take(cut(stream(1), head(&whole), &whole), false), 0, "a head that is not admitted");
    let mut other = whole.clone();
    other[500] ^= 1;
    assert_eq!(take(cut(stream(1), head(&whole), &other), true), 0, "other bytes");
    other.push(0);
    assert_eq!(take(cut(stream(1), head(&whole), &other), true), 0, "more bytes");
    let mut twice = cut(stream(1), head(&whole), &whole);
    twice.insert(1, twice[1].clone());
    assert_eq!(take(twice, true), 0, "a piece twice");
    // Another publisher's parts do not mix with these.
    let mut streams = Streams::default();
    let mut parts = cut(stream(1), head(&whole), &whole).into_iter();
    let first = parts.next().expect("a head");
    assert!(streams.take(publisher(1), first, |_| true).is_none());
    assert!(parts.all(|p| streams.take(publisher(2), p, |_| true).is_none()));
}

#[test]
fn publishers_fill_only_their_room() {
    let mut streams = Streams::default();
    let whole = proposal(limits::PIECE_BYTES * 2);
    let mut parts = cut(stream(0), head(&whole), &whole);
    let last = parts.pop().expect("the end");
    for part in parts {
        assert!(streams.take(publisher(0), part, |_| true).is_none());
    }
    // A publisher who opens many streams drops its own ...
    for n in 0..=255 {
        let piece = StreamContent::Data(Part::Piece(vec![0; 10]));
        let piece = StreamMessage::new(stream(n), 1, piece);
        assert!(streams.take(publisher(1), piece, |_| true).is_none());
    }
    assert_eq!(streams.open.len(), 1 + limits::STREAMS_OF_ONE);
    assert_eq!(streams.take(publisher(0), last, |_| true), Some((head(&whole), whole)));
    // ... and all together never have more than there is room for.
    for n in 0..=255 {
        let piece = StreamMessage::new(stream(1), 1, StreamContent::Data(Part::Piece(vec![0; 10])));
        assert!(streams.take(publisher(n), piece, |_| true).is_none());
    }
    assert_eq!(streams.open.len(), limits::STREAMS);
    // Without a head a stream may hold no more than a proposal has.
    for n in 1..=9 {
        let piece = StreamContent::Data(Part::Piece(vec![0; limits::PIECE_BYTES]));
        streams.take(publisher(9), StreamMessage::new(stream(9), n, piece), |_| true);
    }
    let most = streams.open.values().map(|s| s.bytes).max();
    assert!(most <= Some(limits::PROPOSAL_BYTES), "{most:?}");
}

#[test]
fn decided_heights_are_forgotten() {
    let whole = proposal(10);
    let mut streams = Streams::default();
    let first = cut(stream(1), head(&whole), &whole).remove(0);
    streams.take(publisher(1), first, |_| true);
    streams.forget(4);
    assert_eq!(streams.open.len(), 1);
    streams.forget(5);
    assert!(streams.open.is_empty());
}
