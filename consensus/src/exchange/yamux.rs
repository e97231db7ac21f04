//! Streams over one connection. libp2p's own wrapper of yamux either has no bound of what a
//! connection may hold, or goes back to a version that a peer can make panic (CVE-2026-32314).

use crate::limits;
use futures_util::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use yamux::{Config, Connection, ConnectionError, Mode, Stream};

/// Offers yamux with our bounds.
#[derive(Clone)]
pub(super) struct Yamux;

fn config() -> Config {
    let mut config = Config::default();
    // Streams first: the window must have room for the first credit of each.
    config.set_max_num_streams(limits::STREAMS);
    config.set_max_connection_receive_window(Some(limits::UNREAD_BYTES));
    config
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Streams<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Streams::over(io, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Streams<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Streams::over(io, Mode::Client)))
    }
}

/// The streams of one connection.
pub(super) struct Streams<C> {
    connection: Connection<C>,
    /// Opened by the peer while nobody took them: no more than a connection may have.
    opened: VecDeque<Stream>,
    taker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Streams<C> {
    fn over(io: C, mode: Mode) -> Self {
        let connection = Connection::new(io, config(), mode);
        Self { connection, opened: VecDeque::new(), taker: None }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_next_inbound(cx).map(|next| next.ok_or(ConnectionError::Closed)?)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Streams<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.opened.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next(cx);
        if next.is_pending() {
            self.taker = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }

    /// Reads and writes the connection, also while nobody takes new streams.
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        loop {
            let stream = ready!(self.next(cx))?;
            self.opened.push_back(stream);
            if let Some(taker) = self.taker.take() {
                taker.wake();
            }
        }
    }
}
