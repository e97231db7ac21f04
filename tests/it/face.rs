//! Who may ask a node for what: names, pages of other sites, strangers, and the organisation itself.

use crate::muster::{Muster, Server};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};

/// A request by its own words: status and answer.
fn ask(url: &str, line: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let host = url.strip_prefix("http://").expect("plain HTTP");
    let mut stream = std::net::TcpStream::connect(host).expect("the server listens");
    let mut request = format!("{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer)
}

fn is_problem(answer: &(u16, String), status: u16, code: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert!(answer.1.contains(&format!("urn:muster:problem:{code}\"")), "{}", answer.1);
}

/// A node with a lot of two devices, one of them revoked, and a gateway's name.
fn begun(more: &[&str]) -> (Muster, Server, Vec<String>) {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&[&["serve"], more].concat());
    let rows: Vec<String> = (0..2)
        .map(|n| {
            let row = muster.line(&["device", "new", &format!("{n}.pem"), "--model", "pump"]);
            let mut row: Value = serde_json::from_str(&row).expect("a row");
            row["lot"] = "L-7".into();
            row["result"] = "pass".into();
            row.to_string()
        })
        .collect();
    fs::write(muster.path("rows.jsonl"), rows.join("\n")).expect("written");
    muster.json(&["enrol", "rows.jsonl", "--node", &node.url]);
    let dids: Vec<String> =
        (0..2).map(|n| muster.line(&["device", "did", &format!("{n}.pem")])).collect();
    muster.json(&["gateways", "add", "store-1", "gateway.pem", "--node", &node.url]);
    muster.json(&["revoke", &dids[0], "--node", &node.url]);
    (muster, node, dids)
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let (_muster, node, dids) = begun(&[]);
    let url = &node.url;
    assert_eq!(ask(url, "GET /v1/genesis", &[]).0, 200);
    is_problem(&ask(url, "GET /v1/genesis", &[("host", "evil.example")]), 421, "host");
    is_problem(&ask(url, "GET /healthz", &[("host", "evil.example")]), 421, "host");
    let evil = [("origin", "http://evil.example")];
    let cross = [("sec-fetch-site", "cross-site")];
    let own = [("origin", url.as_str()), ("sec-fetch-site", "same-origin")];
    let device = format!("GET /v1/devices/{}", dids[1]);
    for changes in [
        "POST /v1/operations",
        "POST /v1/gateways",
        "POST /v1/acknowledgements",
        "POST /v1/uploads",
        "POST /v1/uploads/00/rows",
        "POST /v1/uploads/00/line",
        "POST /v1/uploads/00/seal",
        "DELETE /v1/uploads/00",
    ] {
        is_problem(&ask(url, changes, &evil), 403, "origin");
        is_problem(&ask(url, changes, &cross), 403, "origin");
        let (status, answer) = ask(url, changes, &own);
        assert!((400..500).contains(&status) && !answer.contains(":origin\""), "{answer}");
    }
    let coverage = format!("GET /v1/coverage/{}", dids[0]);
    for private in ["GET /v1/lots", "GET /v1/lots/devices", "GET /v1/gateways", &coverage] {
        is_problem(&ask(url, private, &evil), 403, "origin");
        is_problem(&ask(url, private, &cross), 403, "origin");
        let (status, answer) = ask(url, private, &own);
        assert!(status == 200 && answer.contains("cache-control: no-store"), "{answer}");
    }
    // What is public stays so; of a device the public part.
    assert_eq!(ask(url, "GET /v1/network", &evil).0, 200);
    let (status, answer) = ask(url, &device, &evil);
    assert!(status == 200 && !answer.contains("\"serial\""), "{answer}");
    assert!(ask(url, &device, &own).1.contains("\"serial\""));
}

