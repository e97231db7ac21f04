//! Peers that are not as they should be. After each of them the node serves an honest one.

use super::raw::{Raw, framed, instead_of_yamux};
use super::*;
use crate::limits;
use muster_identity::cbor::{Decode as _, Encode as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::Frame;

async fn pair() -> (Node, Node) {
    let node = Node::new(1, &[]).await;
    let honest = Node::new(2, &[&node]).await;
    honest.sees(&[1]).await;
    (node, honest)
}

fn status() -> Vec<u8> {
    Frame::Told(vec![Message::Status(Status::default())]).to_cbor()
}

fn read(answer: &[u8]) -> Response {
    Response::from_cbor(answer).unwrap()
}

/// A peer that broke a rule is not let in again at once.
async fn refused(n: u8, node: &Node) {
    if let Ok(mut again) = Raw::dial(n, node.exchange.listens()).await {
        again.ended().await;
    }
    assert!(!node.ids().contains(&id(n)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_peer_that_keeps_the_rules_is_a_peer() {
    let (node, honest) = pair().await;
    let mut raw = Raw::dial(9, node.exchange.listens()).await.unwrap();
    assert_eq!(read(&raw.ask(&status()).await.unwrap()), Response::None);
    let pending = Frame::Asked(Request::Pending).to_cbor();
    assert_eq!(read(&raw.ask(&pending).await.unwrap()), Response::None);
    node.sees(&[2, 9]).await;
    drop(raw);
    node.sees(&[2]).await;
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_handshake_end_the_connection() {
    let (node, honest) = pair().await;
    let pieces: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[0xff; 70_000],
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff garbage",
    ];
    for piece in pieces {
        let mut stranger = TcpStream::connect(node.exchange.listens()).await.unwrap();
        // It may be closed while it still writes.
        let _ = stranger.write_all(piece).await;
        let _ = stranger.shutdown().await;
        let mut rest = Vec::new();
        let _ = soon("the end", stranger.read_to_end(&mut rest)).await;
    }
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_yamux_that_break_its_rules_end_the_connection_and_nothing_else() {
    let (node, honest) = pair().await;
    let header = |kind: u8, flags: u16, stream: u32, length: u32| {
        let head = [0, kind];
        [&head[..], &flags.to_be_bytes(), &stream.to_be_bytes(), &length.to_be_bytes()].concat()
    };
    // CVE-2026-32314: a first frame with more than the first credit.
    let mut large = header(0, 1, 1, (256 << 10) + 1);
    large.resize(large.len() + (256 << 10) + 1, 0);
    // CVE-2026-31814: credit that overflows what a stream may send.
    let credit = [header(1, 1, 1, 0), header(1, 0, 1, u32::MAX)].concat();
    let (unknown, version) = (header(7, 0, 1, 0), vec![0xff; 12]);
    // More streams than a connection may have.
    let many = (0..=limits::STREAMS as u32).flat_map(|n| header(1, 1, 2 * n + 1, 0)).collect();
    for (n, bytes) in (10..).zip([large, credit, unknown, version, many]) {
        instead_of_yamux(n, node.exchange.listens(), &bytes).await;
        node.serves(&honest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_ends_the_connection_and_the_peer_is_refused() {
    let (node, honest) = pair().await;
    let above = Message::Operation(vec![0; 16_385]);
    let bodies = [
        // A length of four gigabytes, and one above the bound by one.
        vec![0xff; 4],
        u32::try_from(limits::REQUEST_BYTES + 1).unwrap().to_be_bytes().to_vec(),
        framed(b"no CBOR at all"),
        framed(&[0x82, 1, 0x83, 2, 0, 0]),
        framed(&[]),
        framed(&Frame::Told(vec![above]).to_cbor()),
        framed(&[status(), vec![0]].concat()),
    ];
    for (n, body) in (30..).zip(bodies) {
        let mut raw = Raw::dial(n, node.exchange.listens()).await.unwrap();
        let _stream = raw.send(&body).await.unwrap();
        raw.ended().await;
        refused(n, &node).await;
    }
    assert!(node.desk.messages().is_empty(), "something of it was heard");
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_hears_busy_then_ends_and_an_honest_peer_is_served_meanwhile() {
    let (node, honest) = pair().await;
    *node.desk.slow.lock().unwrap() = Some(id(9));
    let mut raw = Raw::dial(9, node.exchange.listens()).await.unwrap();
    let flood = tokio::spawn(async move {
        // As many as are worked at, so that each further one is too many.
        let mut worked_at = Vec::new();
        for _ in 0..limits::REQUESTS_AT_ONCE {
            worked_at.push(raw.send(&framed(&status())).await.unwrap());
        }
        for busy in 0.. {
            let mut streams = Vec::new();
            for _ in 0..8 {
                match raw.send(&framed(&status())).await {
                    Ok(stream) => streams.push(stream),
                    Err(_) => return 8 * busy,
                }
            }
            for stream in streams {
                match raw.answer(stream).await {
                    Ok(answer) => assert_eq!(read(&answer), Response::Busy),
                    Err(_) => return 8 * busy,
                }
            }
        }
        unreachable!("a flood without an end")
    });
    while !flood.is_finished() {
        node.serves(&honest).await;
    }
    let busy = flood.await.unwrap();
    assert!(busy >= limits::BUSY_ANSWERS_A_SECOND, "cut after {busy} answers that it is busy");
    refused(9, &node).await;
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_no_answers_holds_few_of_them() {
    let (node, honest) = pair().await;
    let wanted = Request::Bundle { batch: muster_ledger::BatchId([1; 32]), index: 0 };
    let bundle = Response::Bundle { leaves: vec![vec![5; 4_096]; 256], path: Vec::new() };
    node.desk.answers(&wanted, bundle.clone());
    let mut raw = Raw::dial(9, node.exchange.listens()).await.unwrap();
    let ask = framed(&Frame::Asked(wanted.clone()).to_cbor());
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(raw.send(&ask).await.unwrap());
    }
    // Nobody reads; the others get theirs.
    for _ in 0..5 {
        assert_eq!(honest.exchange.ask(id(1), wanted.clone()).await, Ok(bundle.clone()));
    }
    let asked = node.desk.most_asked.load(Ordering::SeqCst);
    assert!(asked <= limits::ASKED_AT_ONCE + 1, "{asked} at once");
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hears_nothing_loses_its_lane_and_nobody_else_does() {
    let (node, honest) = pair().await;
    let mut changes = node.exchange.changes();
    let mut deaf = Raw::dial(9, node.exchange.listens()).await.unwrap();
    assert_eq!(read(&deaf.ask(&status()).await.unwrap()), Response::None);
    comes(&mut changes, Change::Joined(id(9))).await;
    let ends = tokio::spawn(async move { deaf.ended().await });

    // In two halves: an honest peer keeps up.
    let most = limits::LANE_MESSAGES as u32;
    for n in 0..most + 2_000 {
        node.exchange.tell_all(&operation(n));
        if n % 4_000 == 0 {
            let heard = n as usize;
            until("it keeps up", || honest.desk.messages().len() >= heard).await;
        }
    }
    comes(&mut changes, Change::Left(id(9))).await;
    ends.await.unwrap();
    let all = most as usize + 2_000;
    until("the honest one hears all", || honest.desk.messages().len() == all).await;
    node.serves(&honest).await;
}

/// On a machine that is overloaded answers come late. To part with who is only slow would have both
/// connect anew, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_late_and_goes_on_talking_stays() {
    let (node, honest) = pair().await;
    let mut slow = Raw::dial(9, node.exchange.listens()).await.unwrap();
    // What the node tells it is neither answered nor refused.
    let mut held = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < limits::ANSWER_WITHIN + Duration::from_secs(3) {
        assert_eq!(read(&slow.ask(&status()).await.expect("it stays")), Response::None);
        let waits = sleep(Duration::from_millis(500));
        slow.with_streams(waits, |stream| held.push(stream)).await.expect("it stays");
    }
    assert!(!held.is_empty(), "the node told it nothing");
    node.sees(&[2, 9]).await;
    node.serves(&honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_lies_ends_the_connection() {
    let (node, honest) = pair().await;
    let asked = Request::Feed { from: 0, count: 1 };
    let two = Response::Feed { entries: vec![vec![0]; 2], checkpoint: String::new() };
    node.desk.answers(&asked, two);
    let answer = honest.exchange.ask(id(1), asked).await;
    assert!(matches!(answer, Err(crate::Error::Peer(_))), "{answer:?}");
    until("the liar is gone", || honest.ids().is_empty()).await;
    assert!(honest.failing(0).contains("answers what was not asked"), "{}", honest.failing(0));

    // What is above the bound is not sent at all.
    let wanted = Request::Pending;
    node.desk.answers(&wanted, Response::Pending(vec![vec![0; 16_384]; 256]));
    let other = Node::new(3, &[&node]).await;
    other.sees(&[1]).await;
    assert_eq!(other.exchange.ask(id(1), wanted).await, Ok(Response::None));
}
