//! Who may read what (`docs/formats/http.md`). Rows of the private directory and the doings of
//! gateways belong to an organisation: whoever runs the node sees all of them, an organisation that
//! signs its question sees its own, and nobody else any.

use crate::node::Node;
use crate::{Covered, Registry, Subject};
use muster_api::{
    ActivityPoint, CoverageView, DeviceView, EffectView, GatewaysView, LotDevicesView, LotQuery,
    LotsView, Problem, limits,
};
use muster_identity::{Asked, Did, SignedRead};
use muster_ledger::{Time, View as _};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Whoever runs the node.
    Operator,
    /// An organisation, shown by a signature.
    Organisation(Did),
    /// Anybody.
    Stranger,
}

impl Reader {
    /// Whether a row of an organisation is this reader's to see.
    pub(crate) fn sees(&self, organisation: &Did) -> bool {
        match self {
            Self::Operator => true,
            Self::Organisation(own) => own == organisation,
            Self::Stranger => false,
        }
    }

    /// Refuses strangers.
    fn known(self) -> Result<Self, Problem> {
        if self == Self::Stranger {
            return Err(unknown("this is shown to the organisation that it belongs to"));
        }
        Ok(self)
    }
}

/// A reader who is not known, or who is not believed.
pub(crate) fn unknown(why: impl Into<String>) -> Problem {
    Problem::new(401, "reader", why).cure(
        "ask from the node's own machine, or sign the question with a present key of the \
         organisation: `Authorization: Muster <muster-read+jwt>` (--sign-with)",
    )
}

/// Questions that were signed and asked, until they are too old to be asked again. By their `jti`:
/// an ECDSA signature has two forms.
#[derive(Debug, Default)]
pub(crate) struct AskedOnce(Mutex<BTreeMap<Did, BTreeMap<String, u64>>>);

impl AskedOnce {
    /// Each statement leaves the map whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Did, BTreeMap<String, u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question, or says why it cannot be asked.
    fn note(&self, organisation: Did, asked: &Asked, now: u64) -> Result<(), Problem> {
        let mut all = self.lock();
        let own = all.entry(organisation).or_default();
        own.retain(|_, end| *end >= now);
        if own.contains_key(&asked.jti) {
            return Err(unknown("this question was asked before"));
        }
        if own.len() >= limits::READS_REMEMBERED {
            let title = "this organisation asks too much at once";
            return Err(Problem::new(429, "too-many-reads", title).cure("wait a minute"));
        }
        let end = asked.exp.saturating_add(limits::READ_SKEW_SECONDS);
        own.insert(asked.jti.clone(), end);
        Ok(())
    }
}

impl Node {
    /// Who signed a question (`muster-read+jwt`) for one of these names of the node and for this
    /// target. Each is good once.
    fn reader(&self, token: &str, names: &[String], target: &str) -> Result<Did, Problem> {
        let read = SignedRead::parse(token)
            .map_err(|fault| unknown(format!("the signed read is malformed: {fault}")))?;
        let (organisation, asked) = (*read.organisation(), read.asked());
        if !names.iter().any(|name| name == asked.audience.as_str()) {
            let problem = unknown(format!("signed for {}, which is not this node", asked.audience));
            return Err(problem.cure(
                "start the node with --public-url and the address by which it is reached, or \
                 reach it by its own address",
            ));
        }
        if asked.target != target {
            return Err(unknown("signed for another question"));
        }
        let now = self.host.now().0 / 1_000;
        let skew = limits::READ_SKEW_SECONDS;
        if now >= asked.exp.saturating_add(skew) || asked.iat > now.saturating_add(skew) {
            return Err(unknown("signed for another time")
                .cure("check the clocks of this machine and of the node"));
        }
        let published = self.published()?;
        let record = published.chain.state().organisation(&organisation)?;
        let keys = record.map(|record| record.keys).unwrap_or_default();
        let key = keys.iter().find(|key| key.key.to_multicodec() == read.key());
        let key = key.ok_or_else(|| unknown("signed by no present key of the organisation"))?;
        read.verify_signature(&key.key).map_err(|error| unknown(error.to_string()))?;
        self.asked_once.note(organisation, asked, now)?;
        Ok(organisation)
    }
}

impl Registry {
    /// Who signed a question (`muster-read+jwt`) for one of these names of the node and for this
    /// target. Each is good once.
    pub fn reader(&self, token: &str, names: &[String], target: &str) -> Result<Reader, Problem> {
        self.node().reader(token, names, target).map(Reader::Organisation)
    }

    /// What belongs to organisations, as a reader may see it.
    pub fn read_as(&self, reader: Reader) -> Reading<'_> {
        Reading { node: self.node(), reader }
    }
}

/// The private rows that a reader may see.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    node: &'a Node,
    reader: Reader,
}

impl Reading<'_> {
    /// A device; its private parts are left out where they are not this reader's.
    pub async fn device(&self, did: &Did) -> Result<Option<DeviceView>, Problem> {
        self.node.device_view(did, self.reader).await
    }

    /// The balances of lots.
    pub async fn lots(&self, query: &LotQuery) -> Result<LotsView, Problem> {
        self.node.lots(&self.own(query)?).await
    }

    /// The devices of lots.
    pub async fn lot_devices(&self, query: &LotQuery) -> Result<LotDevicesView, Problem> {
        self.node.lot_devices(&self.own(query)?).await
    }

    /// The registered gateways.
    pub fn gateways(&self) -> Result<GatewaysView, Problem> {
        self.node.gateways_view(self.reader.known()?)
    }

    /// Which gateways go by an entry.
    pub async fn coverage(&self, of: Covered) -> Result<CoverageView, Problem> {
        self.node.coverage_view(of, self.reader.known()?).await
    }

    /// What a change of these devices and batches would reach; where they were seen, by the
    /// reader's gateways alone.
    pub async fn effect(&self, targets: &[Subject]) -> Result<EffectView, Problem> {
        self.node.effect(targets, self.reader.known()?).await
    }

    /// What happened between two times, by steps of whole hours; what was let through and
    /// refused, by the reader's gateways alone.
    pub async fn activity(
        &self,
        from: Time,
        to: Time,
        step_ms: u64,
    ) -> Result<Vec<ActivityPoint>, Problem> {
        self.node.activity(self.reader.known()?, from, to, step_ms).await
    }

    /// A question about lots of the reader's own.
    fn own(&self, query: &LotQuery) -> Result<LotQuery, Problem> {
        let Reader::Organisation(own) = self.reader.known()? else { return Ok(query.clone()) };
        let own = own.to_string();
        if query.organisation.as_ref().is_some_and(|other| *other != own) {
            let title = "an organisation is shown its own lots";
            return Err(Problem::new(403, "not-yours", title)
                .cure("sign with a key of the organisation whose lots you ask for"));
        }
        Ok(LotQuery { organisation: Some(own), ..query.clone() })
    }
}
