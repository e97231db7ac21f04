//! Proposals and approvals: whose count, and when.

use crate::governed::{PEOPLE, approval, person};
use crate::network::{Batch, HOUR, Org, World, batch, ed25519, p256};
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    Action, Approval, Approve, Approved, Capabilities, Capability, Chain, ChangeKeys, ChangeRules,
    OrgKey, Outcome, ProposalId, ProposalRecord, Propose, Refusal, Revoke, Rules, SignedOperation,
    StateKey, Status, Target, View, carried_out, limits,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn revoke(target: Target) -> Action {
    Action::Revoke(Revoke { target, reason: "stolen".into() })
}

fn world(approval: Option<Approval>) -> (World, Batch) {
    let (world, batch) = World::with_batch(4);
    (world.governed(approval), batch)
}

fn outcome(world: &World, id: &ProposalId) -> Option<Outcome> {
    match world.state.proposal(id).unwrap().unwrap() {
        ProposalRecord::Closed(outcome) => Some(outcome),
        ProposalRecord::Open(_) => None,
    }
}

#[test]
fn the_last_approval_carries_it_out() {
    let (mut world, batch) = world(Some(approval(0, 2)));
    let id = world.proposes(&person(0), revoke(Target::Batch(batch.id))).unwrap();
    let own = |why| Err(Refusal::OwnApproval(why));
    let proposer = "another key than the one that proposed approves";
    assert_eq!(world.approves(&person(0), id), own(proposer));
    world.approves(&person(1), id).unwrap();
    assert_eq!(outcome(&world, &id), None);
    assert_eq!(world.approves(&person(1), id), own("this key approved the proposal already"));
    assert_eq!(world.status(&batch.devices[0]), Status::Active);
    // What it carried out can be told from the state before it and the records it changes.
    let before = world.state.clone();
    let signed = world.sign(world.maker.did, &person(2), Action::Approve(Approve { proposal: id }));
    let changes = world.applies(&signed).unwrap();
    let verified = signed.verify().unwrap();
    let done = carried_out(&before, verified.operation(), &changes).unwrap().unwrap();
    assert_eq!(done.action, revoke(Target::Batch(batch.id)));
    let approved = Approved { key: person(1).public_key(), organisation: world.maker.did };
    assert_eq!((done.key, done.approvals), (person(0).public_key(), vec![approved]));
    assert_eq!(outcome(&world, &id), Some(Outcome::CarriedOut));
    assert_eq!(world.status(&batch.devices[0]), Status::Revoked);
    for key in [person(1), person(3)] {
        let closed = Err(Refusal::ProposalClosed(Outcome::CarriedOut));
        assert_eq!(world.approves(&key, id), closed.clone());
        assert_eq!(world.withdraws(&key, id), closed);
    }
    assert!(world.state.oversight(&world.maker.did).unwrap().open.is_empty());
}

#[test]
fn only_people_of_the_organisation_with_the_capability_approve() {
    let (mut world, batch) = world(Some(approval(0, 1)));
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    let id = world.proposes(&person(0), revoke(Target::Batch(batch.id))).unwrap();
    for key in [&maker.root, &maker.operate, &maker.enrol, &maker.gateway] {
        let refused = world.approves(key, id);
        assert_eq!(refused, Err(Refusal::Capability { key: key.public_key(), needs: "approve" }));
    }
    let approve = Action::Approve(Approve { proposal: id });
    assert_eq!(
        world.does(rival.did, &rival.approve, approve.clone()),
        Err(Refusal::NotOwner(maker.did))
    );
    assert!(matches!(
        world.does(maker.did, &rival.approve, approve),
        Err(Refusal::NotAKeyOf { .. })
    ));
    let unknown = ProposalId([9; 32]);
    assert_eq!(world.approves(&person(1), unknown), Err(Refusal::UnknownProposal(unknown)));
    // Whoever may not do it may not propose it either, and nobody proposes what is refused now.
    let refused = world.proposes(&maker.enrol, revoke(Target::Batch(batch.id)));
    assert!(matches!(refused, Err(Refusal::Capability { needs: "operate", .. })));
    let nowhere = Target::Batch(muster_ledger::BatchId([8; 32]));
    assert!(matches!(world.proposes(&person(0), revoke(nowhere)), Err(Refusal::UnknownBatch(_))));
    let without_part = Target::Device(batch.devices[0].alone());
    assert!(matches!(
        world.proposes(&person(0), revoke(without_part)),
        Err(Refusal::DevicePartMissing(_))
    ));
    let device = &batch.devices[0];
    let own = Propose {
        action: Box::new(revoke(device.target())),
        expires: world.time.plus_ms(HOUR),
        reason: String::new(),
    };
    let refused = world.does(device.did, &device.key, Action::Propose(own));
    assert_eq!(refused, Err(Refusal::UnknownAuthor(device.did)));
}

