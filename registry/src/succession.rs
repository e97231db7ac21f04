//! The validator's key was replaced: the ledger goes on under another, because the organisation's
//! root key says so.

use crate::Error;
use crate::claims::Claim;
use crate::consensus::Application as _;
use crate::node::Node;
use muster_identity::PublicKey;
use muster_ledger::{Action, Block, Chain, Genesis, Refusal, SignedOperation, View as _};

/// Whether the ledger must first be handed to this key. An error if it must, and nothing hands it.
pub(crate) fn needed(
    chain: &Chain,
    genesis: &Genesis,
    key: &PublicKey,
    succession: Option<&SignedOperation>,
) -> Result<bool, Error> {
    let present = chain.state().validators().map_err(Error::damaged)?;
    if present.0 == [*key] {
        return Ok(false);
    }
    if succession.is_some() {
        return Ok(true);
    }
    let organisation = genesis.organisation_did();
    let record = chain.state().organisation(&organisation).map_err(Error::damaged)?;
    let seq = record.map_or(0, |record| record.seq);
    let present: Vec<String> = present.0.iter().map(PublicKey::to_multikey).collect();
    Err(Error::operator(
        format!("{key} is not this network's only validator ({})", present.join(", ")),
        format!(
            "put that key back; or if it is lost, stolen or replaced, sign where the root key is: \
             muster org validator {key} --seq {seq} --out change.cbor, and start this node with \
             --succeed change.cbor"
        ),
    ))
}

impl Node {
    /// Commits a change of the validators to one key, which then signs the head.
    pub(crate) async fn succeed(
        &self,
        signed: &SignedOperation,
        key: &PublicKey,
    ) -> Result<(), Error> {
        let fault = |what: String| {
            Error::operator(what, "sign it again: muster org validator KEY --seq N (docs/keys.md)")
        };
        let verified = signed.verify().map_err(|e| fault(format!("--succeed: {e}")))?;
        match &verified.operation().action {
            Action::ChangeValidators(change) if change.validators.0 == [*key] => {}
            Action::ChangeValidators(_) => {
                return Err(fault(format!("--succeed names other validators than {key}")));
            }
            other => {
                return Err(fault(format!("--succeed is of another action: {}", other.word())));
            }
        }
        let chain = self.decided();
        let earliest = self.signed().map(|head| head.time).unwrap_or_default();
        let time = self.pace.check()?.max(chain.time().plus_ms(1)).max(earliest);
        let refused = |refusal: Refusal| fault(format!("--succeed is refused: {refusal}"));
        let changes = chain.try_apply(&verified, time).map_err(refused)?;
        if !self.store.claimed(Claim::brought_by(&changes)).await?.is_empty() {
            return Err(refused(Refusal::KeyUsed(*key)));
        }
        let (height, operations) = (chain.height() + 1, vec![signed.clone()]);
        self.decide(Block { height, time, operations }).await?;
        tracing::warn!("the validator of this network is {key} from block {height} on");
        Ok(())
    }
}
