//! How a node is one of several: `[consortium]` of the file of settings, options of `muster serve`.

use clap::Args;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

#[derive(Args)]
pub(crate) struct ConsortiumArg {
    /// Decide with the validators of other organisations, or follow them; implied by the options
    /// below, and by the section `[consortium]` of the file of settings.
    #[arg(long)]
    consortium: bool,
    /// Where operations and leaves are exchanged with other nodes: an address and port. The engine
    /// that votes listens at the next port. By default 127.0.0.1:7710.
    #[arg(id = "consortium_listen", long = "consortium-listen", value_name = "ADDRESS:PORT")]
    listen: Option<ExchangePlace>,
    /// A node to speak with: host and port; with / and its peer id nobody else is accepted there. May
    /// be repeated; those that dial here need not be named.
    #[arg(id = "consortium_peer", long = "consortium-peer", value_name = "HOST:PORT[/ID]")]
    peer: Vec<PeerPlace>,
}

impl ConsortiumArg {
    /// Whether the node is one of several.
    #[cfg(any(feature = "node", test))]
    pub(crate) fn is_on(&self) -> bool {
        self.consortium || self.listen.is_some() || !self.peer.is_empty()
    }

    /// Where to listen.
    pub(crate) fn listen(&self) -> SocketAddr {
        let usual = SocketAddr::from(([127, 0, 0, 1], muster_api::limits::EXCHANGE_PORT));
        self.listen.as_ref().map_or(usual, |place| place.0)
    }

    /// Whom to dial.
    pub(crate) fn peers(&self) -> &[PeerPlace] {
        &self.peer
    }
}

/// Where a node exchanges: a port that has a next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExchangePlace(SocketAddr);

impl FromStr for ExchangePlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place: SocketAddr =
            text.parse().map_err(|_| "expected an address and port, such as 0.0.0.0:7710")?;
        match place.port() {
            0 => Err("name a port: others dial it, and the engine takes the next one"),
            u16::MAX => Err("the engine takes the next port, and there is none"),
            _ => Ok(Self(place)),
        }
    }
}

impl fmt::Display for ExchangePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of a host's name (RFC 1035 §2.3.4).
const HOST_BYTES: usize = 253;

/// Where another node exchanges, and who it must be, if that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerPlace {
    /// Its peer id.
    pub(crate) id: Option<String>,
    /// A name, an address, or an address of IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for PeerPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, id) = match text.split_once('/') {
            Some((place, id)) => (place, Some(id.to_owned())),
            None => (text, None),
        };
        // The multihash of an Ed25519 key in base58btc: 52 characters from 12D3KooW on.
        let is_id = |id: &String| {
            id.len() == 52
                && id.starts_with("12D3KooW")
                && id.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if id.as_ref().is_some_and(|id| !is_id(id)) {
            return Err(
                "behind the / stands a peer id, 12D3KooW and 44 characters more, as the other \
                        node prints it",
            );
        }
        let wrong = "expected a host and port, such as node2.example:7710";
        let (host, port) = place.rsplit_once(':').ok_or(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let sound = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.len() <= HOST_BYTES && host.bytes().all(plain),
        };
        if !sound || port == 0 || port == u16::MAX {
            return Err(wrong);
        }
        Ok(Self { id, host: host.to_owned(), port })
    }
}

impl fmt::Display for PeerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        match &self.id {
            Some(id) => write!(f, "/{id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_strictly() {
        let id = format!("12D3KooW{}", "a".repeat(44));
        for good in
            ["127.0.0.1:7710", "node2.example:7710", "[::1]:7710", &format!("10.0.0.2:1/{id}")]
        {
            assert_eq!(good.parse::<PeerPlace>().expect("sound").to_string(), good);
        }
        for bad in [
            "",
            "7710",
            "node2.example",
            "node2.example:0",
            "node2.example:65535",
            "::1:7710",
            "a b:7710",
            "http://node2.example:7710",
            "node2.example:7710/x",
            "node2.example:7710/",
        ] {
            assert!(bad.parse::<PeerPlace>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "0.0.0.0:7710".parse::<ExchangePlace>().expect("sound").to_string(),
            "0.0.0.0:7710"
        );
        for bad in ["7710", "node:7710", "127.0.0.1:0", "127.0.0.1:65535"] {
            assert!(bad.parse::<ExchangePlace>().is_err(), "{bad:?}");
        }
    }
}
