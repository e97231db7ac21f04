use crate::standing::Known;
use crate::{Evidence, Policy, Reason, Rejected, RollView, Verified, limits};
use muster_identity::{Did, Freshness, Presentation};
use muster_ledger::{Time, View};

/// A presentation that can be read and names our audience. Nothing else about it is known.
#[derive(Debug, Clone)]
pub struct Claim {
    presentation: Presentation,
    hash: [u8; 32],
}

impl Claim {
    /// Reads a presentation: shape and bounds, then the audience.
    pub fn read(token: &str, policy: &Policy) -> Result<Self, Rejected> {
        let presentation =
            Presentation::parse(token).map_err(|f| Rejected::new(Reason::Malformed(f)))?;
        if *presentation.audience() != policy.audience {
            return Err(Rejected::about(*presentation.did(), Reason::WrongAudience));
        }
        let hash = presentation.hash();
        Ok(Self { presentation, hash })
    }

    /// The DID it claims.
    pub fn did(&self) -> &Did {
        self.presentation.did()
    }

    /// When it says it was made (Unix seconds), unless it brings a nonce.
    pub fn iat(&self) -> Option<u64> {
        match self.presentation.freshness() {
            Freshness::Window { iat, .. } => Some(*iat),
            Freshness::Nonce(_) => None,
        }
    }

    /// The nonce it brings instead of a time.
    pub fn nonce(&self) -> Option<&str> {
        match self.presentation.freshness() {
            Freshness::Window { .. } => None,
            Freshness::Nonce(nonce) => Some(nonce),
        }
    }

    /// Checks its time: `iat` − skew ≤ now < `exp` + skew (RFC 7519 §4.1.4), or that its nonce was
    /// given out to it: `given` says when.
    pub fn fresh(self, policy: &Policy, now: Time, given: Option<Time>) -> Result<Fresh, Rejected> {
        let refuse = |reason| Err(Rejected::about(*self.did(), reason));
        match self.presentation.freshness() {
            Freshness::Window { iat, exp } => {
                let end = seconds(*exp).plus_ms(policy.skew());
                if now.plus_ms(policy.skew()) < seconds(*iat) {
                    refuse(Reason::NotYetValid)
                } else if now >= end {
                    refuse(Reason::Expired)
                } else {
                    Ok(Fresh { claim: self, end, signed: false })
                }
            }
            Freshness::Nonce(_) if !policy.nonces => refuse(Reason::NonceNotAccepted),
            Freshness::Nonce(_) => match given {
                Some(given) if now.since(given) < limits::NONCE_LIFETIME_MS => {
                    let end = given.plus_ms(limits::NONCE_LIFETIME_MS);
                    Ok(Fresh { claim: self, end, signed: false })
                }
                _ => refuse(Reason::NonceUnknown),
            },
        }
    }

    pub(crate) fn jti(&self) -> &str {
        self.presentation.jti()
    }

    pub(crate) fn audience(&self) -> &str {
        self.presentation.audience().as_str()
    }

    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

fn seconds(n: u64) -> Time {
    Time(n.saturating_mul(1_000))
}

/// A claim whose time is now.
#[derive(Debug, Clone)]
pub struct Fresh {
    claim: Claim,
    end: Time,
    /// Whether these very bytes were authenticated before, for the same request.
    signed: bool,
}

impl Fresh {
    pub(crate) fn again(claim: Claim, end: Time) -> Self {
        Self { claim, end, signed: true }
    }

    /// The DID it claims.
    pub fn did(&self) -> &Did {
        self.claim.did()
    }

    /// Checks the signature before anything is known of the device, if the key that the
    /// presentation names is the one that its DID is made of, and nothing else. Only the holder of
    /// such a DID makes us ask a node about it.
    pub fn check_own_key(&mut self) -> Result<(), Rejected> {
        if self.signed {
            return Ok(());
        }
        let presentation = &self.claim.presentation;
        if presentation.names_own_key() {
            let bad = Rejected::about(*presentation.did(), Reason::BadSignature);
            presentation.verify_own_signature().map_err(|_| bad)?;
            self.signed = true;
        }
        Ok(())
    }

    /// Finds the device's key, checks the signature, then looks at roll and standing. The order
    /// matters: nobody can have a device reported as refused without its key.
    pub fn authenticate(
        self,
        policy: &Policy,
        roll: RollView<'_, impl View>,
        evidence: Evidence<'_>,
        path: Option<&str>,
    ) -> Result<Authenticated, Rejected> {
        let did = *self.did();
        let refuse = |reason| Rejected::about(did, reason);
        let known = Known::find(&did, evidence, roll).map_err(refuse)?;
        let presentation = &self.claim.presentation;
        let key = known.key(|key| presentation.names_key(key), || presentation.names_own_key());
        let bad = |_| refuse(Reason::BadSignature);
        // Same bytes, same key: the kid is among them.
        let key = match (key.map_err(refuse)?, self.signed) {
            (Some(key), true) => key,
            (Some(key), false) => presentation.verify_signature(&key).map(|()| key).map_err(bad)?,
            (None, true) => presentation.key().map_err(|_| refuse(Reason::BadSignature))?,
            (None, false) => presentation.verify_own_signature().map_err(bad)?,
        };
        let rules = known.rules(policy, path);
        if rules.nonce_required && self.claim.nonce().is_none() {
            return Err(refuse(Reason::NonceRequired));
        }
        let outcome = known
            .check(roll, rules)
            .map(|stale| Verified::new(did, key, known, roll, stale, self.claim.hash));
        Ok(Authenticated { claim: self.claim, end: self.end, outcome: outcome.map_err(refuse) })
    }
}

/// A claim that the device's present key signed, and the verdict on the device. Only
/// [`crate::ReplayMemory::admit`] hands the verdict out.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub(crate) claim: Claim,
    /// From when on its time is over.
    pub(crate) end: Time,
    pub(crate) outcome: Result<Verified, Rejected>,
}

impl Authenticated {
    /// The device.
    pub fn did(&self) -> &Did {
        self.claim.did()
    }

    /// When it was made (Unix seconds), unless it brings a nonce.
    pub fn iat(&self) -> Option<u64> {
        self.claim.iat()
    }
}
