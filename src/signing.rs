use crate::cli::SignArg;
use crate::commands::replay;
use crate::home::Home;
use crate::host::Machine;
use crate::reading;
use anyhow::{Context as _, Result};
use muster_api::{Client, DeviceView, Host as _};
use muster_identity::{Did, Signer};
use muster_ledger::{
    Action, BatchId, DeviceRef, EntryProof, Genesis, Operation, SignedOperation, Target,
    ValidatorSet, VerifiedEntry,
};
use std::sync::Arc;

/// Minutes that an operation signed here may wait for its block.
pub(crate) const PATIENCE_MS: u64 = 10 * 60 * 1_000;

/// Signs operations for an organisation and sees them through to their acknowledgement.
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) genesis: Genesis,
    /// The present validators, as they were checked on this machine.
    pub(crate) validators: ValidatorSet,
    pub(crate) key: Arc<dyn Signer>,
    organisation: Did,
    home: Home,
}

impl Desk {
    pub(crate) fn open(home: &Home, arg: &SignArg, default_key: &str) -> Result<Self> {
        let key = match &arg.sign_with {
            Some(place) => home.keys().open(place)?,
            None => Arc::new(home.key(default_key)?),
        };
        let client = reading::signing(arg.node.client()?, home, arg.sign_with.clone());
        Self::with(home, client, key)
    }

    /// With a client and a key that are open.
    pub(crate) fn with(home: &Home, client: Client, key: Arc<dyn Signer>) -> Result<Self> {
        let (genesis, validators) = (home.genesis()?, home.validators()?);
        let (organisation, home) = (home.organisation()?, home.clone());
        Ok(Self { client, genesis, validators, key, organisation, home })
    }

    /// The organisation that signs.
    pub(crate) fn organisation(&self) -> Did {
        self.organisation
    }

    /// Signs as the organisation and waits for the checked acknowledgement.
    pub(crate) async fn submit(&self, action: Action) -> Result<VerifiedEntry> {
        self.submit_as(self.organisation(), action).await
    }

    /// The same for an author whose key this is: a device, by its recovery key.
    pub(crate) async fn submit_as(&self, author: Did, action: Action) -> Result<VerifiedEntry> {
        let signed = sign(&self.genesis, author, &*self.key, action, PATIENCE_MS)?;
        let proof = self.client.submit_operation(&signed).await?;
        match check(&self.genesis, &self.validators, &signed, &proof) {
            // Others may have changed the validators since, or this operation did: the ledger says
            // so, every entry of it.
            Err(_) if proof.verify(&self.genesis.network(), &self.validators).is_err() => {
                replay(&self.home, &self.client, |_, _| Ok(())).await?;
                check(&self.genesis, &self.home.validators()?, &signed, &proof)
            }
            checked => checked,
        }
    }
}

/// Submits an operation, and checks the proof that it is in the log under a quorum's checkpoint
/// before it says done.
pub(crate) async fn submit(
    client: &Client,
    genesis: &Genesis,
    validators: &ValidatorSet,
    signed: &SignedOperation,
) -> Result<VerifiedEntry> {
    let proof = client.submit_operation(signed).await?;
    check(genesis, validators, signed, &proof)
}

/// Signs an action, to be in a block within so many milliseconds.
pub(crate) fn sign(
    genesis: &Genesis,
    author: Did,
    key: &dyn Signer,
    action: Action,
    patience_ms: u64,
) -> Result<SignedOperation> {
    let valid_until = Machine.now().plus_ms(patience_ms);
    let operation = Operation { network: genesis.network(), author, valid_until, action };
    operation.sign(key).context("signing failed")
}

/// Checks that a proof is about the operation that was signed.
pub(crate) fn check(
    genesis: &Genesis,
    validators: &ValidatorSet,
    signed: &SignedOperation,
    proof: &EntryProof,
) -> Result<VerifiedEntry> {
    let entry = proof.verify(&genesis.network(), validators).context(
        "the node's acknowledgement proves nothing; if the validator was changed, \
         `muster ledger status` learns it",
    )?;
    anyhow::ensure!(
        entry.operation.hash() == signed.hash(),
        "the node's acknowledgement is about another operation"
    );
    Ok(entry)
}

/// What the command line names: a device by DID or a batch by id.
pub(crate) enum Named {
    Device(Did),
    Batch(BatchId),
}

impl Named {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.starts_with("did:") {
            return Ok(Self::Device(text.parse().context("the target")?));
        }
        text.parse()
            .map(Self::Batch)
            .context("the target is a DID (did:muster:z...) or a batch id (64 hexadecimal digits)")
    }

    /// The target of an operation, with the device part where the state does not know the
    /// device yet, and its change counter.
    pub(crate) async fn target(&self, client: &Client) -> Result<(Target, u64)> {
        match self {
            Self::Batch(id) => {
                let batch = client.batch(&id.to_string()).await?;
                Ok((Target::Batch(*id), batch.seq))
            }
            Self::Device(did) => {
                let (device, view) = device_ref(client, did).await?;
                Ok((Target::Device(device), view.seq))
            }
        }
    }
}

/// A device as an operation names it, and as the node sees it.
pub(crate) async fn device_ref(client: &Client, did: &Did) -> Result<(DeviceRef, DeviceView)> {
    let view = client.device(did).await?;
    let part = if view.changed { None } else { Some(Box::new(client.device_part(did).await?)) };
    Ok((DeviceRef { did: *did, part }, view))
}
