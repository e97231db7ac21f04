use crate::standing::Known;
use crate::{Evidence, Policy, Reason, Rejected, RollView, Verified};
use muster_identity::{Did, Freshness, MAX_LIFETIME, Presentation};
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

    /// Checks its time: `iat` − skew ≤ now < `exp` + skew (RFC 7519 §4.1.4), or its nonce
    /// against the one expected.
    pub fn fresh(self, policy: &Policy, now: Time, nonce: Option<&str>) -> Result<Fresh, Rejected> {
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
            Freshness::Nonce(given) if nonce != Some(given) => refuse(Reason::NonceUnknown),
            Freshness::Nonce(_) => {
                let end = now.plus_ms(MAX_LIFETIME * 1_000).plus_ms(policy.skew());
                Ok(Fresh { claim: self, end, signed: false })
            }
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

    /// Finds the device's key, checks the signature, then looks at roll and standing. The order
    /// matters: nobody can have a device reported as refused without its key.
    pub fn authenticate(
        self,
        policy: &Policy,
        roll: RollView<'_, impl View>,
        evidence: Evidence<'_>,
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
        let outcome = known.check(roll, policy).map(|()| {
            Verified::new(did, key, known, roll.age_ms, roll.checkpoint_time, self.claim.hash)
        });
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
