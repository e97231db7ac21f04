//! Houses that break one rule each, and one that breaks none though it looks as if.

use super::house::{Dependency, File, House, Member};

type Sample = (&'static str, House);

/// Houses that the rule of this name must refuse.
pub(super) fn bad(rule: &str) -> Vec<Sample> {
    let sources = |path: &'static str, texts: &[&'static str]| -> Vec<Sample> {
        texts.iter().map(|text| (*text, with_file(path, text))).collect()
    };
    match rule {
        "crates_use_only_what_the_table_allows" => vec![
            ("an upward arrow", with_arrow("muster-identity", "identity", "muster-ledger")),
            ("a sideward arrow", with_arrow("muster-registry", "registry", "muster-gateway")),
            ("an unknown crate", with_crate(member("muster-extras", "extras"))),
            ("a crate in another folder", with_crate(member("muster-ledger", "core"))),
            ("a dependency of xtask", with_arrow("xtask", "xtask", "anyhow")),
        ],
        "pure_crates_reach_no_runtime" => vec![(
            "a runtime behind another crate",
            with_crate(Member {
                reaches: vec!["sha2".into(), "tokio".into()],
                ..member("muster-verifier", "verifier")
            }),
        )],
        "pure_crates_name_no_outside_world" => sources(
            "ledger/src/apply.rs",
            &[
                "use std::collections::HashMap;",
                "use std::{collections::BTreeMap, fs};",
                "use std::{\n    collections::{BTreeMap, BTreeSet},\n    net::IpAddr,\n};",
                "fn f() { let now = ::std::time::UNIX_EPOCH; }",
                "fn f(now: SystemTime) {}",
                "fn f() { getrandom::fill(&mut []).ok(); }",
                "fn f() { /* a comment */ tokio::spawn(g()); }",
                "#[cfg(test)]\nmod tests { fn f() {} }\nuse std::env;",
                "const Q: char = '\"'; fn f<'a>(x: &'a Instant) {}",
            ],
        ),
        "wall_clock_and_environment_enter_in_src" => sources(
            "registry/src/solo.rs",
            &["fn f() { SystemTime::now() }", "use std::{env, sync::Arc};"],
        ),
        "ground_builds_without_std" => sources("device/src/lib.rs", &["//! #![no_std]\nmod slot;"]),
        "ledger_has_no_floats" => sources(
            "ledger/src/limits.rs",
            &["const R: f64 = X;", "fn f() { g(1.5) }", "fn f() { 1_f32 }", "fn f() { 2e9 }"],
        ),
        "unsafe_stays_in_its_crates" => [
            sources("gateway/src/cache.rs", &["fn f() { unsafe { g() } }", "unsafe fn f() {}"]),
            sources("tests/it/abi.rs", &["#[unsafe(no_mangle)] fn f() {}"]),
            sources("mosquitto/src/plugin.rs", &["fn f() { unsafe { g() } }"]),
        ]
        .into_iter()
        .flatten()
        .collect(),
        "files_stay_short" => vec![(
            "601 lines",
            House { files: vec![file("src/main.rs", &"\n".repeat(601))], ..House::default() },
        )],
        "names_say_what_is_inside" => vec![
            ("a file", with_file("api/src/utils.rs", "")),
            ("a folder", with_file("tests/it/common/mod.rs", "")),
            ("an inline module", with_file("api/src/lib.rs", "mod helpers { }")),
        ],
        "anyhow_stays_at_the_edge" => {
            vec![("anyhow inside", with_arrow("muster-api", "api", "anyhow"))]
        }
        "dependencies_name_a_version" => {
            let any = Dependency { wildcard: true, ..dependency("sha2") };
            vec![(
                "any version",
                with_crate(Member { dependencies: vec![any], ..member("muster-api", "api") }),
            )]
        }
        "lints_are_inherited" => vec![
            ("no section", with_crate(member("muster-api", "api").manifest("[package]\n"))),
            ("a C interface without lints", with_crate(member("muster-mosquitto", "mosquitto"))),
            (
                "the word elsewhere",
                with_crate(member("muster-api", "api").manifest(
                    "[package]\nversion.workspace = true\n\n[lints]\n\n[x]\nworkspace = true\n",
                )),
            ),
        ],
        "pure_crates_share_one_clippy_toml" => {
            let copy = |name, dir, text: &str| Member {
                clippy: Some(text.to_owned()),
                ..member(name, dir)
            };
            let one = || copy("muster-identity", "identity", "a = 1");
            let two = |second| House { crates: vec![one(), second], ..House::default() };
            vec![
                ("a missing copy", two(member("muster-ledger", "ledger"))),
                ("another text", two(copy("muster-ledger", "ledger", "a = 2"))),
            ]
        }
        _ => Vec::new(),
    }
}

/// A house that only looks bad: words in comments, literals and tests, integers with dots near.
pub(super) fn good() -> House {
    let ledger = r####"
        //! No HashMap, no std::fs, no f64 here; /* nor unsafe */
        /* tokio /* nested */ axum */
        const WORDS: [&str; 3] = ["std::net", r#"a "HashMap" f64"#, "\"Instant\\"];
        const QUOTE: char = '"'; const TICK: char = '\''; const DOT: char = '.';
        fn first<'a>(pair: &'a ((u8, u8), u8)) -> u8 { pair.0.1 + (1..5).len() as u8 + 0x1f64 }
        const MASK: u64 = 0x1f32 + 1_usize as u64;
        use core::{time::Duration, fmt};
        #[cfg(test)]
        extern crate std;
        #[cfg(test)]
        mod tests { use std::{collections::HashSet, fs}; fn f() { if true { } } }
    "####;
    let mut identity = member("muster-identity", "identity");
    identity.dependencies.push(Dependency {
        name: "muster-device".into(),
        dev: true,
        ..Dependency::default()
    });
    identity.reaches = vec!["sha2".into()];
    let mut ledger_crate = member("muster-ledger", "ledger");
    ledger_crate.dependencies.push(dependency("muster-identity"));
    let crates = vec![identity, ledger_crate, member("muster", "")];
    let crates = crates.into_iter().map(|c| Member { clippy: Some("a = 1".into()), ..c });
    House {
        crates: crates.collect(),
        files: vec![
            file("ledger/src/log.rs", ledger),
            file("ledger/src/tests.rs", "use std::fs;"),
            file("identity/src/lib.rs", "//! Ground.\n#![no_std]\nextern crate alloc;"),
            file("src/clock.rs", &"use std::{env, time::SystemTime};\n".repeat(600)),
            file("registry/src/timer.rs", "use std::time::{Duration, Instant};"),
            file("device/no_std/src/main.rs", "unsafe fn allocate() {}"),
        ],
    }
}

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

fn with_file(path: &str, text: &str) -> House {
    House { files: vec![file(path, text)], ..House::default() }
}

fn member(name: &str, dir: &str) -> Member {
    let lints = "[package]\n\n[lints]\nworkspace = true\n\n[dependencies]\n";
    Member { name: name.to_owned(), dir: dir.to_owned(), ..Member::default() }.manifest(lints)
}

impl Member {
    fn manifest(self, text: &str) -> Self {
        Self { manifest: text.to_owned(), ..self }
    }
}

fn with_crate(member: Member) -> House {
    House { crates: vec![member], ..House::default() }
}

fn with_arrow(name: &str, dir: &str, to: &str) -> House {
    with_crate(Member { dependencies: vec![dependency(to)], ..member(name, dir) })
}

fn dependency(name: &str) -> Dependency {
    Dependency { name: name.to_owned(), ..Dependency::default() }
}
