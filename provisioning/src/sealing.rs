//! Compares the leaf tree with the node's, signs, and waits for the quorum.

use crate::Error;
use crate::batches::{Batch, EnrolledBatch};
use crate::enrolment::{Enrolment, expect};
use crate::journal::{Journal, Record, Told};
use crate::limits::SIGNATURE_LIFETIME_MS;
use crate::rows::{Rows, State, spooling};
use crate::staging::{is_gone, tell};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::merkle::{Frontier, Hash, leaf_hash};
use muster_ledger::{Action, Enrol, EntryProof, Network, Operation, SignedOperation};
use std::time::Duration;

/// How often an enrolment that is on its way into a block is asked for again, and how soon.
const TRIES: u32 = 150;
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What we would sign.
struct Tree {
    count: u64,
    root: Hash,
    first: Option<Did>,
}

impl Enrolment {
    /// Computes the batch's root and compares it with the node's.
    pub(crate) async fn seal(
        &self,
        network: Network,
        rows: &mut Rows,
        batch: &mut Batch,
        journal: &mut Option<Journal>,
    ) -> Result<(), Error> {
        // What is signed may be on the ledger already, and its upload gone.
        if batch.signed.is_some() {
            let tree = tree(rows, batch).await?;
            if self.fits(network, batch, &tree) {
                batch.keep(&tree);
                return Ok(());
            }
            batch.signed = None;
        }
        let mut anew = false;
        loop {
            let staged = rows.staged(batch.number);
            if staged == 0 {
                batch.staged = 0;
                return Ok(());
            }
            let upload = batch.upload.clone();
            let upload = upload.ok_or_else(|| Error::Internal("no upload".into()))?;
            let (sealed, tree) = tokio::join!(
                self.patiently(|| self.client.seal_upload(&upload)),
                tree(rows, batch)
            );
            let tree = tree?;
            let sealed = match sealed {
                Err(error) if !anew && (is_gone(&error) || error.code() == "lost") => None,
                other => Some(other?),
            };
            if let Some(sealed) = &sealed
                && !sealed.refused.is_empty()
            {
                let told = |v: &muster_api::RowVerdict| {
                    let row = u32::try_from(v.row).ok().filter(|row| {
                        let row = rows.rows.get(*row as usize);
                        row.is_some_and(|row| row.state == State::Staged(batch.number))
                    });
                    row.map(|row| Told::new(row, v.code.clone(), v.detail.clone()))
                };
                let refused: Option<Vec<Told>> = sealed.refused.iter().map(told).collect();
                let refused = refused.ok_or_else(|| Error::Peer {
                    what: "a row that left the upload",
                    ours: "a staged one".into(),
                    theirs: "another".into(),
                })?;
                tell(rows, &refused);
                if let Some(journal) = journal {
                    journal.note_left(batch.number, &refused)?;
                }
                continue;
            }
            let ours = (tree.count, HEXLOWER.encode(&tree.root));
            match sealed {
                Some(sealed) if ours == (sealed.count, sealed.root.clone()) => {
                    batch.keep(&tree);
                    return Ok(());
                }
                // An upload of an earlier run may hold what the files hold no longer, or the answer
                // of a seal that refused rows was lost.
                _ if !anew => {
                    anew = true;
                    self.begin_anew(rows, batch).await;
                    self.stage(network, rows, batch, Default::default(), journal, &mut |_, _| {})
                        .await?;
                }
                Some(sealed) => {
                    expect("the number of leaves", &ours.0, &sealed.count)?;
                    expect("the root of the leaves", &ours.1, &sealed.root)?;
                }
                None => return Err(Error::Internal("an upload was lost".into())),
            }
        }
    }

    /// Whether what an earlier run signed is what we would sign.
    fn fits(&self, network: Network, batch: &Batch, tree: &Tree) -> bool {
        let Some(Ok(signed)) = batch.signed.as_ref().map(SignedOperation::verify) else {
            return false;
        };
        let operation = signed.operation();
        operation.network == network
            && operation.author == self.organisation
            && operation.action == Action::Enrol(batch.enrol(tree))
    }

