//! A node among several: its name to the others, whom it dials, and what it says of them. The one
//! place where the crate `consensus` is called.

#[cfg(feature = "node")]
mod seen;

#[cfg(feature = "node")]
pub(crate) use seen::Seen;

use crate::cli::ConsortiumArg;
use crate::home::Home;
#[cfg(feature = "consortium")]
use crate::host::Machine;
use crate::host::random;
use anyhow::{Result, bail, ensure};
use muster_api::limits;
use muster_identity::{Algorithm, SecretKey, Signer};
use std::collections::BTreeSet;
use zeroize::Zeroizing;
#[cfg(feature = "node")]
use {muster_ledger::SignedOperation, muster_registry::Deciding, std::sync::Arc};

/// By this key other nodes know a node; it signs nothing that counts for the ledger.
pub(crate) const PEER_KEY: &str = "node/peer.key";

/// Refuses in a build that has no consensus among several.
pub(crate) fn built() -> Result<()> {
    if cfg!(feature = "consortium") {
        return Ok(());
    }
    bail!(
        "this build decides alone: a node among several is built by: \
         cargo build --release --features consortium"
    )
}

/// Whether the peers that were named can be dialled from here.
pub(crate) fn check_peers(arg: &ConsortiumArg) -> Result<()> {
    let peers = arg.peers();
    ensure!(peers.len() <= limits::PEERS, "a node is told of at most {} others", limits::PEERS);
    let mut places = BTreeSet::new();
    for peer in peers {
        let place = format!("{}:{}", peer.host, peer.port);
        ensure!(place != arg.listen().to_string(), "{place} is where this node itself listens");
        ensure!(places.insert(place), "{peer} is named twice");
    }
    Ok(())
}

/// The key by which others know this node; made where there is none.
pub(crate) fn peer_key(home: &Home) -> Result<Zeroizing<[u8; 32]>> {
    if !home.path(PEER_KEY).exists() {
        home.write_secret(PEER_KEY, &Zeroizing::new(random()))?;
    }
    home.secret(PEER_KEY)
}

/// Refuses a key that is there and cannot be read; one that is not there is made.
pub(crate) fn check_key(home: &Home) -> Result<()> {
    if home.path(PEER_KEY).exists() {
        home.secret(PEER_KEY)?;
    }
    Ok(())
}

/// Who decides at a node, and what it says of that.
#[cfg(feature = "node")]
pub(crate) fn deciding(
    home: &Home,
    arg: &ConsortiumArg,
    signer: Arc<dyn Signer>,
    succession: Option<SignedOperation>,
) -> Result<(Deciding, Seen)> {
    let key = signer.public_key();
    if !arg.is_on() {
        return Ok((Deciding::Solo { signer, succession }, Seen::alone(key)));
    }
    together(home, arg, signer)
}

#[cfg(feature = "consortium")]
fn together(home: &Home, arg: &ConsortiumArg, signer: Arc<dyn Signer>) -> Result<(Deciding, Seen)> {
    let peers = arg.peers().iter().map(|peer| Ok(peer.to_string().parse()?));
    let key = signer.public_key();
    let bft = muster_consensus::Bft::new(muster_consensus::Settings {
        listen: arg.listen(),
        peers: peers.collect::<Result<_>>()?,
        node_key: peer_key(home)?,
        signer,
        dir: home.path("node"),
        host: Arc::new(Machine),
    });
    let seen = Seen::among(key, bft.view());
    Ok((Deciding::Together(Box::new(bft)), seen))
}

#[cfg(all(feature = "node", not(feature = "consortium")))]
fn together(_: &Home, _: &ConsortiumArg, _: Arc<dyn Signer>) -> Result<(Deciding, Seen)> {
    built().and_then(|()| bail!("a node among several is not in this build"))
}

/// How other nodes are to name this one, if it is one of several: `--consortium-peer`.
#[cfg(feature = "node")]
pub(crate) fn told(home: &Home, arg: &ConsortiumArg) -> Result<Option<String>> {
    let place = arg.is_on().then(|| peer_id(&peer_key(home)?));
    Ok(place.transpose()?.map(|id| format!("{}/{id}", arg.listen())))
}

/// The peer id that belongs to a key, as libp2p writes it: the identity multihash of the public key
/// in its protocol buffer (libp2p peer ids, RFC 0001), in base58btc.
pub(crate) fn peer_id(key: &Zeroizing<[u8; 32]>) -> Result<String> {
    /// Multihash `identity` of 36 bytes; key type Ed25519; 32 bytes of data.
    const HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    let public = SecretKey::from_bytes(Algorithm::Ed25519, key)?.public_key();
    let bytes = [&HEAD[..], public.raw()].concat();
    let text = multibase::encode(multibase::Base::Base58Btc, bytes);
    // Multibase's own letter is no part of a peer id.
    Ok(text.trim_start_matches('z').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_is_that_of_libp2p() {
        let id = peer_id(&Zeroizing::new([7; 32])).expect("a key");
        assert!(id.starts_with("12D3KooW") && id.len() == 52, "{id}");
        #[cfg(feature = "consortium")]
        {
            let place = format!("127.0.0.1:7710/{id}");
            let place: muster_consensus::exchange::PeerAddress = place.parse().expect("a place");
            assert_eq!(place.id.map(|id| id.to_string()), Some(id));
        }
    }
}
