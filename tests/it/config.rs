//! One file of settings: samples, faults, and what a real server makes of it.

use crate::muster::{Muster, get};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// `config check --json`, whatever it says.
fn check(muster: &Muster, file: &Path) -> (Option<i32>, Value) {
    let file = file.to_str().expect("text");
    let output = muster.output(&["config", "check", file, "--json"]);
    let told = serde_json::from_slice(&output.stdout);
    let words = || String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), told.unwrap_or_else(|e| panic!("{e}: {}", words())))
}

fn toml_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            toml_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "toml") {
            found.push(path);
        }
    }
}

/// Whether this build has no consensus among several.
fn is_alone() -> bool {
    !cfg!(feature = "consortium")
}

#[test]
fn every_sample_is_sound() {
    let muster = Muster::new();
    muster.json(&["init"]);
    // Not env!: two checkouts may share a target directory.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let mut samples = Vec::new();
    toml_files(&PathBuf::from(root).join("docs/samples"), &mut samples);
    let (mut settings, mut policies, mut members) = (0, 0, 0);
    for sample in samples {
        let file = if sample.parent().is_some_and(|dir| dir.ends_with("consortium")) {
            members += 1;
            sample.clone()
        } else if sample.ends_with("muster.toml") {
            settings += 1;
            sample.clone()
        } else {
            // Anything else is a policy, which a file of settings names.
            policies += 1;
            let text = format!(
                "[gateway]\naudience = \"a\"\npolicy = {:?}\n",
                sample.display().to_string()
            );
            let file = muster.path("names-a-policy.toml");
            fs::write(&file, text).expect("written");
            file
        };
        let (status, told) = check(&muster, &file);
        let faults = told["faults"].as_array().expect("faults");
        if told["consortium"].is_object() && is_alone() {
            // All that is wrong with it is the build.
            assert_eq!(faults.len(), 1, "{told}");
            assert!(told.to_string().contains("--features consortium"), "{told}");
            continue;
        }
        assert_eq!((status, faults.len()), (Some(0), 0), "{}: {told}", sample.display());
    }
    let found = (settings, policies, members);
    assert_eq!(found, (2, 1, 4), "a sample came or went: see that it is checked here");
    // The classes in the sample of settings are really read.
    let sample = muster.path("broken.toml");
    let text = "[gateway]\naudience = \"a\"\n[[gateway.policy.class]]\nname = \"x\"\n";
    fs::write(&sample, text).expect("written");
    let (status, told) = check(&muster, &sample);
    assert_eq!(status, Some(1));
    assert!(
        told["faults"][0]["message"].as_str().is_some_and(|m| m.contains("it names nothing")),
        "{told}"
    );
}

#[test]
fn check_tells_all_faults_at_once() {
    let muster = Muster::new();
    muster.json(&["init"]);
    fs::write(muster.path("no.pem"), "nothing").expect("written");
    fs::write(muster.path("bad.toml"), "max_agee = 3\n").expect("written");
    let text = "\
home = \"elsewhere\"
passwrd = \"hunter2\"
[log]
format = \"jsno\"
[node]
lisen = \"127.0.0.1:0\"
tls-cert = \"no.pem\"
tls-key = \"missing.pem\"
[gateway]
audience = \"has space\"
node = [\"http://node.example\", \"ftp://x\"]
policy = \"bad.toml\"
topics = \"missing.rules\"
genesis = \"no.pem\"
operator = \"did:web:x\"
listen = \"0.0.0.0:7701\"
";
    let file = muster.path("faults.toml");
    fs::write(&file, text).expect("written");
    let (status, told) = check(&muster, &file);
    assert_eq!(status, Some(1));
    let faults: Vec<(u64, String, String)> = told["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|f| {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            (f["line"].as_u64().unwrap_or(0), text(&f["key"]), text(&f["message"]))
        })
        .collect();
    for (line, key, words) in [
        (2, "passwrd", "unknown key"),
        (4, "log.format", "did you mean \"json\"?"),
        (6, "node.lisen", "did you mean `listen`?"),
        (7, "node.tls-cert", "no certificate"),
        (10, "gateway.audience", "no audience"),
        (11, "gateway.node", "plain HTTP beyond this machine"),
        (11, "gateway.node", "expected an address such as"),
        (12, "gateway.policy", "unknown field `max_agee`"),
        (13, "gateway.topics", "cannot read"),
        (14, "gateway.genesis", "is not a genesis"),
        (15, "gateway.operator", "no DID"),
        (16, "gateway.listen", "speaks no TLS"),
        (0, "gateway.key", "it is missing"),
    ] {
        let found = faults.iter().any(|(l, k, w)| *l == line && k == key && w.contains(words));
        assert!(found, "{line} {key} {words}: {faults:#?}");
    }
    assert!(!told.to_string().contains("hunter2"));
    // A server is as strict, and says the same.
    let words = muster.refused(&["serve", "--config", "faults.toml"], 1);
    assert!(words.contains("faults.toml:6:1: node.lisen"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
    // A command that is no server is stopped by what is for every command.
    let words = muster.refused(&["ledger", "audit", "--config", "faults.toml"], 1);
    assert!(words.contains("log.format") && !words.contains("node.lisen"), "{words}");
    let words = muster.refused(&["serve", "--config", "none.toml"], 1);
    assert!(words.contains("none.toml"), "{words}");
}

#[test]
fn servers_run_by_the_file_and_the_command_line_wins() {
    let muster = Muster::new();
    muster.json(&["init"]);
    // In the home folder it is found by itself.
    let node_file = "[log]\nformat = \"json\"\nlevel = \"debug\"\n[node]\nlisten = \"127.0.0.1:0\"\n\
                     [gateway]\naudience = \"from.the.file\"\n";
    fs::write(muster.home().join("muster.toml"), node_file).expect("written");
    let log = fs::File::create(muster.path("node.log")).expect("a log");
    let mut command = muster.command(&["serve", "--json"]);
    command.stderr(log);
    let node = Muster::start(command);
    let (status, answer) = get(&format!("{}/healthz", node.url), &[]);
    assert_eq!(status, 200);
    assert!(answer.to_lowercase().contains("\r\nx-request-id: "), "{answer}");
    node.stop();
    let log = fs::read_to_string(muster.path("node.log")).expect("a log");
    let mut lines = log.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON lines"));
    assert!(lines.any(|line| line["fields"]["route"] == "/healthz"), "{log}");

    // The audience comes from the file, the place from the command line, the node from a list.
    let said = |args: &[&str]| {
        let mut command = muster.command(args);
        command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
            .expect("a line");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        serde_json::from_str::<Value>(&line).expect("one object")
    };
    let told = said(&["gateway", "--json", "--listen", "127.0.0.1:0"]);
    assert_eq!(told["audience"], "from.the.file");
    let told = said(&["gateway", "--json", "--listen", "127.0.0.1:0", "--audience", "typed"]);
    assert_eq!(told["audience"], "typed");

    // What would be used, and who said so.
    let told = muster.json(&["config", "check"]);
    assert_eq!(told["node"]["listen"]["value"], "127.0.0.1:0");
    assert_eq!(told["node"]["listen"]["source"], "file");
    assert_eq!(told["node"]["tls-cert"]["source"], "default");
    assert_eq!(told["all"]["home"]["source"], "command line");
    assert_eq!(told["log"]["level"]["value"], "debug");
    let mut command = muster.command(&["config", "check", "--json"]);
    let output = command.env("MUSTER_LOG", "trace").output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(told["log"]["level"]["value"], "trace");
    assert_eq!(told["log"]["level"]["source"], "environment");
}