#[test]
fn strangers_see_what_is_public() {
    let (muster, node, dids) = begun(&[]);
    let url = &node.url;
    let passed_on = [("x-forwarded-for", "203.0.113.9")];
    let coverage = format!("GET /v1/coverage/{}", dids[0]);
    for private in ["GET /v1/lots", "GET /v1/lots/devices", "GET /v1/gateways", &coverage] {
        assert_eq!(ask(url, private, &[]).0, 200, "{private}");
        let answer = ask(url, private, &passed_on);
        is_problem(&answer, 401, "reader");
        assert!(answer.1.contains("www-authenticate: Muster"), "{}", answer.1);
        assert!(!answer.1.contains("store-1") && !answer.1.contains("L-7"), "{}", answer.1);
        is_problem(&ask(url, private, &[("authorization", "Muster x.y.z")]), 401, "reader");
        is_problem(&ask(url, private, &[("authorization", "Basic eDp5")]), 401, "reader");
    }
    let device = format!("GET /v1/devices/{}", dids[1]);
    let (status, answer) = ask(url, &device, &passed_on);
    assert!(status == 200 && answer.contains("\"withheld\":true"), "{answer}");
    assert!(!answer.contains("\"serial\"") && !answer.contains("L-7"), "{answer}");
    let batch = muster.json(&["show", &dids[1], "--node", url])["device"]["batch"].clone();
    let batch = batch.as_str().expect("a batch");
    for public in [
        "/v1/limits",
        "/v1/genesis",
        "/v1/network",
        "/v1/checkpoint",
        "/v1/feed?from=0",
        "/v1/snapshot",
        "/v1/consistency?from=1&to=2",
        "/v1/batches",
        &format!("/v1/batches/{batch}"),
        &format!("/v1/batches/{batch}/leaves"),
        &format!("/v1/devices/{}/part", dids[1]),
        &format!("/v1/devices/{}/receipt", dids[1]),
        &format!("/v1/history/{}", dids[0]),
        &format!("/1.0/identifiers/{}", dids[0]),
        "/healthz",
        "/readyz",
    ] {
        let (status, answer) = ask(url, &format!("GET {public}"), &passed_on);
        assert!(matches!(status, 200 | 410), "{public}: {answer}");
        assert!(!answer.contains("L-7") && !answer.contains("store-1"), "{public}: {answer}");
    }
}

/// The node calls itself otherwise than where it listens, so a proxy stands before it and peers on
/// this machine are anybody: the commands sign, with the key of the home folder.
#[test]
fn commands_sign_where_the_node_asks() {
    let (muster, node, dids) = begun(&["--public-url", "https://node.example"]);
    let to_node = ["--node", &node.url];
    is_problem(&ask(&node.url, "GET /v1/lots", &[]), 401, "reader");
    let lots = muster.json(&[&["lot", "report", "L-7"], &to_node[..]].concat());
    assert_eq!(lots["lots"][0]["devices"], 2, "{lots}");
    let gateways = muster.json(&[&["gateways"], &to_node[..]].concat());
    assert_eq!(gateways["gateways"][0]["gateway"], "store-1");
    let coverage = muster.json(&[&["coverage", &dids[0]], &to_node[..]].concat());
    assert_eq!(coverage["registered"], 1);
    let shown = muster.json(&[&["show", &dids[0]], &to_node[..]].concat());
    assert_eq!(
        (&shown["device"]["serial"], &shown["coverage"]["registered"]),
        (&"0".into(), &1.into())
    );
    let watched = ["revoke", &dids[1], "--watch", "--within", "1"];
    let output = muster.output(&[&watched[..], &to_node[..], &["--json"]].concat());
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(said["coverage"]["registered"], 1, "{said}");

    // Another key of the organisation does; a stranger's, or none, does not.
    let second = ["--sign-with", "home/keys/admin2.pem"];
    muster.json(&[&["gateways"], &to_node[..], &second].concat());
    let words =
        muster.refused(&[&["gateways"], &to_node[..], &["--sign-with", "1.pem"]].concat(), 1);
    assert!(words.contains("no present key"), "{words}");
    let words =
        muster.refused(&[&["gateways"], &to_node[..], &["--sign-with", "no.pem"]].concat(), 1);
    assert!(words.contains("--sign-with") && words.contains("no.pem"), "{words}");
    let without = [&["show", &dids[0]], &to_node[..], &["--sign-with", "no.pem"]].concat();
    let shown = muster.json(&without);
    assert!(shown["device"]["serial"].is_null() && shown["coverage"].is_null(), "{shown}");
    assert_eq!(shown["device"]["standing"], "revoked");
}

