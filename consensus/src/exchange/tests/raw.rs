//! A peer that speaks Noise and yamux, and then whatever a test wants.

use super::{NETWORK, secret, soon};
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::{
    InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version,
};
use libp2p::core::{Endpoint, Transport as _};
use libp2p::identity::Keypair;
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::{noise, tcp, yamux};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

pub(super) struct Raw(StreamMuxerBox);

fn address(at: SocketAddr) -> Multiaddr {
    Multiaddr::from(at.ip()).with(Protocol::Tcp(at.port()))
}

fn opts() -> DialOpts {
    DialOpts { role: Endpoint::Dialer, port_use: PortUse::New }
}

fn keypair(n: u8) -> Keypair {
    Keypair::ed25519_from_bytes(*secret(n)).unwrap()
}

impl Raw {
    pub(super) async fn dial(n: u8, at: SocketAddr) -> io::Result<Self> {
        let mut transport = tcp::tokio::Transport::new(tcp::Config::new())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&keypair(n)).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let dial = transport.dial(address(at), opts()).map_err(io::Error::other)?;
        Ok(Self(soon("a connection", dial).await?.1))
    }

    /// Does something while the connection is read and written. `Err` when it ends.
    pub(super) async fn during<T>(&mut self, action: impl Future<Output = T>) -> io::Result<T> {
        // Streams that the node opens are dropped: it hears nothing.
        self.with_streams(action, drop).await
    }

    /// The same; what becomes of the streams that the node opens is the caller's.
    pub(super) async fn with_streams<T>(
        &mut self,
        action: impl Future<Output = T>,
        mut opened: impl FnMut(SubstreamBox),
    ) -> io::Result<T> {
        let mut action = pin!(action);
        let muxer = &mut self.0;
        poll_fn(|cx| {
            if let Poll::Ready(value) = action.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                match stream {
                    Ok(stream) => opened(stream),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            match muxer.poll_unpin(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    pub(super) async fn open(&mut self) -> io::Result<SubstreamBox> {
        poll_fn(|cx| {
            let _ = self.0.poll_unpin(cx);
            self.0.poll_outbound_unpin(cx)
        })
        .await
    }

    /// Opens a stream of the protocol and sends bytes, without waiting for an answer.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<SubstreamBox> {
        let mut stream = self.open().await?;
        let all = [&hello(), bytes].concat();
        self.during(async { stream.write_all(&all).await.and(Ok(stream)) }).await?
    }

    /// Sends a request and reads the answer's CBOR.
    pub(super) async fn ask(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        let stream = self.send(&framed(frame)).await?;
        self.answer(stream).await
    }

    /// Reads the answer's CBOR.
    pub(super) async fn answer(&mut self, mut stream: SubstreamBox) -> io::Result<Vec<u8>> {
        let answer = async {
            stream.flush().await?;
            let mut hello = vec![0; hello().len()];
            stream.read_exact(&mut hello).await?;
            let mut length = [0; 4];
            stream.read_exact(&mut length).await?;
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut frame).await.and(Ok(frame))
        };
        soon("an answer", self.during(answer)).await?
    }

    /// Waits until the node has closed the connection.
    pub(super) async fn ended(&mut self) {
        let never = std::future::pending::<()>();
        assert!(soon("the connection ends", self.during(never)).await.is_err());
    }
}

/// What opens a stream of the protocol (multistream-select 1.0).
pub(super) fn hello() -> Vec<u8> {
    let protocol = format!("/muster/{}/exchange/1\n", &NETWORK.to_string()[..16]);
    let mut bytes = b"\x13/multistream/1.0.0\n".to_vec();
    bytes.push(u8::try_from(protocol.len()).unwrap());
    bytes.extend(protocol.into_bytes());
    bytes
}

pub(super) fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes(), frame].concat()
}

/// In place of yamux: sends bytes and reads until the node closes the connection.
#[derive(Clone)]
struct Instead(Vec<u8>);

impl UpgradeInfo for Instead {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

const CLOSED: &str = "the node closed the connection";

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Instead {
    type Output = StreamMuxerBox;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<StreamMuxerBox>> + Send>>;

    fn upgrade_outbound(self, mut io: C, _: &'static str) -> Self::Future {
        Box::pin(async move {
            io.write_all(&self.0).await?;
            io.flush().await?;
            let mut heard = vec![0; 4_096];
            while let Ok(1..) = io.read(&mut heard).await {}
            Err(io::Error::other(CLOSED))
        })
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Instead {
    type Output = StreamMuxerBox;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<StreamMuxerBox>> + Send>>;

    fn upgrade_inbound(self, io: C, info: &'static str) -> Self::Future {
        self.upgrade_outbound(io, info)
    }
}

/// Sends bytes in place of yamux, behind Noise; the node must close the connection.
pub(super) async fn instead_of_yamux(n: u8, at: SocketAddr, bytes: &[u8]) {
    let mut transport = tcp::tokio::Transport::new(tcp::Config::new())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&keypair(n)).unwrap())
        .multiplex(Instead(bytes.to_vec()))
        .boxed();
    let dial = transport.dial(address(at), opts()).unwrap();
    let error = soon("the end", dial).await.expect_err("a muxer");
    let error = format!("{error:?}");
    assert!(error.contains(CLOSED), "{error}");
}
