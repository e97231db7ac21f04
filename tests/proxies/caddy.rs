//! Caddy with what `forward_auth` stands for.

use crate::client::{curl, echo, record};
use crate::proxy::{Proxy, free_address, sample};
use crate::site::{Site, tells_the_original};
use std::fs;
use std::path::Path;
use std::process::Command;

fn start(site: &Site, gateway: (&str, &str)) -> Proxy {
    start_in(&site.muster.path("caddy"), &site.service, gateway)
}

fn start_in(dir: &Path, service: &str, gateway: (&str, &str)) -> Proxy {
    let address = free_address();
    fs::create_dir_all(dir).expect("a folder");
    let text = sample(
        "caddy/Caddyfile",
        &[gateway, ("127.0.0.1:8080", service), ("127.0.0.1:8000", &address)],
    );
    // Its port for administration is one for the whole machine.
    let text = format!("{{\n\tadmin off\n}}\n{text}");
    fs::write(dir.join("Caddyfile"), text).expect("written");
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.join("Caddyfile"));
    caddy.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
    Proxy::start(&mut caddy, &address, &dir.join("log"))
}

#[test]
fn the_sample_guards_a_service() {
    let site = Site::new();
    let caddy = start(&site, ("127.0.0.1:7701", site.door()));
    let url = format!("{}/telemetry", caddy.url);
    site.behaves(&url);
    let token = site.present("good");
    site.gateway.stop();
    assert_eq!(curl(&["-H", &token, &url]).status, 502);
}

#[test]
fn the_gateway_hears_of_the_original_request() {
    let (dir, (gateway, recorded)) = (tempfile::tempdir().expect("a folder"), record());
    let caddy = start_in(dir.path(), &echo(), ("127.0.0.1:7701", &gateway));
    tells_the_original(&format!("{}/telemetry", caddy.url), &recorded);
}

#[test]
fn the_gateway_may_listen_on_a_socket_file() {
    let site = Site::on_socket();
    let socket = site.gateway.url.replace("unix:", "unix/");
    let caddy = start(&site, ("127.0.0.1:7701", &socket));
    site.behaves(&format!("{}/telemetry", caddy.url));
}
