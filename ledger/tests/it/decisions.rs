//! What concerns all: how many organisations it takes, whose approval counts, and that no one of
//! them can stop or lock the others.

use crate::consortium::validator;
use crate::governed::validator_key;
use crate::network::{HOUR, Org, World, ed25519, new_key};
use muster_identity::{Did, Signer};
use muster_ledger::{
    Action, Approve, Capabilities, Capability, ChangeKeys, ChangeRules, ChangeValidators,
    EvidencePolicy, Grant, GrantId, Hold, HoldId, Matter, NextProtocol, Outcome, Power, Refusal,
    Release, Rules, Status, Table, Target, Threshold, UpgradeProtocol, ValidatorSet, View,
    WithdrawGrant, WithdrawProposal,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A grant by the maker.
pub(crate) fn grant(world: &World, organisation: Did) -> Action {
    Action::Grant(Grant {
        seq: world.of(&world.maker.did).seq,
        organisation,
        models: vec![],
        count: 100,
        expires: world.time.plus_ms(1_000 * HOUR),
        evidence: EvidencePolicy::Enroller,
    })
}

pub(crate) fn grant_id(world: &World) -> GrantId {
    Grant::id(&world.network, &world.maker.did, world.of(&world.maker.did).seq)
}

fn rules(world: &World, rules: Rules) -> Action {
    Action::ChangeRules(ChangeRules { seq: world.of(&world.maker.did).seq, rules })
}

fn set(keys: &[muster_identity::SecretKey]) -> ValidatorSet {
    let mut keys: Vec<_> = keys.iter().map(Signer::public_key).collect();
    keys.sort();
    ValidatorSet(keys)
}

fn change_validators(world: &World, validators: ValidatorSet) -> Action {
    Action::ChangeValidators(ChangeValidators { seq: world.of(&world.maker.did).seq, validators })
}

fn hold(target: Target, id: u8) -> Action {
    let (power, until, seen) = (Power::Governance, None, 100);
    let reason = "found unsafe".into();
    Action::Hold(Hold { target, id: HoldId([id; 16]), power, until, seen, reason })
}

/// One act of each matter by the maker.
fn act(world: &World, matter: Matter, target: Target) -> Action {
    let seq = world.of(&world.maker.did).seq;
    match matter {
        Matter::Admit => world.admit("a new one"),
        Matter::Expel => world.expel(Org::new("second").did),
        Matter::Grant => grant(world, Org::new("second").did),
        Matter::Validators => {
            change_validators(world, set(&[validator_key(), validator("second")]))
        }
        Matter::Rules => {
            rules(world, Rules { evidence: EvidencePolicy::Document, ..Rules::DEFAULT })
        }
        Matter::Protocol => {
            let next = Some(NextProtocol { version: 2, height: 1_000_000 });
            Action::UpgradeProtocol(UpgradeProtocol { seq, next })
        }
        Matter::Hold => hold(target, 1),
    }
}

fn five() -> (World, Vec<Org>, Target) {
    let (mut world, orgs) = World::consortium(&["second", "third", "fourth", "fifth"]);
    let batch = crate::network::batch(&world.network, &orgs[0].did, world.grant, "all", 2);
    world.enrol(&batch);
    world.index += 100;
    (world, orgs, Target::Batch(batch.id))
}

#[test]
fn each_matter_takes_as_many_organisations_as_the_table_says() {
    use Threshold::{All, Half, Number, TwoThirds};
    // Of five: more than two thirds are four, more than half are three.
    for (matter, usual) in Matter::ALL.into_iter().zip([4, 4, 3, 4, 4, 4, 3]) {
        let (mut world, orgs, target) = five();
        let action = act(&world, matter, target);
        assert_eq!(action.matter(), Some(matter));
        assert_eq!(world.all_agree_to(&orgs, action).unwrap(), usual, "{matter:?}");
    }
    for (threshold, asked) in [(Number(2), 2), (Half, 3), (TwoThirds, 4), (All, 5), (Number(9), 5)]
    {
        let (mut world, orgs, target) = five();
        let table = Table::DEFAULT.with(Matter::Hold, threshold);
        let change = rules(&world, Rules { table: Some(table), ..Rules::DEFAULT });
        world.all_agree(&orgs, change).unwrap();
        let action = hold(target, 1);
        assert_eq!(world.all_agree_to(&orgs, action).unwrap(), asked, "{threshold}");
    }
    // One suffices where the table says so.
    let (mut world, orgs, target) = five();
    let table = Table::DEFAULT.with(Matter::Hold, Number(1));
    let change = rules(&world, Rules { table: Some(table), ..Rules::DEFAULT });
    world.all_agree(&orgs, change).unwrap();
    world.does(orgs[3].did, &orgs[3].approve, hold(target, 1)).unwrap();
}

impl World {
    /// As `all_agree`, with the key that would act alone.
    fn all_agree_to(&mut self, orgs: &[Org], action: Action) -> Result<usize, Refusal> {
        let key = match action.matter() {
            Some(Matter::Grant | Matter::Hold) => &orgs[0].approve,
            _ => &orgs[0].root,
        };
        let alone = self.does(orgs[0].did, key, action.clone());
        assert!(matches!(alone, Err(Refusal::NeedsApproval(_))), "{alone:?}");
        let id = self.proposes_as(&orgs[0], &orgs[0].approve, action)?;
        for (n, org) in orgs.iter().enumerate().skip(1) {
            self.approves_as(org, id)?;
            if self.fate(&id) == Some(Outcome::CarriedOut) {
                return Ok(n + 1);
            }
        }
        panic!("all approved, and nothing happened");
    }
}

#[test]
fn an_organisation_counts_once_and_none_stops_the_others() {
    let (mut world, orgs, target) = five();
    let id = world.proposes_as(&orgs[0], &orgs[0].root, hold(target, 1)).unwrap();
    let own = |why| Err(Refusal::OwnApproval(why));
    assert_eq!(
        world.approves_as(&orgs[0], id),
        own("the organisation that proposed counts already")
    );
    world.approves_as(&orgs[1], id).unwrap();
    let again = own("this organisation approved the proposal already");
    assert_eq!(world.approves_as(&orgs[1], id), again);
    // Nor by another of its keys.
    let (other, seq) = (ed25519("another"), world.of(&orgs[1].did).seq);
    let key = new_key(&world.network, &orgs[1].did, seq, &other);
    let add = vec![(key, Capabilities::of(&[Capability::Approve]))];
    let change = Action::ChangeKeys(ChangeKeys { seq, add, remove: vec![] });
    world.does(orgs[1].did, &orgs[1].root, change).unwrap();
    let approve = Action::Approve(Approve { proposal: id });
    assert_eq!(world.does(orgs[1].did, &other, approve), again);
    // Without the capability nobody approves; only the proposer's organisation ends it.
    let approve = Action::Approve(Approve { proposal: id });
    let refused = world.does(orgs[2].did, &orgs[2].root, approve);
    assert!(matches!(refused, Err(Refusal::Capability { .. })));
    let withdraw = Action::WithdrawProposal(WithdrawProposal { proposal: id });
    for org in &orgs[1..] {
        let refused = world.does(org.did, &org.approve, withdraw.clone());
        assert_eq!(refused, Err(Refusal::NotOwner(orgs[0].did)), "nobody vetoes");
    }
    let before = world.state.clone();
    world.does(orgs[0].did, &orgs[0].approve, withdraw.clone()).unwrap();
    assert_eq!(world.fate(&id), Some(Outcome::Rejected));
    world.state = before;
    world.does(orgs[0].did, &orgs[0].root, withdraw).unwrap();
    assert_eq!(world.fate(&id), Some(Outcome::Withdrawn));
}

#[test]
fn members_keys_and_rules_are_those_of_the_last_approval() {
    let (mut world, orgs, target) = five();
    let id = world.proposes_as(&orgs[0], &orgs[0].root, hold(target.clone(), 1)).unwrap();
    world.approves_as(&orgs[1], id).unwrap();
    // The second loses the key that approved: it counts no more, and may approve by another.
    let (other, seq) = (ed25519("another"), world.of(&orgs[1].did).seq);
    let key = new_key(&world.network, &orgs[1].did, seq, &other);
    let add = vec![(key, Capabilities::of(&[Capability::Approve]))];
    let remove = vec![orgs[1].approve.public_key()];
    let change = Action::ChangeKeys(ChangeKeys { seq, add, remove });
    world.does(orgs[1].did, &orgs[1].root, change).unwrap();
    world.approves_as(&orgs[2], id).unwrap();
    assert_eq!(world.fate(&id), None, "two of the three that it takes");
    world.does(orgs[1].did, &other, Action::Approve(Approve { proposal: id })).unwrap();
    assert_eq!(world.fate(&id), Some(Outcome::CarriedOut));

    // Who is expelled counts no more, neither among those who approve nor among all.
    let id = world.proposes_as(&orgs[4], &orgs[4].root, hold(target.clone(), 2)).unwrap();
    world.approves_as(&orgs[2], id).unwrap();
    let seq = world.of(&orgs[0].did).seq;
    let expel = Action::Expel(muster_ledger::Expel { seq, organisation: orgs[2].did });
    let expulsion = world.proposes_as(&orgs[0], &orgs[0].root, expel).unwrap();
    world.does(orgs[1].did, &other, Action::Approve(Approve { proposal: expulsion })).unwrap();
    world.approves_as(&orgs[3], expulsion).unwrap();
    world.approves_as(&orgs[4], expulsion).unwrap();
    assert_eq!(world.fate(&expulsion), Some(Outcome::CarriedOut));
    world.approves_as(&orgs[3], id).unwrap();
    assert_eq!(world.fate(&id), None, "two of four");
    let gone = world.approves_as(&orgs[2], id);
    assert!(matches!(gone, Err(Refusal::NotAKeyOf { .. })));
    world.approves_as(&orgs[0], id).unwrap();
    assert_eq!(world.fate(&id), Some(Outcome::CarriedOut));

    // What the expelled one proposed is nobody's proposal any more; what its change counter moved
    // past neither.
    let mut world = five().0;
    let orgs: Vec<Org> = ["maker", "second", "third", "fourth", "fifth"].map(Org::new).into();
    let id = world.proposes_as(&orgs[0], &orgs[0].root, world.admit("a new one")).unwrap();
    world.all_agree(&orgs, grant(&world, orgs[1].did)).unwrap();
    world.approves_as(&orgs[1], id).unwrap();
    world.approves_as(&orgs[2], id).unwrap();
    let stale = world.approves_as(&orgs[3], id);
    assert!(matches!(stale, Err(Refusal::Sequence { .. })), "{stale:?}");
}

#[test]
fn validators_are_keys_that_organisations_added_themselves() {
    let (mut world, orgs) = World::consortium(&["second", "third", "fourth"]);
    let names = ["maker", "second", "third", "fourth"];
    let all = [validator_key(), validator("second"), validator("third"), validator("fourth")];
    // A stranger's key, and one that is for something else.
    for wrong in [|| ed25519("stranger"), || Org::new("second").root] {
        let refused = change_validators(&world, set(&[validator_key(), wrong()]));
        let refused = world.proposes_as(&orgs[0], &orgs[0].root, refused);
        assert_eq!(refused, Err(Refusal::NotAValidator(wrong().public_key())));
    }
    let change = change_validators(&world, set(&all));
    assert_eq!(world.all_agree(&orgs, change).unwrap(), 3);
    assert_eq!(world.state.validators().unwrap(), set(&all));
    assert!(world.of(&orgs[0].did).may(&validator_key().public_key(), Capability::Validator));
    // None of them replaces a validator alone any more, not even its own.
    let alone = change_validators(&world, set(&[ed25519("fresh"), validator("second")]));
    let refused = world.does(orgs[0].did, &orgs[0].root, alone);
    assert!(matches!(refused, Err(Refusal::NotAValidator(_))), "{refused:?}");
    let fewer = change_validators(&world, set(&all[..3]));
    let refused = world.does(orgs[0].did, &orgs[0].root, fewer.clone());
    assert!(matches!(refused, Err(Refusal::NeedsApproval(_))), "{refused:?}");
    // Out and in again, the key stays its organisation's.
    world.all_agree(&orgs, fewer).unwrap();
    let back = change_validators(&world, set(&all));
    world.all_agree(&orgs, back).unwrap();
    // With its organisation a validator leaves.
    let expel = world.expel(orgs[3].did);
    world.all_agree(&orgs, expel).unwrap();
    assert_eq!(world.state.validators().unwrap(), set(&all[..3]), "{names:?}");
    // And one whose organisation took the key back is named no more.
    let (seq, remove) = (world.of(&orgs[2].did).seq, vec![validator("third").public_key()]);
    let change = Action::ChangeKeys(ChangeKeys { seq, add: vec![], remove });
    world.does(orgs[2].did, &orgs[2].root, change).unwrap();
    let named = change_validators(&world, set(&all[1..3]));
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, named);
    assert_eq!(refused, Err(Refusal::NotAValidator(validator("third").public_key())));
}