#[test]
fn members_and_rules_are_those_of_the_moment() {
    let (mut world, batch) = world(Some(approval(0, 2)));
    let whole = Target::Batch(batch.id);
    let id = world.proposes(&person(0), revoke(whole.clone())).unwrap();
    world.approves(&person(1), id).unwrap();
    let remove = |world: &mut World, who: u8| {
        let (seq, remove) = (world.record().seq, vec![person(who).public_key()]);
        world.maker_does(Action::ChangeKeys(ChangeKeys { seq, add: vec![], remove })).unwrap();
    };
    // The first who approved leaves: the second is the first again.
    remove(&mut world, 1);
    world.approves(&person(2), id).unwrap();
    assert_eq!(outcome(&world, &id), None);
    // The proposer leaves: nothing of his is carried out.
    remove(&mut world, 0);
    let gone = world.approves(&person(3), id);
    assert!(matches!(gone, Err(Refusal::NotAKeyOf { .. })), "{gone:?}");
    assert_eq!(world.status(&batch.devices[0]), Status::Active);
    world.withdraws(&person(3), id).unwrap();
    assert_eq!(outcome(&world, &id), Some(Outcome::Rejected));
    // Rules that ask for more ask it of what is open, too.
    let id = world.proposes(&person(2), revoke(whole)).unwrap();
    let rules = Rules { approval: Some(approval(0, 1)), ..Rules::DEFAULT };
    let seq = world.record().seq;
    world.maker_does(Action::ChangeRules(ChangeRules { seq, rules })).unwrap();
    world.approves(&person(3), id).unwrap();
    assert_eq!(outcome(&world, &id), Some(Outcome::CarriedOut));
}

#[test]
fn proposals_end() {
    let (mut world, batch) = world(Some(approval(0, 1)));
    let target = |i: usize| batch.devices[i].target();
    for hours in [0, 7 * 24 + 1] {
        let refused = world.proposes_until(&person(0), revoke(target(0)), hours);
        assert!(matches!(refused, Err(Refusal::Limit(_))), "{hours}");
    }
    let short = world.proposes_until(&person(0), revoke(target(0)), 1).unwrap();
    let long = world.proposes_until(&person(0), revoke(target(1)), 7 * 24).unwrap();
    let mine = world.proposes(&person(0), revoke(target(2))).unwrap();
    let theirs = world.proposes(&person(0), revoke(target(2))).unwrap_err();
    assert_eq!(theirs, Refusal::ProposalExists(mine), "the same bytes at the same time");
    // Only its proposer, or whoever may approve.
    let operate = Org::new("maker").operate;
    let refused = world.withdraws(&operate, mine);
    assert!(matches!(refused, Err(Refusal::Capability { needs: "approve", .. })));
    world.withdraws(&person(0), mine).unwrap();
    assert_eq!(outcome(&world, &mine), Some(Outcome::Withdrawn));
    // The last moment, and the first that is too late.
    world.time = world.time.plus_ms(HOUR);
    let expired = Err(Refusal::ProposalClosed(Outcome::Expired));
    assert_eq!(world.approves(&person(1), short), expired);
    assert_eq!(outcome(&world, &short), None, "nothing is written when it ends");
    world.time = world.time.plus_ms(7 * 24 * HOUR - HOUR - 1);
    world.approves(&person(1), long).unwrap();
    assert_eq!(outcome(&world, &short), Some(Outcome::Expired), "swept by whoever came next");
    assert!(world.state.oversight(&world.maker.did).unwrap().open.is_empty());
}

/// A closed proposal is remembered, so that neither it nor its approvals can be sent again.
#[test]
fn nothing_of_a_closed_proposal_can_be_sent_again() {
    let (mut world, batch) = world(Some(approval(0, 1)));
    let propose = Propose {
        action: Box::new(revoke(batch.devices[0].target())),
        expires: world.time.plus_ms(HOUR),
        reason: String::new(),
    };
    let proposed = world.sign(world.maker.did, &person(0), Action::Propose(propose));
    let id = proposed.verify().unwrap().proposal();
    let approved =
        world.sign(world.maker.did, &person(1), Action::Approve(Approve { proposal: id }));
    world.applies(&proposed).unwrap();
    world.withdraws(&person(0), id).unwrap();
    assert_eq!(world.applies(&proposed), Err(Refusal::ProposalExists(id)));
    assert_eq!(world.applies(&approved), Err(Refusal::ProposalClosed(Outcome::Withdrawn)));
    assert_eq!(world.status(&batch.devices[0]), Status::Active);
}

