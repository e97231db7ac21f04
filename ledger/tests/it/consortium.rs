//! Several organisations on one ledger: how they come, what they decide together, how they go.

use crate::governed::solo_world;
use crate::network::{Org, World, ed25519, genesis, new_key};
use muster_identity::{Did, Inception, SecretKey, Signer};
use muster_ledger::{
    Action, Admission, Admit, Approve, Capabilities, Capability, Changes, Expel, Network,
    OrganisationRecord, Outcome, ProposalId, ProposalRecord, Propose, Refusal, View,
};

/// The request of an organisation with a key for each capability and a validator.
pub(crate) fn admission(network: &Network, name: &str) -> Admission {
    let org = Org::new(name);
    let keys = [
        (&org.root as &dyn Signer, Capability::Root),
        (&org.enrol, Capability::Enrol),
        (&org.operate, Capability::Operate),
        (&org.approve, Capability::Approve),
        (&validator(name), Capability::Validator),
    ];
    let keys = keys.map(|(key, may)| {
        let public = key.public_key();
        let message = muster_ledger::NewKey::message(network, &org.did, Admission::SEQ, &public);
        let new = muster_ledger::NewKey { key: public, proof: key.sign(&message).unwrap() };
        (new, Capabilities::of(&[may]))
    });
    let inception = Inception::from_key(org.root.public_key());
    Admission::sign(network, inception, name.into(), keys.to_vec(), &org.root).unwrap()
}

pub(crate) fn validator(name: &str) -> SecretKey {
    ed25519(&format!("{name} validator"))
}

impl World {
    /// A network that the maker began alone, and these organisations joined, one after the other.
    pub(crate) fn consortium(names: &[&str]) -> (Self, Vec<Org>) {
        let mut world = solo_world();
        let mut orgs = vec![Org::new("maker")];
        for name in names {
            let admit = world.admit(name);
            world.all_agree(&orgs, admit).unwrap();
            orgs.push(Org::new(name));
        }
        (world, orgs)
    }

    pub(crate) fn of(&self, did: &Did) -> OrganisationRecord {
        self.state.organisation(did).unwrap().unwrap()
    }

    /// The maker's admission of an organisation.
    pub(crate) fn admit(&self, name: &str) -> Action {
        let (seq, admission) = (self.of(&self.maker.did).seq, admission(&self.network, name));
        Action::Admit(Admit { seq, admission })
    }

    /// The maker's expulsion of an organisation.
    pub(crate) fn expel(&self, organisation: Did) -> Action {
        Action::Expel(Expel { seq: self.of(&self.maker.did).seq, organisation })
    }

    pub(crate) fn proposes_as(
        &mut self,
        org: &Org,
        key: &SecretKey,
        action: Action,
    ) -> Result<ProposalId, Refusal> {
        let expires = self.time.plus_ms(24 * crate::network::HOUR);
        let propose = Propose { action: Box::new(action), expires, reason: "for all".into() };
        let signed = self.sign(org.did, key, Action::Propose(propose));
        self.applies(&signed).map(|_| signed.verify().unwrap().proposal())
    }

    pub(crate) fn approves_as(&mut self, org: &Org, id: ProposalId) -> Result<Changes, Refusal> {
        self.does(org.did, &org.approve, Action::Approve(Approve { proposal: id }))
    }

    pub(crate) fn fate(&self, id: &ProposalId) -> Option<Outcome> {
        match self.state.proposal(id).unwrap().unwrap() {
            ProposalRecord::Closed(outcome) => Some(outcome),
            ProposalRecord::Open(_) => None,
        }
    }

