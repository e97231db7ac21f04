//! A network with a node, two devices on it, a gateway and a service.

use crate::client::{Answer, curl, echo};
use crate::muster::{Muster, Server};
use std::fs;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

pub(crate) const AUDIENCE: &str = "telemetry.example";

/// What a proxy tells the gateway of a request, whatever the client says of it. `url` leads through
/// the proxy, with `recorded` in the gateway's place.
#[track_caller]
pub(crate) fn tells_the_original(url: &str, recorded: &Receiver<String>) {
    let mut arguments = vec!["-X", "PUT", "-H", "Authorization: Muster a.b.c"];
    for header in [
        "X-Real-IP: 192.0.2.66",
        "X-Forwarded-For: 192.0.2.66",
        "X-Forwarded-Uri: /forged",
        "X-Forwarded-Method: FORGED",
        "X-Original-URI: /forged",
        "X-Original-Method: FORGED",
        "X-Request-Id: forged",
    ] {
        arguments.extend(["-H", header]);
    }
    let url = format!("{url}?x=1");
    arguments.extend(["-d", "the body", &url]);
    let answer = curl(&arguments);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("\nmuster-stale: true\n"), "the gateway says so: {answer:?}");
    let asked = recorded.recv_timeout(Duration::from_secs(20)).expect("the gateway is asked");
    let said = |names: [&str; 2]| -> Vec<&str> {
        let lines = asked.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| names.contains(name)).map(|(_, value)| value).collect()
    };
    assert!(asked.starts_with("GET /v1/authenticate"), "{asked}");
    assert_eq!(said(["authorization", ""]), ["Muster a.b.c"], "{asked}");
    assert_eq!(said(["x-original-uri", "x-forwarded-uri"]), ["/telemetry?x=1"], "{asked}");
    assert_eq!(said(["x-original-method", "x-forwarded-method"]), ["PUT"], "{asked}");
    assert_eq!(said(["x-real-ip", "x-forwarded-for"]), ["127.0.0.1"], "{asked}");
    assert_eq!(said(["x-request-id", ""]).len(), 1, "{asked}");
    for theirs in ["forged", "FORGED", "192.0.2.66", "the body"] {
        assert!(!asked.contains(theirs), "{asked}");
    }
}

/// What stands behind a proxy.
pub(crate) struct Site {
    pub(crate) muster: Muster,
    pub(crate) node: Server,
    pub(crate) gateway: Server,
    pub(crate) service: String,
}

impl Site {
    /// With the gateway on a free port.
    pub(crate) fn new() -> Self {
        Self::with(|muster, arguments| muster.serve(arguments))
    }

    /// With the gateway on a socket file.
    pub(crate) fn on_socket() -> Self {
        Self::with(|muster, arguments| {
            let place = format!("unix:{}", muster.path("gateway.sock").display());
            muster.serve_on(arguments, &place)
        })
    }

    fn with(serve: impl Fn(&Muster, &[&str]) -> Server) -> Self {
        let muster = Muster::new();
        muster.json(&["init"]);
        let node = muster.serve(&["serve"]);
        let rows = ["good", "bad"]
            .map(|name| muster.line(&["device", "new", &format!("{name}.pem"), "--model", "pump"]));
        fs::write(muster.path("devices.jsonl"), rows.join("\n")).expect("written");
        muster.json(&["enrol", "devices.jsonl", "--node", &node.url]);
        let gateway = serve(
            &muster,
            &[
                &["gateway", "--audience", AUDIENCE, "--node", &node.url, "--trust-proxy"][..],
                &["--sessions", "10m", "--key", "gateway.key"],
            ]
            .concat(),
        );
        Self { muster, node, gateway, service: echo() }
    }

    /// Where the gateway listens, without the scheme.
    pub(crate) fn door(&self) -> &str {
        self.gateway.url.strip_prefix("http://").unwrap_or(&self.gateway.url)
    }

    /// A fresh presentation of a device as curl's header.
    pub(crate) fn present(&self, name: &str) -> String {
        let key = format!("{name}.pem");
        let token = self.muster.line(&["device", "present", &key, "--audience", AUDIENCE]);
        format!("Authorization: Muster {token}")
    }

    pub(crate) fn did(&self, name: &str) -> String {
        self.muster.line(&["device", "did", &format!("{name}.pem")])
    }

    pub(crate) fn revoke(&self, name: &str) {
        self.muster.json(&["revoke", &self.did(name), "--node", &self.node.url]);
    }

