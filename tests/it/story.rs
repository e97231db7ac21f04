//! The thread, by hand: init, serve, enrol a file of one's own, a gateway, 200, revoke, 403,
//! audit. Every command as the README gives it.

use crate::muster::{Muster, get, lines};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn demo_tells_its_story_twice_in_one_folder() {
    let muster = Muster::new();
    let first = muster.json(&["demo", "--exit", "--port", "0", "--devices", "200"]);
    assert_eq!((first["enrolled"].as_u64(), first["already"].as_u64()), (Some(200), Some(0)));
    let second = muster.json(&["demo", "--exit", "--port", "0", "--devices", "200"]);
    assert_eq!((second["enrolled"].as_u64(), second["already"].as_u64()), (Some(0), Some(200)));
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn enrol_pass_revoke_refuse_audit() {
    let muster = Muster::new();
    muster.json(&["init", "--label", "Test Devices"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];

    // A manifest of one's own: one device by the command, one row without a key.
    let row = muster.line(&["device", "new", "pump.pem", "--serial", "P-1", "--model", "pump"]);
    fs::write(
        muster.path("mine.jsonl"),
        format!("{row}\n{{\"serial\":\"P-2\",\"model\":\"pump\"}}\n"),
    )
    .expect("the manifest is written");
    let enrol = [&["enrol", "mine.jsonl", "--json"], &at_node[..]].concat();

    let dry = muster.output(&[&enrol[..], &["--dry-run"]].concat());
    assert_eq!(dry.status.code(), Some(1), "a row without a key is something to see to");
    let size = muster.json(&[&["ledger", "status"], &at_node[..]].concat())["size"].clone();
    assert_eq!(size, 0, "a dry run enrols nothing");

    let first = muster.output(&enrol);
    let told: serde_json::Value = serde_json::from_slice(&first.stdout).expect("one object");
    assert_eq!(
        (&told["enrolled"], &told["waiting"], &told["rows"]),
        (&1.into(), &1.into(), &2.into())
    );
    let results = lines(&muster.path("mine.jsonl.results.jsonl"));
    assert_eq!(results.len(), 2);

    let again = muster.output(&enrol);
    let told: serde_json::Value = serde_json::from_slice(&again.stdout).expect("one object");
    assert_eq!((&told["enrolled"], &told["already"]), (&0.into(), &1.into()));
    let size = muster.json(&[&["ledger", "status"], &at_node[..]].concat())["size"].clone();
    assert_eq!(size, 1, "the same file twice changes nothing");

    // The gateway lets it pass.
    let gateway = muster.serve(&["gateway", "--audience", "pumps.example", "--node", &node.url]);
    let door = format!("{}/v1/authenticate", gateway.url);
    let present = ["device", "present", "pump.pem", "--audience", "pumps.example"];
    let knock = |token: &str| get(&door, &[("authorization", &format!("Muster {token}"))]);
    let until = Instant::now() + Duration::from_secs(20);
    let mut token = muster.line(&present);
    let mut answer = knock(&token);
    while answer.0 != 200 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
        token = muster.line(&present);
        answer = knock(&token);
    }
    assert_eq!(answer.0, 200, "{}", answer.1);
    // Once only, and nobody can ask for more by choosing a request id.
    for _ in 0..2 {
        let headers = [("authorization", &*format!("Muster {token}")), ("x-request-id", "r1")];
        let (status, text) = get(&door, &headers);
        assert_eq!(status, 401);
        assert!(text.contains("replayed"), "{text}");
    }

    // A receipt that needs nothing but the genesis file.
    let did = muster.line(&["device", "did", "pump.pem"]);
    let show = [&["show", &did, "--receipt", "pump.receipt"], &at_node[..]].concat();
    assert_eq!(muster.json(&show)["device"]["serial"], "P-1");
    assert_eq!(muster.json(&["verify", "pump.receipt"])["did"], did.as_str());
    let mut bytes = fs::read(muster.path("pump.receipt")).expect("the receipt");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(muster.path("forged.receipt"), bytes).expect("written");
    muster.refused(&["verify", "forged.receipt"], 1);

    // Held, released, revoked.
    let expect = |code: u16, reason: &str| {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let (status, text) = knock(&muster.line(&present));
            if (status == code && text.contains(reason)) || Instant::now() > until {
                assert_eq!(status, code, "{text}");
                assert!(text.contains(reason), "{text}");
                break;
            }
        }
    };
    muster.json(&[&["hold", &did, "--reason", "lost"], &at_node[..]].concat());
    expect(403, "held");
    muster.json(&[&["release", &did], &at_node[..]].concat());
    expect(200, "");
    muster.json(&[&["revoke", &did], &at_node[..]].concat());
    expect(403, "revoked");
    let words = muster.refused(&[&["release", &did], &at_node[..]].concat(), 1);
    assert!(words.contains("no hold"), "{words}");

    // The gateway decides without the node, after a restart too.
    node.stop();
    gateway.stop();
    let gateway =
        muster.serve(&["gateway", "--audience", "pumps.example", "--node", "http://127.0.0.1:9"]);
    let (status, text) = get(
        &format!("{}/v1/authenticate", gateway.url),
        &[("authorization", &format!("Muster {}", muster.line(&present)))],
    );
    // It has no leaves, so it asks nobody: the state's record alone refuses.
    assert_eq!(status, 403, "{text}");
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn what_is_acknowledged_survives_a_power_cut() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let row = muster.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    muster.json(&["enrol", "a.jsonl", "--node", &node.url]);
    let did = muster.line(&["device", "did", "a.pem"]);
    muster.json(&["revoke", &did, "--node", &node.url]);
    let before = muster.json(&["ledger", "status", "--node", &node.url]);
    node.kill();
    let node = muster.serve(&["serve"]);
    let after = muster.json(&["ledger", "status", "--node", &node.url]);
    for name in ["size", "height", "log_root", "state_root"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    // Two nodes on one folder are refused, with the reason.
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("lock") || words.contains("another"), "{words}");
}