    /// The first proposes, or acts if that suffices; the others approve until it is done. Says how
    /// many organisations that took.
    pub(crate) fn all_agree(&mut self, orgs: &[Org], action: Action) -> Result<usize, Refusal> {
        let first = &orgs[0];
        match self.does(first.did, &first.root, action.clone()) {
            Err(Refusal::NeedsApproval(_) | Refusal::Capability { .. }) => {}
            result => return result.map(|_| 1),
        }
        let id = self.proposes_as(first, &first.root, action)?;
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
fn an_organisation_signs_its_own_admission() {
    let network = genesis(1).network();
    let good = admission(&network, "second");
    assert!(good.verify(&network).is_ok());
    // Nobody admits a stranger under another name, with another power, or without one of his keys.
    let changed: [&dyn Fn(&mut Admission); 4] = [
        &|a| a.label = "Other".into(),
        &|a| a.keys[1].1 = Capabilities::of(&[Capability::Root]),
        &|a| a.keys.truncate(4),
        &|a| a.inception = Inception::from_key(ed25519("thief").public_key()),
    ];
    for change in changed {
        let mut admission = good.clone();
        change(&mut admission);
        assert!(admission.verify(&network).is_err());
        let mut world = solo_world();
        let admit = Action::Admit(Admit { seq: world.of(&world.maker.did).seq, admission });
        let signed = world.sign(world.maker.did, &Org::new("maker").root, admit);
        assert!(signed.verify().is_err(), "refused before any state is asked");
        world.time = world.time.plus_ms(1);
    }
    // Nor on another network.
    let mut other = genesis(1);
    other.nonce = [1; 16];
    assert!(good.verify(&other.network()).is_err());
    // A key that did not agree to this organisation.
    let mut lent = good.clone();
    let key = new_key(&network, &Org::new("maker").did, Admission::SEQ, &ed25519("lent"));
    lent.keys.push((key, Capabilities::of(&[Capability::Operate])));
    let root = Org::new("second").root;
    let lent = Admission::sign(&network, lent.inception, lent.label, lent.keys, &root).unwrap();
    assert!(lent.verify(&network).is_err());
}

#[test]
fn it_begins_with_keys_enough() {
    let mut world = solo_world();
    let network = world.network;
    let root = Org::new("second").root;
    let good = admission(&network, "second");
    let mut refused = |keys: Vec<_>| {
        let admission =
            Admission::sign(&network, good.inception.clone(), "Second".into(), keys, &root);
        let seq = world.of(&world.maker.did).seq;
        world.maker_does(Action::Admit(Admit { seq, admission: admission.unwrap() })).unwrap_err()
    };
    let [root_key, enrol, _, approve, _] = good.keys[..] else { unreachable!() };
    assert_eq!(refused(vec![enrol, approve]), Refusal::NoRootKey);
    let both = Capabilities::of(&[Capability::Root, Capability::Approve]);
    assert!(matches!(refused(vec![(root_key.0, both)]), Refusal::Limit(_)), "a second key");
    assert!(matches!(refused(vec![root_key, enrol]), Refusal::Limit(_)), "one that approves");
    let operate = Capabilities::of(&[Capability::Operate]);
    let twice = refused(vec![root_key, approve, (approve.0, operate)]);
    assert_eq!(twice, Refusal::KeyUsed(approve.0.key));
    // A key of another organisation.
    let used = Org::new("maker").operate;
    let did = Org::new("second").did;
    let used_key = new_key(&network, &did, Admission::SEQ, &used);
    assert_eq!(
        refused(vec![root_key, approve, (used_key, operate)]),
        Refusal::KeyUsed(used.public_key())
    );
    let admit = world.admit("second");
    world.maker_does(admit).unwrap();
    let second = world.of(&did);
    assert_eq!((second.label.as_str(), second.seq, second.keys.len()), ("second", 0, 5));
    assert_eq!(world.state.members().unwrap().0.len(), 2);
    // It is there, and comes once.
    let again = world.admit("second");
    let id = world.proposes_as(&Org::new("maker"), &Org::new("maker").root, again);
    assert!(matches!(id, Err(Refusal::Organisation { .. })));
}

#[test]
fn one_that_governs_alone_admits_by_its_root_key_and_only_if_it_runs_the_network() {
    let mut world = solo_world();
    let maker = Org::new("maker");
    let admit = world.admit("second");
    for key in [&maker.approve, &maker.operate, &maker.enrol] {
        let refused = world.does(maker.did, key, admit.clone());
        assert_eq!(refused, Err(Refusal::Capability { key: key.public_key(), needs: "root" }));
    }
    let mut not_alone = World::new();
    let admit = not_alone.admit("second");
    let refused = not_alone.does(maker.did, &maker.root, admit);
    assert_eq!(refused, Err(Refusal::Limit("the validators are not all of this organisation")));
}

#[test]
fn who_is_expelled_is_out_and_what_it_owns_stays() {
    let (mut world, orgs) = World::consortium(&["second", "third", "fourth"]);
    let second = Org::new("second");
    let grant = crate::decisions::grant(&world, second.did);
    let id = crate::decisions::grant_id(&world);
    world.all_agree(&orgs, grant).unwrap();
    let batch = crate::network::batch(&world.network, &second.did, id, "its own", 2);
    world.does(second.did, &second.enrol, Action::Enrol(batch.enrol.clone())).unwrap();
    let state = world.state.clone();
    let expel = world.expel(second.did);
    let without: Vec<Org> = ["maker", "third", "fourth"].map(Org::new).into();
    assert_eq!(world.all_agree(&without, expel).unwrap(), 3, "against its will");
    let record = world.of(&second.did);
    assert!(record.keys.is_empty() && !record.is_admitted());
    assert!(!world.state.members().unwrap().contains(&second.did));
    assert_eq!(
        world.state.batch(&batch.id),
        state.batch(&batch.id),
        "its devices are as they were"
    );
    // None of its keys does anything any more.
    let more = crate::network::batch(&world.network, &second.did, id, "more", 2);
    for (key, action) in [
        (&second.enrol, Action::Enrol(more.enrol)),
        (&second.root, world.admit("fifth")),
        (
            &second.operate,
            Action::Deactivate(muster_ledger::Deactivate {
                target: muster_ledger::Target::Batch(batch.id),
            }),
        ),
    ] {
        let refused = world.does(second.did, key, action);
        assert!(matches!(refused, Err(Refusal::NotAKeyOf { .. })), "{refused:?}");
    }
    // No grant is for it, and it never comes back under this DID, nor its keys under another.
    let grant = crate::decisions::grant(&world, second.did);
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, grant);
    assert_eq!(refused, Err(Refusal::UnknownAuthor(second.did)));
    let again = world.admit("second");
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, again);
    assert!(matches!(refused, Err(Refusal::Organisation { .. })));
    assert!(
        world.state.record(&muster_ledger::StateKey::of_key(&second.root.public_key())).is_some()
    );
}

