//! News, for pages that are open.

use super::Console;
use crate::node::{Node, Published};
use crate::readers::Reader;
use crate::store::Upload;
use muster_api::Event;
use muster_identity::Did;
use muster_ledger::BatchId;
use std::collections::BTreeMap;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// News of a node, from the moment on that it was asked for. It ends when the node has gone.
#[derive(Debug)]
pub struct Watch(pub(super) Receiver<Event>);

impl Watch {
    /// The next event; none when the node has gone. It may be dropped while it waits: no event is
    /// lost by that.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(events)) => Some(Event::Missed { events }),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Console {
    /// Says it to whoever watches.
    fn tell(&self, event: impl FnOnce() -> Event) {
        if self.news.receiver_count() > 0 {
            // Nobody may be left by now.
            let _ = self.news.send(event());
        }
    }

    pub(super) fn tell_head(&self, published: &Published) {
        let head = published.checkpoint.head();
        let (size, height, time) = (head.size, head.height, head.time.0);
        self.tell(|| Event::Head { size, height, time });
    }

    pub(super) fn tell_enrolled(&self, id: &BatchId) {
        let found = self.roster().batch(id).map(|(_, batch)| (batch.model.clone(), batch.count));
        if let Some((model, devices)) = found {
            self.tell(|| Event::Enrolled { batch: id.to_string(), model, devices });
        }
    }

    pub(crate) fn tell_staged(&self, upload: &Upload, added: u64) {
        self.tell(|| Event::Upload {
            organisation: upload.organisation.to_string(),
            number: upload.number,
            model: upload.model.clone(),
            staged: upload.staged + added,
            rows: upload.rows,
        });
    }

    pub(super) fn tell_people(&self, organisation: &Did) {
        self.tell(|| Event::People { organisation: organisation.to_string() });
    }

    pub(crate) fn tell_coverage(&self, organisation: &Did, gateway: &str, size: u64) {
        let gateway = gateway.to_owned();
        self.tell(|| Event::Coverage { organisation: organisation.to_string(), gateway, size });
    }
}

impl Node {
    /// Says which gateways do otherwise than they did.
    pub(super) fn tell_of_gateways(&self, known: &mut BTreeMap<(String, String), String>) {
        if self.console.news.receiver_count() == 0 {
            known.clear();
            return;
        }
        let Ok(view) = self.gateways_view(Reader::Operator) else { return };
        let first = known.is_empty();
        let mut now = BTreeMap::new();
        for gateway in view.gateways {
            now.insert((gateway.organisation, gateway.gateway), gateway.state);
        }
        for (name, state) in now.iter().filter(|(name, state)| known.get(*name) != Some(*state)) {
            if !first {
                let ((organisation, gateway), state) = (name.clone(), state.clone());
                self.console.tell(|| Event::Gateway { organisation, gateway, state });
            }
        }
        *known = now;
    }
}
