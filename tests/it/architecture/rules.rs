//! The rules, each with its cure.

use super::house::{File, House, Member};
use super::{ROOMS, Room, code};

/// A rule of the house.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// What to do about a finding.
    pub(super) cure: &'static str,
    /// Everything that breaks it.
    pub(super) check: fn(&House) -> Vec<String>,
}

/// The longest file. Aim at 250 lines, cut at 400.
const MAX_LINES: usize = 600;

/// Names that say nothing about what is inside.
const VAGUE_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"];

/// Crates of others that bring input, output, a clock or randomness.
const RUNTIME_CRATES: &[&str] = &["tokio", "axum", "sqlx", "reqwest", "getrandom"];

/// Types that make two nodes differ: clocks, and maps in an order of their own.
const OUTSIDE_TYPES: &[&str] = &["SystemTime", "Instant", "HashMap", "HashSet", "RandomState"];

/// Modules of `std` that touch the world outside.
const OUTSIDE_MODULES: &[&str] = &["time", "net", "fs", "env", "process", "thread"];

/// Crates that may read the wall clock and the environment: the binary, and what a broker loads
/// instead of it.
const AMBIENT_DIRS: &[&str] = &["", "xtask", "mosquitto"];

/// Folders that may hold `unsafe` code, each for a reason.
const UNSAFE_DIRS: &[&str] = &[
    // The bare-metal program brings its own allocator and panic handler.
    "device/no_std/",
    // Mosquitto loads it through a C interface.
    "mosquitto/src/ffi.rs",
];

/// Crates with lints of their own: those whose purpose is a C interface. They name every lint
/// themselves, `unsafe_code` among them.
const OWN_LINTS_DIRS: &[&str] = &["mosquitto"];

/// Crates that may use `anyhow`: those whose errors only people read.
const ANYHOW_DIRS: &[&str] = &["", "xtask"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "crates_use_only_what_the_table_allows",
        cure: "turn the dependency round or pass the value in as a parameter; a new arrow needs \
               an ADR and a line in ROOMS",
        check: arrows,
    },
    Rule {
        name: "pure_crates_reach_no_runtime",
        cure: "drop the dependency or the feature that brings it in (cargo tree -e features -i \
               CRATE); what touches the world belongs to registry, gateway or src",
        check: reach,
    },
    Rule {
        name: "pure_crates_name_no_outside_world",
        cure: "take time, randomness and bytes as parameters, use BTreeMap for HashMap and core:: \
               for what core has",
        check: outside_world,
    },
    Rule {
        name: "wall_clock_and_environment_enter_in_src",
        cure: "take the time or the setting as a parameter; only the binary reads the wall clock \
               and the environment, so a test can set both",
        check: ambient,
    },
    Rule {
        name: "ground_builds_without_std",
        cure: "write #![no_std] at the top of src/lib.rs: firmware links this crate",
        check: no_std,
    },
    Rule {
        name: "ledger_has_no_floats",
        cure: "count in integers: floating point may round differently on another node",
        check: floats,
    },
    Rule {
        name: "unsafe_stays_in_its_crates",
        cure: "find the safe way; if a C ABI needs it, give it a crate of its own and name that \
               crate in UNSAFE_DIRS",
        check: unsafe_code,
    },
    Rule {
        name: "files_stay_short",
        cure: "cut the file along its ideas: aim at 250 lines, cut at 400, 600 is refused",
        check: long_files,
    },
    Rule {
        name: "names_say_what_is_inside",
        cure: "name the module after what it knows, or move each function to the type it serves",
        check: vague_names,
    },
    Rule {
        name: "anyhow_stays_at_the_edge",
        cure: "give the crate's error enum a variant that says who is at fault (thiserror)",
        check: anyhow,
    },
    Rule {
        name: "dependencies_name_a_version",
        cure: "write the version in the root Cargo.toml and `workspace = true` in the crate's",
        check: wildcards,
    },
    Rule {
        name: "lints_are_inherited",
        cure: "add `[lints]` with `workspace = true` to the crate's Cargo.toml",
        check: lints,
    },
    Rule {
        name: "pure_crates_share_one_clippy_toml",
        cure: "copy identity/clippy.toml over the others: clippy reads only the nearest file, so \
               pure crates carry equal copies",
        check: clippy_twins,
    },
];

/// The rule of that name.
pub(super) fn named(name: &str) -> &'static Rule {
    RULES.iter().find(|rule| rule.name == name).expect("a rule of RULES")
}

fn room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

fn arrows(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    let ours = |name: &str| house.crates.iter().any(|c| c.name == name) || room(name).is_some();
    for member in &house.crates {
        let Some(room) = room(&member.name).filter(|room| room.dir == member.dir) else {
            findings.push(format!("unknown crate {} in `{}`", member.name, member.dir));
            continue;
        };
        for dependency in member.dependencies.iter().filter(|d| !d.dev) {
            let name = dependency.name.as_str();
            if ours(name) && !room.may_use.contains(&name) {
                findings.push(format!("new arrow {} -> {name}", member.name));
            }
            if member.name == "xtask" {
                findings.push(format!("xtask -> {name}: xtask is standard library only"));
            }
        }
    }
    findings
}

fn reach(house: &House) -> Vec<String> {
    let pure = house.crates.iter().filter(|c| room(&c.name).is_some_and(|room| room.pure));
    let reached = pure.flat_map(|c| c.reaches.iter().map(move |name| (&c.name, name)));
    let bad = reached.filter(|(_, name)| RUNTIME_CRATES.contains(&name.as_str()));
    bad.map(|(from, name)| format!("{from} reaches {name}")).collect()
}

