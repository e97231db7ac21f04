//! Pages of a log that never was, for whoever catches up.

use super::liar::{Liar, Lies, Stranger};
use super::network::{Honest, LIAR, Machine, Network, free_place, secret, until, validator};
use crate::exchange::{Message, Request, Response};
use crate::gather::Beat;
use crate::ready::ReadyVote;
use muster_api::Host as _;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{
    Action, BatchId, Block, Chain, Entry, Genesis, Grant, Head, Operation, SignedOperation, Time,
    cosign,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// How far ahead the liar says to be.
const BOAST: u64 = 100_000;

/// A ledger that goes on from the genesis by operations that are good, of which nobody knows.
fn other_ledger(genesis: &Genesis, blocks: u64) -> (Vec<Vec<u8>>, Head) {
    let mut chain = Chain::new(genesis);
    let mut entries = Vec::new();
    for seq in 1..=blocks {
        let grant = Grant {
            seq,
            organisation: genesis.organisation_did(),
            models: Vec::new(),
            count: 1,
            expires: genesis.grant.expires,
            evidence: genesis.grant.evidence,
        };
        let (network, author) = (genesis.network(), genesis.organisation_did());
        let valid_until = Machine.now().plus_ms(60_000);
        let action = Action::Grant(grant);
        let operation = Operation { network, author, valid_until, action };
        let block = Block {
            height: chain.height() + 1,
            time: Machine.now().max(chain.time().plus_ms(1)),
            operations: vec![operation.sign(&secret("root")).unwrap()],
        };
        entries.extend(block.entries().map(|entry| entry.to_cbor()));
        chain = chain.extend(&block).unwrap().0;
    }
    let head = chain.head(Machine.now()).unwrap();
    (entries, head)
}

/// A page that is no log at all, under a head that fits it.
fn garbage(genesis: &Genesis) -> (Vec<Vec<u8>>, Head) {
    let operation = SignedOperation(vec![0xff; 100]);
    let entry = Entry { height: 1, time: Machine.now(), operation }.to_cbor();
    let (_, head) = other_ledger(genesis, 1);
    let log_root = leaf_hash(&entry);
    (vec![entry], Head { log_root, ..head })
}

/// Hands out each of them in turn, under the signature of one validator.
fn forging(genesis: &Genesis) -> Lies {
    let pages = [other_ledger(genesis, 5), garbage(genesis), other_ledger(genesis, 2)];
    let next = AtomicU64::new(0);
    let answers = move |request: &Request| match request {
        Request::Feed { from, .. } => {
            let next = next.fetch_add(1, Ordering::Relaxed) as usize;
            let (entries, head) = &pages[next % pages.len()];
            let size = head.size.max(from + 1);
            let head = Head { size, ..*head };
            let checkpoint = cosign(&head, &validator(LIAR)).unwrap().to_note();
            Response::Feed { entries: entries.clone(), checkpoint }
        }
        _ => Response::None,
    };
    Lies { answers: Box::new(answers), boasts: BOAST, ..Lies::none() }
}

/// Who says to be far ahead and hands out nothing. Anybody who reaches the exchange can say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_boasts_keeps_nobody_from_deciding() {
    let mut network = Network::start().await;
    let lies = Lies { boasts: BOAST, ..Lies::none() };
    let liar = Liar::start(&network, LIAR, lies).await;
    network.begun().await;
    network.goes_on(6).await;
    network.agree(6).await;
    drop(liar);
    network.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_pages_lead_nobody_astray() {
    let mut network = Network::start().await;
    let liar = Liar::start(&network, LIAR, forging(&network.genesis)).await;
    network.begun().await;
    // It says to be far ahead all the time, and keeps nobody from deciding.
    network.goes_on(6).await;
    network.agree(6).await;
    // Who comes late hears the liar first.
    let places = [&[network.places[LIAR]], network.honest_places()].concat();
    let (genesis, dir) = (&network.genesis, network.dir.path());
    let (signer, place) = (secret("late"), free_place());
    let late = Honest::start(genesis, dir, "late", signer, place, &places).await;
    until("the late one has caught up", || late.size() == 6).await;
    let own = *late.registry.head().unwrap().head();
    let theirs = *network.honest[0].registry.head().unwrap().head();
    assert!(own.same_ledger(&theirs));
    network.goes_on(3).await;
    until("the late one follows", || late.size() == 9).await;
    network.agree(9).await;
    late.registry.close().await;
    drop(liar);
    network.close().await;
}

/// Whoever tells what is not signed as it says makes it up, or wastes the time of those who verify it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tells_forged_signatures_is_parted_with() {
    let mut network = Network::start().await;
    let key = validator(0);
    let other = muster_ledger::Network([9; 32]);
    let head = Chain::new(&network.genesis).head(Machine.now()).unwrap();
    let Beat { size, time, validator: by, signature } =
        Beat::sign(&other, 0, Time(0), &key).unwrap();
    let beat = Message::Beat { size, time, validator: by, signature };
    let vote = ReadyVote::sign(&other, BatchId([1; 32]), Time(1), &key).unwrap();
    let vote = Message::Ready {
        batch: vote.batch,
        until: vote.until,
        validator: vote.validator,
        signature: vote.signature,
    };
    // A line that its validator signed for another head.
    let line = cosign(&Head { size: 7, ..head }, &key).unwrap().to_note();
    let line = Message::Cosignature(line.replacen("\n7\n", "\n8\n", 1));
    let (entries, _) = other_ledger(&network.genesis, 1);
    let mut operation = Entry::from_cbor(&entries[0]).unwrap().operation.0;
    *operation.last_mut().unwrap() ^= 1;
    let good = cosign(&head, &key).unwrap().to_note();
    for (name, message, stays) in [
        ("operation", Message::Operation(operation), false),
        ("vote", vote, false),
        ("beat", beat, false),
        ("line", line, false),
        ("nothing at all", Message::Cosignature("muster".into()), false),
        ("good line", Message::Cosignature(good), true),
    ] {
        let stranger = Stranger::start(&network, name).await;
        until("it is connected", || stranger.exchange.peers().len() == 3).await;
        stranger.exchange.tell_all(&message);
        if stays {
            sleep(Duration::from_secs(2)).await;
            assert_eq!(stranger.exchange.peers().len(), 3, "{name}");
        } else {
            until(name, || stranger.exchange.peers().is_empty()).await;
        }
    }
    network.goes_on(3).await;
    network.close().await;
}
