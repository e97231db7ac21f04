//! Checkpoints: the note's text, quorum counting, and `cosignature/v1`.

use crate::network::{checkpoint, ed25519, p256, validator_set, validators};
use muster_identity::{Algorithm, SecretKey, Signer, cbor::Decode, cbor::Encode};
use muster_ledger::{Checkpoint, Head, Network, NoteFault, Time, ValidatorSet, cosign, limits};
use zeroize::Zeroizing;

fn head() -> Head {
    Head {
        network: Network([0x11; 32]),
        size: 3,
        log_root: [0x22; 32],
        height: 2,
        time: Time(1_790_000_001_234),
        state_root: [0x33; 32],
        validators: [0x44; 32],
    }
}

/// Made by hand with `sha256sum` and `openssl pkeyutl -sign -rawin`, from the secret key of
/// RFC 8032 §7.1, TEST 1.
const NOTE: &str = "\
muster/1111111111111111111111111111111111111111111111111111111111111111
3
IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=
height 2
time 1790000001234
state MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=
validators REREREREREREREREREREREREREREREREREREREREREQ=
protocol 1

— z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw \
JJw1iAAAAABqsTuBhxX/8GiImganTGaWbi6BtHhYWjlZ7+SS8Lv6ZXB9F6tpIZm0Zkh6wm/zGmgsAd9yK4TE0ygU8u/9AqHTLtFHCA==
";

fn rfc8032() -> SecretKey {
    let hex = b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let bytes = data_encoding::HEXLOWER.decode(hex).unwrap();
    SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new(bytes.try_into().unwrap())).unwrap()
}

#[test]
fn the_note_is_pinned() {
    let made = cosign(&head(), &rfc8032()).unwrap();
    assert_eq!(made.to_note(), NOTE);
    let read = Checkpoint::parse(NOTE).unwrap();
    assert_eq!((read.head(), &read), (&head(), &made));
    let set = ValidatorSet(vec![rfc8032().public_key()]);
    let good = read.verify(&head().network, &set).unwrap();
    assert_eq!((good.head(), good.to_note().as_str()), (&head(), NOTE));
}

#[test]
fn more_than_two_thirds_must_sign() {
    for (n, quorum) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (100, 67)] {
        assert_eq!(validator_set(&validators(n)).quorum(), quorum, "of {n}");
    }
    let (keys, network) = (validators(4), head().network);
    let set = validator_set(&keys);
    for signers in 0..16u32 {
        let mut note = format!("{}\n", head().body());
        let chosen: Vec<_> = (0..4).filter(|i| signers >> i & 1 == 1).collect();
        for i in &chosen {
            note += &cosign(&head(), &keys[*i]).unwrap().to_note()[head().body().len() + 1..];
        }
        if chosen.is_empty() {
            assert!(Checkpoint::parse(&note).is_err());
            continue;
        }
        let verdict = Checkpoint::parse(&note).unwrap().verify(&network, &set);
        match chosen.len() {
            good @ 0..3 => assert_eq!(verdict, Err(NoteFault::Quorum { good, needed: 3 })),
            _ => assert!(verdict.is_ok()),
        }
    }
    // One signer many times, and signers of nothing.
    let again = [ed25519("validator 0"), ed25519("validator 0"), ed25519("validator 0")];
    let verdict = checkpoint(&head(), &again).verify(&network, &set);
    assert_eq!(verdict, Err(NoteFault::Quorum { good: 1, needed: 3 }));
    let verdict = checkpoint(&head(), &keys).verify(&Network([0x12; 32]), &set);
    assert_eq!(verdict, Err(NoteFault::Network));
    // A signature by another key under a validator's name is no signature of its.
    let solo = validator_set(&[rfc8032()]);
    let forged = cosign(&head(), &ed25519("thief")).unwrap().to_note();
    let name = ed25519("thief").public_key().to_multikey();
    let forged = forged.replace(&name, &rfc8032().public_key().to_multikey());
    let verdict = Checkpoint::parse(&forged).unwrap().verify(&network, &solo);
    assert_eq!(verdict, Err(NoteFault::Quorum { good: 0, needed: 1 }));
}

