//! nginx with `auth_request`.

use crate::client::{curl, echo, record};
use crate::proxy::{Proxy, free_address, sample};
use crate::site::{Site, tells_the_original};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn start(site: &Site, gateway: (&str, &str)) -> Proxy {
    start_in(site.muster.path("nginx"), &site.service, gateway)
}

fn start_in(dir: PathBuf, service: &str, gateway: (&str, &str)) -> Proxy {
    let address = free_address();
    let html = dir.join("html");
    fs::create_dir_all(html.join("sub")).expect("a folder");
    fs::write(html.join("index.html"), "the index\n").expect("written");
    fs::write(html.join("sub/index.html"), "the index below\n").expect("written");
    let text = sample(
        "nginx/muster.conf",
        &[
            gateway,
            ("127.0.0.1:8080", service),
            ("127.0.0.1:8000", &address),
            ("/var/www/html", &html.display().to_string()),
        ],
    );
    fs::write(dir.join("muster.conf"), text).expect("written");
    // As Debian's nginx.conf includes conf.d, with every path of this test's own.
    let of = |name: &str| dir.join(name).display().to_string();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", of(kind)))
        .join(" ");
    let user = if fs::metadata(&dir).is_ok_and(|dir| owner(&dir) == 0) { "user root;" } else { "" };
    let main = format!(
        "{user} worker_processes 1; pid {}; error_log {} info;\nevents {{ worker_connections 64; }}\n\
         http {{ access_log off; {temporary} include {}; }}\n",
        of("nginx.pid"),
        of("error.log"),
        of("muster.conf")
    );
    fs::write(dir.join("nginx.conf"), main).expect("written");
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(&dir).arg("-c").arg(dir.join("nginx.conf"));
    nginx.args(["-e", &of("start.log"), "-g", "daemon off;"]);
    Proxy::start(&mut nginx, &address, &dir.join("log"))
}

fn owner(file: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(file)
}

#[test]
fn the_sample_guards_a_service() {
    let site = Site::new();
    let nginx = start(&site, ("127.0.0.1:7701", site.door()));
    site.behaves(&format!("{}/telemetry", nginx.url));
}

#[test]
fn the_gateway_hears_of_the_original_request() {
    let (dir, (gateway, recorded)) = (tempfile::tempdir().expect("a folder"), record());
    let nginx = start_in(dir.path().join("nginx"), &echo(), ("127.0.0.1:7701", &gateway));
    tells_the_original(&format!("{}/telemetry", nginx.url), &recorded);
}

#[test]
fn index_and_try_files_use_a_presentation_once() {
    let site = Site::new();
    let nginx = start(&site, ("127.0.0.1:7701", site.door()));
    site.until("good", &format!("{}/telemetry", nginx.url), 200);
    let decided = || {
        let status = curl(&[&format!("{}/v1/status", site.gateway.url)]);
        let status: serde_json::Value = serde_json::from_str(&status.body).expect("JSON");
        (status["accepted"].as_u64().expect("a count"), status["refused"]["replayed"].clone())
    };
    let before = decided().0;
    // A folder (index), a file, a folder below, and what is no file (the named location).
    for (number, (path, content)) in [
        ("/", "the index\n"),
        ("/index.html", "the index\n"),
        ("/sub/", "the index below\n"),
        ("/pumps/7", "GET /pumps/7"),
    ]
    .into_iter()
    .enumerate()
    {
        let token = site.present("good");
        let url = format!("{}{path}", nginx.url);
        let answer = curl(&["-H", &token, &url]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.body.starts_with(content), "{path}: {answer:?}");
        // nginx asked more than once here and there; a second request of the client is another.
        assert_eq!(curl(&["-H", &token, &url]).status, 401, "{path}");
        assert_eq!(decided().1, number as u64 + 1, "{path}");
    }
    // At least one of them was asked about twice, or this test shows nothing.
    assert!(decided().0 > before + 4, "{:?}", decided());
}

#[test]
fn without_a_gateway_nobody_passes() {
    let site = Site::new();
    let nginx = start(&site, ("127.0.0.1:7701", site.door()));
    let url = format!("{}/telemetry", nginx.url);
    site.until("good", &url, 200);
    let token = site.present("good");
    site.gateway.stop();
    let answer = curl(&["-H", &token, &url]);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.headers("muster-reason"), ["no-gateway"]);
    assert_eq!(answer.headers("retry-after"), ["5"]);
    assert!(answer.body.contains("urn:muster:problem:no-gateway"), "{answer:?}");
    let answer = curl(&[&format!("{}/v1/nonce", nginx.url)]);
    assert_eq!((answer.status, &*answer.headers("muster-reason")), (503, &["no-gateway"][..]));
}

#[test]
fn the_gateway_may_listen_on_a_socket_file() {
    let site = Site::on_socket();
    let server = format!("server {};", site.gateway.url);
    assert!(server.starts_with("server unix:/"), "{server}");
    let nginx = start(&site, ("server 127.0.0.1:7701;", &server));
    site.behaves(&format!("{}/telemetry", nginx.url));
    let (file, url) = (site.muster.path("gateway.sock"), format!("{}/telemetry", nginx.url));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&file).expect("the socket file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o660);
    site.gateway.stop();
    assert!(!file.exists(), "removed at the stop");
    assert_eq!(curl(&[&url]).status, 503);
}
