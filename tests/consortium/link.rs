//! The way from one node to another, as a wide area network would be: it can be cut, can swallow
//! everything without a word, can be slow and can be narrow.

use crate::ports;
use crate::wire::{Stream, Wire};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Whether anything passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Yes.
    Open,
    /// Nothing, and nobody is told: as when a cable is pulled. What was sent arrives when it is
    /// put back, as TCP would send it again.
    Silent,
    /// Connections are closed, and new ones too: as when a process in between dies.
    Cut,
}

/// How a way is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) flow: Flow,
    /// How long each byte is under way.
    pub(crate) delay: Duration,
    /// How many pass in a second; 0 for as many as come.
    pub(crate) bytes_a_second: u32,
}

impl Shape {
    pub(crate) const OPEN: Self =
        Self { flow: Flow::Open, delay: Duration::ZERO, bytes_a_second: 0 };
}

/// Read at once where bytes are counted: a tenth of a second of the narrowest way.
const SPOON: usize = 4 << 10;
/// Read at once elsewhere.
const BUCKET: usize = 64 << 10;
/// Pieces that are under way; more wait with their sender, as behind a full TCP window.
const UNDER_WAY: usize = 256;

/// Ways that share their shape: the exchange and the engine of a node, as another one reaches them.
pub(crate) struct Link {
    shape: watch::Sender<Shape>,
    /// Where the first of them begins; each other at the next port.
    pub(crate) port: u16,
    _forwarders: JoinSet<()>,
}

impl Link {
    /// Ways to as many ports from `to` on, from as many adjacent ports of this machine.
    pub(crate) async fn to(to: SocketAddr, ways: u16) -> Self {
        Self::with(to, ways, None).await
    }

    /// The same, and all that passes is kept.
    pub(crate) async fn recorded(to: SocketAddr, ways: u16, wire: &Wire) -> Self {
        Self::with(to, ways, Some(wire)).await
    }

    /// Recorded or not.
    pub(crate) async fn with(to: SocketAddr, ways: u16, wire: Option<&Wire>) -> Self {
        let (port, listeners) = ports::listeners(ways).await;
        let shape = watch::Sender::new(Shape::OPEN);
        let mut forwarders = JoinSet::new();
        for (offset, listener) in (0..).zip(listeners) {
            let to = SocketAddr::new(to.ip(), to.port() + offset);
            forwarders.spawn(forward(listener, to, shape.subscribe(), wire.cloned()));
        }
        Self { shape, port, _forwarders: forwarders }
    }

    pub(crate) fn set(&self, shape: Shape) {
        self.shape.send_replace(shape);
    }

    pub(crate) fn flow(&self, flow: Flow) {
        self.shape.send_modify(|shape| shape.flow = flow);
    }
}

async fn forward(
    listener: TcpListener,
    to: SocketAddr,
    shape: watch::Receiver<Shape>,
    wire: Option<Wire>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let Ok((from, _)) = accepted else { continue };
        connections.spawn(connection(from, to, shape.clone(), wire.clone()));
    }
}

async fn connection(
    from: TcpStream,
    to: SocketAddr,
    shape: watch::Receiver<Shape>,
    wire: Option<Wire>,
) {
    let mut cut = shape.clone();
    let pass = async {
        let mut before = shape.clone();
        opened(&mut before).await;
        let Ok(to) = TcpStream::connect(to).await else { return };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        let (from_reads, from_writes) = from.into_split();
        let (to_reads, to_writes) = to.into_split();
        tokio::join!(
            pump(from_reads, to_writes, shape.clone(), wire.as_ref().map(Wire::stream)),
            pump(to_reads, from_writes, shape.clone(), wire.as_ref().map(Wire::stream)),
        );
    };
    tokio::select! {
        () = pass => {}
        _ = cut.wait_for(|shape| shape.flow == Flow::Cut) => {}
    }
}

/// Waits until something passes; never, if the link is gone.
async fn opened(shape: &mut watch::Receiver<Shape>) -> Shape {
    let open = shape.wait_for(|shape| shape.flow == Flow::Open).await.map(|shape| *shape);
    match open {
        Ok(shape) => shape,
        Err(_) => std::future::pending().await,
    }
}

