//! Leaves that are wrong, and leaves that nobody gets.

use super::liar::{Liar, Lies};
use super::network::{LIAR, Machine, Network, secret, until};
use crate::exchange::{Message, Request, Response};
use muster_api::{Host as _, Row, Rows};
use muster_identity::cbor::Encode as _;
use muster_identity::{Did, Inception, PossessionTerms, Signer as _};
use muster_ledger::{
    Action, BatchId, Enrol, Evidence, Leaf, LeafTree, SerialCommitment, UploadRequest,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// More than one bundle.
const COUNT: u64 = 300;

/// A batch as its factory has it.
struct Batch {
    enrol: Enrol,
    id: BatchId,
    leaves: Vec<(Did, Vec<u8>)>,
}

impl Batch {
    fn new(network: &Network, name: &str) -> Self {
        let genesis = &network.genesis;
        let id = genesis.network();
        let terms = PossessionTerms {
            network: &id.0,
            manufacturer: &genesis.organisation_did(),
            challenge: b"order 1",
            owner_recovery: false,
        };
        let mut leaves: Vec<_> = (0..COUNT)
            .map(|number| {
                let key = secret(&format!("{name} {number}"));
                let inception = Inception::from_key(key.public_key());
                let did = Did::of(&inception);
                let signature = terms.sign(&did, &key).unwrap();
                let evidence = Evidence::Possession { challenge: b"order 1".to_vec(), signature };
                let serial = SerialCommitment::new(&[9; 32], &did, &number.to_string());
                let leaf = Leaf { inception, evidence, serial, owner_recovery: false };
                (did, leaf.to_cbor())
            })
            .collect();
        leaves.sort();
        let mut tree = LeafTree::default();
        leaves.iter().for_each(|(did, leaf)| tree.push(did, leaf).unwrap());
        let (grant, root) = (genesis.grant_id(), tree.root());
        let enrol = Enrol { grant, model: "T-1".into(), count: COUNT, root };
        let id = enrol.batch(&genesis.network());
        Self { enrol, id, leaves }
    }

    /// Brings it to an honest node as a factory does, up to the signature that makes it live.
    async fn upload(&self, network: &Network, node: usize) -> String {
        let registry = &network.honest[node].registry;
        let request = UploadRequest {
            network: network.genesis.network(),
            organisation: network.genesis.organisation_did(),
            valid_until: Machine.now().plus_ms(3_600_000),
            grant: self.enrol.grant,
            model: self.enrol.model.clone(),
            rows: COUNT,
            rehearsal: false,
            nonce: Machine.random(),
        };
        let request = request.sign(&secret("admin")).unwrap();
        let upload = registry.open_upload(&request).await.unwrap().upload;
        let rows = (0..).zip(&self.leaves).map(|(number, (_, leaf))| Row {
            number,
            leaf: leaf.clone(),
            serial: number.to_string(),
            lot: None,
        });
        registry.stage(&upload, Rows(rows.collect())).await.unwrap();
        registry.seal(&upload).await.unwrap();
        upload
    }
}

/// What the liar answers to whoever wants leaves.
#[derive(Clone, Copy)]
enum Answer {
    Nothing,
    Busy,
    /// As many as there should be, of another batch.
    Others,
    /// A page of garbage.
    Garbage,
}

const ANSWERS: [Answer; 4] = [Answer::Nothing, Answer::Busy, Answer::Others, Answer::Garbage];

fn answering(other: &Batch) -> Lies {
    let (next, leaves) = (AtomicU64::new(0), other.leaves.clone());
    let answers = move |request: &Request| match request {
        Request::Bundle { .. } => {
            let next = next.fetch_add(1, Ordering::Relaxed) as usize;
            let path = vec![[1; 32]];
            match ANSWERS[next % ANSWERS.len()] {
                Answer::Nothing => Response::None,
                Answer::Busy => Response::Busy,
                Answer::Others => {
                    let leaves = leaves[..256].iter().map(|(_, leaf)| leaf.clone()).collect();
                    Response::Bundle { leaves, path }
                }
                Answer::Garbage => Response::Bundle { leaves: vec![vec![0xff; 100]; 256], path },
            }
        }
        _ => Response::None,
    };
    Lies { answers: Box::new(answers), ..Lies::none() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_leaves_of_one_peer_keep_no_batch_back() {
    let mut network = Network::start().await;
    let (batch, other) = (Batch::new(&network, "right"), Batch::new(&network, "wrong"));
    let _liar = Liar::start(&network, LIAR, answering(&other)).await;
    network.begun().await;
    let upload = batch.upload(&network, 0).await;
    let signed = network.sign("admin", Action::Enrol(batch.enrol.clone()));
    let registry = &network.honest[0].registry;
    let asked = registry.submit(signed, Some(&upload));
    let proof = tokio::time::timeout(super::network::PATIENCE, asked).await.expect("in time");
    proof.unwrap().verify(&network.genesis.network(), &network.genesis.validators).unwrap();
    // Every honest node has every leaf.
    for node in &network.honest {
        for (did, _) in [&batch.leaves[0], &batch.leaves[COUNT as usize - 1]] {
            let has = async || node.registry.device_part(did).await.unwrap().is_some();
            let begun = tokio::time::Instant::now();
            while !has().await {
                assert!(begun.elapsed() < super::network::PATIENCE, "a leaf is missing");
                tokio::time::sleep(crate::limits::LOOK).await;
            }
        }
    }
    network.goes_on(2).await;
    network.agree(3).await;
    network.accuses_nobody();
    network.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_leaves_are_withheld_stops_nothing() {
    let mut network = Network::start().await;
    let (batch, other) = (Batch::new(&network, "kept"), Batch::new(&network, "wrong"));
    let liar = Liar::start(&network, LIAR, answering(&other)).await;
    network.begun().await;
    // Announced by whoever has, or has not, its leaves: nobody else ever sees them.
    let enrol = network.sign("admin", Action::Enrol(batch.enrol.clone()));
    let enrol = Message::Operation(enrol.0);
    until("the batch is wanted everywhere", || {
        // Again and again: it may not have been connected yet.
        liar.exchange.tell_all(&enrol);
        let wants = |view: &muster_api::ConsensusView| {
            view.batches.iter().any(|b| b.batch == batch.id.to_string())
        };
        network.honest.iter().all(|node| wants(&node.view.borrow()))
    })
    .await;
    network.goes_on(6).await;
    network.agree(6).await;
    for node in &network.honest {
        assert!(node.registry.batch(&batch.id).await.unwrap().is_none(), "it cannot be enrolled");
        assert!(node.view.borrow().missing_leaves.is_empty());
    }
    // A batch that everybody can have is enrolled beside it.
    let whole = Arc::new(Batch::new(&network, "whole"));
    let upload = whole.upload(&network, 1).await;
    let signed = network.sign("admin", Action::Enrol(whole.enrol.clone()));
    let asked = network.honest[1].registry.submit(signed, Some(&upload));
    tokio::time::timeout(super::network::PATIENCE, asked).await.expect("in time").unwrap();
    network.agree(7).await;
    network.close().await;
}
