use super::{Caller, Face};
use crate::listen::{Connection, Place};
use axum::body::Body;
use axum::extract::Request;
use muster_api::Problem;

fn face(public: Option<&str>, proxies: Option<&str>, place: &str) -> Face {
    let public = public.map(|url| url.parse().expect("an origin"));
    let proxies = proxies.map(|text| text.parse().expect("proxies")).unwrap_or_default();
    Face::new(public, proxies, &place.parse::<Place>().expect("a place"))
}

fn connection(peer: &str, local: Option<&str>, secret: bool) -> Connection {
    let parse = |text: &str| text.parse().expect("an address");
    Connection { peer: parse(peer), local: local.map(parse), secret }
}

fn plain() -> Connection {
    connection("127.0.0.1:50000", Some("127.0.0.1:7700"), false)
}

fn ask(face: &Face, from: Connection, headers: &[(&str, &str)]) -> Result<Caller, Problem> {
    let mut request = Request::builder().uri("/v1/lots");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    face.caller(&request.body(Body::empty()).expect("a request"), &from)
}

fn local() -> Face {
    face(None, None, "127.0.0.1:7700")
}

#[track_caller]
fn code(result: Result<Caller, Problem>) -> String {
    result.expect_err("it must be refused").code().to_owned()
}

#[test]
fn a_name_that_is_not_the_nodes_is_refused() {
    let (own, named) = (local(), face(Some("https://node.example"), None, "0.0.0.0:7700"));
    for host in ["127.0.0.1:7700", "localhost:7700", "[::1]:7700", "10.0.0.5:7700"] {
        assert!(ask(&own, plain(), &[("host", host)]).is_ok(), "{host}");
        assert!(ask(&named, plain(), &[("host", host)]).is_ok(), "{host}");
    }
    for host in ["evil.example:7700", "127.0.0.1.evil.example", "localhost.evil.example:7700"] {
        assert_eq!(code(ask(&own, plain(), &[("host", host)])), "host", "{host}");
        assert_eq!(code(ask(&named, plain(), &[("host", host)])), "host", "{host}");
    }
    assert!(ask(&named, plain(), &[("host", "Node.Example")]).is_ok());
    assert!(ask(&own, plain(), &[]).is_ok(), "no browser");
    for host in ["", "a b", "127.0.0.1:x", "u@127.0.0.1", "127.0.0.1/x"] {
        assert_eq!(code(ask(&own, plain(), &[("host", host)])), "header", "{host:?}");
    }
    let twice = [("host", "127.0.0.1:7700"), ("host", "evil.example")];
    assert_eq!(code(ask(&own, plain(), &twice)), "header");
    // The certificate said the name, unless an option does.
    let secret = connection("192.0.2.1:50000", Some("10.0.0.5:7700"), true);
    assert!(ask(&own, secret, &[("host", "node.example")]).is_ok());
    assert_eq!(code(ask(&named, secret, &[("host", "evil.example")])), "host");
}

#[test]
fn pages_of_other_sites_are_told_apart() {
    let named = face(Some("https://node.example"), None, "127.0.0.1:7700");
    let foreign = |face: &Face, host: &str, more: &[(&str, &str)]| {
        let headers = [&[("host", host)], more].concat();
        ask(face, plain(), &headers).expect("let in").foreign
    };
    let here = "127.0.0.1:7700";
    assert!(!foreign(&local(), here, &[]));
    assert!(!foreign(&local(), here, &[("origin", "http://127.0.0.1:7700")]));
    assert!(!foreign(&local(), here, &[("sec-fetch-site", "same-origin")]));
    assert!(!foreign(&local(), here, &[("sec-fetch-site", "none")]));
    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:7701",
        "https://127.0.0.1:7700",
        "",
        "http://localhost:7700",
    ] {
        assert!(foreign(&local(), here, &[("origin", origin)]), "{origin}");
    }
    for site in ["cross-site", "same-site", "else"] {
        assert!(foreign(&local(), here, &[("sec-fetch-site", site)]), "{site}");
    }
    // A proxy speaks TLS in the node's stead.
    assert!(!foreign(&named, "node.example", &[("origin", "https://node.example")]));
    assert!(foreign(&named, "node.example", &[("origin", "https://other.example")]));
}

#[test]
fn near_is_who_is_here_and_passes_nothing_on() {
    let near = |face: &Face, from, headers: &[(&str, &str)]| {
        ask(face, from, headers).expect("let in").near
    };
    let far = connection("192.0.2.1:50000", Some("10.0.0.5:7700"), true);
    let file = connection("127.0.0.1:0", None, false);
    assert!(near(&local(), plain(), &[]) && near(&local(), file, &[]));
    assert!(!near(&local(), far, &[]));
    for header in ["x-forwarded-for", "x-real-ip", "forwarded", "via", "x-forwarded-host"] {
        assert!(!near(&local(), plain(), &[(header, "127.0.0.1")]), "{header}");
        assert!(!near(&local(), plain(), &[(header, "")]), "{header}");
    }
    // It listens on this machine and calls itself otherwise: a proxy is in front.
    for place in ["127.0.0.1:7700", "unix:/run/muster.sock"] {
        assert!(!near(&face(Some("https://node.example"), None, place), plain(), &[]), "{place}");
        assert!(near(&face(Some("http://127.0.0.1:7700"), None, place), plain(), &[]), "{place}");
    }
    assert!(near(&face(Some("https://node.example"), None, "0.0.0.0:7700"), plain(), &[]));
}

#[test]
fn sources_are_the_word_of_trusted_proxies_alone() {
    let source = |proxies: Option<&str>, peer: &str| {
        let from = connection(peer, Some("10.0.0.5:7700"), false);
        let headers = [("x-forwarded-for", "198.51.100.9, 203.0.113.7")];
        let caller = ask(&face(None, proxies, "0.0.0.0:7700"), from, &headers).expect("let in");
        caller.source.expect("a source").to_string()
    };
    assert_eq!(source(None, "10.1.1.1:9"), "10.1.1.1");
    assert_eq!(source(Some("10.0.0.0/8"), "10.1.1.1:9"), "203.0.113.7");
    assert_eq!(source(Some("10.0.0.0/8"), "192.0.2.1:9"), "192.0.2.1");
    assert_eq!(source(Some("local"), "127.0.0.1:9"), "203.0.113.7");
}

#[test]
fn a_signed_read_names_the_node_by_what_it_is() {
    let names = |face: &Face, from| ask(face, from, &[("host", "10.9.9.9")]).expect("in").names;
    assert_eq!(names(&local(), plain()), ["http://127.0.0.1:7700", "http://localhost:7700"]);
    let far = connection("192.0.2.1:50000", Some("10.0.0.5:443"), true);
    assert_eq!(names(&local(), far), ["https://10.0.0.5"], "not what the Host says");
    let named = face(Some("https://node.example"), None, "0.0.0.0:7700");
    assert_eq!(names(&named, far), ["https://node.example", "https://10.0.0.5"]);
    let file = connection("127.0.0.1:0", None, false);
    assert_eq!(names(&named, file), ["https://node.example"]);
}
