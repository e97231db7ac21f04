use anyhow::{Result, ensure};
use reqwest::Url;
use std::fmt;
use std::str::FromStr;

/// Scheme, host and port of a server (RFC 6454 §4), in the one form that browsers send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// That of a request to a `Host`, if it is one.
    pub(super) fn of_host(scheme: &str, host: &str) -> Option<Self> {
        let url = Url::parse(&format!("{scheme}://{host}")).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let nobody = url.username().is_empty() && url.password().is_none();
        (bare && nobody && !host.ends_with('/')).then(|| Self(url.origin().ascii_serialization()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the scheme: what clients send as `Host`.
    pub(super) fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether the host is an address or `localhost`: names that nobody else can give away.
    pub(super) fn is_address(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| match url.host() {
            Some(url_host) => {
                let text = url_host.to_string();
                let bare = text.trim_start_matches('[').trim_end_matches(']');
                text == "localhost" || bare.parse::<std::net::IpAddr>().is_ok()
            }
            None => false,
        })
    }

    /// The host alone, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }

    /// Whether it leads to this machine and nowhere else.
    pub(crate) fn is_loopback(&self) -> bool {
        muster_api::is_loopback(&self.0)
    }
}

impl FromStr for Origin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words = "expected the address by which others reach it, without a path: \
             https://node.example or https://10.0.0.5:7700";
        let found =
            text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        let origin =
            found.and_then(|(scheme, rest)| Self::of_host(scheme, rest.trim_end_matches('/')));
        ensure!(origin.is_some(), words);
        Ok(origin.unwrap_or(Self(String::new())))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn origins_have_one_form() {
        for (text, origin) in [
            ("https://Node.Example", "https://node.example"),
            ("https://node.example:443/", "https://node.example"),
            ("http://node.example:80", "http://node.example"),
            ("http://[::1]:7700", "http://[::1]:7700"),
            ("https://10.0.0.5:7700", "https://10.0.0.5:7700"),
        ] {
            assert_eq!(text.parse::<Origin>().expect(text).as_str(), origin);
        }
        for text in
            ["node.example", "ftp://a", "https://a/b", "https://a?b", "https://u@a", "https://"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_no_names() {
        for (text, address) in [
            ("http://127.0.0.1:7700", true),
            ("http://[2001:db8::1]", true),
            ("http://localhost:7700", true),
            ("http://evil.example:7700", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://localhost.evil.example", false),
        ] {
            assert_eq!(text.parse::<Origin>().expect(text).is_address(), address, "{text}");
        }
    }
}
