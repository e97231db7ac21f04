//! Acknowledgements and registrations of gateways.

use super::Vector;
use super::presentations::{identity, sign};
use crate::inputs::secret;
use muster_identity::{
    Algorithm, Did, Holder, Mode, REPORTED_REASONS, Registered, Report, SEEN_DEVICES, Statement,
    acknowledge, register,
};

const MADE: u64 = 1_800_000_000_000;
const MOST: u64 = (1 << 53) - 1;

fn statement() -> Statement {
    Statement {
        size: 42,
        log_root: [0x5a; 32],
        height: 40,
        checkpoint: MADE - 3_000,
        adopted: MADE - 2_000,
        made: MADE,
        mode: Mode::Live,
        report: None,
    }
}

fn report() -> Report {
    Report {
        uptime: 3_600,
        roll_age: 3_000,
        accepted: 1_000,
        refused: vec![("expired".into(), 3), ("revoked".into(), 1)],
        forks: 0,
        seen: vec![(Did::from_digest([1; 32]), MADE - 9), (Did::from_digest([2; 32]), MADE - 1)],
    }
}

/// A report in words: uptime, roll age, devices let through, refused by reason, forks, seen.
pub(crate) fn said_in(report: Option<&Report>) -> String {
    report.map_or(String::new(), |r| {
        let refused: Vec<_> = r.refused.iter().map(|(code, n)| format!("{code} {n}")).collect();
        let seen: Vec<_> = r.seen.iter().map(|(did, time)| format!("{did} {time}")).collect();
        let (refused, seen) = (refused.join(", "), seen.join(", "));
        format!("{}; {}; {}; {refused}; {}; {seen}", r.uptime, r.roll_age, r.accepted, r.forks)
    })
}

fn longest() -> Statement {
    let name = |i: usize| format!("{}{}", "z".repeat(30), ["a", "b"][i / 16]) + &letter(i % 16);
    let report = Report {
        uptime: MOST,
        roll_age: MOST,
        accepted: MOST,
        refused: (0..REPORTED_REASONS).map(|i| (name(i), MOST)).collect(),
        forks: MOST,
        seen: (0..SEEN_DEVICES).map(|i| (Did::from_digest([i as u8; 32]), MOST)).collect(),
    };
    Statement {
        size: MOST,
        log_root: [0xff; 32],
        height: MOST,
        checkpoint: MOST,
        adopted: MOST,
        made: MOST,
        mode: Mode::Stopped,
        report: Some(report),
    }
}

fn letter(i: usize) -> String {
    char::from(b'a' + i as u8).to_string()
}

pub(super) fn valid() -> Vec<Vector> {
    let (ed, p256) = (Algorithm::Ed25519, Algorithm::P256);
    let said = |algorithm, name: &str, about, statement: Statement| {
        let (did, key) = identity(algorithm);
        let token = acknowledge(&did, &statement, &secret(algorithm)).unwrap();
        Vector::valid("acknowledgement", name, about)
            .text("multikey", key.to_multikey())
            .text("token", token)
            .text("organisation", did)
            .text("size", statement.size)
            .hex("log_root", &statement.log_root)
            .text("height", statement.height)
            .text(
                "times",
                format!("{} {} {}", statement.checkpoint, statement.adopted, statement.made),
            )
            .text("mode", statement.mode.word())
            .text("report", said_in(statement.report.as_ref()))
    };
    let named = |name: &str, about, gateway: &str, holder: Option<Holder>| {
        let (did, key) = identity(ed);
        let registered = Registered { gateway: gateway.into(), holder: holder.clone(), made: MADE };
        let token = register(&did, &registered, &secret(ed)).unwrap();
        Vector::valid("registration", name, about)
            .text("multikey", key.to_multikey())
            .text("token", token)
            .text("organisation", did)
            .text("gateway", gateway)
            .text("made", MADE)
            .text("key", holder.as_ref().map_or(String::new(), |h| h.key.to_multikey()))
            .text("site", holder.map_or(String::new(), |h| h.site))
    };
    let key = identity(p256).1;
    vec![
        said(ed, "ed25519", "A head was adopted.", statement()),
        said(p256, "p256", "A gateway whose roll is old.", {
            Statement { mode: Mode::Stale, ..statement() }
        }),
        said(ed, "report", "With counts, and devices seen.", {
            Statement { report: Some(report()), ..statement() }
        }),
        said(ed, "empty-report", "Nothing happened yet.", {
            Statement { report: Some(Report::default()), ..statement() }
        }),
        said(p256, "longest", "Every member at its bound.", longest()),
        named("site", "A gateway and its site.", "store-17", {
            Some(Holder { key, site: "Lyon, quai 2 – entrée".into() })
        }),
        named("longest", "Every member at its bound.", &"G".repeat(64), {
            Some(Holder { key, site: "é".repeat(64) })
        }),
        named("end", "The gateway is one no more.", "store-17", None),
    ]
}

