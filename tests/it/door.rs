//! A gateway, and devices that knock at it.

use crate::muster::{Muster, Server, get};
use std::time::{Duration, Instant};

/// How long a gateway may take to hear of an operation, on a busy machine.
const HEARS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Door {
    /// Ends with it.
    _server: Server,
    url: String,
}

impl Door {
    pub(crate) fn open(muster: &Muster, args: &[&str]) -> Self {
        let server =
            muster.serve(&[&["gateway", "--audience", "pumps.example"][..], args].concat());
        let url = format!("{}/v1/authenticate", server.url);
        Self { _server: server, url }
    }

    /// What a device hears that signs with this key: `let through`, or the reason.
    pub(crate) fn knock(&self, muster: &Muster, key: &str, did: &str) -> String {
        let audience = ["--audience", "pumps.example"];
        let present = [&["device", "present", key, "--did", did][..], &audience].concat();
        let token = muster.line(&present);
        let (status, text) = get(&self.url, &[("authorization", &format!("Muster {token}"))]);
        if status == 200 {
            return "let through".into();
        }
        let mut headers = text.lines();
        let reason = headers.find_map(|line| line.strip_prefix("muster-reason: "));
        reason.unwrap_or_else(|| panic!("no reason: {text}")).to_owned()
    }

    /// Knocks until that is the answer.
    pub(crate) fn hears(&self, muster: &Muster, key: &str, did: &str, wanted: &str) {
        let until = Instant::now() + HEARS_WITHIN;
        loop {
            let told = self.knock(muster, key, did);
            if told == wanted {
                return;
            }
            assert!(Instant::now() < until, "{key} for {did}: {told}, not {wanted}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
