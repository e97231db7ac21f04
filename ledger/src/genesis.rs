use crate::{
    Capability, Changes, EvidencePolicy, Grant, GrantId, GrantRecord, Network, OrgKey,
    OrganisationRecord, Refusal, Rules, State, StateKey, Time, ValidatorSet, action, limits,
};
use alloc::{string::String, vec::Vec};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, Inception, sha256};

/// How a network begins. Its hash is the network's name; whoever holds the file can check
/// everything that follows.
///
/// CBOR map: 1 protocol version, 2 random value, 3 time, 4 organisation, 5 rules, 6 grant,
/// 7 validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// Chosen at random, so that two networks never share a name.
    pub nonce: [u8; 16],
    /// When the network begins.
    pub time: Time,
    /// Its first organisation.
    pub organisation: FirstOrganisation,
    /// Its rules.
    pub rules: Rules,
    /// The first grant, given by the first organisation to itself.
    pub grant: GenesisGrant,
    /// Who signs checkpoints.
    pub validators: ValidatorSet,
}

/// The first organisation of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOrganisation {
    /// Its DID is the hash of this inception.
    pub inception: Inception,
    /// A name to show; public.
    pub label: String,
    /// Its keys.
    pub keys: Vec<OrgKey>,
}

/// The grant of the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisGrant {
    /// Which models; none named means every model.
    pub models: Vec<String>,
    /// How many devices in all.
    pub count: u64,
    /// Until when.
    pub expires: Time,
    /// What evidence each leaf must show.
    pub evidence: EvidencePolicy,
}

impl Genesis {
    /// The network's name.
    pub fn network(&self) -> Network {
        Network(sha256(&[&self.to_cbor()]))
    }

    /// The DID of the first organisation.
    pub fn organisation_did(&self) -> Did {
        Did::of(&self.organisation.inception)
    }

    /// The id of the first grant.
    pub fn grant_id(&self) -> GrantId {
        Grant::id(&self.network(), &self.organisation_did(), 0)
    }

    /// The state before the first operation.
    pub fn state(&self) -> State {
        let did = self.organisation_did();
        let mut changes = Changes::default();
        changes.put(StateKey::Rules, &self.rules);
        changes.put(StateKey::Validators, &self.validators);
        for key in &self.organisation.keys {
            changes.put(StateKey::of_key(&key.key), &did);
        }
        let organisation = OrganisationRecord {
            label: self.organisation.label.clone(),
            keys: self.organisation.keys.clone(),
            // The grant of the genesis was its first change.
            seq: 1,
        };
        changes.put(StateKey::Organisation(did), &organisation);
        let grant = GrantRecord {
            issuer: did,
            organisation: did,
            models: self.grant.models.clone(),
            count: self.grant.count,
            used: 0,
            expires: self.grant.expires,
            evidence: self.grant.evidence,
            withdrawn: false,
        };
        changes.put(StateKey::Grant(self.grant_id()), &grant);
        State::default().with(&changes)
    }

    /// What the encoding alone does not say: a root key that the organisation's DID begins with,
    /// no key twice, and a grant that keeps the rules.
    pub fn check(&self) -> Result<(), Refusal> {
        let (root, keys) = (self.organisation.inception.key, &self.organisation.keys);
        if !keys.iter().any(|k| k.key == root && k.capabilities.has(Capability::Root)) {
            return Err(Refusal::NoRootKey);
        }
        for (i, key) in keys.iter().enumerate() {
            if keys[..i].iter().any(|earlier| earlier.key == key.key) {
                return Err(Refusal::KeyUsed(key.key));
            }
        }
        if self.grant.evidence < self.rules.evidence {
            return Err(Refusal::Limit(WEAK_GRANT));
        }
        if self.rules.approval.is_some_and(|approval| !approval.can_be_met_by(keys)) {
            return Err(Refusal::TooFewApprovers);
        }
        if self.rules.table.is_some_and(|table| table.locks(1)) {
            return Err(Refusal::Limit(LOCKED));
        }
        Ok(())
    }
}

const WEAK_GRANT: &str = "the rules ask for stronger evidence than the first grant";

const LOCKED: &str = "a table by which one organisation could lock the network";

const FEW_APPROVERS: &str = "the rules ask for more approvals than the organisation has keys for";

impl Encode for Genesis {
    fn encode(&self, w: &mut Writer) {
        w.map(7).uint(1).uint(crate::operation::PROTOCOL).uint(2).bytes(&self.nonce);
        w.uint(3).value(&self.time);
        w.uint(4).map(3).uint(1).bytes(&self.organisation.inception.to_cbor());
        w.uint(2).text(&self.organisation.label).uint(3).list(&self.organisation.keys);
        w.uint(5).value(&self.rules);
        w.uint(6).map(4).uint(1).array(self.grant.models.len());
        for model in &self.grant.models {
            w.text(model);
        }
        w.uint(2).uint(self.grant.count).uint(3).value(&self.grant.expires);
        w.uint(4).value(&self.grant.evidence);
        w.uint(7).value(&self.validators);
    }
}

impl Decode for Genesis {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let version = m.required(1)?;
        if version.uint()? != crate::operation::PROTOCOL {
            return Err(version.fault("another protocol version"));
        }
        let nonce = m.required(2)?.array_of()?;
        let time = m.required(3)?.value()?;
        let mut o = m.required(4)?.map()?;
        let organisation = FirstOrganisation {
            inception: Inception::from_cbor(o.required(1)?.bytes(limits::LEAF_BYTES)?)?,
            label: action::printable(o.required(2)?, limits::LABEL_BYTES)?,
            keys: o.required(3)?.list(limits::ORGANISATION_KEYS)?,
        };
        o.end()?;
        let rules = m.required(5)?.value()?;
        let mut g = m.required(6)?.map()?;
        let grant = GenesisGrant {
            models: action::models(g.required(1)?)?,
            count: g.required(2)?.uint()?,
            expires: g.required(3)?.value()?,
            evidence: g.required(4)?.value()?,
        };
        g.end()?;
        let validators = m.required(7)?.value()?;
        m.end()?;
        let genesis = Self { nonce, time, organisation, rules, grant, validators };
        genesis.check().map_err(|refusal| {
            r.fault(match refusal {
                Refusal::NoRootKey => "the first organisation has no root key",
                Refusal::KeyUsed(_) => "a key of the first organisation stands twice",
                Refusal::TooFewApprovers => FEW_APPROVERS,
                Refusal::Limit(why) => why,
                _ => WEAK_GRANT,
            })
        })?;
        Ok(genesis)
    }
}
