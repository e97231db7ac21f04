//! Readers that do not read: an answer that nobody takes would hold its connection for ever, and
//! with it its place and its memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long an answer may wait for a peer to take some of it: longer than a line of a moving car
/// is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a peer must take in that time, or it does not count as reading: half a kilobyte a second,
/// which is less than any line that a snapshot could come over.
const TAKEN: usize = 16 << 10;

/// A connection that ends if its peer does not take what is written.
pub(super) struct Paced<S> {
    stream: S,
    /// Since a write had to wait: how long that may go on, and what was taken meanwhile.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S: AsyncWrite + Unpin> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, waiting: None }
    }

    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some((_, taken)) = &mut self.waiting {
                    *taken += bytes;
                    if *taken >= TAKEN {
                        self.waiting = None;
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                let (end, _) = self.waiting.get_or_insert_with(|| (Box::pin(sleep(PATIENCE)), 0));
                ready!(end.as_mut().poll(context));
                let words = "the peer does not read what it asked for";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, words)))
            }
            failed => failed,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // Whoever flushes has nothing more to write: the answer is on its way, nothing waits.
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_left() {
        let (here, _there) = duplex(1_000);
        let mut here = Paced::new(here);
        let asked = Instant::now();
        let left = timeout(10 * PATIENCE, here.write_all(&[0; 5_000])).await.expect("it ends");
        assert_eq!(left.expect_err("not written").kind(), io::ErrorKind::TimedOut);
        assert!(asked.elapsed() < PATIENCE + Duration::from_secs(1), "{:?}", asked.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_is_left() {
        let (here, mut there) = duplex(1_000);
        let mut here = Paced::new(here);
        tokio::spawn(async move {
            while there.read_u8().await.is_ok() {
                sleep(PATIENCE / 3).await;
            }
        });
        let left = timeout(10 * PATIENCE, here.write_all(&[0; 50_000])).await.expect("it ends");
        assert_eq!(left.expect_err("not written").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_all_and_a_quiet_one_is_kept() {
        let (here, mut there) = duplex(4_000);
        let mut here = Paced::new(here);
        let reader = tokio::spawn(async move {
            let (mut all, mut piece) = (0, [0; 4_000]);
            while let Ok(read @ 1..) = there.read(&mut piece).await {
                all += read;
                // One kilobyte a second.
                sleep(Duration::from_secs(4)).await;
            }
            all
        });
        let begun = Instant::now();
        for _ in 0..2 {
            here.write_all(&[0; 200_000]).await.expect("taken in time");
            here.flush().await.expect("flushed");
            // Nothing to say for longer than a write may wait.
            sleep(3 * PATIENCE).await;
        }
        assert!(begun.elapsed() > 12 * PATIENCE, "slow: {:?}", begun.elapsed());
        drop(here);
        assert_eq!(reader.await.expect("read"), 400_000);
    }
}
