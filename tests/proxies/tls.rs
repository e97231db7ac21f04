//! The gateway and the node speak TLS themselves.

use crate::client::curl;
use crate::muster::Muster;
use std::fs;
use std::process::Command;

/// A private authority, and a certificate of it for this machine.
fn certificate(muster: &Muster, name: &str) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(muster.path("."))
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    if !muster.path("ca.pem").exists() {
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 9"));
    }
    openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    fs::write(muster.path("names"), "subjectAltName=IP:127.0.0.1").expect("written");
    openssl(&format!(
        "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 9 -extfile names -out {name}.pem"
    ));
}

#[test]
fn devices_reach_the_gateway_and_gateways_the_node_by_tls() {
    let muster = Muster::new();
    muster.json(&["init"]);
    certificate(&muster, "server");
    let tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    let node = muster.serve(&[&["serve"], &tls[..]].concat());
    assert!(node.url.starts_with("https://"), "{}", node.url);
    let row = muster.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    // The Web's authorities did not sign it.
    let words = muster.refused(&["ledger", "status", "--node", &node.url], 1);
    assert!(words.contains("https://"), "{words}");
    let to_node = ["--node", &node.url, "--node-ca", "ca.pem"];
    muster.json(&[&["enrol", "a.jsonl"], &to_node[..]].concat());

    let start = ["gateway", "--audience", "a.example"];
    let gateway = muster.serve(&[&start, &to_node[..], &tls[..]].concat());
    let url = format!("{}/v1/authenticate", gateway.url);
    assert!(url.starts_with("https://"), "{url}");
    let run = ["device", "run", "a.pem", "--audience", "a.example", "--url", &url, "--count", "1"];
    let with_ca = [&run[..], &["--ca", "ca.pem"]].concat();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !muster.output(&with_ca).status.success() {
        assert!(std::time::Instant::now() < until, "the device never passes");
    }
    assert!(!muster.output(&run).status.success(), "an unknown authority");

    // curl, by each version; older ones are refused.
    let ca = muster.path("ca.pem").display().to_string();
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        let answer = curl(&[&["--cacert", &ca, &url], version].concat());
        assert_eq!((answer.status, &*answer.headers("muster-reason")), (401, &["missing"][..]));
    }
    let mut old = Command::new("curl");
    old.args(["--silent", "--cacert", &ca, "--tls-max", "1.1", &url]);
    assert!(!old.status().expect("curl runs").success());
    // Plain HTTP to the port is no way round.
    let plain = url.replace("https://", "http://");
    let mut plain_curl = Command::new("curl");
    let status = plain_curl.args(["--silent", "--max-time", "10", &plain]).status();
    assert!(!status.expect("curl runs").success());

    // A renewed certificate is taken at SIGHUP, a broken one is not.
    let shown = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--verbose", "--cacert", &ca, &url]);
        let output = curl.output().expect("curl runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(shown().contains("subject: CN=server"), "{}", shown());
    certificate(&muster, "renewed");
    fs::copy(muster.path("renewed.pem"), muster.path("server.pem")).expect("copied");
    gateway.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(shown().contains("subject: CN=server"), "the key does not fit: {}", shown());
    fs::copy(muster.path("renewed.key"), muster.path("server.key")).expect("copied");
    gateway.signal("HUP");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !shown().contains("subject: CN=renewed") {
        assert!(std::time::Instant::now() < until, "{}", shown());
    }
    gateway.stop();
}

#[test]
fn a_peer_that_never_speaks_tls_holds_no_connection() {
    use std::io::{Read as _, Write as _};
    let muster = Muster::new();
    muster.json(&["init"]);
    certificate(&muster, "server");
    let tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    let start = ["gateway", "--audience", "a", "--node", "http://127.0.0.1:9"];
    let gateway = muster.serve(&[&start[..], &tls[..]].concat());
    let address = gateway.url.strip_prefix("https://").expect("TLS");
    let mut silent = std::net::TcpStream::connect(address).expect("it listens");
    let mut halting = std::net::TcpStream::connect(address).expect("it listens");
    // The head of a record that never comes.
    halting.write_all(&[22, 3, 1, 2, 0]).expect("sent");
    let begin = std::time::Instant::now();
    for stream in [&mut silent, &mut halting] {
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a limit");
        assert_eq!(stream.read(&mut [0; 64]).expect("the gateway closes it"), 0);
    }
    let waited = begin.elapsed().as_secs();
    assert!((3..20).contains(&waited), "{waited} s");
    gateway.stop();
}

#[test]
fn with_tls_a_listener_beyond_this_machine_needs_no_word() {
    let muster = Muster::new();
    muster.json(&["init"]);
    certificate(&muster, "server");
    let start = ["gateway", "--audience", "a", "--node", "http://127.0.0.1:9"];
    let far = [&start[..], &["--listen", "0.0.0.0:0"]].concat();
    assert!(muster.refused(&far, 1).contains("--tls-cert"));
    let tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    muster.serve_on(&[&start[..], &tls[..]].concat(), "0.0.0.0:0").stop();
    // Misuse, and files that are none.
    muster.refused(&[&start[..], &["--tls-cert", "server.pem"]].concat(), 2);
    let swapped = ["--tls-cert", "server.key", "--tls-key", "server.pem"];
    let words = muster.refused(&[&start[..], &swapped[..]].concat(), 1);
    assert!(words.contains("server.key"), "{words}");
    certificate(&muster, "other");
    let no_pair = ["--tls-cert", "server.pem", "--tls-key", "other.key"];
    let words = muster.refused(&[&start[..], &no_pair[..]].concat(), 1);
    assert!(words.contains("no pair"), "{words}");
}
