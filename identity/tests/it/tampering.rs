//! Any altered byte of a token is refused.

use crate::inputs::secret;
use muster_identity::{
    Acknowledgement, Algorithm, Did, Error, Freshness, Holder, Inception, Invite, InviteTerms,
    Login, LoginTerms, Mode, Presentation, Registered, Registration, Report, Role, Signer,
    Statement, acknowledge, invite, log_in, present, register,
};
use proptest::prelude::*;

fn token(algorithm: Algorithm, audience: &str, freshness: &Freshness, jti: [u8; 16]) -> String {
    let key = secret(algorithm);
    let did = Did::of(&Inception::from_key(key.public_key()));
    present(&did, &audience.parse().unwrap(), freshness, &jti, &key).unwrap()
}

fn passes(algorithm: Algorithm, token: &str) -> bool {
    let key = secret(algorithm).public_key();
    Presentation::parse(token).is_ok_and(|p| {
        let passes = p.verify_signature(&key).is_ok();
        // By the DID alone it is the same.
        assert_eq!(p.verify_own_signature().is_ok_and(|own| own == key), passes);
        passes
    })
}

/// Whoever signs with a key of which the DID is not the hash is not the DID's own.
#[test]
fn a_key_of_ones_own_choice_is_not_the_dids_own() {
    let freshness = Freshness::Window { iat: 1_800_000_000, exp: 1_800_000_060 };
    for (theirs, mine) in
        [(Algorithm::Ed25519, Algorithm::P256), (Algorithm::P256, Algorithm::Ed25519)]
    {
        let did = Did::of(&Inception::from_key(secret(theirs).public_key()));
        let key = secret(mine);
        let audience = "gateway.example".parse().unwrap();
        let token = present(&did, &audience, &freshness, &[7; 16], &key).unwrap();
        let read = Presentation::parse(&token).unwrap();
        assert_eq!(read.verify_signature(&key.public_key()), Ok(()));
        assert!(!read.names_own_key());
        assert_eq!(read.verify_own_signature(), Err(Error::OtherKey));
        // Nor is the first key of an inception that says more.
        let more = Inception { next_key: Some([1; 32]), ..Inception::from_key(key.public_key()) };
        let token = present(&Did::of(&more), &audience, &freshness, &[7; 16], &key).unwrap();
        assert!(!Presentation::parse(&token).unwrap().names_own_key());
    }
}

/// Exhaustive for one token of each algorithm: every bit of every byte that leaves it ASCII.
#[test]
fn every_flipped_bit() {
    let freshness = Freshness::Window { iat: 1_800_000_000, exp: 1_800_000_060 };
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let good = token(algorithm, "gateway.example", &freshness, [7; 16]);
        assert!(passes(algorithm, &good));
        for at in 0..good.len() {
            for bit in 0..7 {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let bad = String::from_utf8(bytes).unwrap();
                assert!(!passes(algorithm, &bad), "byte {at}, bit {bit}: {bad}");
            }
        }
    }
}