#[test]
fn what_happened_meanwhile_counts() {
    let (mut world, batch) = world(Some(approval(4, 1)));
    let id = world.proposes(&person(0), revoke(Target::Batch(batch.id))).unwrap();
    let did = world.maker.did;
    world.does(did, &person(0), revoke(Target::Batch(batch.id))).unwrap();
    let refused = world.approves(&person(1), id);
    assert_eq!(refused, Err(Refusal::Standing(Status::Revoked)));
    assert_eq!(outcome(&world, &id), None);
}

#[test]
fn open_proposals_are_bounded_and_the_expired_make_room() {
    let mut world = World::new().governed(None);
    let batch = batch(&world.network, &world.maker.did, world.grant, "many", 20);
    world.enrol(&batch);
    let all = limits::OPEN_PROPOSALS;
    for device in &batch.devices[..all] {
        world.proposes(&person(0), revoke(device.target())).unwrap();
    }
    let refused = world.proposes(&person(1), revoke(batch.devices[all].target()));
    assert!(matches!(refused, Err(Refusal::Limit(_))));
    world.time = world.time.plus_ms(24 * HOUR);
    world.proposes(&person(1), revoke(batch.devices[all].target())).unwrap();
    assert_eq!(world.state.oversight(&world.maker.did).unwrap().open.len(), 1);
}

/// Blocks, snapshot and replay carry proposals as anything else.
#[test]
fn a_ledger_with_proposals_is_read_back_whole() {
    let mut ledger = crate::governed::solo(1);
    let maker = Org::new("maker");
    let batch = ledger.enrol("first", 4);
    let propose = Propose {
        action: Box::new(revoke(batch.devices[0].target())),
        expires: ledger.next_time().plus_ms(HOUR),
        reason: "so".into(),
    };
    let proposed = ledger.sign(maker.did, &maker.operate, Action::Propose(propose));
    let id = proposed.verify().unwrap().proposal();
    let approve = ledger.sign(maker.did, &maker.approve, Action::Approve(Approve { proposal: id }));
    // In one block, where it is proposed and approved in this order, and in no other.
    let backwards = ledger.block(vec![approve.clone(), proposed.clone()]);
    assert!(ledger.chain.extend(&backwards).is_err());
    let open = ledger.block(vec![proposed.clone()]);
    let open = ledger.chain.extend(&open).unwrap().0;
    assert!(matches!(open.state().proposal(&id), Ok(Some(ProposalRecord::Open(_)))));
    let block = ledger.block(vec![proposed, approve]);
    let replayed = ledger.chain.replay(&block).unwrap();
    ledger.commit(&block);
    assert_eq!(replayed.state().root(), ledger.chain.state().root());
    for chain in [open, ledger.chain] {
        let head = chain.head(chain.time()).unwrap();
        let quorum = chain.check(&crate::network::checkpoint(&head, &ledger.validators)).unwrap();
        let bytes = chain.snapshot(&quorum).unwrap().unwrap();
        let snapshot = muster_ledger::Snapshot::parse(&bytes).unwrap();
        let set = &ledger.genesis.validators;
        let (again, _): (Chain, _) =
            snapshot.check(&chain.network(), set, &muster_ledger::Alone).unwrap();
        assert_eq!(again.state().root(), chain.state().root());
    }
}