fn outside_world(house: &House) -> Vec<String> {
    let pure = ROOMS.iter().filter(|room| room.pure);
    let words = [RUNTIME_CRATES, OUTSIDE_TYPES].concat();
    pure.flat_map(|room| named_in(house, room, &words, OUTSIDE_MODULES)).collect()
}

fn ambient(house: &House) -> Vec<String> {
    let inner = ROOMS.iter().filter(|room| !room.pure && !AMBIENT_DIRS.contains(&room.dir));
    inner.flat_map(|room| named_in(house, room, &["SystemTime"], &["env"])).collect()
}

/// Where the sources of a crate, unit tests aside, name one of the words or modules of `std`.
fn named_in(house: &House, room: &Room, words: &[&str], modules: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in house.sources(room.dir).filter(|file| !is_test(file)) {
        let code = code::without_tests(&code::bare(&file.text));
        let words = code::words(&code).filter(|(_, word)| words.contains(word));
        findings.extend(words.map(|(line, word)| at(file, line, word)));
        let modules = code::std_modules(&code).into_iter().filter(|(_, m)| modules.contains(m));
        findings.extend(modules.map(|(line, module)| at(file, line, &format!("std::{module}"))));
    }
    findings
}

/// A file of unit tests, declared as `#[cfg(test)] mod tests;`.
fn is_test(file: &File) -> bool {
    file.path.ends_with("/tests.rs") || file.path.contains("/src/tests/")
}

fn no_std(house: &House) -> Vec<String> {
    let rooms = ROOMS.iter().filter(|room| room.no_std);
    let bad = rooms.filter(|room| {
        let lib = format!("{}/src/lib.rs", room.dir);
        let mut files = house.files.iter().filter(|file| file.path == lib);
        files.any(|file| !code::bare(&file.text).contains("#![no_std]"))
    });
    bad.map(|room| format!("{}/src/lib.rs", room.dir)).collect()
}

fn floats(house: &House) -> Vec<String> {
    let lines = house.sources("ledger").flat_map(|file| {
        let lines = code::floats(&code::bare(&file.text)).into_iter();
        lines.map(move |line| at(file, line, "a float"))
    });
    lines.collect()
}

fn unsafe_code(house: &House) -> Vec<String> {
    let files = house.files.iter();
    let files = files.filter(|file| !UNSAFE_DIRS.iter().any(|dir| file.path.starts_with(dir)));
    let lines = files.flat_map(|file| {
        let code = code::bare(&file.text);
        let words = code::words(&code).filter(|(_, word)| *word == "unsafe");
        words.map(|(line, word)| at(file, line, word)).collect::<Vec<_>>()
    });
    lines.collect()
}

fn long_files(house: &House) -> Vec<String> {
    let lengths = house.files.iter().map(|file| (file, file.text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > MAX_LINES);
    long.map(|(file, lines)| format!("{}: {lines} lines", file.path)).collect()
}

fn vague_names(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    for file in &house.files {
        let path = file.path.trim_end_matches(".rs");
        if path.split('/').any(|part| VAGUE_NAMES.contains(&part)) {
            findings.push(file.path.clone());
        }
        let code = code::bare(&file.text);
        let words: Vec<_> = code::words(&code).collect();
        let modules = words.windows(2).filter(|pair| pair[0].1 == "mod");
        let vague = modules.filter(|pair| VAGUE_NAMES.contains(&pair[1].1));
        findings.extend(vague.map(|pair| at(file, pair[1].0, &format!("mod {}", pair[1].1))));
    }
    findings
}

fn anyhow(house: &House) -> Vec<String> {
    let inner = house.crates.iter().filter(|c| !ANYHOW_DIRS.contains(&c.dir.as_str()));
    let bad = inner.filter(|c| c.dependencies.iter().any(|d| d.name == "anyhow"));
    bad.map(|c| format!("{} depends on anyhow", c.name)).collect()
}

fn wildcards(house: &House) -> Vec<String> {
    let all = house.crates.iter().flat_map(|c| c.dependencies.iter().map(move |d| (c, d)));
    let bad = all.filter(|(_, dependency)| dependency.wildcard);
    bad.map(|(c, dependency)| format!("{} -> {} in any version", c.name, dependency.name)).collect()
}

fn lints(house: &House) -> Vec<String> {
    let inherits = |manifest: &str| {
        let section = manifest.split("\n[lints]").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        section.lines().any(|line| line.replace(' ', "") == "workspace=true")
    };
    let denies = |manifest: &str| {
        ["unsafe_code = \"deny\"", "missing_docs = \"warn\"", "[lints.clippy]"]
            .iter()
            .all(|line| manifest.lines().any(|text| text == *line))
    };
    let good = |c: &&Member| match OWN_LINTS_DIRS.contains(&c.dir.as_str()) {
        true => denies(&c.manifest),
        false => inherits(&c.manifest),
    };
    let bad = house.crates.iter().filter(|c| !good(c));
    bad.map(|c| format!("{}/Cargo.toml", c.dir)).collect()
}

fn clippy_twins(house: &House) -> Vec<String> {
    let pure = || house.crates.iter().filter(|c| room(&c.name).is_some_and(|room| room.pure));
    let first = pure().find_map(|c| c.clippy.as_ref());
    let bad = pure().filter(|c| c.clippy.is_none() || c.clippy.as_ref() != first);
    bad.map(|c| format!("{}/clippy.toml", c.dir)).collect()
}

fn at(file: &File, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", file.path)
}
