//! One encoding, and its bounds.

use super::super::{Frame, Message, PeerAddress, Request, Response, Status, peer_id};
use super::secret;
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{PublicKey, Signature};
use muster_ledger::{BatchId, Time};
use std::fmt::Debug;

fn one_form<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = value.to_cbor();
    assert_eq!(T::from_cbor(&bytes).as_ref(), Ok(value));
    for cut in 0..bytes.len() {
        assert!(T::from_cbor(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(T::from_cbor(&[bytes, vec![0]].concat()).is_err(), "bytes behind it");
}

fn all_messages() -> Vec<Message> {
    let validator = PublicKey::ed25519([
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ])
    .unwrap();
    let (signature, time) = (Signature([9; 64]), Time(1_800_000_000_000));
    vec![
        Message::Operation(vec![1, 2, 3]),
        Message::Ready { batch: BatchId([3; 32]), until: time, validator, signature },
        Message::Cosignature("a note\n".to_owned()),
        Message::Beat { size: 70_000, time, validator, signature },
        Message::Status(Status { height: 1, size: 2, pending: true, engine_port: u16::MAX }),
    ]
}

#[test]
fn what_is_said_has_one_form() {
    for message in all_messages() {
        one_form(&message);
    }
    one_form(&Frame::Told(all_messages()));
    for request in [
        Request::Feed { from: 5, count: 1_000 },
        Request::Bundle { batch: BatchId([3; 32]), index: 4_095 },
        Request::Pending,
    ] {
        one_form(&request);
        one_form(&Frame::Asked(request));
    }
    for response in [
        Response::None,
        Response::Busy,
        Response::Feed { entries: vec![vec![1], vec![2, 3]], checkpoint: "note".to_owned() },
        Response::Bundle { leaves: vec![vec![5; 9]; 3], path: vec![[1; 32]; 12] },
        Response::Pending(vec![vec![7; 300]; 2]),
    ] {
        one_form(&response);
    }
}

#[test]
fn what_is_said_has_bounds() {
    let operation = |bytes| Message::Operation(vec![0; bytes]).to_cbor();
    assert!(Message::from_cbor(&operation(16_384)).is_ok());
    assert!(Message::from_cbor(&operation(16_385)).is_err());
    let note = |bytes| Message::Cosignature("x".repeat(bytes)).to_cbor();
    assert!(Message::from_cbor(&note(32_768)).is_ok());
    assert!(Message::from_cbor(&note(32_769)).is_err());
    let bundle = |leaves, bytes, path| {
        Response::Bundle { leaves: vec![vec![0; bytes]; leaves], path: vec![[0; 32]; path] }
            .to_cbor()
    };
    assert!(Response::from_cbor(&bundle(256, 4_096, 12)).is_ok());
    for (leaves, bytes, path) in [(257, 9, 0), (1, 4_097, 0), (1, 9, 13)] {
        assert!(Response::from_cbor(&bundle(leaves, bytes, path)).is_err());
    }
    let pending = |n| Response::Pending(vec![vec![0]; n]).to_cbor();
    assert!(Response::from_cbor(&pending(256)).is_ok());
    assert!(Response::from_cbor(&pending(257)).is_err());
    let told = |n| Frame::Told(vec![Message::Operation(vec![0]); n]).to_cbor();
    assert!(Frame::from_cbor(&told(256)).is_ok());
    assert!(Frame::from_cbor(&told(257)).is_err());
    // A list that says it is long is no reason to make room for it.
    assert!(Response::from_cbor(&[0x82, 4, 0x9a, 0xff, 0xff, 0xff, 0xff]).is_err());
    // A kind with the shape of another.
    assert!(Message::from_cbor(&[0x82, 4, 0x41, 0]).is_err());
    assert!(Request::from_cbor(&[0x83, 2, 0, 0]).is_err());
    assert!(Response::from_cbor(&[0x81, 5]).is_err());
}

#[test]
fn an_answer_answers_its_request() {
    let feed = |n| Response::Feed { entries: vec![vec![0]; n], checkpoint: String::new() };
    let asked = Request::Feed { from: 0, count: 2 };
    assert!(feed(2).answers(&asked) && Response::Busy.answers(&asked));
    assert!(!feed(3).answers(&asked), "more than was asked");
    assert!(!feed(1).answers(&Request::Pending));
    assert!(!Response::Pending(Vec::new()).answers(&asked));
}

#[test]
fn addresses_of_peers_have_one_text() {
    let id = peer_id(&secret(1)).unwrap();
    assert!(id.starts_with("12D3KooW"), "{id}");
    for text in ["a.example:7000", "192.0.2.1:1", "[2001:db8::1]:65535", "localhost:9"] {
        for text in [text.to_owned(), format!("{text}/{id}")] {
            let address: PeerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.id.is_some(), text.contains('/'));
        }
    }
    for wrong in [
        "",
        "a.example",
        ":7",
        "a:0",
        "a:65536",
        "a b:7",
        "[::1]:0",
        "::1:7",
        "a:7/",
        "a:7/12D3",
        "/ip4/1.2.3.4/tcp/7",
        "192.0.2.1:0",
    ] {
        let error = wrong.parse::<PeerAddress>().expect_err(wrong).to_string();
        assert!(error.contains("host:port"), "{error}");
    }
}