#[test]
fn who_runs_every_validator_still_replaces_a_lost_one_alone() {
    let (mut world, orgs) = World::consortium(&["second", "third"]);
    let change = change_validators(&world, set(&[ed25519("fresh")]));
    world.does(orgs[0].did, &orgs[0].root, change).unwrap();
    assert_eq!(world.state.validators().unwrap(), set(&[ed25519("fresh")]));
    // Another of the organisations does not, neither with its own nor with new keys.
    let seq = world.of(&orgs[1].did).seq;
    for (key, needs) in [(validator("second"), true), (ed25519("fresher"), false)] {
        let validators = set(&[key]);
        let change = Action::ChangeValidators(ChangeValidators { seq, validators });
        let refused = world.does(orgs[1].did, &orgs[1].root, change);
        let approval = matches!(refused, Err(Refusal::NeedsApproval(_)));
        assert_eq!(approval, needs, "{refused:?}");
        assert!(refused.is_err());
    }
}

#[test]
fn nobody_locks_the_network() {
    use Threshold::{All, Number};
    let (mut world, orgs, _) = five();
    let with = |list: &[(Matter, Threshold)]| {
        let table = list.iter().fold(Table::DEFAULT, |table, (m, t)| table.with(*m, *t));
        Rules { table: Some(table), ..Rules::DEFAULT }
    };
    for threshold in [All, Number(5), Number(9)] {
        let locked = with(&[(Matter::Expel, threshold), (Matter::Rules, threshold)]);
        let change = rules(&world, locked);
        let refused = world.proposes_as(&orgs[0], &orgs[0].root, change);
        assert!(matches!(refused, Err(Refusal::Limit(_))), "{refused:?}");
    }
    // Four of five for both: as soon as one is expelled, that would be all.
    let near = with(&[(Matter::Expel, Number(4)), (Matter::Rules, Number(4))]);
    let change = rules(&world, near);
    world.all_agree(&orgs, change).unwrap();
    let expel = world.expel(orgs[4].did);
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, expel);
    assert!(matches!(refused, Err(Refusal::Limit(_))), "{refused:?}");
    // All for one of the two is a choice that the other undoes.
    let one = with(&[(Matter::Expel, All)]);
    let change = rules(&world, one);
    world.all_agree(&orgs, change).unwrap();
    // An organisation that can approve nothing is not counted on: here two have lost their keys.
    for org in &orgs[3..] {
        let (seq, remove) = (world.of(&org.did).seq, vec![org.approve.public_key()]);
        let change = Action::ChangeKeys(ChangeKeys { seq, add: vec![], remove });
        world.does(org.did, &org.root, change).unwrap();
    }
    let most = with(&[(Matter::Grant, Number(4))]);
    let change = rules(&world, most);
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, change);
    assert!(matches!(refused, Err(Refusal::Limit(_))), "{refused:?}");
}