/// C2SP signed-note: signatures by unknown keys are ignored, whatever their kind and length.
#[test]
fn lines_of_others_are_kept_and_ignored() {
    let set = validator_set(&[rfc8032()]);
    let others = [
        // The log's and a witness's line from the example in C2SP tlog-cosignature.
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=",
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==",
        // The least: a key id and one byte.
        "— least AAAAAAA=",
    ];
    let long = format!("— post-quantum {}", data_encoding::BASE64.encode(&[7; 2_432]));
    let twin = cosign(&head(), &p256("witness")).unwrap().to_note();
    let twin = twin.lines().last().unwrap();
    let lines: Vec<&str> = others.into_iter().chain([long.as_str(), twin]).collect();
    let (body, own) = NOTE.split_once("\n\n").unwrap();
    for at in 0..=lines.len() {
        let mut lines = lines.clone();
        lines.insert(at, own.trim_end());
        let note = format!("{body}\n\n{}\n", lines.join("\n"));
        let read = Checkpoint::parse(&note).unwrap();
        assert_eq!(read.to_note(), note);
        assert!(read.verify(&head().network, &set).is_ok());
    }
}

#[test]
fn what_is_not_the_one_text_is_refused() {
    let (body, own) = NOTE.split_once("\n\n").unwrap();
    let with = |from: &str, to: &str| NOTE.replacen(from, to, 1);
    let lines = |lines: &str| format!("{body}\n\n{lines}");
    let name = rfc8032().public_key().to_multikey();
    let bad = [
        String::new(),
        body.into(),
        format!("{body}\n"),
        format!("{body}\n\n"),
        lines(own.trim_end()),
        lines(&format!("{own}\n")),
        format!("\n{NOTE}"),
        with("muster/11", "Muster/11"),
        with("muster/11", "muster/1"),
        with("muster/1111", "muster/111A"),
        with("\n3\n", "\n03\n"),
        with("\n3\n", "\n+3\n"),
        with("\n3\n", "\n3 \n"),
        with("\n3\n", "\n3\r\n"),
        with("\n3\n", "\n18446744073709551616\n"),
        with("IiI=", "IiJ="),
        with("IiI=", "IiI"),
        with("height 2", "height  2"),
        with("height 2\ntime 1790000001234", "time 1790000001234\nheight 2"),
        with("protocol 1\n", "protocol 1\nmore 1\n"),
        with("protocol 1\n", ""),
        with("— z6Mk", "- z6Mk"),
        with("— z6Mk", "—z6Mk"),
        with(&name, ""),
        with(&name, "a+b"),
        with(&name, "a\tb"),
        with(&name, "a\u{a0}b"),
        with("CA==", "CB=="),
        with("CA==", "CA"),
        with("CA==", "CA==CA=="),
        lines("— pieces AAAAAA==AAAAAA==\n"),
        lines("— short AAAAAA==\n"),
        format!("{NOTE}{}", "— least AAAAAAA=\n".repeat(limits::NOTE_BYTES / 16)),
    ];
    for note in bad {
        let found = Checkpoint::parse(&note);
        assert!(matches!(found, Err(NoteFault::Shape(_))), "{note:?} gives {found:?}");
    }
    assert_eq!(Checkpoint::parse(&with("protocol 1", "protocol 2")), Err(NoteFault::Upgrade));
}

#[test]
fn every_altered_byte_is_refused() {
    let set = validator_set(&[rfc8032()]);
    for at in 0..NOTE.len() {
        for bit in 0..8 {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let Ok(read) = Checkpoint::parse(&text) else { continue };
            assert_eq!(read.to_note(), text);
            assert!(read.verify(&head().network, &set).is_err(), "byte {at}, bit {bit}");
        }
    }
}

