//! Starting and stopping.

use super::{App, commit};
use crate::Error;
use crate::engine::codec::{Codec, Wire as _};
use crate::engine::context::{Address, Ctx, Height};
use crate::engine::decisions::Decisions;
use crate::engine::heard::Heard;
use crate::engine::heights::Heights;
use crate::engine::parts::Streams;
use crate::engine::proposals::Proposals;
use crate::engine::settings::Settings;
use crate::engine::sign_state::SignState;
use crate::engine::signing::{Sign, Verify};
use crate::engine::{Ended, EngineConfig, EngineView, Host, limits};
use malachite::app::types::Keypair;
use malachite::{
    Channels, ConsensusContext, EngineHandle, NetworkContext, NetworkIdentity, NetworkRequest,
    RequestContext, Signer as _, SyncContext, WalContext,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked how many peers are connected.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Requests to the engine that wait: one asks at a time.
const REQUESTS: usize = 4;

/// Where the engine's log is.
fn log(dir: &Path) -> PathBuf {
    dir.join("consensus.log")
}

/// See [`crate::engine::run`].
pub(crate) async fn run(
    config: EngineConfig,
    host: Arc<dyn Host>,
    view: watch::Sender<EngineView>,
    mut closing: watch::Receiver<bool>,
) -> Result<Ended, Error> {
    std::fs::create_dir_all(&config.dir).map_err(|e| {
        let what = format!("{}: the engine's folder cannot be made: {e}", config.dir.display());
        Error::operator(what, "give the node a folder it may write in")
    })?;
    let decisions = Decisions::open(&config.dir.join("decisions.redb"))?;
    told_before(&decisions, &*host).await?;
    let next = Height(host.height() + 1);
    view.send_modify(|view| (view.decided, view.height) = (host.height(), next.0));
    let sign = sign(&config, next)?;
    let proposals = Proposals::load(decisions.clone(), next).await?;
    let (heard, mut signs) = Heard::new();
    let verify = Verify(config.network);
    let me = sign.as_ref().map_or(Address::NOBODY, |(_, me)| *me);
    let sign = sign.map(|(sign, _)| sign);
    let (channels, handle) = build(&config, &verify, sign.clone(), me, heard.clone()).await?;
    let Channels { mut consensus, network, events: _, requests: _, net_requests } = channels;
    let mut app = App {
        heights: Heights::new(host.clone(), verify, config.timeouts, heard),
        streams: Streams::default(),
        streamed: 0,
        host,
        verify,
        sign,
        me,
        network,
        decisions,
        proposals,
        view,
    };
    let mut look = tokio::time::interval(LOOK_EVERY);
    let ended = loop {
        tokio::select! {
            biased;
            () = told(&mut closing) => break Ok(Ended::Told),
            () = app.heights.worth_it() => app.heights.begin(),
            Some(sign) = signs.recv() => {
                if app.heights.hear(sign).await {
                    app.heights.begin();
                }
            }
            message = consensus.recv() => match message {
                Some(message) => {
                    if let Err(error) = app.handle(message).await {
                        break Err(error);
                    }
                }
                None => break Ok(Ended::Failed("the BFT engine ended by itself, see its log".into())),
            },
            _ = look.tick() => {
                if let Ok(Some(state)) = NetworkRequest::dump_state(&net_requests).await {
                    app.view.send_modify(|view| view.peers = state.peers.len());
                }
            }
        }
    };
    // Whoever waits for an answer gets none, so that nothing waits while it stops.
    drop((app, consensus, net_requests));
    stop(handle, &log(&config.dir)).await;
    ended
}

/// Resolves when the engine shall end.
async fn told(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Decisions that were kept before a crash and not committed.
async fn told_before(decisions: &Decisions, host: &dyn Host) -> Result<(), Error> {
    while let Some((_, last)) = decisions.span() {
        let next = host.height() + 1;
        if next > last {
            break;
        }
        let Some(value) = decisions.decided(next..=next).await?.pop() else { break };
        tracing::info!(height = next, "a decision is committed that was kept before");
        commit(host, next, value.value_bytes.to_vec()).await?;
        if host.height() < next {
            return Err(Error::Us(format!("height {next} was committed and is not there")));
        }
    }
    Ok(())
}

/// The validator key with the memory of what it signed.
fn sign(config: &EngineConfig, next: Height) -> Result<Option<(Sign, Address)>, Error> {
    let Some(key) = config.signer.clone() else { return Ok(None) };
    let address = Address::of(&key.public_key())
        .ok_or_else(|| Error::Caller("a validator key is Ed25519 (C2SP cosignature/v1)".into()))?;
    let mut state = SignState::open(&config.dir.join("sign-state"), Height(config.votes_from))?;
    // Who signed at this height and lost the log does not know what it is locked on: it follows
    // until the next one.
    if state.height() >= next && !log(&config.dir).exists() {
        tracing::warn!(height = %state.height(), "the engine's log is gone: no votes at this height");
        state.not_before(Height(state.height().0 + 1));
    }
    Ok(Some((Sign::new(config.network, key, state), address)))
}

async fn build(
    config: &EngineConfig,
    verify: &Verify,
    sign: Option<Sign>,
    me: Address,
    heard: Heard,
) -> Result<(Channels<Ctx>, EngineHandle), Error> {
    let failed = |e: String| {
        Error::operator(
            format!("the BFT engine cannot start on {}: {e}", config.listen),
            "see that the address is this machine's and free, and the folder writable",
        )
    };
    let keys = Keypair::ed25519_from_bytes(config.node_key.to_vec())
        .map_err(|e| Error::Caller(format!("the node key is not 32 secret bytes: {e}")))?;
    let codec = Codec::hearing(heard);
    let name = "muster".to_string();
    let (identity, consensus) = match sign {
        None => (
            NetworkIdentity::new(name, keys, None),
            ConsensusContext::new_full_node(me, Box::new(*verify)),
        ),
        Some(sign) => {
            let peer = keys.public().to_peer_id().to_bytes();
            let key = me.key().ok_or_else(|| Error::Us("a validator without a key".into()))?;
            let proof = sign.sign_validator_proof(key.to_multicodec(), peer).await;
            let proof = proof.map_err(|e| failed(e.to_string()))?.to_bytes();
            (
                NetworkIdentity::new_validator(name, keys, me.to_string(), proof.into()),
                ConsensusContext::new_validator(me, Box::new(*verify), Box::new(sign)),
            )
        }
    };
    malachite::start_engine(
        Ctx,
        Settings::of(config)?,
        WalContext::new(log(&config.dir), Codec::default()),
        NetworkContext::new(identity, codec.clone()),
        consensus,
        SyncContext::new(codec),
        RequestContext::new(REQUESTS),
    )
    .await
    .map_err(|e| failed(format!("{e:#}")))
}

/// Stops the actors, frees the port and the log.
async fn stop(handle: EngineHandle, log: &Path) {
    let EngineHandle { actor, handle } = handle;
    let cell = actor.get_cell();
    let children = cell.stop_children_and_wait(None, Some(limits::STOP_WITHIN));
    if tokio::time::timeout(limits::STOP_WITHIN, children).await.is_err() {
        tracing::warn!("the BFT engine does not stop in time; the rest is dropped");
    }
    actor.stop(None);
    let _ = tokio::time::timeout(limits::STOP_WITHIN, handle).await;
    // The thread of the log ends by itself; whoever runs the engine again needs the lock.
    let free = || std::fs::File::open(log).is_ok_and(|f| f.try_lock().is_ok());
    for _ in 0..LOCK_LOOKS {
        if free() {
            break;
        }
        tokio::time::sleep(LOCK_EVERY).await;
    }
}

/// How often and how long it is looked whether the log is free: two seconds.
const LOCK_LOOKS: u32 = 100;
const LOCK_EVERY: Duration = Duration::from_millis(20);
