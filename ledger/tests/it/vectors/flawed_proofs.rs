//! Receipts and histories with one flaw each.

use super::Vector;
use super::flawed_parts::flaw;
use super::made::Story;
use crate::chained::Ledger;
use crate::network::{Org, batch_of, ed25519};
use data_encoding::HEXLOWER;
use muster_identity::Inception;
use muster_identity::Signer;
use muster_identity::cbor::{Decode, Encode};
use muster_ledger::{Action, Chain, ChainFault, Entry, Genesis, Receipt};

pub(super) fn all() -> Vec<Vector> {
    let story = Story::new();
    receipts(&story).into_iter().chain(histories(&story)).collect()
}

fn receipts(story: &Story) -> Vec<Vector> {
    let genesis = &story.ledger.genesis;
    let good = story.ledger.receipt(&story.batch, 3, 0, 3);
    let vector = |name, says, receipt: &Receipt, genesis: &Genesis| {
        flaw("receipt", name, says, receipt.verify(genesis))
            .hex("genesis", &genesis.to_cbor())
            .hex("receipt", &receipt.to_cbor())
    };
    let change = |name, says, change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        vector(name, says, &receipt, genesis)
    };
    let rivals = rivals();
    let elsewhere = Genesis { nonce: [0; 16], ..genesis.clone() };
    vec![
        change("receipt-quorum-short", "2 of 3", &|r| {
            *r = story.ledger.receipt(&story.batch, 3, 0, 2)
        }),
        change("receipt-log-path-too-long", "log path", &|r| r.batch.path.push([0; 32])),
        change("receipt-entry-elsewhere", "log path", &|r| r.batch.index = 1),
        change("receipt-enrols-nothing", "the entry enrols nothing", &|r| {
            r.batch = story.ledger.prove(1, 3)
        }),
        change("receipt-of-another-batch", "the entry enrols another batch", &|r| {
            r.device.batch.0[0] ^= 1
        }),
        change("receipt-device-path-altered", "device part", &|r| r.device.path[0][0] ^= 1),
        vector("receipt-of-another-network", "another network", &good, &elsewhere),
        vector("receipt-possession-by-rival", "leaf: the signature", &rivals.0, &rivals.1),
    ]
}

/// A device that signed for a rival, enrolled all the same.
fn rivals() -> (Receipt, Genesis) {
    let mut ledger = Ledger::new(4);
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    let key = ed25519("device");
    let rows = vec![(Inception::from_key(key.public_key()), key)];
    let network = ledger.chain.network();
    let batch = batch_of(&network, &rival.did, ledger.genesis.grant_id(), rows);
    let signed = ledger.sign(maker.did, &maker.enrol, Action::Enrol(batch.enrol.clone()));
    ledger.commit(&ledger.block(vec![signed]));
    (ledger.receipt(&batch, 0, 0, 3), ledger.genesis)
}

fn histories(story: &Story) -> Vec<Vector> {
    let genesis = &story.ledger.genesis;
    let entries: Vec<Entry> =
        story.ledger.entries.iter().map(|bytes| Entry::from_cbor(bytes).unwrap()).collect();
    let vector = |name, says, entries: Vec<Entry>| {
        let bytes = entries.iter().map(|entry| HEXLOWER.encode(&entry.to_cbor()));
        let bytes: Vec<_> = bytes.collect();
        let mut chain = Chain::new(genesis);
        let found = muster_ledger::Block::from_entries(entries).unwrap().iter().try_for_each(|b| {
            chain = chain.extend(b)?.0;
            Ok::<_, ChainFault>(())
        });
        flaw("history", name, says, found).hex("genesis", &genesis.to_cbor()).list("entries", bytes)
    };
    let change = |entry: usize, change: &dyn Fn(&mut Entry)| {
        let mut entries = entries.clone();
        entries.truncate(entry + 1);
        change(&mut entries[entry]);
        entries
    };
    vec![
        vector("history-height-left-out", "does not follow", change(1, &|e| e.height = 3)),
        vector(
            "history-time-stands-still",
            "its time is not after",
            change(1, &|e| e.time = entries[0].time),
        ),
        vector(
            "history-operation-twice",
            "is already enrolled",
            change(1, &|e| e.operation = entries[0].operation.clone()),
        ),
        vector(
            "history-operation-expired",
            "expired",
            change(0, &|e| e.time = e.time.plus_ms(7_200_000)),
        ),
        vector(
            "history-signature-altered",
            "the signature does not verify",
            change(2, &|e| {
                *e.operation.0.last_mut().unwrap() ^= 1;
            }),
        ),
    ]
}
