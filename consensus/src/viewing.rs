//! What this node sees of the consensus that it takes part in.

use crate::bft::{Shared, locked};
use crate::limits;
use data_encoding::BASE64;
use muster_api::{ConsensusRole, ConsensusView, PeerView, QuorumView, UnderWayView, ValidatorView};
use muster_identity::PublicKey;
use muster_ledger::limits::BUNDLE_LEAVES;
use muster_ledger::{Chain, Checkpoint, StateKey, View as _};
use std::collections::BTreeMap;

impl Shared {
    /// Shows what is seen, every moment.
    pub(crate) async fn look_around(&self) {
        let mut seen: BTreeMap<PublicKey, u64> = BTreeMap::new();
        loop {
            self.show(self.look(&mut seen).await);
            // The validators may be others by now.
            self.application.peers_at(self.confirmed());
            tokio::time::sleep(limits::LOOK).await;
        }
    }

    async fn look(&self, seen: &mut BTreeMap<PublicKey, u64>) -> ConsensusView {
        let chain = self.application.chain();
        let published = self.application.published();
        let note = published.as_ref().and_then(|p| Checkpoint::parse(&p.to_note()).ok());
        let validators = self.validators();
        let signed = note.as_ref().map(|note| note.signers(&validators)).unwrap_or_default();
        let engine = self.engine_view.borrow().clone();
        let now = self.host.now();
        let heard: Vec<_> = locked(&self.heard_of)
            .iter()
            .filter(|(_, at)| now.since(**at) <= limits::PRESENT_MS)
            .map(|(key, _)| *key)
            .collect();
        for key in signed.iter().chain(&heard) {
            seen.insert(*key, chain.height());
        }
        let present = |key: &PublicKey| *key == self.key || heard.contains(key);
        let head = published.as_ref().map(|p| *p.head());
        let role = if self.votes() { ConsensusRole::Validator } else { ConsensusRole::Access };
        ConsensusView {
            network: self.network.to_string(),
            role,
            key: self.key.to_multikey(),
            peer: self.exchange().map(|e| e.id().to_string()).unwrap_or_default(),
            height: chain.height(),
            size: head.map(|h| h.size).unwrap_or_default(),
            log_root: head.map(|h| BASE64.encode(&h.log_root)).unwrap_or_default(),
            state_root: head.map(|h| BASE64.encode(&h.state_root)).unwrap_or_default(),
            checkpoint_time: head.map(|h| h.time.0).unwrap_or_default(),
            round: engine.round.map(u64::from).unwrap_or_default(),
            quorum: QuorumView {
                needed: validators.quorum() as u64,
                present: validators.0.iter().filter(|key| present(key)).count() as u64,
                of: validators.0.len() as u64,
            },
            validators: validators
                .0
                .iter()
                .map(|key| {
                    validator(&chain, key, signed.contains(key), present(key), seen.get(key))
                })
                .collect(),
            peers: self.peer_views(chain.height()),
            batches: self.batches(false).await,
            missing_leaves: self.batches(true).await,
            catching_up_to: *locked(&self.catching_up),
            votes_from: self.votes_from.get().map(|from| from.height),
            evidence: self.evidences.views(),
        }
    }

    fn peer_views(&self, height: u64) -> Vec<PeerView> {
        let Some(exchange) = self.exchange() else { return Vec::new() };
        // Asked once: a peer may say a greater height meanwhile.
        let peers = exchange.peers();
        let heights = peers.iter().filter_map(|peer| peer.status).map(|status| status.height);
        let highest = heights.max().unwrap_or_default().max(height);
        let now = self.host.now();
        let mut views: Vec<_> = peers
            .iter()
            .map(|peer| PeerView {
                id: peer.id.to_string(),
                address: peer.address.clone(),
                connected: true,
                height: peer.status.map(|status| status.height),
                lag: peer.status.map(|status| highest - status.height),
                last_seen: Some(now.0),
                round_trip_ms: peer.round_trip.map(|trip| trip.as_millis() as u64),
            })
            .collect();
        let missing = exchange.configured().into_iter().filter(|peer| peer.connected.is_none());
        views.extend(
            missing
                .map(|peer| PeerView { address: peer.address.to_string(), ..PeerView::default() }),
        );
        views
    }

    async fn batches(&self, decided: bool) -> Vec<UnderWayView> {
        let mut views = Vec::new();
        let time = self.application.chain().time();
        for want in self.application.wanted().into_iter().filter(|w| w.decided == decided) {
            let bundles = self.application.next_bundle(&want.batch).await.unwrap_or_default();
            views.push(UnderWayView {
                batch: want.batch.to_string(),
                count: want.count,
                here: want.count.min(bundles * BUNDLE_LEAVES),
                ready: locked(&self.votes).count(&want.batch, time) as u64,
            });
        }
        views
    }
}

fn validator(
    chain: &Chain,
    key: &PublicKey,
    signed: bool,
    present: bool,
    last_seen: Option<&u64>,
) -> ValidatorView {
    let owner = chain.state().read::<muster_identity::Did>(StateKey::of_key(key)).ok().flatten();
    let record = owner.and_then(|did| chain.state().organisation(&did).ok().flatten());
    ValidatorView {
        key: key.to_multikey(),
        organisation: owner.map(|did| did.to_string()).unwrap_or_default(),
        label: record.map(|record| record.label).unwrap_or_default(),
        signed,
        present,
        last_seen: last_seen.copied(),
    }
}
