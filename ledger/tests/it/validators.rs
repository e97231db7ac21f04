//! The validators of a network that one organisation runs: changed by its root key alone.

use crate::chained::Ledger;
use crate::governed::solo;
use crate::network::{Org, checkpoint, ed25519, p256, validator_set, validators};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    Action, Capability, ChainFault, ChangeKeys, ChangeValidators, NoteFault, Refusal,
    SignedOperation, View,
};

fn change(ledger: &Ledger, key: &SecretKey, seq: u64, next: &[SecretKey]) -> SignedOperation {
    let change = ChangeValidators { seq, validators: validator_set(next) };
    ledger.sign(Org::new("maker").did, key, Action::ChangeValidators(change))
}

fn refusal(ledger: &Ledger, signed: &SignedOperation) -> Refusal {
    let verified = signed.verify().unwrap();
    ledger.chain.try_apply(&verified, ledger.next_time()).unwrap_err()
}

#[test]
fn the_root_key_replaces_the_validator_and_the_new_one_signs() {
    let mut ledger = solo(1);
    let maker = Org::new("maker");
    ledger.enrol("a", 2);
    let old = validators(1).remove(0);
    let new = ed25519("next validator");
    let signed = change(&ledger, &maker.root, 1, std::slice::from_ref(&new));
    ledger.commit(&ledger.block(vec![signed]));

    let head = ledger.chain.head(ledger.chain.time()).unwrap();
    assert_eq!(head.validators, validator_set(std::slice::from_ref(&new)).hash());
    let by = |key: &SecretKey| ledger.chain.check(&checkpoint(&head, std::slice::from_ref(key)));
    assert!(by(&new).is_ok());
    let quorum = NoteFault::Quorum { good: 0, needed: 1 };
    assert_eq!(by(&old), Err(ChainFault::Checkpoint(quorum)));

    // The old key is no key of the organisation any more, the new one is, for this alone.
    let record = ledger.chain.state().organisation(&maker.did).unwrap().unwrap();
    assert_eq!(record.seq, 2);
    assert!(record.keys.iter().all(|k| k.key != old.public_key()));
    assert!(record.may(&new.public_key(), Capability::Validator));
    assert!(!record.may(&new.public_key(), Capability::Root));

    // It never returns: not as a validator, not as another key.
    let back = change(&ledger, &maker.root, 2, std::slice::from_ref(&old));
    assert_eq!(refusal(&ledger, &back), Refusal::KeyUsed(old.public_key()));

    // What was enrolled before is proved under the new validator, and by nobody else.
    ledger.validators = vec![new];
    let receipt = ledger.prove(0, 1);
    let network = ledger.chain.network();
    let present = ledger.chain.state().validators().unwrap();
    assert!(receipt.verify(&network, &present).is_ok());
    assert!(receipt.verify(&network, &ledger.genesis.validators).is_err());
}

#[test]
fn nobody_else_changes_validators() {
    let ledger = solo(1);
    let maker = Org::new("maker");
    let new = [ed25519("next validator")];
    let validator = validators(1).remove(0);
    for key in [&maker.enrol, &maker.operate, &maker.approve, &maker.gateway, &validator] {
        let refused = refusal(&ledger, &change(&ledger, key, 1, &new));
        assert_eq!(refused, Refusal::Capability { key: key.public_key(), needs: "root" });
    }
    let stale = refusal(&ledger, &change(&ledger, &maker.root, 0, &new));
    assert_eq!(stale, Refusal::Sequence { found: 1, signed: 0 });
    let same = refusal(&ledger, &change(&ledger, &maker.root, 1, &validators(1)));
    assert_eq!(same, Refusal::Limit("these are the validators already"));
    // A key that does something else already is not taken for this too.
    let used = refusal(&ledger, &change(&ledger, &maker.root, 1, &[ed25519("maker enrol")]));
    assert_eq!(used, Refusal::KeyUsed(maker.enrol.public_key()));
    // Where a validator is of nobody here, no organisation alone replaces it.
    let several = Ledger::new(4);
    let refused = refusal(&several, &change(&several, &maker.root, 1, &new));
    assert_eq!(refused, Refusal::Limit("the validators are not all of this organisation"));
    // Several that are all its own may become one, and one several.
    let mut own = solo(4);
    own.commit(&own.block(vec![change(&own, &maker.root, 1, &new)]));
    own.commit(&own.block(vec![change(&own, &maker.root, 2, &validators_of(&new))]));
    assert_eq!(own.chain.state().validators().unwrap().0.len(), 3);
}

fn validators_of(first: &[SecretKey; 1]) -> Vec<SecretKey> {
    let mut all = vec![ed25519("second"), ed25519("third"), ed25519("next validator")];
    assert_eq!(all[2].public_key(), first[0].public_key());
    all.sort_by_key(Signer::public_key);
    all
}

#[test]
fn what_has_the_form_of_no_validators_is_no_operation() {
    let ledger = solo(1);
    let maker = Org::new("maker");
    let two = [ed25519("x"), ed25519("y")];
    let mut unordered = two;
    unordered.sort_by_key(|key| std::cmp::Reverse(key.public_key()));
    for bad in [&[][..], &unordered[..], &[p256("a validator")]] {
        let change = ChangeValidators { seq: 1, validators: validator_set(bad) };
        let bytes = Action::ChangeValidators(change).to_cbor();
        assert!(Action::from_cbor(&bytes).is_err());
    }
    // Taking the validator's key out of the organisation changes no validator.
    let key = validators(1).remove(0).public_key();
    let leave = ChangeKeys { seq: 1, add: vec![], remove: vec![key] };
    let mut ledger = ledger;
    let signed = ledger.sign(maker.did, &maker.root, Action::ChangeKeys(leave));
    ledger.commit(&ledger.block(vec![signed]));
    assert_eq!(ledger.chain.state().validators().unwrap(), ledger.genesis.validators);
    // And it can still be replaced.
    let signed = change(&ledger, &maker.root, 2, &[ed25519("next validator")]);
    ledger.commit(&ledger.block(vec![signed]));
}