fn flip_each_bit(good: &str, passes: impl Fn(&str) -> bool) {
    assert!(passes(good));
    for at in 0..good.len() {
        for bit in 0..7 {
            let mut bytes = good.to_owned().into_bytes();
            bytes[at] ^= 1 << bit;
            assert!(!passes(&String::from_utf8(bytes).unwrap()), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_gateways_words() {
    let key = secret(Algorithm::Ed25519);
    let public = key.public_key();
    let did = Did::of(&Inception::from_key(public));
    let report =
        Report { refused: vec![("held".into(), 2)], seen: vec![(did, 9)], ..Report::default() };
    let statement = Statement {
        size: 7,
        log_root: [5; 32],
        height: 6,
        checkpoint: 1,
        adopted: 2,
        made: 3,
        mode: Mode::Live,
        report: Some(report),
    };
    let said = acknowledge(&did, &statement, &key).unwrap();
    let heard = |token: &str| {
        Acknowledgement::parse(token).is_ok_and(|a| a.verify_signature(&public).is_ok())
    };
    let holder = Some(Holder { key: public, site: "Lyon".into() });
    let registered = register(&did, &Registered { gateway: "g".into(), holder, made: 4 }, &key);
    let known =
        |token: &str| Registration::parse(token).is_ok_and(|r| r.verify_signature(&public).is_ok());
    flip_each_bit(&said, heard);
    flip_each_bit(&registered.unwrap(), known);
    // What no node would take is not signed.
    let backwards = Statement { adopted: 4, ..statement.clone() };
    assert!(acknowledge(&did, &backwards, &key).is_err());
    let unnamed = Registered { gateway: String::new(), holder: None, made: 4 };
    assert!(register(&did, &unnamed, &key).is_err());
}

#[test]
fn every_flipped_bit_of_a_persons_words() {
    let key = secret(Algorithm::Ed25519);
    let public = key.public_key();
    let did = Did::of(&Inception::from_key(public));
    let terms = LoginTerms {
        audience: "https://c.example".parse().unwrap(),
        nonce: "n".into(),
        iat: 1,
        exp: 61,
        jti: "j".into(),
        network: [5; 32],
    };
    let known =
        |token: &str| Login::parse(token).is_ok_and(|l| l.verify_signature(&public).is_ok());
    flip_each_bit(&log_in(&did, &terms, &key).unwrap(), known);
    let invited = InviteTerms {
        network: [5; 32],
        jti: "j".into(),
        iat: 1,
        exp: 2,
        role: Role::Admin,
        name: "Zoë".into(),
        secret_hash: [6; 32],
    };
    let admitted =
        |token: &str| Invite::parse(token).is_ok_and(|i| i.verify_signature(&public).is_ok());
    flip_each_bit(&invite(&did, &invited, &key).unwrap(), admitted);
    // What no console would take is not signed.
    for bad in [
        LoginTerms { exp: 62, ..terms.clone() },
        LoginTerms { nonce: String::new(), ..terms.clone() },
        LoginTerms { jti: "j\"".into(), ..terms },
    ] {
        assert!(log_in(&did, &bad, &key).is_err());
    }
    for bad in [
        InviteTerms { exp: 1, ..invited.clone() },
        InviteTerms { name: "a\"b".into(), ..invited.clone() },
        InviteTerms { jti: "j ".into(), ..invited },
    ] {
        assert!(invite(&did, &bad, &key).is_err());
    }
}

fn freshness() -> impl Strategy<Value = Freshness> {
    prop_oneof![
        (0..=u64::MAX - 60, 1..=60u64)
            .prop_map(|(iat, life)| Freshness::Window { iat, exp: iat + life }),
        "[A-Za-z0-9_-]{1,64}".prop_map(Freshness::Nonce),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn round_trip_and_alteration(
        p256: bool,
        audience in "[!#-\\[\\]-~]{1,255}",
        freshness in freshness(),
        jti: [u8; 16],
        at: prop::sample::Index,
        with in 0u8..=0x7f,
    ) {
        let algorithm = if p256 { Algorithm::P256 } else { Algorithm::Ed25519 };
        let good = token(algorithm, &audience, &freshness, jti);
        let read = Presentation::parse(&good).unwrap();
        prop_assert_eq!(read.audience().as_str(), audience);
        prop_assert_eq!(read.freshness(), &freshness);
        prop_assert!(passes(algorithm, &good));

        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        if bytes[at] != with {
            bytes[at] = with;
            prop_assert!(!passes(algorithm, &String::from_utf8(bytes).unwrap()));
        }
        let mut bytes = good.clone().into_bytes();
        bytes.remove(at);
        prop_assert!(!passes(algorithm, &String::from_utf8(bytes).unwrap()));
        let mut bytes = good.into_bytes();
        bytes.insert(at, with);
        prop_assert!(!passes(algorithm, &String::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = Presentation::parse(&text);
        let _ = Acknowledgement::parse(&text);
        let _ = Registration::parse(&text);
        let _ = Login::parse(&text);
        let _ = Invite::parse(&text);
    }

    #[test]
    fn parsing_any_header_and_payload_never_panics(header: String, payload: String) {
        let b64 = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
        let signature = data_encoding::BASE64URL_NOPAD.encode(&[0; 64]);
        let token = format!("{}.{}.{signature}", b64(&header), b64(&payload));
        prop_assert!(Presentation::parse(&token).is_err());
    }
}
