//! Several organisations, each with processes of its own: what `docs/consortium.md` says, word for
//! word, and the demonstration of it.

use crate::muster::{Muster, get};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

fn root() -> PathBuf {
    // Not env!: two checkouts may share a target directory.
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is").into()
}

/// The page's ports, 7700 to 7779, moved to where nobody is: other tests run beside this one.
fn moved(text: &str, base: u16) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("77") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let digits = found.bytes().take_while(u8::is_ascii_digit).count();
        let starts_a_number = !before.ends_with(|c: char| c.is_ascii_digit());
        let offset = found.get(2..4).and_then(|two| two.parse::<u16>().ok());
        match offset.filter(|offset| digits == 4 && starts_a_number && *offset < 80) {
            Some(offset) => out.push_str(&(base + offset).to_string()),
            None => out.push_str(&found[..digits]),
        }
        rest = &found[digits..];
    }
    out + rest
}

/// Eighty ports in a row that are free, below those of outgoing connections.
fn base() -> u16 {
    /// Another test may have chosen ports at which nobody listens yet.
    static TRIED: AtomicU64 = AtomicU64::new(0);
    let seed = u64::from(std::process::id());
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(|| TRIED.fetch_add(1, Ordering::Relaxed))
        .take(100)
        .map(|n| 20_000 + ((seed * 80 + n * 880) % 12_000) as u16)
        .find(|base| (*base..*base + 80).all(free))
        .expect("free ports")
}