#[test]
fn bounds_are_served() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let (_, answer) = ask(&node.url, "GET /v1/limits", &[]);
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let view: Value = serde_json::from_str(body).expect("JSON");
    let limits = view["limits"].as_array().expect("a list");
    let of = |name: &str| limits.iter().find(|l| l["name"] == name).expect("served").clone();
    assert_eq!(of("UPLOAD_ROWS")["value"], 4_096);
    assert_eq!(of("CONNECTIONS")["unit"], "connections");
    assert_eq!(of("LOOK_UPS")["value"], serde_json::json!([500, 4_000]));
    assert!(of("LEAF_BYTES")["reason"].as_str().expect("words").starts_with("Bytes of a leaf"));
}

/// Metrics are on a listener of their own, and whatever is declared is said.
#[test]
fn metrics_have_a_listener_of_their_own() {
    let (muster, node, _) = begun(&[]);
    let url = node.metrics.clone().expect("an address").replace("/metrics", "");
    is_problem(&ask(&node.url, "GET /metrics", &[]), 404, "no-such-path");
    is_problem(&ask(&url, "GET /metrics", &[("host", "evil.example")]), 421, "host");
    let evil = [("origin", "http://evil.example")];
    assert_eq!(ask(&url, "GET /metrics", &evil).0, 403);
    is_problem(&ask(&node.url, "GET /v1/genesis", &[("host", "evil.example")]), 421, "host");
    let text = node.metrics();
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    for line in [
        "muster_devices 2",
        "muster_log_entries 2",
        "muster_gateways_registered 1",
        "muster_http_requests_total{route=\"/v1/operations\",method=\"POST\",status=\"200\"} 2",
        "muster_http_requests_total{route=\"/v1/genesis\",method=\"GET\",status=\"421\"} 1",
        "muster_http_requests_total{route=\"other\",method=\"GET\",status=\"404\"} 1",
        "muster_http_refusals_total{code=\"host\"} 1",
        "muster_http_requests_running 0",
        "muster_http_request_seconds_bucket{route=\"/v1/operations\",le=\"+Inf\"} 2",
        "muster_commit_seconds_count 2",
        &format!("muster_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is missing:\n{text}");
    }
    for name in ["process_resident_memory_bytes", "muster_disk_free_bytes", "process_open_fds"] {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value: u64 = line.expect(name).parse().expect("a number");
        assert!(value > 4, "{name} {value}");
    }
    // Each family stands once.
    let mut names: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);

    let gateway = ["gateway", "--audience", "a", "--node", &node.url, "--dir", "second"];
    let gateway = muster.serve(&gateway);
    assert_eq!(ask(&gateway.url, "GET /metrics", &[]).0, 404);
    ask(&gateway.url, "GET /v1/authenticate", &[]);
    let text = gateway.metrics();
    for line in [
        "muster_gateway_decisions_total{reason=\"missing\"} 1",
        "muster_http_requests_total{route=\"/v1/authenticate\",method=\"GET\",status=\"401\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is missing:\n{text}");
    }
}

#[test]
fn metrics_can_be_left_out_and_stay_on_this_machine() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let off = ["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--json"];
    let node = Muster::start(muster.command(&off));
    assert_eq!((node.metrics.as_ref(), ask(&node.url, "GET /metrics", &[]).0), (None, 404));
    let taken = node.url.trim_start_matches("http://").to_owned();
    node.stop();
    let far = ["serve", "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"];
    assert!(muster.refused(&far, 1).contains("--metrics"));
    let busy = std::net::TcpListener::bind(&taken).expect("the port is free again");
    let same = ["serve", "--listen", "127.0.0.1:0", "--metrics", &taken];
    assert!(muster.refused(&same, 1).contains("--metrics"));
    drop(busy);
}
