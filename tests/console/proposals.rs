//! Operations that a server proposes: read again in the browser, compared with what the person
//! asked for, signed there, verified by crate ledger. A tampered one is not signed.

use crate::bench::Bench;
use crate::keys::{ALGORITHMS, run, secret, web_name};
use crate::site::Site;
use data_encoding::HEXLOWER;
use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Did, Inception, PublicKey, Signature, Signer};
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, ChangeKeys, Deactivate, DeviceRef, EvidencePolicy,
    Grant, GrantId, Hold, HoldId, Network, NewKey, Operation, Power, Release, Revoke, RevokeKey,
    SignedOperation, Target, Time, WithdrawGrant,
};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

fn network() -> Network {
    Network([0x5a; 32])
}

fn author() -> Did {
    Did::of(&Inception::from_key(secret(Algorithm::Ed25519, 5).public_key()))
}

fn device() -> Target {
    Target::Device(DeviceRef { did: Did::from_digest([1; 32]), part: None })
}

fn batch() -> Target {
    Target::Batch(BatchId([2; 32]))
}

fn operation(action: Action) -> Operation {
    Operation { network: network(), author: author(), valid_until: Time(NOW + HOUR), action }
}

fn revoke(target: Target, reason: &str) -> Operation {
    operation(Action::Revoke(Revoke { target, reason: reason.into() }))
}

fn grant() -> Grant {
    Grant {
        seq: 4,
        organisation: author(),
        models: vec!["m1".into()],
        count: 10,
        expires: Time(NOW + 9 * HOUR),
        evidence: EvidencePolicy::Document,
    }
}

/// Each with what a person asked for: the action's word, the target and further fields.
fn proposals() -> Vec<(Operation, Value)> {
    let did = Did::from_digest([1; 32]).to_string();
    let other = secret(Algorithm::P256, 8);
    let proof = NewKey::message(&network(), &author(), 3, &other.public_key());
    let proof = other.sign(&proof).expect("a signature");
    let joins = NewKey { key: other.public_key(), proof };
    let can = Capabilities::of(&[Capability::Operate, Capability::Approve]);
    let change = ChangeKeys { seq: 3, add: vec![(joins, can)], remove: vec![] };
    let hold = Hold {
        target: device(),
        id: HoldId([9; 16]),
        power: Power::Owner,
        until: Some(Time(NOW + 2 * HOUR)),
        seen: u64::MAX,
        reason: "lost".into(),
    };
    let release = Release { target: device(), hold: HoldId([9; 16]), seq: 1 << 53 };
    let key = secret(Algorithm::P256, 6).public_key();
    let named = DeviceRef { did: Did::from_digest([1; 32]), part: None };
    let expires = NOW + 9 * HOUR;
    vec![
        (
            revoke(device(), "stolen – véhicule 7"),
            json!({ "kind": "revoke", "target": did, "fields": { "reason": "stolen – véhicule 7" } }),
        ),
        (
            revoke(batch(), ""),
            json!({ "kind": "revoke", "target": "02".repeat(32), "fields": { "reason": "" } }),
        ),
        (
            operation(Action::Deactivate(Deactivate { target: batch() })),
            json!({ "kind": "deactivate", "target": "02".repeat(32) }),
        ),
        (
            operation(Action::Hold(hold)),
            json!({ "kind": "hold", "target": did, "fields": { "power": "owner", "until": NOW + 2 * HOUR, "reason": "lost" } }),
        ),
        (
            operation(Action::Release(release)),
            json!({ "kind": "release", "target": did, "fields": { "hold": "09".repeat(16) } }),
        ),
        (
            operation(Action::RevokeKey(RevokeKey { device: named, key })),
            json!({ "kind": "revoke-key", "target": did, "fields": { "key": key.to_multikey() } }),
        ),
        (
            operation(Action::ChangeKeys(change)),
            json!({ "kind": "change-keys", "fields": { "remove": [],
            "add": [[[other.public_key().to_multikey(), HEXLOWER.encode(&proof.0)], ["operate", "approve"]]] } }),
        ),
        (
            operation(Action::Grant(grant())),
            json!({ "kind": "grant", "fields": { "organisation": author().to_string(), "models": ["m1"],
            "count": 10, "expires": expires, "evidence": "document" } }),
        ),
        (
            operation(Action::WithdrawGrant(WithdrawGrant { grant: GrantId([4; 32]) })),
            json!({ "kind": "withdraw-grant", "fields": { "grant": "04".repeat(32) } }),
        ),
    ]
}