    /// Asks with fresh presentations until the answer has this status: the gateway may not follow
    /// yet.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, url: &str, status: u16) -> Answer {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = curl(&["-H", &self.present(name), url]);
            if answer.status == status || Instant::now() > until {
                assert_eq!(answer.status, status, "{answer:?}");
                return answer;
            }
        }
    }

    /// What every proxy must do, whatever its sample looks like. `url` leads to the service.
    #[track_caller]
    pub(crate) fn behaves(&self, url: &str) {
        let did = self.did("good");
        let answer = self.until("good", url, 200);
        assert!(answer.body.contains(&format!("\nmuster-did: {did}\n")), "{answer:?}");
        assert!(answer.body.contains("\nmuster-model: pump\n"), "{answer:?}");
        assert!(!answer.body.contains("\nauthorization:"), "{answer:?}");
        // Of ours nothing else: the roll is fresh.
        let ours = answer.body.lines().filter(|line| line.starts_with("muster")).count();
        assert_eq!(ours, 5, "{answer:?}");
        for name in ["muster-session", "muster-session-seconds", "muster-proof"] {
            assert!(answer.headers(name).is_empty(), "nobody asked for it: {answer:?}");
        }

        // What a client says of itself reaches nobody.
        let names = ["Did", "Owner", "Model", "Batch", "Roll-Age", "Stale", "Reason", "Proof"];
        let more = ["Nonce", "Session", "Session-Seconds", "Prove"];
        // A service behind CGI or WSGI takes an underscore for a hyphen.
        let both = |name| [format!("Muster-{name}: forged"), format!("Muster_{name}: forged")];
        let forged: Vec<String> = names.into_iter().chain(more).flat_map(both).collect();
        let token = self.present("good");
        let mut arguments = vec!["-H", &token, url];
        // A device part that is none would be refused: Muster-Receipt is left out here.
        arguments.extend(["-H", "Muster_Receipt: forged", "-H", "Muster_Roll_Age: forged"]);
        forged.iter().for_each(|header| arguments.extend(["-H", header]));
        let answer = curl(&arguments);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.contains("forged"), "{answer:?}");
        assert!(answer.body.contains(&format!("\nmuster-did: {did}\n")), "{answer:?}");

        // The request id is the proxy's: by one of his own a client gets nothing twice.
        let (token, id) = (self.present("good"), "X-Request-Id: mine");
        assert_eq!(curl(&["-H", &token, "-H", id, url]).status, 200);
        let again = curl(&["-H", &token, "-H", id, url]);
        assert_eq!((again.status, &*again.headers("muster-reason")), (401, &["replayed"][..]));
        let challenge = again.headers("www-authenticate");
        assert_eq!(challenge.len(), 1, "{again:?}");
        assert!(challenge[0].starts_with("Muster error=\"replayed\""), "{again:?}");
        assert_eq!(again.headers("content-type"), ["application/problem+json"]);
        assert!(again.body.contains("\"urn:muster:problem:replayed\""), "{again:?}");

        let nothing = curl(&[url]);
        assert_eq!((nothing.status, &*nothing.headers("muster-reason")), (401, &["missing"][..]));

        self.hands_on(url);

        // A body goes to the service, whole, and to nobody else.
        let body = "0123456789abcdef".repeat(4_096);
        let file = self.muster.path("body");
        fs::write(&file, &body).expect("written");
        let (token, data) = (self.present("good"), format!("@{}", file.display()));
        let answer = curl(&["-H", &token, "--data-binary", &data, url]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("POST /telemetry"), "{answer:?}");
        assert!(answer.body.ends_with(&format!("\n\n{body}")));

        self.revoke("bad");
        let answer = self.until("bad", url, 403);
        assert_eq!(answer.headers("muster-reason"), ["revoked"]);
        assert_eq!(answer.headers("cache-control"), ["no-store"]);
        assert!(answer.body.contains("\"urn:muster:problem:revoked\""), "{answer:?}");
        assert!(answer.headers("www-authenticate").is_empty(), "{answer:?}");
    }
    /// What a device may ask the gateway for through the proxy: a nonce, a session, a proof.
    #[track_caller]
    fn hands_on(&self, url: &str) {
        let present = |nonce: &str| {
            let by = ["device", "present", "good.pem", "--audience", AUDIENCE, "--nonce", nonce];
            format!("Authorization: Muster {}", self.muster.line(&by))
        };
        // With a refusal, or by the one path of the gateway that is open.
        let refused = curl(&[url]);
        let nonces = refused.headers("muster-nonce");
        assert_eq!((refused.status, nonces.len()), (401, 1), "{refused:?}");
        let token = present(nonces[0]);
        assert_eq!(curl(&["-H", &token, url]).status, 200);
        assert_eq!(curl(&["-H", &token, url]).status, 401, "a nonce is used once");
        let root = url.strip_suffix("/telemetry").expect("the service's path");
        let answer = curl(&["-H", "X-Real-IP: forged", &format!("{root}/v1/nonce")]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let given: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let token = present(given["nonce"].as_str().expect("a nonce"));
        assert_eq!(curl(&["-H", &token, url]).status, 200);
        for path in ["/v1/status", "/v1/authenticate", "/v1/nonce/", "/v1/nonce/../status"] {
            let answer = curl(&["--path-as-is", &format!("{root}{path}")]);
            assert_eq!(answer.status, 401, "{path}: {answer:?}");
        }
        let posted = curl(&["-d", "x", &format!("{root}/v1/nonce")]).status;
        assert!([401, 403].contains(&posted), "{posted}");

        let (token, open) = (self.present("good"), "Muster-Session: open");
        let answer = curl(&["-H", &token, "-H", open, url]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers("muster-session-seconds"), ["600"], "{answer:?}");
        assert!(!answer.body.contains("muster-session"), "{answer:?}");
        let sessions = answer.headers("muster-session");
        assert_eq!(sessions.len(), 1, "{answer:?}");
        let session = format!("Authorization: Muster-Session {}", sessions[0]);
        for _ in 0..2 {
            let answer = curl(&["-H", &session, url]);
            assert_eq!(answer.status, 200, "{answer:?}");
            let did = format!("\nmuster-did: {}\n", self.did("good"));
            assert!(answer.body.contains(&did), "{answer:?}");
            assert!(!answer.body.contains("\nauthorization:"), "{answer:?}");
        }

        let key = self.muster.json(&["device", "did", "gateway.key"])["key"].clone();
        let run = ["device", "run", "good.pem", "--audience", AUDIENCE, "--url", url];
        let key = key.as_str().expect("a key");
        self.muster.json(&[&run[..], &["--count", "1", "--gateway-key", key]].concat());
    }
}
