use crate::Error;
use libp2p::PeerId;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Longest name of a host (RFC 1035 §2.3.4).
const HOST_BYTES: usize = 253;

/// Where a peer is dialled: `host:port` or `host:port/PEERID`. With an id nobody else is accepted
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// A name or an address.
    pub host: String,
    /// The port of its exchange.
    pub port: u16,
    /// Who must answer.
    pub id: Option<PeerId>,
}

impl FromStr for PeerAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::operator(
                format!("the peer address {text:?} {why}"),
                "write host:port or host:port/PEERID, and an IPv6 address in brackets",
            )
        };
        let (place, id) = match text.split_once('/') {
            Some((place, id)) => {
                let id = id.parse().map_err(|_| wrong("has a peer id that is none"))?;
                (place, Some(id))
            }
            None => (text, None),
        };
        if let Ok(address) = place.parse::<SocketAddr>() {
            let port = address.port();
            if port == 0 {
                return Err(wrong("has the port 0"));
            }
            return Ok(Self { host: address.ip().to_string(), port, id });
        }
        let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| wrong("has a port that is none"))?;
        let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if host.is_empty() || host.len() > HOST_BYTES || !named {
            return Err(wrong("has a host that is none"));
        }
        Ok(Self { host: host.to_owned(), port, id })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port)?,
            _ => write!(f, "{}:{}", self.host, self.port)?,
        }
        match &self.id {
            Some(id) => write!(f, "/{id}"),
            None => Ok(()),
        }
    }
}