/// One direction of a connection.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut shape: watch::Receiver<Shape>,
    stream: Option<Stream>,
) {
    let mut writes = shape.clone();
    let (send, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let read = async move {
        let mut buffer = vec![0; BUCKET];
        loop {
            let most = match opened(&mut shape).await.bytes_a_second {
                0 => BUCKET,
                _ => SPOON,
            };
            let Ok(count @ 1..) = from.read(&mut buffer[..most]).await else { return };
            if let Some(stream) = &stream {
                stream.saw(&buffer[..count]);
            }
            // It may have been shut while this waited.
            let now = opened(&mut shape).await;
            if now.bytes_a_second > 0 {
                sleep(Duration::from_secs(1) * count as u32 / now.bytes_a_second).await;
            }
            let piece = (Instant::now() + now.delay, buffer[..count].to_vec());
            if send.send(piece).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            opened(&mut writes).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    // Whoever cannot be written to is read no further: dropping the reader closes its side.
    tokio::select! {
        () = write => {}
        () = async { read.await; std::future::pending().await } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    /// A server that answers what it is told, behind a link.
    async fn echo() -> (Link, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let link = Link::to(listener.local_addr().expect("an address"), 1).await;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                open.spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
        (link, server)
    }

    async fn connect(link: &Link) -> TcpStream {
        TcpStream::connect(("127.0.0.1", link.port)).await.expect("the link listens")
    }

    async fn ask(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Duration> {
        let begun = Instant::now();
        stream.write_all(bytes).await?;
        let mut back = vec![0; bytes.len()];
        stream.read_exact(&mut back).await?;
        assert_eq!(back, bytes);
        Ok(begun.elapsed())
    }

    const SOON: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn an_open_link_passes_everything_both_ways() {
        let (link, _server) = echo().await;
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut stream = connect(&link).await;
        let (mut reads, mut writes) = stream.split();
        let mut back = vec![0; bytes.len()];
        let (sent, read) = tokio::join!(writes.write_all(&bytes), reads.read_exact(&mut back));
        sent.expect("sent");
        read.expect("read");
        assert_eq!(back, bytes);
        // An end is passed on too.
        stream.shutdown().await.expect("shut");
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
    }

    #[tokio::test]
    async fn a_silent_link_tells_nobody_and_loses_nothing() {
        let (link, _server) = echo().await;
        let mut stream = connect(&link).await;
        ask(&mut stream, b"one").await.expect("answered");
        link.flow(Flow::Silent);
        stream.write_all(b"two").await.expect("nobody is told");
        let mut back = [0; 3];
        assert!(timeout(SOON, stream.read_exact(&mut back)).await.is_err(), "it swallows");
        let mut later = connect(&link).await;
        assert!(timeout(SOON, ask(&mut later, b"new")).await.is_err(), "new ones too");
        link.flow(Flow::Open);
        stream.read_exact(&mut back).await.expect("what was sent arrives");
        assert_eq!(&back, b"two");
    }

    #[tokio::test]
    async fn a_cut_link_closes_and_can_be_mended() {
        let (link, _server) = echo().await;
        let mut stream = connect(&link).await;
        ask(&mut stream, b"one").await.expect("answered");
        link.flow(Flow::Cut);
        let ended = timeout(SOON, stream.read(&mut [0; 1])).await.expect("at once");
        assert!(matches!(ended, Ok(0) | Err(_)));
        let mut later = connect(&link).await;
        assert!(ask(&mut later, b"two").await.is_err());
        link.flow(Flow::Open);
        let mut mended = connect(&link).await;
        ask(&mut mended, b"three").await.expect("answered");
    }

    #[tokio::test]
    async fn a_slow_and_narrow_link_takes_its_time() {
        let (link, _server) = echo().await;
        let mut stream = connect(&link).await;
        let delay = Duration::from_millis(100);
        link.set(Shape { delay, ..Shape::OPEN });
        let took = ask(&mut stream, b"there and back").await.expect("answered");
        assert!(took >= 2 * delay && took < 10 * delay, "{took:?}");
        link.set(Shape { bytes_a_second: 100_000, ..Shape::OPEN });
        let took = ask(&mut stream, &[7; 50_000]).await.expect("answered");
        assert!(took >= Duration::from_millis(450), "{took:?}");
        // Delay is no narrowness: many pieces are under way at once.
        link.set(Shape { delay, ..Shape::OPEN });
        let mut many = JoinSet::new();
        let begun = Instant::now();
        for _ in 0..20 {
            let mut stream = connect(&link).await;
            many.spawn(async move { ask(&mut stream, b"x").await.expect("answered") });
        }
        many.join_all().await;
        assert!(begun.elapsed() < 10 * delay, "{:?}", begun.elapsed());
    }
}
