use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Proxies that are believed about the requests they pass on: `X-Real-IP`, `X-Forwarded-For` and
/// what else they are known to set themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<(IpAddr, u32)>,
    /// Those on the socket file.
    unix: bool,
}

impl TrustedProxies {
    /// Those on this machine, by its loopback addresses or the socket file.
    pub fn this_machine() -> Self {
        "local".parse().unwrap_or_default()
    }

    /// Whether a peer is one of them. A peer on the socket file is loopback, port 0, which no peer
    /// on a network has.
    pub fn trust(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        if peer.port() == 0 && address.is_loopback() {
            return self.unix;
        }
        self.networks.iter().any(|network| contains(*network, address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// `local`, `unix`, addresses and networks (`10.0.0.0/8`, `2001:db8::/32`), commas between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::default();
        for part in text.split(',') {
            match part.trim() {
                "unix" => all.unix = true,
                "local" => {
                    all.unix = true;
                    all.networks.push((IpAddr::from([127, 0, 0, 0]), 8));
                    all.networks.push((IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), 128));
                }
                other => all.networks.push(network(other).ok_or_else(|| {
                    format!(
                        "{other:?} is no address and no network: expected local, unix, an address, \
                         or one such as 10.0.0.0/8"
                    )
                })?),
            }
        }
        Ok(all)
    }
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = match text.split_once('/') {
        None => (text.parse().ok()?, None),
        Some((address, length)) => (address.parse().ok()?, Some(length.parse().ok()?)),
    };
    let bits = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
    let length = length.unwrap_or(bits);
    // A network with bits behind its length is a slip of the pen.
    let whole =
        |bits_of: u128| length == 0 || length == bits || bits_of << (128 - bits + length) == 0;
    let fits = match address {
        _ if length > bits => false,
        _ if length == 0 => address.is_unspecified(),
        IpAddr::V4(address) => whole(u128::from(address.to_bits())),
        IpAddr::V6(address) => whole(address.to_bits()),
    };
    fits.then_some((address, length))
}

fn contains((network, length): (IpAddr, u32), address: IpAddr) -> bool {
    let same = |a: u128, b: u128, bits: u32| length == 0 || (a ^ b) >> (bits - length) == 0;
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::TrustedProxies;

    fn trusts(proxies: &str, peer: &str) -> bool {
        let proxies: TrustedProxies = proxies.parse().expect(proxies);
        proxies.trust(peer.parse().expect(peer))
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1:9", true),
            ("10.0.0.0/8", "11.0.0.1:9", false),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]:9", true),
            ("192.0.2.7", "192.0.2.7:9", true),
            ("192.0.2.7", "192.0.2.8:9", false),
            ("192.0.2.0/31,198.51.100.1", "198.51.100.1:9", true),
            ("2001:db8::/32", "[2001:db8:1::9]:9", true),
            ("2001:db8::/32", "[2001:db9::1]:9", false),
            ("0.0.0.0/0", "203.0.113.9:9", true),
            ("0.0.0.0/0", "[2001:db8::1]:9", false),
            ("local", "127.0.0.9:9", true),
            ("local", "[::1]:9", true),
            ("local", "127.0.0.1:0", true),
            ("local", "192.0.2.7:9", false),
            ("unix", "127.0.0.1:0", true),
            ("unix", "127.0.0.1:9", false),
            ("127.0.0.1", "127.0.0.1:0", false),
        ];
        for (proxies, peer, trusted) in table {
            assert_eq!(trusts(proxies, peer), trusted, "{proxies} {peer}");
        }
        assert!(TrustedProxies::default().is_empty());
        assert!(!TrustedProxies::this_machine().is_empty());
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "::1/0", "host", "10.0.0.0/x", "local,", "/8"]
        {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text:?}");
        }
    }
}
