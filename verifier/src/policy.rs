use crate::path::plain_path;
use crate::{Reason, limits};
use muster_identity::{Audience, Did};
use muster_ledger::{BatchId, Network, Time, View};

/// What a gateway asks of a presentation.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The name that devices dial. Compared byte by byte.
    pub audience: Audience,
    /// How far a device's clock may be off; more than [`limits::MAX_SKEW_MS`] counts as that.
    pub max_skew_ms: u64,
    /// Whether a nonce may stand in for a time. The caller then says of each nonce when it gave
    /// it out.
    pub nonces: bool,
    /// What is asked of devices that no class names.
    pub rules: Rules,
    /// Classes of devices and requests; the first that matches holds.
    pub classes: Vec<Class>,
}

/// What is asked of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How old the roll may be by which it decides.
    pub max_roll_age_ms: u64,
    /// Up to which age it goes on letting devices through, marked as stale; nothing if that is
    /// not above the first.
    pub stale_until_ms: u64,
    /// Whether a presentation must bring a nonce.
    pub nonce_required: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_roll_age_ms: limits::MAX_ROLL_AGE_MS, stale_until_ms: 0, nonce_required: false }
    }
}

impl Rules {
    /// What satisfies both.
    fn strictest(self, other: Self) -> Self {
        let until = |rules: Self| rules.stale_until_ms.max(rules.max_roll_age_ms);
        Self {
            max_roll_age_ms: self.max_roll_age_ms.min(other.max_roll_age_ms),
            stale_until_ms: until(self).min(until(other)),
            nonce_required: self.nonce_required || other.nonce_required,
        }
    }

    /// Whether a roll of this age is beyond the first limit, or why it cannot be decided by.
    pub(crate) fn check(&self, age_ms: u64) -> Result<bool, Reason> {
        if age_ms <= self.max_roll_age_ms {
            Ok(false)
        } else if age_ms <= self.stale_until_ms {
            Ok(true)
        } else {
            Err(Reason::StaleRoll)
        }
    }
}

/// A class: whatever matches each list that is not empty.
#[derive(Debug, Clone, Default)]
pub struct Class {
    /// A name, for the operator.
    pub name: String,
    /// Models; one that ends in `*` stands for all that begin so.
    pub models: Vec<String>,
    /// Batches.
    pub batches: Vec<BatchId>,
    /// Owners.
    pub owners: Vec<Did>,
    /// Paths of requests. A path stands for what is below it too.
    pub paths: Vec<String>,
    /// What is asked of it.
    pub rules: Rules,
}

impl Class {
    fn names_device(&self, owner: &Did, batch: &BatchId, model: &str) -> bool {
        let is_model = |pattern: &String| match pattern.strip_suffix('*') {
            Some(begin) => model.starts_with(begin),
            None => model == pattern,
        };
        (self.models.is_empty() || self.models.iter().any(is_model))
            && (self.batches.is_empty() || self.batches.contains(batch))
            && (self.owners.is_empty() || self.owners.contains(owner))
    }

    fn names_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|below| is_below(path, below))
    }
}

/// Whether a path is this one or below it.
fn is_below(path: &str, place: &str) -> bool {
    let place = place.trim_end_matches('/');
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Policy {
    /// The usual policy of a service.
    pub fn new(audience: Audience) -> Self {
        Self {
            audience,
            max_skew_ms: limits::MAX_SKEW_MS,
            nonces: false,
            rules: Rules::default(),
            classes: Vec::new(),
        }
    }

    pub(crate) fn skew(&self) -> u64 {
        self.max_skew_ms.min(limits::MAX_SKEW_MS)
    }

    /// What is asked of a device and a request: the first class that matches, else the usual.
    /// Where the path is not known, whatever a class with paths asks is asked as well: who hides
    /// a path gains nothing by it.
    pub fn rules(&self, owner: &Did, batch: &BatchId, model: &str, path: Option<&str>) -> Rules {
        let path = path.and_then(plain_path);
        let mut hidden: Option<Rules> = None;
        let mut found = self.rules;
        for class in self.classes.iter().filter(|c| c.names_device(owner, batch, model)) {
            match path {
                None if !class.paths.is_empty() => {
                    hidden = Some(hidden.map_or(class.rules, |h| h.strictest(class.rules)));
                }
                Some(path) if !class.names_path(path) => {}
                _ => {
                    found = class.rules;
                    break;
                }
            }
        }
        hidden.map_or(found, |hidden| hidden.strictest(found))
    }

    /// The longest that a roll may be old for anybody to pass.
    pub fn longest_roll_age_ms(&self) -> u64 {
        let longest = |rules: &Rules| rules.max_roll_age_ms.max(rules.stale_until_ms);
        let classes = self.classes.iter().map(|class| longest(&class.rules));
        classes.max().unwrap_or(0).max(longest(&self.rules))
    }
}

/// What the caller knows of the ledger: a state whose root a quorum's checkpoint confirmed.
#[derive(Debug)]
pub struct RollView<'a, V> {
    /// The network.
    pub network: Network,
    /// The state.
    pub state: &'a V,
    /// Time of the checkpoint. Holds run out against it, never against a local clock.
    pub checkpoint_time: Time,
    /// The greater of now − checkpoint time and the monotonic time since its receipt.
    pub age_ms: u64,
}

impl<V: View> Clone for RollView<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: View> Copy for RollView<'_, V> {}
