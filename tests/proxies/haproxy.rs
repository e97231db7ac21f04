//! HAProxy with the action in Lua that asks the gateway.

use crate::client::{curl, echo, record};
use crate::proxy::{Proxy, free_address, sample};
use crate::site::{Site, tells_the_original};
use std::fs;
use std::path::Path;
use std::process::Command;

fn start(dir: &Path, service: &str, gateway: &str) -> Proxy {
    let address = free_address();
    fs::create_dir_all(dir).expect("a folder");
    let script = dir.join("muster.lua");
    fs::write(&script, sample("haproxy/muster.lua", &[])).expect("written");
    let text = sample(
        "haproxy/haproxy.cfg",
        &[
            ("127.0.0.1:7701", gateway),
            ("127.0.0.1:8080", service),
            ("127.0.0.1:8000", &address),
            ("/etc/haproxy/muster.lua", &script.display().to_string()),
        ],
    );
    fs::write(dir.join("haproxy.cfg"), text).expect("written");
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    Proxy::start(&mut haproxy, &address, &dir.join("log"))
}

#[test]
fn the_gateway_hears_of_the_original_request() {
    let (dir, (gateway, recorded)) = (tempfile::tempdir().expect("a folder"), record());
    let haproxy = start(dir.path(), &echo(), &gateway);
    tells_the_original(&format!("{}/telemetry", haproxy.url), &recorded);
}

#[test]
fn the_sample_guards_a_service() {
    let site = Site::new();
    let haproxy = start(&site.muster.path("haproxy"), &site.service, site.door());
    let url = format!("{}/telemetry", haproxy.url);
    site.behaves(&url);

    // A header that came twice is refused, not halved.
    let tokens = [site.present("good"), site.present("good")];
    let twice = curl(&["-H", &tokens[0], "-H", &tokens[1], &url]);
    assert_eq!((twice.status, &*twice.headers("muster-reason")), (401, &["malformed"][..]));

    let token = site.present("good");
    site.gateway.stop();
    let answer = curl(&["-H", &token, &url]);
    assert_eq!((answer.status, &*answer.headers("muster-reason")), (503, &["no-gateway"][..]));
}