#[test]
fn a_hold_of_all_is_lifted_by_all() {
    let (mut world, orgs, target) = five();
    world.all_agree(&orgs, hold(target.clone(), 7)).unwrap();
    let Target::Batch(batch) = &target else { unreachable!() };
    let record = world.state.batch(batch).unwrap().unwrap();
    assert_eq!(record.standing.at(world.time), Status::Held);
    let release =
        |seq| Action::Release(Release { target: target.clone(), hold: HoldId([7; 16]), seq });
    let alone = world.does(orgs[0].did, &orgs[0].approve, release(record.seq));
    assert!(matches!(alone, Err(Refusal::NeedsApproval(_))), "{alone:?}");
    // By any three, not only by those who placed it.
    let id = world.proposes_as(&orgs[4], &orgs[4].approve, release(record.seq)).unwrap();
    world.approves_as(&orgs[3], id).unwrap();
    world.approves_as(&orgs[2], id).unwrap();
    let record = world.state.batch(batch).unwrap().unwrap();
    assert_eq!(record.standing.at(world.time), Status::Active);
    // A hold of one's own is nobody's proposal, and neither is its release.
    let own = Hold {
        target: target.clone(),
        id: HoldId([8; 16]),
        power: Power::Owner,
        until: None,
        seen: 1_000,
        reason: "".into(),
    };
    let own = Hold { seen: world.index, ..own };
    world.does(orgs[0].did, &orgs[0].operate, Action::Hold(own)).unwrap();
    let seq = world.state.batch(batch).unwrap().unwrap().seq;
    let release = Release { target, hold: HoldId([8; 16]), seq };
    let refused = world.proposes_as(&orgs[0], &orgs[0].operate, Action::Release(release));
    assert!(matches!(refused, Err(Refusal::Limit(_))), "{refused:?}");
}