/// What the page has one run, with the line of each block.
fn script(page: &str) -> String {
    // Each command is told with the second it began in: the last ones say where it stopped.
    let head = "set -euo pipefail\nPS4='+ $SECONDS s: '\nset -x\n";
    let (mut script, mut open) = (String::from(head), false);
    for (n, line) in page.lines().enumerate() {
        match (open, line.trim()) {
            (false, "```sh") => {
                script.push_str(&format!("echo '== consortium.md, line {}'\n", n + 2));
                open = true;
            }
            (true, "```") => open = false,
            (true, _) => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[test]
fn ports_move_and_nothing_else_does() {
    let text = "http://127.0.0.1:7700 77 17710 77001 7779 7780 pump-77";
    assert_eq!(moved(text, 20_000), "http://127.0.0.1:20000 77 17710 77001 20079 7780 pump-77");
}

#[test]
fn the_page_word_for_word() {
    let muster = Muster::new();
    let base = base();
    let samples = muster.path("docs/samples/consortium");
    fs::create_dir_all(&samples).expect("a folder");
    let mut found = 0;
    for sample in fs::read_dir(root().join("docs/samples/consortium")).expect("the samples") {
        let sample = sample.expect("a file").path();
        let text = fs::read_to_string(&sample).expect("text");
        let to = samples.join(sample.file_name().expect("a name"));
        fs::write(to, moved(&text, base)).expect("written");
        found += 1;
    }
    assert_eq!(found, 4);
    let page = fs::read_to_string(root().join("docs/consortium.md")).expect("the page");
    // A person goes on in one shell; this one stops at the first thing that fails, and whatever it
    // started stops with it.
    let script = script(&moved(&page, base));
    assert!(script.matches("== consortium.md").count() >= 9, "{script}");
    let script = format!("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{script}");
    fs::write(muster.path("page.sh"), script).expect("written");
    let bin = PathBuf::from(env!("CARGO_BIN_EXE_muster"));
    let path = format!(
        "{}:{}",
        bin.parent().expect("a folder").display(),
        std::env::var("PATH").expect("a path")
    );
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", "600", "bash", "page.sh"]).current_dir(muster.path(""));
    command.env("PATH", path).env_remove("MUSTER_HOME").env_remove("MUSTER_CONFIG");
    let output = command.stdin(Stdio::null()).output().expect("bash runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let mut logs = String::new();
        for member in ["north", "east", "south", "west"] {
            for name in [format!("{member}.log"), format!("{member}-gateway.log")] {
                let text = fs::read_to_string(muster.path("trial").join(&name)).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(15).collect();
                logs += &format!("\n{name}, from its end:\n{}", last.join("\n"));
            }
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = words.lines().collect();
        let last = lines[lines.len().saturating_sub(60)..].join("\n");
        panic!("{}\n{told}\nThe last commands:\n{last}\n{logs}", output.status);
    }
    for word in [
        "asks to be admitted",
        "4 of 4 heard of, 3 must sign: enough",
        "revoked",
        "South votes again",
        "The node is an access node",
        "West signs with another key",
        "3 validators, 3 must sign",
    ] {
        assert!(told.contains(word), "{word:?} in\n{told}");
    }
    assert_eq!(told.matches("pump-1 passes").count(), 4, "{told}");
    assert_eq!(told.matches("refuses pump-1").count(), 4, "{told}");
    // What a validator signed is in no backup.
    let kept = fs::read_dir(muster.path("trial/south-backup")).expect("the backup");
    let mut kept: Vec<_> = kept.map(|file| file.expect("a file").file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["backup.json", "directory.db", "genesis.cbor", "ledger.db"]);
    // Serial numbers stay with their owner.
    for member in ["east", "south", "west"] {
        let dir = muster.path("trial").join(member);
        let mut command = Command::new("grep");
        let grep = command.args(["-rla", "pump-1"]).arg(&dir).output().expect("grep runs");
        assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "in the folder of {member}");
    }
}

/// Nodes that start together need each other's signatures. Who asks one of them meanwhile waits.
#[test]
fn a_command_waits_for_a_node_that_has_no_signed_head_yet() {
    let (north, access) = (Muster::new(), Muster::new());
    north.json(&["init", "--unsealed"]);
    let genesis = north.home().join("genesis.cbor");
    access.json(&["init", "--unsealed", "--genesis", genesis.to_str().expect("text")]);
    let base = base();
    let at = |offset: u16| format!("127.0.0.1:{}", base + offset);
    let (first, second) = (at(10), at(30));
    let args = ["serve", "--consortium-listen", &second, "--consortium-peer", &first];
    let waits = access.serve_on(&args, &at(20));
    let (status, answer) = get(&format!("{}/v1/network", waits.url), &[]);
    assert_eq!((status, answer.contains("problem:starting")), (503, true), "{answer}");

    let mut command = access.command(&["ledger", "status", "--json", "--node", &waits.url]);
    let mut asks = command.stdout(Stdio::piped()).spawn().expect("it runs");
    sleep(Duration::from_secs(1));
    assert_eq!(asks.try_wait().expect("its state"), None, "it should wait");
    let signs = north.serve_on(&["serve", "--consortium-listen", &first], &at(0));
    let told = asks.wait_with_output().expect("it ends");
    assert!(told.status.success(), "{}", told.status);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("an object");
    assert_eq!(told["consensus"]["role"], "access", "{told}");
    waits.stop();
    signs.stop();
}

/// Stopped in the middle it leaves no node behind, and the same command goes on from there; a run in
/// a folder that has a network enrols another lot.
#[test]
fn demo_of_four_tells_its_story() {
    let muster = Muster::new();
    let args = ["demo", "--nodes", "4", "--devices", "50", "--exit", "--port", "0"];
    let mut first = muster.command(&args);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    while !muster.path("home/west/node/ledger.db").exists() {
        assert_eq!(first.try_wait().expect("its state"), None, "it should be at work");
        sleep(Duration::from_millis(50));
    }
    let id = first.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    let stopped = first.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&stopped.stderr);
    assert!(words.contains("the same command goes on from here"), "{words}");
    assert_eq!(stopped.status.code(), Some(1), "{words}");

    // One that was killed could not end its nodes.
    let lock = fs::File::open(muster.path("home/west/node/lock")).expect("a node ran there");
    lock.try_lock().expect("nobody has it");
    let words = muster.refused(&args, 1);
    assert!(words.contains("a node of West runs already"), "{words}");
    drop(lock);

    let mut entries = 0;
    for run in 1..=2 {
        let told = muster.json(&args);
        assert_eq!((&told["nodes"], &told["enrolled"]), (&4.into(), &50.into()), "{told}");
        assert!(told["revoke_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");
        assert_eq!(told["state_root"].as_str().map(str::len), Some(44), "{told}");
        let north = muster.path("home/north");
        let mut audit = Command::new(env!("CARGO_BIN_EXE_muster"));
        let audit = audit.arg("--home").arg(north).args(["ledger", "audit", "--json"]).output();
        let audit = audit.expect("the binary runs").stdout;
        let audit: serde_json::Value = serde_json::from_slice(&audit).expect("an object");
        assert_eq!(
            (&audit["clean"], &audit["devices"]),
            (&true.into(), &(run * 50).into()),
            "{audit}"
        );
        assert!(audit["entries"].as_u64() > Some(entries), "{audit}");
        entries = audit["entries"].as_u64().unwrap_or_default();
    }
}
