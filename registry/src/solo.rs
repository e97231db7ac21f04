use crate::Error;
use crate::consensus::{Application, Consensus};
use crate::pace::Pace;
use muster_api::BoxFuture;
use muster_identity::Signer;
use muster_ledger::limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// One node decides alone: it takes whatever waits, commits it in one transaction, signs.
pub(crate) struct Solo {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) pace: Arc<Pace>,
}

impl Solo {
    /// Signs the head and publishes it. What is about to be signed is on disk before it is
    /// signed.
    pub(crate) fn sign(&self, application: &dyn Application) -> Result<(), Error> {
        let earliest = application.signed().map(|head| head.time).unwrap_or_default();
        let time = match application.upgrade_ahead()?.filter(|ahead| ahead.due) {
            Some(_) => earliest,
            None => self.pace.tick()?.max(earliest),
        };
        let head = application.head(time)?;
        application.publish(&application.sign(&head, &*self.signer)?)
    }

    fn sign_or_say(&self, application: &dyn Application) {
        if let Err(error) = self.sign(application) {
            // The clock has been complained about.
            if !matches!(error, Error::Clock { .. }) {
                tracing::error!("the head cannot be signed: {error}");
            }
            application.unsigned(&error);
        }
    }

    /// Commits everything that fits in one block.
    async fn block(&self, application: &dyn Application) {
        let now = match self.pace.check() {
            Ok(now) => now,
            Err(error) => return application.halted(&error).await,
        };
        let Some(block) = application.propose(now, &|_| true).await else { return };
        match application.decide(block).await {
            Ok(()) => self.sign_or_say(application),
            Err(error) => tracing::error!("a block could not be committed: {error}"),
        }
    }
}

impl Consensus for Solo {
    fn run(
        self: Box<Self>,
        application: Arc<dyn Application>,
        mut closing: watch::Receiver<bool>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let period = Duration::from_millis(limits::HEARTBEAT_MS);
            let mut heartbeat =
                tokio::time::interval_at(tokio::time::Instant::now() + period, period);
            heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    _ = heartbeat.tick() => self.sign_or_say(&*application),
                    () = application.waiting(&|_| true) => self.block(&*application).await,
                    // Last, so that everything that waits is finished first.
                    () = closed(&mut closing) => return,
                }
            }
        })
    }
}

/// Resolves when the node closes, or when nobody is left who could close it.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
