use super::files::Kind;
use super::job::Options;
use super::*;
use crate::session::Session;
use muster_identity::{Algorithm, Role, SecretKey, Signer as _};

const DAY: u64 = limits::KEPT_MS;

fn visitor(organisation: u8) -> Visitor {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[organisation; 32].into()).expect("a key");
    let session = Session {
        id: "s".into(),
        key: key.public_key(),
        organisation: Did::from_digest([organisation; 32]),
        csrf: String::new(),
        made: 0,
        used: 0,
        browser: String::new(),
    };
    let role = Role::Operator;
    Visitor { session, name: "Ada".into(), role, settled: true, keys: Vec::new() }
}

fn all() -> (tempfile::TempDir, Arc<Imports>) {
    let dir = tempfile::tempdir().expect("a folder");
    let imports = Imports::open(dir.path().join("imports"), Some([7; 32].into())).expect("open");
    (dir, imports)
}

#[test]
fn an_import_is_seen_by_its_organisation_alone_and_goes_after_a_day() {
    let (dir, imports) = all();
    let (ours, theirs) = (visitor(1), visitor(2));
    let job = imports.begin("a".into(), &ours, 1_000).expect("begun");
    let (own, other) = (ours.session.organisation, theirs.session.organisation);
    assert!(imports.find(&own, "a").is_some() && imports.find(&other, "a").is_none());
    assert_eq!((imports.of(&own).len(), imports.of(&other).len()), (1, 0));
    job.announce(Kind::Manifest, "a.jsonl", 3).expect("announced");
    job.add(0, 0, b"abc").expect("added");
    let folder = dir.path().join("imports/a");
    imports.sweep(1_000 + DAY);
    assert!(folder.exists(), "a day is not over");
    imports.sweep(1_001 + DAY);
    assert!(!folder.exists() && imports.find(&own, "a").is_none());
}

#[test]
fn what_an_earlier_run_left_is_thrown_away() {
    let (dir, imports) = all();
    imports.begin("a".into(), &visitor(1), 0).expect("begun");
    drop(imports);
    let place = dir.path().join("imports");
    Imports::open(place.clone(), None).expect("open");
    assert!(!place.join("a").exists());
}

#[test]
fn one_organisation_does_not_take_every_place() {
    let (_dir, imports) = all();
    for n in 0..limits::JOBS_OF_ONE {
        imports.begin(n.to_string(), &visitor(1), 0).expect("begun");
    }
    assert!(imports.begin("more".into(), &visitor(1), 0).is_err());
    imports.begin("theirs".into(), &visitor(2), 0).expect("another organisation's");
}

#[test]
fn a_file_comes_in_order_and_no_longer_than_it_was_said() {
    let (_dir, imports) = all();
    let job = imports.begin("a".into(), &visitor(1), 0).expect("begun");
    assert!(job.begin(Stage::Rehearsing, Some(Options::default())).is_err(), "no file");
    let file = job.announce(Kind::Manifest, "a.jsonl", 6).expect("announced");
    assert_eq!(job.add(file, 0, b"abc").expect("added"), 3);
    for (at, piece) in [(0, &b"abc"[..]), (4, b"ef"), (3, b"defg")] {
        assert!(job.add(file, at, piece).is_err(), "{at}");
    }
    assert!(job.begin(Stage::Rehearsing, Some(Options::default())).is_err(), "not whole");
    assert_eq!(job.add(file, 3, b"def").expect("added"), 6);
    assert!(job.begin(Stage::Running, None).is_err(), "no dry run yet");
    job.begin(Stage::Rehearsing, Some(Options::default())).expect("begun");
    assert!(job.begin(Stage::Rehearsing, Some(Options::default())).is_err(), "one at a time");
    assert!(job.announce(Kind::Manifest, "b.jsonl", 1).is_err(), "too late");
}

#[test]
fn bounds_of_files_hold() {
    let (_dir, imports) = all();
    let job = imports.begin("a".into(), &visitor(1), 0).expect("begun");
    assert!(job.announce(Kind::Manifest, "a", limits::BYTES + 1).is_err());
    job.announce(Kind::Keys, "k", 1).expect("one");
    assert!(job.announce(Kind::Keys, "k", 1).is_err(), "keys come in one file");
    for n in 1..limits::FILES {
        job.announce(Kind::Manifest, "same", 1).unwrap_or_else(|e| panic!("{n}: {e}"));
    }
    assert!(job.announce(Kind::Manifest, "more", 0).is_err());
    let names: std::collections::BTreeSet<String> =
        job.look(|s| s.files.iter().map(|f| f.name.clone()).collect());
    assert_eq!(names.len(), limits::FILES, "every name tells one file");
}

/// Nothing of a private key stays on the disk, wherever the pieces were cut.
#[test]
fn a_private_key_is_never_kept() {
    let (dir, imports) = all();
    let pem = b"row\n-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n";
    for cut in 1..pem.len() {
        let job = imports.begin(cut.to_string(), &visitor(1), 0).expect("begun");
        let file = job.announce(Kind::Manifest, "a.pem", pem.len() as u64).expect("announced");
        let first = job.add(file, 0, &pem[..cut]);
        let second = first.and_then(|at| job.add(file, at, &pem[cut..]));
        assert_eq!(second.expect_err("refused").code(), "private-key", "{cut}");
        assert!(!dir.path().join("imports").join(&job.id).join("in").exists());
        assert!(job.look(|s| s.files.is_empty()));
        imports.forget(&job);
    }
}

#[test]
fn words_of_the_pipeline_name_no_folder_of_the_node() {
    let (_dir, imports) = all();
    let job = imports.begin("a".into(), &visitor(1), 0).expect("begun");
    job.announce(Kind::Manifest, "run.zip", 0).expect("announced");
    let path = job.look(|s| s.files[0].path.display().to_string());
    let text = format!("{path}!inner.csv, line 3: see {path}");
    assert_eq!(job.hide(&text), "run.zip!inner.csv, line 3: see run.zip");
    assert_eq!(job.hide("nothing"), "nothing");
}
