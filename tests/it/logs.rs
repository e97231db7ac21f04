//! What stands in the logs of a whole run at the finest level, and what never does.

use crate::muster::{Muster, Server, get};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

const SERIAL: &str = "SN-7f3a-private";
const LOT: &str = "LOT-private-11";
const PASSPHRASE: &str = "correct horse battery staple";

/// A run whose every line is kept.
struct Run {
    muster: Muster,
    secrets: Vec<(&'static str, String)>,
}

impl Run {
    fn server(&self, args: &[&str], log: &str) -> Server {
        let fixed = ["--listen", "127.0.0.1:0", "--json", "--log", "json", "--log-level", "trace"];
        let mut command = self.muster.command(&[args, &fixed].concat());
        command.stderr(File::create(self.muster.path(log)).expect("a log"));
        Muster::start(command)
    }

    /// A command that must succeed; its log lines are kept too.
    fn command(&self, args: &[&str]) -> String {
        let log = OpenOptions::new().create(true).append(true).open(self.muster.path("client.log"));
        let mut command = self.muster.command(args);
        command.args(["--log", "json", "--log-level", "trace"]).stderr(log.expect("a log"));
        let output = command.output().expect("the binary runs");
        let log = || fs::read_to_string(self.muster.path("client.log")).unwrap_or_default();
        assert!(output.status.success(), "muster {args:?}: {}", log());
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn secret(&mut self, what: &'static str, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 8, "{what} is too short to be looked for: {text}");
        self.secrets.push((what, text));
    }

    /// The lines of a key file, and the last bytes of a plain key as numbers and in hexadecimal.
    fn key(&mut self, file: &Path) {
        let pem = fs::read_to_string(file).expect("a key");
        let lines: Vec<String> =
            pem.lines().filter(|l| !l.starts_with("-----")).map(str::to_owned).collect();
        for line in lines.iter().filter(|line| line.len() >= 8) {
            self.secret("a line of a private key", line.as_str());
        }
        let bytes = data_encoding::BASE64.decode(lines.concat().as_bytes()).expect("PEM");
        let tail = &bytes[bytes.len() - 12..];
        self.secret("a private key in hexadecimal", data_encoding::HEXLOWER.encode(tail));
        self.secret("a private key in numbers", format!("{tail:?}").replace(['[', ']'], ""));
    }

    fn log(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.muster.path(name)).expect("a log");
        let line = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"))
        };
        text.lines().map(line).collect()
    }
}

fn header(answer: &str, name: &str) -> Option<String> {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once(": "));
    pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

