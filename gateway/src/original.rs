//! What a trusted proxy says of the request it asks for: nginx in the headers that the sample
//! configuration sets, Caddy and Traefik in those that they send by themselves.

use crate::AuthRequest;
use crate::headers::one;
use http::{HeaderMap, HeaderName};
use muster_verifier::plain_path;
use std::net::{IpAddr, SocketAddr};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const URI: [HeaderName; 2] =
    [HeaderName::from_static("x-original-uri"), HeaderName::from_static("x-forwarded-uri")];
const METHOD: [HeaderName; 2] =
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-forwarded-method")];

/// Adds what the proxy says. Where it says nothing, or the same thing twice, nothing is known:
/// whoever decides by path or source must treat that as the worst.
pub(crate) fn read<'a>(
    headers: &'a HeaderMap,
    peer: Option<IpAddr>,
    request: AuthRequest<'a>,
) -> AuthRequest<'a> {
    let uri = URI.iter().find_map(|name| said(headers, name));
    AuthRequest {
        request_id: said(headers, &REQUEST_ID),
        source: source(headers, peer),
        path: uri.and_then(plain_path),
        method: METHOD.iter().find_map(|name| said(headers, name)),
        ..request
    }
}

fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    one(headers, name).ok().flatten().filter(|text| !text.is_empty())
}

/// Where a request comes from that a trusted proxy passes on.
///
/// `X-Real-IP`, else the last address of `X-Forwarded-For`: that one the proxy added itself,
/// those before it are a client's word. Without either the proxy asks for itself.
pub fn source(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
    if headers.contains_key(&REAL_IP) {
        return address(one(headers, &REAL_IP).ok().flatten()?);
    }
    match headers.get_all(&FORWARDED_FOR).iter().next_back() {
        Some(list) => address(list.to_str().ok()?.rsplit(',').next()?),
        None => peer,
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse().map(|address: SocketAddr| address.ip());
    text.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("a header"));
        }
        map
    }

    #[test]
    fn the_last_address_is_the_proxys() {
        let ip = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let peer = ip("127.0.0.1");
        let table: [(&[_], _); 9] = [
            (&[], peer),
            (&[("x-real-ip", "192.0.2.1")], ip("192.0.2.1")),
            (&[("x-real-ip", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")], ip("192.0.2.1")),
            (&[("x-forwarded-for", "10.0.0.1, 192.0.2.2")], ip("192.0.2.2")),
            (&[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "192.0.2.2")], ip("192.0.2.2")),
            (&[("x-forwarded-for", "[2001:db8::1]:443")], ip("2001:db8::1")),
            (&[("x-real-ip", "::ffff:192.0.2.1")], ip("192.0.2.1")),
            (&[("x-real-ip", "nobody")], None),
            (&[("x-real-ip", "192.0.2.1"), ("x-real-ip", "192.0.2.2")], None),
        ];
        for (pairs, expected) in table {
            assert_eq!(source(&headers(pairs), peer), expected, "{pairs:?}");
        }
    }

    #[test]
    fn nginx_caddy_and_traefik_are_understood() {
        for (uri, method) in
            [("x-original-uri", "x-original-method"), ("x-forwarded-uri", "x-forwarded-method")]
        {
            let headers = headers(&[(uri, "/pumps/7?admin=/x"), (method, "PUT")]);
            let request = read(&headers, None, AuthRequest::default());
            assert_eq!((request.path, request.method), (Some("/pumps/7"), Some("PUT")));
        }
        let twice = headers(&[("x-original-uri", "/a"), ("x-original-uri", "/b")]);
        assert_eq!(read(&twice, None, AuthRequest::default()).path, None);
    }
}
