//! The gateway and the node speak TLS themselves.

use crate::client::curl;
use crate::muster::{Muster, Server};
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

/// A certificate that the node makes itself: clients pin its key, or believe the file.
#[test]
fn a_certificate_of_its_own_is_pinned_by_its_key() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let start = |muster: &Muster| {
        let mut command = muster.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.args(["--metrics", "127.0.0.1:0", "--tls-self-signed"]);
        let (mut child, line) = said(command);
        let said: serde_json::Value = serde_json::from_str(&line).expect("the node starts");
        let text = |name: &str| said[name].as_str().expect(name).to_owned();
        let (url, pin) = (text("listening"), text("pin"));
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");
        let answer = curl(&["-k", "--pinnedpubkey", &pin, &format!("{url}/healthz")]);
        if answer.status != 200 {
            let _ = child.kill();
        }
        assert_eq!(answer.status, 200, "curl reads the same pin: {answer:?}");
        (Server { child, url: url.clone(), metrics: None }, url, pin)
    };
    let (node, url, pin) = start(&muster);
    let to_node = ["--node", &url];
    let status = |more: &[&str]| {
        let all = [&["ledger", "status"], &to_node[..], more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let json = |more: &[&str]| muster.json(&status(more).iter().map(|s| &**s).collect::<Vec<_>>());
    let refused = |more: &[&str], code| {
        muster.refused(&status(more).iter().map(|s| &**s).collect::<Vec<_>>(), code)
    };
    refused(&[], 1);
    json(&["--node-pin", &pin]);
    let cert = muster.home().join("node/tls/cert.pem").display().to_string();
    json(&["--node-ca", &cert]);
    let other = format!("sha256//{}=", "A".repeat(43));
    let words = refused(&["--node-pin", &other], 1);
    assert!(words.contains("another key"), "{words}");
    json(&["--node-pin", &other, "--node-pin", &pin]);
    refused(&["--node-pin", "sha256//abc"], 2);
    let plain = ["ledger", "status", "--node", "http://127.0.0.1:9", "--node-pin", &pin];
    assert!(muster.refused(&plain, 1).contains("https://"));

    // A gateway follows by the pin, with a certificate of its own; devices believe the file.
    let row = muster.line(&["device", "new", "a.pem", "--model", "m"]);
    fs::write(muster.path("a.jsonl"), row).expect("written");
    muster.json(&[&["enrol", "a.jsonl", "--node-pin", &pin], &to_node[..]].concat());
    let gateway = ["gateway", "--audience", "a.example", "--node-pin", &pin, "--tls-self-signed"];
    let gateway = muster.serve(&[&gateway, &to_node[..]].concat());
    let url = format!("{}/v1/authenticate", gateway.url);
    let ca = muster.home().join("gateway/tls/cert.pem").display().to_string();
    let run = ["device", "run", "a.pem", "--audience", "a.example", "--url", &url, "--count", "1"];
    let with_ca = [&run[..], &["--ca", &ca]].concat();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !muster.output(&with_ca).status.success() {
        assert!(std::time::Instant::now() < until, "the device never passes");
    }

    // The same key after a restart, also where the certificate is made anew.
    node.stop();
    fs::remove_file(&cert).expect("it was there");
    let (node, _, again) = start(&muster);
    assert_eq!(pin, again);
    node.stop();
}

/// Starts a server, and gives what it says.
fn said(mut command: Command) -> (std::process::Child, String) {
    use std::io::BufRead as _;
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    let output = child.stdout.take().expect("its output is read here");
    std::io::BufReader::new(output).read_line(&mut line).expect("it says where it listens");
    (child, line)
}
