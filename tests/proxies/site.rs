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
    assert_eq!(curl(&arguments).status, 200);
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
            &["gateway", "--audience", AUDIENCE, "--node", &node.url, "--trust-proxy"],
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

        // What a client says of itself reaches nobody.
        let names = ["Did", "Owner", "Model", "Batch", "Roll-Age", "Stale", "Reason", "Receipt"];
        let forged = names.map(|name| format!("Muster-{name}: forged"));
        let token = self.present("good");
        let mut arguments = vec!["-H", &token, url];
        // A device part that is none would be refused, so it is left out here.
        forged[..7].iter().for_each(|header| arguments.extend(["-H", header]));
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
}
