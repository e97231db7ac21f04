//! The house as data: which crate may use which, and the habits every file keeps. A rule that
//! fails says the cure; `every_rule_can_fail` shows that none of them is asleep.

mod code;
mod house;
mod rules;
mod samples;

use house::House;
use rules::Rule;

/// A crate of the house.
struct Room {
    /// The package.
    name: &'static str,
    /// Its folder; empty for the root.
    dir: &'static str,
    /// The crates of ours it may depend on.
    may_use: &'static [&'static str],
    /// Whether it is free of input, output, clock, randomness and unordered maps.
    pure: bool,
    /// Whether it builds without the standard library.
    no_std: bool,
}

const fn room(name: &'static str, dir: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, dir, may_use, pure: false, no_std: false }
}

const fn pure(room: Room) -> Room {
    Room { pure: true, ..room }
}

const fn no_std(room: Room) -> Room {
    Room { no_std: true, ..room }
}

/// Every crate and every arrow. A crate that does not exist yet may stand here; a crate or an
/// arrow that does not stand here fails. The root wires everything, so it may use all.
const ROOMS: &[Room] = &[
    no_std(pure(room("muster-identity", "identity", &[]))),
    pure(room("muster-ledger", "ledger", &["muster-identity"])),
    no_std(pure(room("muster-device", "device", &["muster-identity"]))),
    pure(room("muster-verifier", "verifier", &["muster-identity", "muster-ledger"])),
    room("muster-api", "api", &["muster-identity", "muster-ledger"]),
    room("muster-did-methods", "did-methods", &["muster-identity", "muster-ledger", "muster-api"]),
    room("muster-registry", "registry", &["muster-identity", "muster-ledger", "muster-api"]),
    room(
        "muster-consensus",
        "consensus",
        &["muster-identity", "muster-ledger", "muster-api", "muster-registry"],
    ),
    room(
        "muster-gateway",
        "gateway",
        &["muster-identity", "muster-ledger", "muster-verifier", "muster-api"],
    ),
    room(
        "muster-mosquitto",
        "mosquitto",
        &["muster-identity", "muster-ledger", "muster-api", "muster-gateway"],
    ),
    room(
        "muster-provisioning",
        "provisioning",
        &["muster-identity", "muster-ledger", "muster-api"],
    ),
    room(
        "muster-web",
        "web",
        &[
            "muster-identity",
            "muster-ledger",
            "muster-api",
            "muster-registry",
            "muster-provisioning",
        ],
    ),
    room(
        "muster",
        "",
        &[
            "muster-identity",
            "muster-ledger",
            "muster-device",
            "muster-verifier",
            "muster-api",
            "muster-did-methods",
            "muster-registry",
            "muster-consensus",
            "muster-gateway",
            "muster-provisioning",
            "muster-web",
        ],
    ),
    room("xtask", "xtask", &[]),
];

#[track_caller]
fn holds(rule: &Rule) {
    let findings = (rule.check)(House::ours());
    assert!(findings.is_empty(), "\n{}: {}\n  {}\n", rule.name, rule.cure, findings.join("\n  "));
}

macro_rules! rules_hold {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            holds(rules::named(stringify!($name)));
        })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

rules_hold! {
    crates_use_only_what_the_table_allows,
    pure_crates_reach_no_runtime,
    pure_crates_name_no_outside_world,
    wall_clock_and_environment_enter_in_src,
    ground_builds_without_std,
    ledger_has_no_floats,
    unsafe_stays_in_its_crates,
    files_stay_short,
    names_say_what_is_inside,
    anyhow_stays_at_the_edge,
    dependencies_name_a_version,
    lints_are_inherited,
    pure_crates_share_one_clippy_toml,
}

#[test]
fn every_rule_is_tested() {
    let all: Vec<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(all, TESTED, "a rule without its line in rules_hold! is never run");
}

#[test]
fn every_rule_can_fail() {
    for rule in rules::RULES {
        let samples = samples::bad(rule.name);
        assert!(!samples.is_empty(), "{} has no bad sample: add one to samples.rs", rule.name);
        for (what, house) in samples {
            assert!(!(rule.check)(&house).is_empty(), "{} let through: {what}", rule.name);
        }
    }
}

#[test]
fn no_rule_objects_to_a_good_house() {
    for rule in rules::RULES {
        assert_eq!((rule.check)(&samples::good()), [""; 0], "{}", rule.name);
    }
}