#[test]
fn a_whole_run_says_who_did_what_and_no_secret() {
    let mut muster = Muster::new();
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    let mut run = Run { muster, secrets: vec![("the passphrase", PASSPHRASE.into())] };
    run.command(&["init", "--seal"]);
    let home = run.muster.home();
    for key in fs::read_dir(home.join("keys")).expect("keys") {
        let key = key.expect("a file").path();
        if key.extension().is_some_and(|ext| ext == "pem") {
            run.key(&key);
        } else {
            let text = fs::read_to_string(&key).expect("text");
            run.secret("the directory secret", text.trim());
        }
    }
    run.key(&home.join("node/node.pem"));

    // Enrol.
    let node = run.server(&["serve"], "node.log");
    let at_node = ["--node", &node.url];
    let row = run.command(&["device", "new", "pump.pem", "--serial", SERIAL, "--model", "pump"]);
    run.key(&run.muster.path("pump.pem"));
    let row = format!("{},\"lot\":\"{LOT}\"}}", row.trim_end_matches('}'));
    fs::write(run.muster.path("mine.jsonl"), row).expect("written");
    run.secret("a serial number", SERIAL);
    run.secret("a lot", LOT);
    run.command(&[&["enrol", "mine.jsonl"], &at_node[..]].concat());
    let did = run.command(&["device", "did", "pump.pem"]);
    let shown = [&["show", &did, "--receipt", "pump.receipt"], &at_node[..]].concat();
    assert!(run.command(&shown).contains(SERIAL), "the node knows the serial number");
    get(&format!("{}/v1/lots?lot={LOT}", node.url), &[]);

    // Present, with a session and a proof, with a nonce, twice, and with a false signature.
    let gateway_args = [
        "gateway",
        "--audience",
        "pumps.example",
        "--node",
        &node.url,
        "--sessions",
        "10m",
        "--key",
        "gateway.pem",
        "--trust-proxy",
    ];
    let gateway = run.server(&gateway_args, "gateway.log");
    run.key(&run.muster.path("gateway.pem"));
    let door = format!("{}/v1/authenticate", gateway.url);
    let present = ["device", "present", "pump.pem", "--audience", "pumps.example"];
    let until = Instant::now() + Duration::from_secs(20);
    let (token, answer) = loop {
        let token = run.command(&present);
        run.secret("a presentation", token.as_str());
        let said = format!("Muster {token}");
        let asks = [
            ("authorization", &*said),
            ("muster-session", "open"),
            ("muster-prove", "gateway"),
            ("x-request-id", "from-the-proxy-1"),
        ];
        let (status, answer) = get(&door, &asks);
        if status == 200 {
            break (token, answer);
        }
        assert!(Instant::now() < until, "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(header(&answer, "x-request-id").as_deref(), Some("from-the-proxy-1"));
    let session = header(&answer, "muster-session").expect("a session");
    run.secret("a session", session.as_str());
    run.secret("a proof of the gateway", header(&answer, "muster-proof").expect("a proof"));
    assert_eq!(get(&door, &[("authorization", &format!("Muster-Session {session}"))]).0, 200);
    let (_, nonce) = get(&format!("{}/v1/nonce", gateway.url), &[]);
    let nonce: Value =
        serde_json::from_str(nonce.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    let nonce = nonce["nonce"].as_str().expect("a nonce").to_owned();
    run.secret("a nonce", nonce.as_str());
    let answered = run.command(&[&present[..], &["--nonce", &nonce]].concat());
    assert_eq!(get(&door, &[("authorization", &format!("Muster {answered}"))]).0, 200);
    run.secret("a presentation by a nonce", answered.as_str());
    for _ in 0..25 {
        let (status, answer) = get(&door, &[("authorization", &format!("Muster {token}"))]);
        assert_eq!(status, 401, "{answer}");
        let id = header(&answer, "x-request-id").expect("an id");
        assert!(answer.contains(&format!("urn:muster:request:{id}")), "{answer}");
    }
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    run.secret("a forged presentation", forged.as_str());
    get(&door, &[("authorization", &format!("Muster {forged}"))]);
    let receipt = fs::read(run.muster.path("pump.receipt")).expect("a receipt");
    let receipt = data_encoding::BASE64URL_NOPAD.encode(&receipt[..900.min(receipt.len())]);
    run.secret("what was sent as a device part", receipt.as_str());
    get(&door, &[("authorization", &format!("Muster {token}")), ("muster-receipt", &receipt)]);

    // Revoke, and ask what is not allowed.
    run.command(&[&["revoke", &did, "--reason", "lost"], &at_node[..]].concat());
    let (status, answer) =
        get(&format!("{}/v1/devices/did:web:x", node.url), &[("x-request-id", "mine")]);
    assert_eq!(status, 400, "{answer}");
    let asked = header(&answer, "x-request-id").expect("an id");
    assert_ne!(asked, "mine", "a node believes nobody");
    gateway.stop();
    node.stop();

    // Who did it, by which key, to what, where it stands.
    let node_log = run.log("node.log");
    let changes: Vec<&Value> =
        node_log.iter().filter(|line| line["message"] == "the ledger changed").collect();
    let actions: Vec<&str> =
        changes.iter().filter_map(|line| line["fields"]["action"].as_str()).collect();
    assert_eq!(actions, ["enrol", "revoke"]);
    let revoked = &changes[1]["fields"];
    assert_eq!((&revoked["target"], &revoked["entry"]), (&did.as_str().into(), &1.into()));
    assert!(revoked["key"].as_str().is_some_and(|key| key.starts_with('z')), "{revoked}");
    assert!(revoked["author"].as_str().is_some_and(|did| did.starts_with("did:muster:")));
    let refused = |line: &&Value| line["target"] == "muster::refused";
    let of_request =
        node_log.iter().find(|line| refused(line) && line["request_id"] == asked.as_str());
    assert!(of_request.is_some(), "no line of request {asked}");

    // Refusals are bounded, and the rest is counted.
    let gateway_log = run.log("gateway.log");
    let replayed: Vec<&Value> = gateway_log
        .iter()
        .filter(refused)
        .filter(|line| line["fields"]["reason"] == "replayed")
        .collect();
    let told = replayed.iter().filter(|line| line["message"] == "refused").count();
    assert_eq!(told, 10, "{replayed:#?}");
    assert!(
        replayed
            .iter()
            .all(|line| line["message"] != "refused" || line["fields"]["did"] == did.as_str())
    );
    let more: u64 = replayed.iter().filter_map(|line| line["fields"]["more"].as_u64()).sum();
    assert_eq!(more, 16, "25 and one with a device part, less ten");
    assert!(gateway_log.iter().any(|line| line["request_id"] == "from-the-proxy-1"));

    // Every line has its names, and none has a secret. What is public is found by the same search.
    let mut lines = 0;
    assert!(node_log.iter().any(|line| line.to_string().contains(&did)));
    for log in ["node.log", "gateway.log", "client.log"] {
        for line in run.log(log) {
            lines += 1;
            for name in ["time", "level", "message", "target"] {
                assert!(line[name].is_string(), "{log}: no {name}: {line}");
            }
            assert!(line["fields"].is_object(), "{log}: {line}");
            let text = line.to_string();
            for (what, secret) in &run.secrets {
                assert!(!text.contains(secret.as_str()), "{log}: {what} stands in {text}");
            }
            // An upload's id is the right to add to it.
            let uploads = text.matches("/v1/uploads/").count();
            assert_eq!(uploads, text.matches("/v1/uploads/{upload}").count(), "{log}: {text}");
        }
    }
    assert!(lines > 100, "the finest level says more than {lines} lines");
}

#[test]
fn a_panic_is_a_line_of_the_log() {
    let muster = Muster::new();
    let mut command = muster.command(&["config", "check", "--log", "json"]);
    // Results that cannot be written end a command.
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let output = command.env_remove("RUST_BACKTRACE").stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(101));
    let line: Value = serde_json::from_slice(&output.stderr).expect("one line, and nothing else");
    assert_eq!((&line["level"], &line["target"]), (&"error".into(), &"muster::panic".into()));
    assert!(
        line["message"].as_str().is_some_and(|words| words.contains("No space left")),
        "{line}"
    );
    assert_eq!(line["fields"]["thread"], "main");
    assert!(line["fields"].get("trace").is_none(), "{line}");
}
