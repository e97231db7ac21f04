//! Gateways: who they are, by which head they decide, and so who already goes by an entry of the
//! log (`docs/formats/acknowledgement.md`). Private: nothing of it enters the ledger.

mod book;
mod counts;
#[cfg(test)]
mod tests;
mod views;

pub use views::Covered;

use crate::Error;
use crate::node::Node;
use crate::store::GatewayRow;
use book::Book;
use muster_api::{GatewayView, Problem, limits};
use muster_identity::{Acknowledgement, Did, PublicKey, Registration, Statement};
use muster_ledger::{Capability, State, View as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// What a node knows of gateways.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    book: Mutex<Book>,
    /// One write at a time: what comes in meanwhile is written together by the next.
    saving: AsyncMutex<()>,
}

impl Coverage {
    /// With what the store holds.
    pub(crate) fn load(&self, rows: Vec<GatewayRow>) -> Result<(), Error> {
        *self.book() = Book::read(rows)?;
        Ok(())
    }

    /// Each method of the book leaves it whole, so a panic elsewhere does not spoil it.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys by which an organisation registers gateways at present.
fn operators(state: &State, organisation: &Did) -> Result<Vec<PublicKey>, Problem> {
    let record = state.organisation(organisation)?;
    let keys = record.map(|record| record.keys).unwrap_or_default();
    let may = keys.into_iter().filter(|key| key.capabilities.has(Capability::Gateway));
    Ok(may.map(|key| key.key).collect())
}

/// Among an organisation's keys, the one that a token names.
fn named<'a>(keys: &'a [PublicKey], multicodec: &[u8]) -> Option<&'a PublicKey> {
    keys.iter().find(|key| key.to_multicodec() == multicodec)
}

fn not_registered() -> Problem {
    Problem::new(403, "not-registered", "no gateway with this key is registered here")
        .cure("its operator registers it with `muster gateways add`")
}

fn not_signed(error: muster_identity::Error) -> Problem {
    Problem::new(403, "signature", error.to_string())
}

impl Node {
    /// Takes an operator's word about a gateway.
    pub(crate) async fn register_gateway(&self, token: &str) -> Result<GatewayView, Problem> {
        let malformed = |fault| Problem::new(400, "malformed", format!("registration: {fault}"));
        let said = Registration::parse(token).map_err(malformed)?;
        let keys = operators(self.published()?.chain.state(), said.organisation())?;
        let Some(key) = named(&keys, said.key()) else {
            let title = "the key that signed may not register gateways of this organisation";
            return Err(Problem::new(403, "not-an-operator", title)
                .cure("sign with a key of the organisation that has the capability `gateway`"));
        };
        said.verify_signature(key).map_err(not_signed)?;
        let now = self.pace.check()?;
        let made = said.registered().made;
        if made.max(now.0) - made.min(now.0) > limits::REGISTRATION_LIFETIME_MS {
            let title = "the registration was signed more than 24 hours from now";
            return Err(Problem::new(409, "expired", title).cure("sign it anew; check the clock"));
        }
        let (author, key) = (*said.organisation(), key.to_multikey());
        let action = match said.registered().holder {
            Some(_) => "register-gateway",
            None => "end-gateway",
        };
        let name = self.coverage.book().register(said, now.0)?;
        self.save_gateways().await?;
        tracing::info!(%author, key, action, target = name.1, "a registration changed");
        self.gateway_view(&name)
    }

    /// Takes a gateway's word about itself.
    pub(crate) async fn acknowledge(&self, token: &str) -> Result<(), Problem> {
        let malformed = |fault| Problem::new(400, "malformed", format!("acknowledgement: {fault}"));
        let said = Acknowledgement::parse(token).map_err(malformed)?;
        let (name, key, operator) = {
            let book = self.coverage.book();
            let (name, post) =
                book.of_key(said.organisation(), said.key()).ok_or_else(not_registered)?;
            let key = post.holder().map(|holder| holder.key).ok_or_else(not_registered)?;
            (name, key, post.registration.key().to_vec())
        };
        let published = self.published()?;
        if named(&operators(published.chain.state(), &name.0)?, &operator).is_none() {
            let title = "the key that registered this gateway is over";
            return Err(Problem::new(403, "registration-void", title)
                .cure("register the gateway again with a present key of the organisation"));
        }
        said.verify_signature(&key).map_err(not_signed)?;
        self.same_ledger(said.statement())?;
        let received = self.pace.check()?.0;
        let size = said.statement().size;
        self.coverage.book().hear(&name, token, said, received, Instant::now())?;
        self.save_gateways().await?;
        self.console.tell_coverage(&name.0, &name.1, size);
        Ok(())
    }

    /// Whether a gateway speaks of a head that this ledger had.
    fn same_ledger(&self, said: &Statement) -> Result<(), Problem> {
        let published = self.published()?;
        let head = published.checkpoint.head();
        if said.size > head.size || said.checkpoint > head.time.0 {
            let title = format!(
                "the gateway goes by {} entries, this node has signed {}",
                said.size, head.size
            );
            return Err(Problem::new(409, "ahead", title)
                .cure("this node is behind, or its ledger was rolled back"));
        }
        if self.log_root_at(said.size) != Some(said.log_root) {
            tracing::error!(size = said.size, "a gateway goes by another ledger of this network");
            let title = "the gateway goes by another ledger of this network";
            return Err(Problem::new(409, "other-ledger", title)
                .cure("compare the gateway's evidence folder with this node's log"));
        }
        Ok(())
    }

    /// Writes what is not written yet.
    async fn save_gateways(&self) -> Result<(), Error> {
        let _turn = self.coverage.saving.lock().await;
        let save = self.coverage.book().unsaved();
        if save.rows.is_empty() && save.gone.is_empty() {
            return Ok(());
        }
        match self.store.save_gateways(save.clone()).await {
            Ok(()) => {
                self.coverage.book().saved(&save);
                Ok(())
            }
            Err(error) => {
                self.coverage.book().not_saved(save);
                Err(error)
            }
        }
    }
}
