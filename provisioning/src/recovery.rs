//! Who may give a device another key once it has lost its own. The device itself says so, under its
//! possession signature: a recovery key in its inception, whose hash its DID is, or its present
//! owner in its leaf, which leaves the DID as it is.

use crate::RowFault;
use crate::formats::Draft;
use muster_identity::{Inception, PublicKey, Recovery};
use muster_ledger::Evidence;

/// What a row says.
pub(crate) fn stated(draft: &Draft) -> Result<Option<Recovery>, RowFault> {
    let parse = |text: &str| {
        let why = "neither `owner` nor the Multikey of a key of Ed25519 or P-256";
        text.parse().map_err(|_| RowFault::new("recovery", why))
    };
    draft.recovery.as_deref().map(parse).transpose()
}

/// The inception of a key that came with such a declaration, and whether the leaf says that the
/// owner may.
pub(crate) fn declared(
    key: PublicKey,
    recovery: Option<Recovery>,
    evidence: &Evidence,
) -> Result<(Inception, bool), RowFault> {
    let bare = Inception::from_key(key);
    let recovery = match recovery {
        None => return Ok((bare, false)),
        Some(recovery) => recovery,
    };
    // An enroller that could declare it alone would hold the device's keys in its hand.
    if !matches!(evidence, Evidence::Possession { .. }) {
        let why = "the device did not sign for a recovery: the row has no possession signature";
        return Err(RowFault::new("recovery", why));
    }
    match recovery {
        Recovery::Owner => Ok((bare, true)),
        Recovery::Key(other) if other == key => {
            Err(RowFault::new("recovery", "the recovery key is the key that may be lost"))
        }
        Recovery::Key(_) => Ok((Inception { recovery: Some(recovery), ..bare }, false)),
    }
}