    /// Signs a sealed batch and waits until a quorum's checkpoint covers it.
    pub(crate) async fn submit(
        &self,
        network: Network,
        rows: &mut Rows,
        batch: &mut Batch,
        journal: &mut Option<Journal>,
    ) -> Result<(), Error> {
        let (mut anew, mut tries) = (false, 0);
        loop {
            let enrol = batch.sealed.clone();
            let enrol = enrol.ok_or_else(|| Error::Internal("nothing is sealed".into()))?;
            let earlier = batch.signed.is_some();
            let signed = match batch.signed.take() {
                Some(signed) => signed,
                None => self.sign(network, batch, &enrol, journal).await?,
            };
            let upload = batch.upload.clone().unwrap_or_default();
            let submitted = self.patiently(|| self.client.submit_upload(&upload, &signed)).await;
            let proof = match submitted {
                Ok(proof) => proof,
                // It waited too long: what it would enrol stays the same.
                Err(error) if earlier && error.code() == "expired" => continue,
                // An attempt whose answer was lost is on its way.
                Err(error) if error.code() == "under-way" && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(TRY_AGAIN).await;
                    batch.signed = Some(signed);
                    continue;
                }
                // Said by an earlier run, or by an attempt whose answer was lost.
                Err(error) if error.code() == "batch-exists" || is_gone(&error) => {
                    match self.known(network, batch, &enrol).await? {
                        Some(proof) => proof,
                        None if anew => return Err(error),
                        None => {
                            anew = true;
                            self.begin_anew(rows, batch).await;
                            let past = Default::default();
                            self.stage(network, rows, batch, past, journal, &mut |_, _| {}).await?;
                            self.seal(network, rows, batch, journal).await?;
                            if batch.staged == 0 {
                                return Ok(());
                            }
                            continue;
                        }
                    }
                }
                Err(error) => return Err(self.explain(error, batch.grant, enrol.count).await),
            };
            batch.enrolled = Some(self.acknowledged(network, &enrol, proof)?);
            batch.upload = None;
            if let Some(journal) = journal {
                journal.note(&Record::Acknowledged { batch: batch.number })?;
            }
            return Ok(());
        }
    }

    /// The proof of an enrolment that is on the ledger.
    async fn known(
        &self,
        network: Network,
        batch: &Batch,
        enrol: &Enrol,
    ) -> Result<Option<EntryProof>, Error> {
        let id = enrol.batch(&network).to_string();
        match self.patiently(|| self.client.batch(&id)).await {
            Ok(_) => {}
            Err(error) if error.code() == "not-found" => return Ok(None),
            Err(error) => return Err(error),
        }
        let first = batch.first.ok_or_else(|| Error::Internal("no leaf".into()))?;
        Ok(Some(self.patiently(|| self.client.receipt(&first)).await?.batch))
    }

    async fn sign(
        &self,
        network: Network,
        batch: &Batch,
        enrol: &Enrol,
        journal: &mut Option<Journal>,
    ) -> Result<SignedOperation, Error> {
        let operation = Operation {
            network,
            author: self.organisation,
            valid_until: self.host.now().plus_ms(SIGNATURE_LIFETIME_MS),
            action: Action::Enrol(enrol.clone()),
        };
        let signed = self.signed(move |signer| operation.sign(signer)).await?;
        if let Some(journal) = journal {
            let operation = BASE64URL_NOPAD.encode(&signed.0);
            journal.note(&Record::Signed { batch: batch.number, operation })?;
        }
        Ok(signed)
    }

    /// Checks an acknowledgement: of exactly this enrolment, by us, under a quorum's checkpoint.
    fn acknowledged(
        &self,
        network: Network,
        enrol: &Enrol,
        proof: EntryProof,
    ) -> Result<EnrolledBatch, Error> {
        let proved = proof.verify(&network, &self.validators).map_err(|e| Error::Peer {
            what: "the acknowledgement",
            ours: "one that this network's quorum signed".into(),
            theirs: e.to_string(),
        })?;
        let operation = proved.operation.operation();
        let ours = operation.author == self.organisation
            && operation.action == Action::Enrol(enrol.clone());
        if !ours {
            return Err(Error::Peer {
                what: "the acknowledged operation",
                ours: format!("the enrolment of batch {}", enrol.batch(&network)),
                theirs: format!("{} {}", operation.action.word(), proved.operation.hash()),
            });
        }
        let (height, time) = (proved.entry.height, proved.entry.time);
        let (batch, enrol) = (enrol.batch(&network), enrol.clone());
        Ok(EnrolledBatch { batch, enrol, proof, height, time })
    }
}

impl Batch {
    fn enrol(&self, tree: &Tree) -> Enrol {
        let (grant, model) = (self.grant, self.model.clone());
        Enrol { grant, model, count: tree.count, root: tree.root }
    }

    fn keep(&mut self, tree: &Tree) {
        self.staged = tree.count;
        self.first = tree.first;
        self.sealed = Some(self.enrol(tree));
    }
}

/// The tree over the staged rows of a batch, computed beside whatever else goes on.
async fn tree(rows: &Rows, batch: &Batch) -> Result<Tree, Error> {
    let staged = rows.bits(batch.number);
    let (leaves, number) = (rows.leaves.clone(), batch.number);
    let task = tokio::task::spawn_blocking(move || {
        let mut frontier = Frontier::default();
        let mut first = None;
        for leaf in leaves.read().map_err(spooling)? {
            let (place, row) = leaf.map_err(spooling)?;
            if place.batch > number {
                break;
            }
            if place.batch < number || !staged.has(place.row) {
                continue;
            }
            first.get_or_insert(place.did);
            frontier.push(leaf_hash(&leaf_of(&row)?));
        }
        Ok(Tree { count: frontier.size(), root: frontier.root(), first })
    });
    task.await.map_err(|e| Error::Internal(e.to_string()))?
}

/// The leaf of a row as it is sent.
fn leaf_of(row: &[u8]) -> Result<Vec<u8>, Error> {
    let row = muster_api::Row::from_cbor(row).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(row.leaf)
}