#[test]
fn a_grant_ends_by_who_gave_it_or_by_all() {
    for by_all in [false, true] {
        let (mut world, orgs, _) = five();
        let (id, given) = (grant_id(&world), grant(&world, orgs[1].did));
        world.all_agree(&orgs, given).unwrap();
        let withdraw = Action::WithdrawGrant(WithdrawGrant { grant: id });
        let other = world.does(orgs[2].did, &orgs[2].approve, withdraw.clone());
        assert!(matches!(other, Err(Refusal::Grant { .. })), "{other:?}");
        if by_all {
            let proposal = world.proposes_as(&orgs[2], &orgs[2].root, withdraw).unwrap();
            world.approves_as(&orgs[3], proposal).unwrap();
            world.approves_as(&orgs[4], proposal).unwrap();
        } else {
            world.does(orgs[0].did, &orgs[0].approve, withdraw).unwrap();
        }
        assert!(world.state.grant(&id).unwrap().unwrap().withdrawn);
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Approve(usize),
    Expel(usize),
    LoseKey(usize),
    Table(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5usize).prop_map(Step::Approve),
        1 => (1..5usize).prop_map(Step::Expel),
        1 => (1..5usize).prop_map(Step::LoseKey),
        1 => (2..5u64).prop_map(Step::Table),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In no order of approvals, expulsions, lost keys and changed rules is anything done with fewer
    /// organisations than the rules of that moment ask for, of those that are there.
    #[test]
    fn never_with_too_few(steps in prop::collection::vec(step(), 1..16)) {
        let (mut world, orgs, target) = five();
        let id = world.proposes_as(&orgs[0], &orgs[0].root, hold(target.clone(), 9)).unwrap();
        let (mut said, mut gone, mut keyless) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut threshold = Threshold::Half;
        for step in steps {
            let open = world.fate(&id).is_none();
            let present: Vec<Org> = [0, 1, 2, 3, 4]
                .into_iter()
                .filter(|n| !gone.contains(n) && !keyless.contains(n))
                .map(|n| Org::new(["maker", "second", "third", "fourth", "fifth"][n]))
                .collect();
            let enough = |needed: usize| present.len() >= needed;
            let members = 5 - gone.len();
            match step {
                Step::Approve(n) => {
                    let done = world.approves_as(&orgs[n], id).is_ok();
                    if done {
                        prop_assert!(open && n != 0 && !gone.contains(&n) && !keyless.contains(&n));
                        prop_assert!(said.insert(n), "{n} counts twice");
                    }
                }
                Step::Expel(n) if members > 2 && !gone.contains(&n) => {
                    if !enough(members * 2 / 3 + 1) {
                        continue;
                    }
                    let expel = world.expel(orgs[n].did);
                    if world.all_agree(&present, expel).is_ok() {
                        gone.insert(n);
                        said.remove(&n);
                    }
                }
                Step::LoseKey(n) if !gone.contains(&n) => {
                    let (seq, remove) =
                        (world.of(&orgs[n].did).seq, vec![orgs[n].approve.public_key()]);
                    let change = Action::ChangeKeys(ChangeKeys { seq, add: vec![], remove });
                    if world.does(orgs[n].did, &orgs[n].root, change).is_ok() {
                        keyless.insert(n);
                        said.remove(&n);
                    }
                }
                Step::Table(number) if enough(members * 2 / 3 + 1) => {
                    let next = Threshold::Number(number);
                    let table = Some(Table::DEFAULT.with(Matter::Hold, next));
                    let change = rules(&world, Rules { table, ..Rules::DEFAULT });
                    if world.all_agree(&present, change).is_ok() {
                        threshold = next;
                    }
                }
                _ => {}
            }
            if open && world.fate(&id) == Some(Outcome::CarriedOut) {
                let needed = threshold.of(5 - gone.len());
                prop_assert!(said.len() + 1 >= needed, "{said:?} of {needed}");
            }
            let Target::Batch(batch) = &target else { unreachable!() };
            let held = world.state.batch(batch).unwrap().unwrap().standing.at(world.time);
            let done = world.fate(&id) == Some(Outcome::CarriedOut);
            prop_assert_eq!(held == Status::Held, done);
        }
    }
}

/// The words of the table, as it is shown.
#[test]
fn the_table_has_words() {
    let words: BTreeMap<&str, String> =
        Matter::ALL.map(|m| (m.word(), Table::DEFAULT.get(m).to_string())).into();
    assert_eq!(words.len(), 7);
    assert_eq!(words["grant"], "more than half");
    assert_eq!(words["expel"], "more than two thirds");
}
