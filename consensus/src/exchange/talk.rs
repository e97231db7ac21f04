//! What the task of the swarm does with requests and answers.

use super::book::Question;
use super::budget::Verdict;
use super::swarm::{Done, Driver, Talk, Way};
use super::{Frame, Message, Response, Service};
use crate::{Error, limits};
use libp2p::PeerId;
use libp2p::request_response::{
    Event, InboundFailure, InboundRequestId, Message as Wire, OutboundFailure, ResponseChannel,
};
use muster_identity::cbor::{Decode as _, Encode as _};
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// What a peer did that speaks another protocol.
pub(super) const STRANGE: &str = "speaks no exchange of this network and version";

impl Driver {
    pub(super) fn talk(&mut self, event: Talk) {
        match event {
            Event::Message { peer, message, .. } => {
                if let Some(entry) = self.shared.book().peers.get_mut(&peer) {
                    entry.heard(Instant::now());
                }
                self.message(peer, message);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                if let Some(way) = self.sent.remove(&request_id) {
                    self.not_answered(peer, way, &error);
                }
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                self.worked(request_id);
                self.not_heard(peer, &error);
            }
            Event::ResponseSent { request_id, .. } => self.worked(request_id),
        }
    }

    fn message(&mut self, peer: PeerId, message: Wire<Vec<u8>, Vec<u8>>) {
        match message {
            Wire::Request { request_id, request, channel } => {
                self.request(peer, request_id, request, channel);
            }
            Wire::Response { request_id, response } => {
                match self.sent.remove(&request_id) {
                    Some(Way::Told(peer, which, since)) => {
                        let answer = Response::from_cbor(&response);
                        let now = Instant::now();
                        let mut book = self.shared.book();
                        let Some(entry) = book.same(peer, since) else { return };
                        match answer {
                            Ok(Response::None) => {
                                let took = entry.lane(which).arrived(now);
                                entry.state.round_trip = took.or(entry.state.round_trip);
                            }
                            Ok(Response::Busy) => entry.lane(which).busy(now),
                            _ => {
                                book.unwanted(peer, "answers what was only told", true);
                                return;
                            }
                        }
                        drop(book);
                        self.joined(peer);
                    }
                    // Nobody waits any more if this fails.
                    Some(Way::Asked(answer)) => drop(answer.send(Ok(response))),
                    None => {}
                }
            }
        }
    }

    /// A request came: within its peer's budget it is worked at, beyond it nobody looks at it.
    fn request(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        // `[1, request]`: what it costs is known before it is read.
        let asks = bytes.get(1) == Some(&1);
        let answering = self.working.values().filter(|(_, asks)| *asks).count();
        let room =
            self.jobs.len() < limits::WORKED_AT && (!asks || answering < limits::ANSWERED_AT_ONCE);
        let mut book = self.shared.book();
        let Some(entry) = book.peers.get_mut(&peer) else { return };
        match entry.budget.request(bytes.len(), asks, room, Instant::now()) {
            Verdict::Fine => {}
            Verdict::Busy => {
                drop(book);
                let busy = Response::Busy.to_cbor();
                let _ = self.swarm.behaviour_mut().talk.send_response(channel, busy);
                return;
            }
            Verdict::Flood => return book.unwanted(peer, "floods this node with requests", true),
        }
        drop(book);
        self.working.insert(id, (peer, asks));
        let service = Arc::clone(&self.service);
        let shared = Arc::clone(&self.shared);
        self.jobs.spawn(async move {
            let work = async {
                let frame = Frame::from_cbor(&bytes).map_err(|error| error.to_string())?;
                if let Frame::Told(messages) = &frame {
                    shared.heard(peer, messages);
                }
                Ok(work(&*service, peer, frame).await)
            };
            let late = |_| Ok(Response::Busy.to_cbor());
            let answer = timeout(limits::WORK_WITHIN, work).await.unwrap_or_else(late);
            Done { peer, channel, answer }
        });
    }