pub(super) fn invalid() -> Vec<Vector> {
    let ed = Algorithm::Ed25519;
    let (did, key) = identity(ed);
    let mut all = Vec::new();
    let mut of = |kind, typ: &str, good: String, flaws: &[(&str, &str, &str, &str)]| {
        let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, did.url(&key));
        for (name, fault, from, to) in flaws {
            let claims = if *from == "typ" {
                good.clone()
            } else {
                assert!(good.contains(from), "{name}");
                good.replacen(from, to, 1)
            };
            let header = if *from == "typ" { header.replacen(typ, to, 1) } else { header.clone() };
            let token = sign(ed, &header, &claims);
            all.push(
                Vector::invalid(kind, name, fault)
                    .text("multikey", key.to_multikey())
                    .text("token", token),
            );
        }
    };
    let root = "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo";
    let a = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let b = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let seen: Vec<String> = (0..=SEEN_DEVICES)
        .map(|i| format!("{}=1", data_encoding::BASE64URL_NOPAD.encode(&[i as u8; 32])))
        .collect();
    let too_many = format!(r#""seen":"{}""#, seen.join(","));
    let in_order = format!("{a}=7,{b}=8");
    let good = format!(
        r#"{{"iss":"{did}","size":42,"root":"{root}","height":40,"checkpoint":1,"adopted":5,"made":9,"mode":"live","uptime":1,"age":2,"accepted":3,"refused":"expired=3,revoked=1","forks":0,"seen":"{in_order}"}}"#
    );
    let seen = format!(r#""seen":"{in_order}""#);
    let backwards = format!("{b}=8,{a}=7");
    let twice = format!("{a}=7,{a}=8");
    let other = identity(Algorithm::P256).0.to_string();
    let did_text = did.to_string();
    of(
        "acknowledgement",
        "muster-ack+jwt",
        good,
        &[
            ("presentation-typ", "wrong_typ", "typ", "muster+jwt"),
            ("other-issuer", "wrong_iss", &did_text, &other),
            ("unknown-claim", "unknown_member", r#""size""#, r#""aud":"x","size""#),
            ("twice", "duplicate_member", r#""size":42"#, r#""size":42,"size":43"#),
            ("no-size", "missing_member", r#""size":42,"#, ""),
            ("size-as-text", "wrong_json_type", "42", r#""42""#),
            ("size-negative", "wrong_json_type", "42", "-42"),
            ("size-too-great", "wrong_claim", "42", "9007199254740992"),
            ("root-short", "wrong_claim", root, "WlpaWlpaWlpaWlpaWlpaWg"),
            ("root-padded", "wrong_claim", root, "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo="),
            ("adopted-later", "wrong_claim", r#""adopted":5"#, r#""adopted":10"#),
            ("mode-unknown", "wrong_claim", "live", "Live"),
            ("half-a-report", "missing_member", r#","forks":0"#, ""),
            ("report-without-uptime", "unknown_member", r#""uptime":1,"#, ""),
            ("reasons-not-in-order", "wrong_claim", "expired=3,revoked=1", "revoked=1,expired=3"),
            ("reason-twice", "wrong_claim", "expired=3,revoked=1", "expired=3,expired=1"),
            ("reason-zero", "wrong_claim", "expired=3", "expired=0"),
            ("reason-leading-zero", "wrong_claim", "expired=3", "expired=03"),
            ("reason-plus", "wrong_claim", "expired=3", "expired=+3"),
            ("reason-capital", "wrong_claim", "expired", "Expired"),
            ("reason-trailing-comma", "wrong_claim", "revoked=1", "revoked=1,"),
            ("reason-too-long", "wrong_claim", "expired", "expired-expired-expired-expired-e"),
            ("seen-not-in-order", "wrong_claim", &in_order, &backwards),
            ("seen-twice", "wrong_claim", &in_order, &twice),
            ("seen-too-many", "wrong_claim", &seen, &too_many),
            ("seen-no-digest", "wrong_claim", &in_order, "abc=7"),
        ],
    );
    let multikey = identity(Algorithm::P256).1.to_multikey();
    let good = format!(
        r#"{{"iss":"{did}","gateway":"store-17","key":"{multikey}","site":"Lyon","made":9}}"#
    );
    let site = format!(r#""site":"{}""#, "x".repeat(129));
    let gateway = "g".repeat(65);
    of(
        "registration",
        "muster-registration+jwt",
        good,
        &[
            ("ack-typ", "wrong_typ", "typ", "muster-ack+jwt"),
            ("other-issuer", "wrong_iss", &did_text, &other),
            ("unknown-claim", "unknown_member", r#""made""#, r#""aud":"x","made""#),
            ("name-empty", "wrong_claim", "store-17", ""),
            ("name-with-space", "wrong_claim", "store-17", "store 17"),
            ("name-too-long", "wrong_claim", "store-17", &gateway),
            ("key-malformed", "wrong_claim", &multikey, "zabc"),
            ("key-without-site", "missing_member", r#","site":"Lyon""#, ""),
            ("site-too-long", "wrong_claim", r#""site":"Lyon""#, &site),
            ("site-with-control", "wrong_claim", "Lyon", r"Ly\u001bon"),
            ("made-too-great", "wrong_claim", r#""made":9"#, r#""made":9007199254740992"#),
        ],
    );
    let (_, stranger) = identity(Algorithm::P256);
    let token = acknowledge(&did, &statement(), &secret(ed)).unwrap();
    all.push(
        Vector::invalid("acknowledgement", "of-another-key", "other_key")
            .text("multikey", stranger.to_multikey())
            .text("token", &token),
    );
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    all.push(
        Vector::invalid("acknowledgement", "altered-signature", "signature")
            .text("multikey", key.to_multikey())
            .text("token", format!("{head}.{flipped}{}", &signature[1..])),
    );
    all
}