#[test]
fn keys_rotate_and_the_old_one_is_over() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];
    let row = muster.line(&["device", "new", "old.pem", "--model", "m", "--algorithm", "p256"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    muster.json(&[&["enrol", "a.jsonl"], &at_node[..]].concat());
    let did = muster.line(&["device", "did", "old.pem"]);
    muster.line(&["device", "new", "new.pem"]);
    muster.json(&[&["rotate", "--key", "old.pem", "--new", "new.pem"], &at_node[..]].concat());
    let document = muster.json(&[&["resolve", &did], &at_node[..]].concat());
    let new_key = muster.json(&["device", "did", "new.pem"])["key"].clone();
    let method = &document["didDocument"]["verificationMethod"][0];
    assert_eq!(method["publicKeyMultibase"], new_key);
    // The old key cannot sign a second rotation.
    muster.line(&["device", "new", "third.pem"]);
    let again = ["rotate", "--key", "old.pem", "--new", "third.pem"];
    let words = muster.refused(&[&again[..], &at_node[..]].concat(), 1);
    assert!(words.contains("not a present key"), "{words}");

    // The organisation's daily key is replaced; the old one signs nothing any more.
    let keys = muster.json(&[&["org", "show"], &at_node[..]].concat());
    let admin = keys["organisations"][0]["keys"]
        .as_array()
        .and_then(|keys| keys.iter().find(|k| k["capabilities"][0] == "enrol"))
        .and_then(|k| k["key"].as_str())
        .expect("the admin key")
        .to_owned();
    muster.json(&[&["org", "key", "rotate", &admin, "admin2.pem"], &at_node[..]].concat());
    let words = muster.refused(&[&["revoke", &did], &at_node[..]].concat(), 1);
    assert!(words.contains("not a present key"), "{words}");
    muster.json(&[&["revoke", &did, "--sign-with", "admin2.pem"], &at_node[..]].concat());
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn misuse_says_what_to_do() {
    let muster = Muster::new();
    assert!(muster.refused(&["serve"], 1).contains("muster init"));
    muster.refused(&["revoke"], 2);
    muster.json(&["init"]);
    assert!(muster.refused(&["init"], 1).contains("already holds a network"));
    let everywhere = ["--listen", "0.0.0.0:0", "--tls-self-signed"];
    let gateway = [&["gateway", "--audience", "a.example"][..], &everywhere].concat();
    let words = muster.refused(&gateway, 1);
    assert!(words.contains("--tls-name NAME"), "{words}");
    let words = muster.refused(&["serve", "--listen", "0.0.0.0:0"], 1);
    assert!(words.contains("--without-tls"), "{words}");
    let words = muster.refused(&["resolve", "did:muster:zabc", "--node", "http://127.0.0.1:9"], 1);
    assert!(words.contains("127.0.0.1:9"), "{words}");
    fs::write(muster.home().join("FORMAT"), "muster home 99\n").expect("written");
    assert!(muster.refused(&["serve"], 1).contains("another version"));
}

#[test]
fn strangers_cannot_hold_the_door() {
    use std::io::{Read as _, Write as _};
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let address = node.url.strip_prefix("http://").expect("plain HTTP");
    let mut slow = std::net::TcpStream::connect(address).expect("the node listens");
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost:").expect("half a head is sent");
    let start = Instant::now();
    slow.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit for the test");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).expect("the node closes it");
    assert!(start.elapsed() < Duration::from_secs(25));
    assert_eq!(get(&format!("{}/healthz", node.url), &[]).0, 200);
    // A body above its bound is refused, whatever the upload.
    let mut large = std::net::TcpStream::connect(address).expect("the node listens");
    let head =
        "POST /v1/operations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99999999\r\n\r\n";
    large.write_all(head.as_bytes()).expect("the head is sent");
    let mut answer = [0; 12];
    large.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn plain_http_beyond_this_machine_is_asked_for_by_name() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let far = "http://192.0.2.1:7700";
    for args in [
        &["org", "show", "--node", far][..],
        &["gateway", "--audience", "a", "--node", far, "--listen", "127.0.0.1:0"],
    ] {
        let words = muster.refused(args, 1);
        assert!(words.contains("--without-tls"), "{words}");
    }
    muster.line(&["device", "new", "a.pem"]);
    let run = ["device", "run", "a.pem", "--audience", "a", "--url", "http://192.0.2.1/"];
    assert!(muster.refused(&run, 1).contains("--without-tls"));
}

#[test]
fn a_restored_folder_asks_for_the_newest_head() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let row = muster.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    muster.json(&["enrol", "a.jsonl", "--node", &node.url]);
    let head = muster.json(&["ledger", "status", "--node", &node.url]);
    node.stop();
    // A backup never has the signing state.
    fs::remove_file(muster.home().join("node/signed-head")).expect("removed");
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("--restored"), "{words}");
    let known = |size: u64| format!("{size}:{}", head["log_root"].as_str().expect("a root"));
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0", "--restored", &known(2)], 1);
    assert!(!words.is_empty());
    muster.refused(&["serve", "--restored", "1"], 2);
    muster.serve(&["serve", "--restored", &known(1)]).stop();
    muster.serve(&["serve"]).stop();
}