/// Keys that ever approved, and who was there at the time.
#[derive(Debug, Clone, Copy)]
enum Step {
    Approve(u8),
    Remove(u8),
    Withdraw(u8),
    People(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE;
    prop_oneof![
        6 => who.clone().prop_map(Step::Approve),
        2 => who.clone().prop_map(Step::Remove),
        1 => who.prop_map(Step::Withdraw),
        1 => (1u64..4).prop_map(Step::People),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// In no order of approvals, removals and changes of rules is anything carried out with too few
    /// of those who are there.
    #[test]
    fn never_with_too_few(people in 1u64..4, steps in prop::collection::vec(step(), 1..24)) {
        let (mut world, batch) = world(Some(approval(0, people)));
        let id = world.proposes(&person(0), revoke(Target::Batch(batch.id))).unwrap();
        let (mut asked, mut said, mut gone) = (people, BTreeSet::new(), BTreeSet::new());
        for step in steps {
            let open = outcome(&world, &id).is_none();
            let before = world.state.root();
            match step {
                Step::Approve(who) => {
                    let result = world.approves(&person(who), id);
                    if result.is_ok() {
                        prop_assert!(open && who != 0 && !gone.contains(&who));
                        prop_assert!(said.insert(who), "{who} counts twice");
                    } else {
                        prop_assert_eq!(world.state.root(), before);
                    }
                    if outcome(&world, &id) == Some(Outcome::CarriedOut) && open {
                        let count = said.difference(&gone).count() as u64;
                        prop_assert!(count >= asked, "{count} of {asked}");
                        prop_assert!(!gone.contains(&0), "the proposer had left");
                    }
                }
                Step::Remove(who) => {
                    let (seq, remove) = (world.record().seq, vec![person(who).public_key()]);
                    let change = ChangeKeys { seq, add: vec![], remove };
                    if world.maker_does(Action::ChangeKeys(change)).is_ok() {
                        gone.insert(who);
                    }
                }
                Step::Withdraw(who) => {
                    if world.withdraws(&person(who), id).is_ok() {
                        prop_assert!(open && !gone.contains(&who));
                    }
                }
                Step::People(people) => {
                    let seq = world.record().seq;
                    let rules = Rules { approval: Some(approval(0, people)), ..Rules::DEFAULT };
                    if world.maker_does(Action::ChangeRules(ChangeRules { seq, rules })).is_ok() {
                        asked = people;
                    }
                }
            }
            let done = outcome(&world, &id) == Some(Outcome::CarriedOut);
            prop_assert_eq!(world.status(&batch.devices[0]) == Status::Revoked, done);
        }
    }
}

/// A stranger's key is none of the people's.
#[test]
fn a_stranger_proposes_nothing() {
    let (mut world, batch) = world(None);
    let thief: SecretKey = ed25519("thief");
    let refused = world.proposes(&thief, revoke(Target::Batch(batch.id)));
    assert!(matches!(refused, Err(Refusal::NotAKeyOf { .. })));
}

/// The other signature of the same words: s is replaced by n - s (SEC 1 §4.1.4 takes both).
fn twin(signed: &SignedOperation) -> SignedOperation {
    const N: &[u8; 32] = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
                           \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let mut other = signed.clone();
    let s = other.0.last_chunk_mut::<32>().unwrap();
    let mut borrowed = 0;
    for (digit, n) in s.iter_mut().zip(N).rev() {
        let left = i16::from(*n) - i16::from(*digit) - borrowed;
        (*digit, borrowed) = (left.rem_euclid(256) as u8, i16::from(left < 0));
    }
    other
}

/// Whoever reads the log can write the twin of a P-256 signature, and whoever signs can sign again.
#[test]
fn the_same_words_signed_otherwise_are_the_same_proposal() {
    let (mut world, batch) = world(Some(approval(0, 1)));
    let (maker, key) = (world.maker.did, p256("an operator"));
    let mut record = world.record();
    let capabilities = Capabilities::of(&[Capability::Operate]);
    record.keys.push(OrgKey { key: key.public_key(), capabilities });
    world.set(StateKey::Organisation(maker), &record);
    let propose = Propose {
        action: Box::new(revoke(Target::Batch(batch.id))),
        expires: world.time.plus_ms(HOUR),
        reason: String::new(),
    };
    let signed = world.sign(maker, &key, Action::Propose(propose));
    let twin = twin(&signed);
    assert_ne!(twin.hash(), signed.hash());
    let id = signed.verify().unwrap().proposal();
    assert_eq!(twin.verify().unwrap().proposal(), id, "the twin verifies");
    world.applies(&signed).unwrap();
    assert_eq!(world.applies(&twin), Err(Refusal::ProposalExists(id)));
    world.withdraws(&key, id).unwrap();
    assert_eq!(world.applies(&twin), Err(Refusal::ProposalExists(id)));
    let withdrawn = Err(Refusal::ProposalClosed(Outcome::Withdrawn));
    assert_eq!(world.approves(&person(1), id), withdrawn);
    let of_twin = ProposalId(twin.hash().0);
    assert_eq!(world.approves(&person(1), of_twin), Err(Refusal::UnknownProposal(of_twin)));
}