fn wanted(mut intention: Value) -> Value {
    intention["network"] = json!(network().to_string());
    intention["author"] = json!(author().to_string());
    intention["now"] = json!(NOW);
    intention
}

const SIGN: &str = "
    const [file, about, proposal, wanted] = arguments;
    const [key] = (await keys.list()).filter((k) => k.publicKey.algorithm === about.algorithm);
    const signer = key ?? await keys.importPem(file, about);
    const unsigned = bytes.unhex(proposal);
    const signed = await operation.sign(unsigned, wanted, signer);
    const { sentence } = operation.describe(operation.decode(unsigned));
    const { hash, proposal: id } = await operation.verify(signed);
    return [bytes.hex(signed), sentence, hash, id];";

#[test]
fn what_is_signed_in_a_browser_is_what_rust_signs() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    for algorithm in ALGORITHMS {
        let key = secret(algorithm, 5);
        for (operation, intention) in proposals() {
            let unsigned = operation.to_cbor();
            let arguments = [
                json!(*key.to_pem().expect("a file")),
                json!({ "algorithm": web_name(algorithm), "network": "", "organisation": "", "origin": "", "label": "", "role": "" }),
                json!(HEXLOWER.encode(&unsigned)),
                wanted(intention),
            ];
            let answer = run(&browser, SIGN, &arguments).expect("a signature");
            let bytes = HEXLOWER.decode(answer[0].as_str().expect("hex").as_bytes()).expect("hex");
            let signed = SignedOperation(bytes);
            let verified = signed.verify().expect("crate ledger takes it");
            assert_eq!(verified.operation(), &operation);
            assert_eq!(verified.key(), &key.public_key());
            assert_eq!(answer[2], json!(verified.hash().to_string()));
            assert_eq!(answer[3], json!(verified.proposal().to_string()));
            let ours = operation.sign(&key).expect("a signature");
            // The signature of P-256 is random, all before it is not.
            let end =
                if algorithm == Algorithm::Ed25519 { ours.0.len() } else { ours.0.len() - 64 };
            assert_eq!(signed.0[..end], ours.0[..end]);
            if operation == revoke(batch(), "") {
                assert_eq!(
                    answer[1],
                    json!(format!(
                        "Revoke for good: every device of batch {}. No reason is given. Valid until 2027-01-15T09:00:00Z.",
                        "02".repeat(32)
                    ))
                );
            }
        }
    }
}

