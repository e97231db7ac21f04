//! Invalid blocks, and two answers to one question.

use super::liar::{Liar, Lies, Proposes};
use super::network::{LIAR, Machine, Network, secret};
use crate::proposal::Proposal;
use muster_api::Host as _;
use muster_identity::cbor::Encode as _;
use muster_ledger::{
    Action, Block, Chain, Enrol, Genesis, Grant, Operation, SignedOperation, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first moment of the year 2040.
const YEAR_2040: Time = Time(2_208_988_800_000);

/// What is wrong with a proposal.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    NoProposal,
    NoOperations,
    /// By somebody whom nobody knows.
    Stranger,
    /// A signature that is none.
    Forged,
    Year2040,
    TimeGoesBack,
    OtherState,
    OtherHeight,
    /// A batch whose leaves nobody said to have.
    Unready,
}

const ALL: [Wrong; 9] = [
    Wrong::NoProposal,
    Wrong::NoOperations,
    Wrong::Stranger,
    Wrong::Forged,
    Wrong::Year2040,
    Wrong::TimeGoesBack,
    Wrong::OtherState,
    Wrong::OtherHeight,
    Wrong::Unready,
];

fn signed(genesis: &Genesis, key: &str, action: Action) -> SignedOperation {
    let (network, author) = (genesis.network(), genesis.organisation_did());
    let valid_until = Machine.now().plus_ms(60_000);
    Operation { network, author, valid_until, action }.sign(&secret(key)).unwrap()
}

/// A batch of leaves that nobody ever made.
fn enrolment(genesis: &Genesis) -> Action {
    let (grant, root) = (genesis.grant_id(), [7; 32]);
    Action::Enrol(Enrol { grant, model: "T-1".into(), count: 3, root })
}

fn proposal(genesis: &Genesis, chain: &Chain, wrong: Wrong) -> Vec<u8> {
    let head = chain.head(chain.time()).unwrap();
    // A good operation, but for the leaves that it needs.
    let good = signed(genesis, "admin", enrolment(genesis));
    let grant = Grant {
        seq: 1,
        organisation: genesis.organisation_did(),
        models: Vec::new(),
        count: 1,
        expires: Machine.now().plus_ms(60_000),
        evidence: genesis.grant.evidence,
    };
    let mut proposal = Proposal {
        block: Block {
            height: chain.height() + 1,
            time: Machine.now().max(chain.time().plus_ms(1)),
            operations: vec![good.clone()],
        },
        log_root: head.log_root,
        state_root: head.state_root,
        ready: Vec::new(),
    };
    match wrong {
        Wrong::NoProposal => return vec![0xff; 100],
        Wrong::NoOperations => proposal.block.operations.clear(),
        Wrong::Stranger => {
            proposal.block.operations = vec![signed(genesis, "stranger", Action::Grant(grant))];
        }
        Wrong::Forged => {
            let mut bytes = good.0;
            *bytes.last_mut().unwrap() ^= 1;
            proposal.block.operations = vec![SignedOperation(bytes)];
        }
        Wrong::Year2040 => proposal.block.time = YEAR_2040,
        Wrong::TimeGoesBack => proposal.block.time = Time(chain.time().0 - 1),
        Wrong::OtherState => proposal.state_root = [3; 32],
        Wrong::OtherHeight => proposal.block.height += 1,
        Wrong::Unready => {}
    }
    proposal.to_cbor()
}

/// Proposes each of them in turn.
fn proposing(genesis: &Genesis, wrong: &'static [Wrong]) -> Box<Proposes> {
    let (genesis, next) = (genesis.clone(), AtomicUsize::new(0));
    Box::new(move |chain| {
        let next = next.fetch_add(1, Ordering::Relaxed);
        Some(proposal(&genesis, chain, wrong[next % wrong.len()]))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_block_is_voted_down() {
    let mut network = Network::start().await;
    let lies = Lies { proposes: proposing(&network.genesis, &ALL), ..Lies::none() };
    let liar = Liar::start(&network, LIAR, lies).await;
    network.begun().await;
    let mut operations = 0;
    while liar.proposed() < ALL.len() as u64 {
        network.goes_on(1).await;
        operations += 1;
        assert!(operations < 20 * ALL.len(), "it was hardly ever asked to propose");
    }
    network.goes_on(1).await;
    // Nothing of what it proposed is in the log.
    network.agree(operations as u64 + 1).await;
    for node in &network.honest {
        assert!(node.registry.chain().unwrap().time() <= Machine.now().plus_ms(10_000));
    }
    network.accuses_nobody();
    network.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_votes_of_one_validator_are_shown() {
    let mut network = Network::start().await;
    // One key in two engines, which do not know of each other: one of them votes for nothing.
    let yes = Liar::start(&network, LIAR, Lies::none()).await;
    let no = Liar::start(&network, LIAR + 1, Lies { votes: false, ..Lies::none() }).await;
    network.begun().await;
    network.goes_on(8).await;
    network.accuse("two-votes").await;
    drop((yes, no));
    // Without it the others go on; it voted for no fork.
    network.goes_on(2).await;
    network.agree(10).await;
    network.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proposals_of_one_validator_are_shown() {
    let mut network = Network::start().await;
    let genesis = Arc::new(network.genesis.clone());
    let propose = |wrong| Lies { proposes: proposing(&genesis, wrong), ..Lies::none() };
    let one = Liar::start(&network, LIAR, propose(&[Wrong::Unready])).await;
    let other = Liar::start(&network, LIAR + 1, propose(&[Wrong::OtherState])).await;
    network.begun().await;
    let mut operations = 0;
    while one.proposed() < 2 || other.proposed() < 2 {
        network.goes_on(1).await;
        operations += 1;
        assert!(operations < 60, "they were hardly ever asked to propose");
    }
    network.accuse("two-proposals").await;
    drop((one, other));
    network.goes_on(2).await;
    network.agree(operations + 2).await;
    network.close().await;
}
