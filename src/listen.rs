//! Listening: connections are counted, slow ones are dropped, and stopping loses no request. Every
//! server of ours listens here: on a port, with or without TLS, or on a socket of this machine.

#[cfg(feature = "node")]
mod body;
mod own;
mod pace;
mod place;
mod room;
mod sources;
mod tls;

#[cfg(feature = "node")]
pub(crate) use body::whole_body;
pub(crate) use own::Own;
use pace::Paced;
pub(crate) use place::{Listener, Place};
pub(crate) use tls::Tls;

use anyhow::Result;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use muster_api::limits;
use sources::Sources;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

/// Bytes of a request's head: a presentation, a device part and what proxies add.
const HEAD_BYTES: usize = 16 << 10;
/// How long running requests may go on after the stop.
const GRACE: Duration = Duration::from_secs(2);

/// A connection, whatever carries it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, as the routes know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// Who made it; loopback, port 0, on a socket file.
    pub(crate) peer: SocketAddr,
    /// To which address, unless it is a socket file.
    pub(crate) local: Option<SocketAddr>,
    /// Whether it is TLS.
    pub(crate) secret: bool,
}

/// Nobody knows from where.
impl Default for Connection {
    fn default() -> Self {
        Self { peer: SocketAddr::from(([0, 0, 0, 0], 0)), local: None, secret: false }
    }
}

/// Connections of all listeners of this process, and those that were closed at once.
static OPEN: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Connections that are open.
pub(crate) fn open() -> u64 {
    OPEN.load(Relaxed)
}

/// Connections that were closed because their address had its share.
pub(crate) fn refused() -> u64 {
    REFUSED.load(Relaxed)
}

/// A connection, counted for as long as the value lives.
struct Open;

impl Open {
    fn new() -> Self {
        OPEN.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
    }
}

/// Serves until `stop` resolves, then lets running requests finish for two seconds.
pub(crate) async fn serve(
    listener: Listener,
    routes: Router,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(room::connections()));
    let sources = Arc::new(Sources::default());
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits::IDLE_SECONDS))
        .max_buf_size(HEAD_BYTES);
    tokio::pin!(stop);
    loop {
        let turn = tokio::select! {
            () = &mut stop => break,
            turn = room.clone().acquire_owned() => turn?,
        };
        let (stream, peer, local) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: others may close some.
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Some(held) = sources.hold(peer.ip()) else {
            REFUSED.fetch_add(1, Relaxed);
            tracing::debug!(%peer, "a connection too many of one address");
            continue;
        };
        let open = Open::new();
        let stream: Box<dyn Stream> = Box::new(Paced::new(stream));
        let secret = listener.tls().is_some();
        let service = routes.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(Connection { peer, local, secret });
            request
        });
        let (builder, tls) = (builder.clone(), listener.tls().cloned());
        let watcher = graceful.watcher();
        let end = async move |stream: Box<dyn Stream>| {
            let service = TowerToHyperService::new(service);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%peer, %error, "a connection ended badly");
            }
        };
        tokio::spawn(async move {
            // The handshake costs a signature: it is done here, not in the way of other peers.
            match tls {
                None => end(stream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => end(Box::new(stream)).await,
                    Err(error) => tracing::debug!(%peer, %error, "no TLS connection came about"),
                },
            }
            drop((turn, held, open));
        });
    }
    let _ = timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}

#[cfg(feature = "node")]
#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_reader_that_does_not_read_loses_its_connection() {
        // More than the system keeps for a connection.
        const WHOLE: usize = 64 << 20;
        let listener = Place::loopback(0).bind("--listen").await.expect("bound");
        let url = listener.url().expect("an address");
        let routes = Router::new().route("/", get(|| async { vec![0_u8; WHOLE] }));
        tokio::spawn(serve(listener, routes, std::future::pending()));
        let address = url.strip_prefix("http://").expect("a port");
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("asked");
        let mut piece = vec![0; 1 << 16];
        let mut all = client.read(&mut piece).await.expect("the answer begins");
        // Five minutes, which pass as soon as everybody waits.
        tokio::time::pause();
        sleep(Duration::from_secs(300)).await;
        tokio::time::resume();
        // What was on its way still comes, then the end.
        while all < WHOLE
            && let Ok(read @ 1..) = client.read(&mut piece).await
        {
            all += read;
        }
        assert!(all < WHOLE, "the connection was kept");
    }
}