/// The signer states its time in whole seconds; it may not differ from the head's.
#[test]
fn a_cosignature_of_another_second_does_not_count() {
    let (key, body) = (rfc8032(), head().body());
    let set = validator_set(&[rfc8032()]);
    let (name, raw) = (key.public_key().to_multikey(), key.public_key());
    let id = muster_identity::sha256(&[name.as_bytes(), b"\n\x04", raw.raw()]);
    // Put together by hand, with the seconds that the signer states.
    let verdict = |seconds: u64| {
        let message = format!("cosignature/v1\ntime {seconds}\n{body}");
        let signature = key.sign(message.as_bytes()).unwrap();
        let blob = [&id[..4], &seconds.to_be_bytes(), &signature.0].concat();
        let note = format!("{body}\n— {name} {}\n", data_encoding::BASE64.encode(&blob));
        Checkpoint::parse(&note).unwrap().verify(&head().network, &set)
    };
    assert!(verdict(1_790_000_001).is_ok());
    for seconds in [0, 1_790_000_000, 1_790_000_002, u64::MAX] {
        assert_eq!(verdict(seconds), Err(NoteFault::Quorum { good: 0, needed: 1 }));
    }
}

#[test]
fn a_set_of_validators_has_one_form() {
    let set = validator_set(&validators(3));
    assert_eq!(ValidatorSet::from_cbor(&set.to_cbor()), Ok(set.clone()));
    let backwards = ValidatorSet(set.0.iter().rev().copied().collect());
    let twice = ValidatorSet(vec![set.0[0], set.0[0]]);
    let p256 = ValidatorSet(vec![p256("v").public_key()]);
    for bad in [backwards, twice, p256, ValidatorSet(vec![])] {
        assert!(ValidatorSet::from_cbor(&bad.to_cbor()).is_err(), "{bad:?}");
    }
}

/// Nodes gather the lines of one head from each other, and carry no stranger's.
#[test]
fn cosignatures_are_gathered() {
    let (keys, head) = (validators(4), head());
    let set = validator_set(&keys);
    let mut gathered = cosign(&head, &keys[0]).unwrap();
    for signer in [&keys[1], &keys[1], &ed25519("a stranger"), &keys[2]] {
        gathered.join(&cosign(&head, signer).unwrap());
    }
    // Another head's lines are not of this one.
    gathered.join(&cosign(&Head { size: 4, ..head }, &keys[3]).unwrap());
    let known = gathered.only(&set);
    assert_eq!(known.to_note().lines().filter(|line| line.starts_with('—')).count(), 3);
    assert_eq!(known.signers(&set).len(), 3);
    assert!(known.verify(&head.network, &set).is_ok());
    // A line under a validator's name that it never signed.
    let name = ed25519("a stranger").public_key().to_multikey();
    let note = gathered.to_note().replace(&name, &keys[3].public_key().to_multikey());
    assert_eq!(Checkpoint::parse(&note).unwrap().only(&set).signers(&set).len(), 3);
}

/// Whoever sees checkpoints alone follows a change of the validators by the head that both sets
/// signed.
#[test]
fn a_change_of_validators_is_followed_by_checkpoints_alone() {
    let (old, new) = (validators(4), [ed25519("a"), ed25519("b"), ed25519("c")]);
    let (known, next) = (validator_set(&old), validator_set(&new));
    let head = Head { validators: next.hash(), ..head() };
    let both: Vec<_> = old.into_iter().take(3).chain(new).collect();
    let network = &head.network;
    let handover = |keys: &[SecretKey], next: &ValidatorSet| {
        checkpoint(&head, keys).verify_handover(network, &known, next).map(|q| *q.head())
    };
    assert_eq!(handover(&both, &next), Ok(head));
    assert!(matches!(handover(&both[..3], &next), Err(NoteFault::Quorum { good: 0, .. })));
    assert!(matches!(handover(&both[1..], &next), Err(NoteFault::Quorum { good: 2, needed: 3 })));
    // Another set than the head names.
    assert!(matches!(handover(&both, &known), Err(NoteFault::Shape(_))));
}