    /// A request was worked at.
    pub(super) fn answer(&mut self, done: Done) {
        let Done { peer, channel, answer } = done;
        match answer {
            Ok(bytes) => {
                if let Some(entry) = self.shared.book().peers.get_mut(&peer) {
                    entry.budget.answer(bytes.len(), Instant::now());
                }
                let _ = self.swarm.behaviour_mut().talk.send_response(channel, bytes);
                self.joined(peer);
            }
            Err(why) => {
                let why = format!("sent what is no request: {why}");
                self.shared.book().unwanted(peer, &why, true);
            }
        }
    }

    /// A request is answered, or can no longer be.
    fn worked(&mut self, id: InboundRequestId) {
        if let Some((peer, asked)) = self.working.remove(&id)
            && let Some(entry) = self.shared.book().peers.get_mut(&peer)
        {
            entry.budget.done(asked);
        }
    }

    pub(super) fn ask(&mut self, question: Question) {
        let Question { peer, frame, answer } = question;
        if !self.shared.book().peers.contains_key(&peer) {
            let _ = answer.send(Err(Error::Peer(format!("the peer {peer} is not connected"))));
            return;
        }
        let sent = self.swarm.behaviour_mut().talk.send_request(&peer, frame);
        self.sent.insert(sent, Way::Asked(answer));
    }

    fn not_answered(&mut self, peer: PeerId, way: Way, error: &OutboundFailure) {
        let mut book = self.shared.book();
        let wrong =
            matches!(error, OutboundFailure::Io(e) if e.kind() == io::ErrorKind::InvalidData);
        if wrong {
            book.unwanted(peer, "sends an answer above its bound", true);
        }
        match way {
            Way::Asked(answer) => {
                let why = format!("the peer {peer} did not answer: {error}");
                let _ = answer.send(Err(Error::Peer(why)));
            }
            Way::Told(_, which, since) => {
                let Some(entry) = book.same(peer, since) else { return };
                // With the lazy negotiation of streams another protocol shows as an ended stream.
                let strange = !entry.announced;
                let now = Instant::now();
                let silent = entry.is_silent(now);
                let worn = entry.lane(which).failed(now).is_err();
                match error {
                    OutboundFailure::UnsupportedProtocols => book.unwanted(peer, STRANGE, true),
                    OutboundFailure::Timeout if silent || worn => {
                        book.unwanted(peer, "does not answer what it is told", false);
                    }
                    _ if worn && strange => book.unwanted(peer, STRANGE, true),
                    _ if worn => book.unwanted(peer, "takes no requests", false),
                    _ => {}
                }
            }
        }
    }

    fn not_heard(&mut self, peer: PeerId, error: &InboundFailure) {
        let mut book = self.shared.book();
        let Some(entry) = book.peers.get_mut(&peer) else { return };
        match error {
            InboundFailure::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
                book.unwanted(peer, &format!("sent what is no request: {e}"), true);
            }
            InboundFailure::Io(_) | InboundFailure::Timeout
                if entry.budget.annoyed(Instant::now()) == Verdict::Flood =>
            {
                book.unwanted(peer, "opens requests and does not send them", true);
            }
            _ => {}
        }
    }
}

/// Lets the service answer. An answer that no peer would take is a mistake of ours.
async fn work(service: &dyn Service, peer: PeerId, frame: Frame) -> Vec<u8> {
    let response = match frame {
        Frame::Told(messages) => {
            service.told(peer, messages).await;
            Response::None
        }
        Frame::Asked(request) => service.asked(peer, request).await,
    };
    let bytes = response.to_cbor();
    if bytes.len() <= limits::ANSWER_BYTES {
        return bytes;
    }
    tracing::error!("exchange: an answer of {} bytes, above its bound", bytes.len());
    Response::None.to_cbor()
}

impl super::Shared {
    /// Keeps what a peer says of itself.
    fn heard(&self, peer: PeerId, messages: &[Message]) {
        let status = messages.iter().rev().find_map(|message| match message {
            Message::Status(status) => Some(*status),
            _ => None,
        });
        if let Some(status) = status
            && let Some(entry) = self.book().peers.get_mut(&peer)
        {
            entry.state.status = Some(status);
        }
    }
}
