use std::net::{IpAddr, Ipv6Addr};

/// Whose share of something an address draws from: whoever has one IPv6 address has the 2^64 of
/// its network (RFC 4291 §2.5.1), and an IPv4 address has two spellings. This machine stays itself.
pub fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        other => other,
    }
}