#[test]
fn a_tampered_proposal_is_not_signed() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let did = Did::from_digest([1; 32]);
    let asked =
        json!({ "kind": "revoke", "target": did.to_string(), "fields": { "reason": "stolen" } });
    let good = revoke(device(), "stolen");
    let key = secret(Algorithm::Ed25519, 5);
    let sign = |proposal: &[u8], asked: &Value| {
        let about = json!({ "algorithm": "Ed25519", "network": "", "organisation": "", "origin": "", "label": "", "role": "" });
        let pem = json!(*key.to_pem().expect("a file"));
        run(&browser, SIGN, &[pem, about, json!(HEXLOWER.encode(proposal)), wanted(asked.clone())])
    };
    assert!(sign(&good.to_cbor(), &asked).is_ok());
    let another = Target::Device(DeviceRef { did: Did::from_digest([3; 32]), part: None });
    let tampered = [
        ("another device", revoke(another, "stolen"), "target"),
        ("a whole batch", revoke(batch(), "stolen"), "target"),
        ("another reason", revoke(device(), "stolen."), "reason"),
        (
            "another action",
            operation(Action::Deactivate(Deactivate { target: device() })),
            "action",
        ),
        ("another network", Operation { network: Network([0x5b; 32]), ..good.clone() }, "network"),
        ("another author", Operation { author: did, ..good.clone() }, "author"),
        ("two days", Operation { valid_until: Time(NOW + 48 * HOUR), ..good.clone() }, "24 hours"),
        ("the past", Operation { valid_until: Time(NOW), ..good.clone() }, "over"),
        ("a grant", operation(Action::Grant(grant())), "action"),
    ];
    for (what, operation, words) in tampered {
        let fault = sign(&operation.to_cbor(), &asked).expect_err(what);
        assert!(fault.contains("Not signed") && fault.contains(words), "{what}: {fault}");
    }
    // More capabilities for a key than the person gave it, or one key more.
    let change = |add: &[(u8, Capability)]| {
        let joins = |(byte, capability): &(u8, Capability)| {
            let key = secret(Algorithm::Ed25519, *byte);
            let message = NewKey::message(&network(), &author(), 3, &key.public_key());
            let proof = key.sign(&message).expect("a signature");
            (NewKey { key: key.public_key(), proof }, Capabilities::of(&[*capability]))
        };
        let add = add.iter().map(joins).collect();
        operation(Action::ChangeKeys(ChangeKeys { seq: 3, add, remove: vec![] }))
    };
    let fields = |operation: &Operation| {
        let Action::ChangeKeys(change) = &operation.action else { unreachable!() };
        let of = |(new, can): &(NewKey, Capabilities)| {
            let proof: &Signature = &new.proof;
            json!([
                [new.key.to_multikey(), HEXLOWER.encode(&proof.0)],
                can.words().collect::<Vec<_>>()
            ])
        };
        json!({ "kind": "change-keys", "fields": { "remove": [], "add": change.add.iter().map(of).collect::<Vec<_>>() } })
    };
    let honest = change(&[(1, Capability::Operate)]);
    let asked = fields(&honest);
    assert!(sign(&honest.to_cbor(), &asked).is_ok());
    for add in [&[(1, Capability::Root)][..], &[(1, Capability::Operate), (2, Capability::Root)]] {
        assert!(sign(&change(add).to_cbor(), &asked).is_err_and(|fault| fault.contains("add")));
    }
    // Bytes that are not the one encoding of anything, however small the change.
    let bytes = good.to_cbor();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let asked = json!({ "kind": "revoke", "target": did.to_string(), "fields": { "reason": "stolen" } });
        let signed = sign(&altered, &asked);
        // The last bit of a time of today is the only thing that nobody asked for.
        let time = bytes.windows(8).position(|w| w == (NOW + HOUR).to_be_bytes()).expect("a time");
        if !(time + 4..time + 8).contains(&at) {
            assert!(signed.is_err(), "byte {at}");
        }
    }
}

/// A new key's own word that it wants to join, as crate ledger checks it.
#[test]
fn a_new_key_says_that_it_joins() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    for algorithm in ALGORITHMS {
        let answer = run(
            &browser,
            "const key = await keys.make({ network: '', organisation: '', origin: '', label: '', role: '' }, arguments[0]);
             return operation.newKey(arguments[1], arguments[2], 7, key);",
            &[json!(web_name(algorithm)), json!(network().to_string()), json!(author().to_string())],
        );
        let answer = answer.expect("a key and its proof");
        let key = PublicKey::from_multikey(answer[0].as_str().expect("a Multikey")).expect("a key");
        let proof = HEXLOWER.decode(answer[1].as_str().expect("hex").as_bytes()).expect("hex");
        let proof = Signature(proof.try_into().expect("64 bytes"));
        let message = NewKey::message(&network(), &author(), 7, &key);
        assert_eq!(key.verify(&message, &proof), Ok(()));
    }
}

/// A reason is somebody's own text. It must not make a sentence read as another.
#[test]
fn a_reason_cannot_turn_a_sentence_round() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let said = |reason: &str| {
        let unsigned = HEXLOWER.encode(&revoke(batch(), reason).to_cbor());
        let body = "return operation.describe(operation.decode(bytes.unhex(arguments[0])));";
        run(&browser, body, &[json!(unsigned)]).expect("words").to_string()
    };
    let words = said("lost\u{202e}dnuof\u{2069}<b>");
    assert!(words.contains("Reason: lost⟨U+202E⟩dnuof⟨U+2069⟩<b>."), "{words}");
    assert!(!words.contains('\u{202e}') && !words.contains("\\u202e"), "{words}");
    assert!(said("véhicule 7 – مركبة").contains("Reason: véhicule 7 – مركبة."));
}
