//! What is heard from peers while this node waits for a height to begin. The engine is silent
//! between heights and keeps what arrives, so the codec tells it.

use super::context::{Ctx, Height, ValueId};
use super::limits;
use malachite::app::consensus::LivenessMsg;
use malachite::app::types::SignedConsensusMsg;
use malachite::app::types::core::{ExtendedCommitCertificate, PolkaCertificate, SignedVote};
use malachite_sync::{Response, Status};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Something a peer said about a height that has not begun here.
#[derive(Debug, Clone)]
pub(crate) enum Sign {
    /// Somebody votes in it, or in a later one. Not verified.
    Vote(SignedVote<Ctx>),
    /// It is decided. Not verified.
    Decided(ExtendedCommitCertificate<Ctx>),
    /// A peer says how far it is. Anybody can.
    Tip(Height),
}

/// Where the codec puts it.
#[derive(Clone)]
pub(crate) struct Heard {
    waiting_for: Arc<AtomicU64>,
    signs: mpsc::Sender<Sign>,
    polkas: Arc<Mutex<VecDeque<PolkaCertificate<Ctx>>>>,
}

/// Nothing is waited for.
const NOTHING: u64 = u64::MAX;

impl Heard {
    /// With the end that receives.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Sign>) {
        let (signs, receive) = mpsc::channel(limits::HEARD);
        let waiting_for = Arc::new(AtomicU64::new(NOTHING));
        (Self { waiting_for, signs, polkas: Arc::default() }, receive)
    }

    /// From now on what concerns `height` and later ones is told; `None`: nothing is.
    pub(crate) fn wait_for(&self, height: Option<Height>) {
        self.waiting_for.store(height.map_or(NOTHING, |h| h.0), Ordering::Relaxed);
    }

    fn tell(&self, height: Height, sign: impl FnOnce() -> Sign) {
        if height.0 >= self.waiting_for.load(Ordering::Relaxed) {
            // A full queue: peers repeat votes, tips and answers.
            let _ = self.signs.try_send(sign());
        }
    }

    /// A vote or proposal.
    pub(crate) fn consensus(&self, message: &SignedConsensusMsg<Ctx>) {
        if let SignedConsensusMsg::Vote(vote) = message {
            self.tell(vote.message.height, || Sign::Vote(vote.clone()));
        }
    }

    /// A repeated vote, or a certificate that goes before a proposal that is proposed again.
    pub(crate) fn liveness(&self, message: &LivenessMsg<Ctx>) {
        match message {
            LivenessMsg::Vote(vote) => {
                self.tell(vote.message.height, || Sign::Vote(vote.clone()));
            }
            LivenessMsg::PolkaCertificate(polka) => {
                let mut polkas = self.polkas.lock().unwrap_or_else(|e| e.into_inner());
                if polkas.len() >= limits::POLKAS {
                    polkas.pop_front();
                }
                polkas.push_back(polka.clone());
            }
            LivenessMsg::SkipRoundCertificate(_) => {}
        }
    }

    /// The certificates that were heard of a value. Not verified.
    pub(crate) fn polkas(&self, height: Height, value: ValueId) -> Vec<PolkaCertificate<Ctx>> {
        let polkas = self.polkas.lock().unwrap_or_else(|e| e.into_inner());
        let about = polkas.iter().filter(|p| p.height == height && p.value_id == value);
        about.cloned().collect()
    }

    /// How far a peer is. A node that has not begun any height tells nobody how far it is, so a
    /// peer that lags is a reason to begin, too.
    pub(crate) fn status(&self, status: &Status<Ctx>) {
        if self.waiting_for.load(Ordering::Relaxed) != NOTHING {
            let _ = self.signs.try_send(Sign::Tip(status.tip_height));
        }
    }

    /// Decided values.
    pub(crate) fn response(&self, response: &Response<Ctx>) {
        let Response::ValueResponse(response) = response;
        for value in &response.values {
            let certificate = &value.certificate;
            self.tell(certificate.height, || Sign::Decided(certificate.clone()));
        }
    }
}
