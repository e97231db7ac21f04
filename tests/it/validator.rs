//! The key that signs checkpoints is lost or stolen: the ledger goes on.

use crate::muster::{Muster, get};
use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

#[test]
fn a_lost_key_comes_back_from_its_copy() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let node = muster.serve(&["serve"]);
    let row = muster.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    muster.json(&["enrol", "a.jsonl", "--node", &node.url]);
    node.stop();
    let home = muster.home();
    fs::remove_file(home.join("node/node.pem")).expect("lost");
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("node.pem"), "{words}");
    fs::copy(home.join("keys/node-copy.pem"), home.join("node/node.pem")).expect("put back");
    let node = muster.serve(&["serve"]);
    assert_eq!(muster.json(&["ledger", "status", "--node", &node.url])["size"], 1);
}

fn post(url: &str, body: &[u8]) -> String {
    let host = url.strip_prefix("http://").expect("plain HTTP");
    let mut stream = std::net::TcpStream::connect(host).expect("the node listens");
    let head = format!(
        "POST /v1/operations HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/cose\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn a_stolen_key_is_replaced_by_the_root_key_and_gateways_go_along() {
    let muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    let home = muster.home();
    let node = muster.serve(&["serve"]);
    let address = node.url.strip_prefix("http://").expect("plain HTTP").to_owned();
    let url = node.url.clone();
    let at_node = ["--node", &url];
    for name in ["a", "b"] {
        let row = muster.line(&["device", "new", &format!("{name}.pem"), "--model", "m"]);
        fs::write(muster.path(&format!("{name}.jsonl")), row).expect("written");
    }
    muster.json(&[&["enrol", "a.jsonl"], &at_node[..]].concat());
    let did = |name: &str| muster.line(&["device", "did", &format!("{name}.pem")]);
    let receipt = |name: &str, file: &str| {
        muster.json(&[&["show", &did(name), "--receipt", file], &at_node[..]].concat())
    };
    receipt("a", "a-early.receipt");
    let gateway = muster.serve(&["gateway", "--audience", "pumps.example", "--node", &url]);
    let passes = |name: &str| {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let pem = format!("{name}.pem");
            let token = muster.line(&["device", "present", &pem, "--audience", "pumps.example"]);
            let door = format!("{}/v1/authenticate", gateway.url);
            let (status, text) = get(&door, &[("authorization", &format!("Muster {token}"))]);
            if status == 200 {
                break;
            }
            assert!(Instant::now() < until, "{name}: {text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    passes("a");
    node.stop();

    // The node gets a new key. It says what it needs, and what the root key is to sign.
    fs::rename(home.join("node/node.pem"), muster.path("stolen.pem")).expect("stolen");
    let new = muster.json(&["key", "new", "home/node/node.pem", "--unsealed"]);
    let new = new["key"].as_str().expect("a key");
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains(&format!("muster org validator {new} --seq 1 --out")), "{words}");
    let validator = ["org", "validator", new, "--seq", "1", "--out"];
    let by_admin = ["by-admin.cbor", "--sign-with", "home/keys/admin.pem"];
    muster.json(&[&validator[..], &by_admin].concat());
    muster.json(&[&["org", "validator", new, "--seq", "0", "--out"][..], &["stale.cbor"]].concat());
    let stolen = muster.json(&["key", "show", "stolen.pem"])["key"].clone();
    let stolen = stolen.as_str().expect("a key");
    muster.json(&["org", "validator", stolen, "--seq", "1", "--out", "other.cbor"]);
    for (file, why) in [
        ("by-admin.cbor", "root"),
        ("stale.cbor", "--seq"),
        ("other.cbor", "other validators"),
        ("a.jsonl", "--succeed"),
    ] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--succeed", file];
        let words = muster.refused(&serve, 1);
        assert!(words.contains(why), "{file}: {words}");
    }
    muster.json(&[&validator[..], &["change.cbor"]].concat());
    let succeed = ["serve", "--succeed", "change.cbor"];
    let node = muster.serve_on(&succeed, &address);

    // Who only knows the genesis believes no acknowledgement, until the ledger itself told it.
    let words = muster.output(&[&["enrol", "b.jsonl"], &at_node[..]].concat());
    assert!(!words.status.success());
    let status = muster.json(&[&["ledger", "status"], &at_node[..]].concat());
    assert_eq!(status["validators"], serde_json::json!([new]));
    let told = muster.json(&[&["enrol", "b.jsonl"], &at_node[..]].concat());
    assert_eq!(
        told["already"].as_u64().zip(told["enrolled"].as_u64()).map(|(a, e)| a + e),
        Some(1)
    );
    muster.json(&[&["hold", &did("a")], &at_node[..]].concat());
    muster.json(&[&["release", &did("a")], &at_node[..]].concat());

    // The gateway went along, for what is new and for what was there.
    passes("b");
    passes("a");

    // Receipts: by the present validator, not by the stolen key.
    receipt("a", "a.receipt");
    muster.json(&["verify", "a.receipt"]);
    muster.json(&["verify", "a.receipt", "--genesis", "home/genesis.cbor", "--validator", new]);
    let words = muster.refused(&["verify", "a.receipt", "--genesis", "home/genesis.cbor"], 1);
    assert!(words.contains("0 of 1 needed"), "{words}");
    muster.refused(&["verify", "a-early.receipt"], 1);

    // A node that runs takes no such change, and the stolen key does not come back.
    let seq = ["org", "validator", stolen, "--out", "back.cbor"];
    muster.json(&[&seq[..], &at_node].concat());
    let answer = post(&url, &fs::read(muster.path("back.cbor")).expect("the file"));
    assert!(answer.contains("409") && answer.contains("muster serve --succeed"), "{answer}");
    node.stop();
    fs::rename(home.join("node/node.pem"), muster.path("good.pem")).expect("moved");
    fs::copy(muster.path("stolen.pem"), home.join("node/node.pem")).expect("copied");
    let back = ["serve", "--listen", "127.0.0.1:0", "--succeed", "back.cbor"];
    let words = muster.refused(&back, 1);
    assert!(words.contains("used") || words.contains("ledger already"), "{words}");

    // With the good one it starts, the file beside it or not.
    fs::copy(muster.path("good.pem"), home.join("node/node.pem")).expect("copied");
    muster.serve_on(&succeed, &address).stop();
    muster.serve(&["serve"]).stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