#[test]
fn the_last_validators_are_not_expelled_with_their_organisation() {
    let (mut world, orgs) = World::consortium(&["second"]);
    // The maker has the only validator.
    let seq = world.of(&orgs[1].did).seq;
    let expel = Action::Expel(Expel { seq, organisation: orgs[0].did });
    let refused = world.proposes_as(&orgs[1], &orgs[1].root, expel.clone());
    assert!(matches!(refused, Err(Refusal::Organisation { .. })), "{refused:?}");
    // A stranger is expelled from nowhere, and the only one neither.
    let stranger = world.expel(Org::new("stranger").did);
    let refused = world.proposes_as(&orgs[0], &orgs[0].root, stranger);
    assert!(matches!(refused, Err(Refusal::Organisation { .. })));
    let both: Vec<Org> = ["maker", "second"].map(Org::new).into();
    let expel = world.expel(orgs[1].did);
    assert_eq!(world.all_agree(&both, expel).unwrap(), 2, "of two both must agree");
    let own = world.expel(orgs[0].did);
    assert!(matches!(world.maker_does(own), Err(Refusal::Organisation { .. })));
    // And then it governs alone again.
    let admit = world.admit("third");
    world.maker_does(admit).unwrap();
}

#[test]
fn an_organisation_may_propose_to_leave() {
    let (mut world, orgs) = World::consortium(&["second", "third"]);
    let seq = world.of(&orgs[1].did).seq;
    let leave = Action::Expel(Expel { seq, organisation: orgs[1].did });
    let id = world.proposes_as(&orgs[1], &orgs[1].root, leave).unwrap();
    world.approves_as(&orgs[0], id).unwrap();
    world.approves_as(&orgs[2], id).unwrap();
    assert_eq!(world.fate(&id), Some(Outcome::CarriedOut));
    let record = world.of(&orgs[1].did);
    assert!(record.keys.is_empty() && record.seq == seq + 1);
    assert_eq!(world.state.members().unwrap().0.len(), 2);
}
