//! Asks a server over connections that stay open, as fast as it answers or at a pace. Requests are
//! bytes made beforehand, so that asking costs little beside answering.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Connections at once: enough that the server never waits for us.
pub(super) const CONNECTIONS: usize = 16;

/// Most bytes of an answer: a console's page with a hundred rows is the longest.
const ANSWER: usize = 1 << 20;

/// Room for the usual answer.
const USUAL: usize = 16 << 10;

/// A connection that stays open.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(USUAL) })
    }

    /// Sends a request and reads the whole answer; its status.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            if let Some((status, length)) = answer(&self.buffer)?
                && self.buffer.len() >= length
            {
                ensure!(self.buffer.len() == length, "the server answered more than was asked");
                return Ok(status);
            }
            ensure!(self.buffer.len() < ANSWER, "the server's answer is too long");
        }
    }

    /// The last answer, head and body.
    pub(super) fn answer(&self) -> &[u8] {
        &self.buffer
    }
}

/// Status and length of an answer whose head is complete (RFC 9112 §2.1, §6.2).
fn answer(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.context("an answer without status")?.parse()?;
    if status == 204 {
        // It has no body, and says no length (RFC 9110 §8.6).
        return Ok(Some((status, end + 4)));
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    let length: usize = length.context("an answer without length")?.parse()?;
    Ok(Some((status, end + 4 + length)))
}

/// Requests that must be answered with 200.
pub(super) type Requests = Arc<Vec<Vec<u8>>>;

/// Sends all of them, each as soon as a connection is free; how long it took.
pub(super) async fn all(address: SocketAddr, requests: &Requests) -> Result<Duration> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (requests, next) = (requests.clone(), next.clone());
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let status = connection.ask(request).await?;
                ensure!(status == 200, "a device in good standing was answered with {status}");
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(start.elapsed())
}

/// Sends them at a pace, so many a second, each at its time even if earlier answers are late.
/// Milliseconds from that time to each answer; up to one of them is our own timer's.
pub(super) async fn paced(
    address: SocketAddr,
    requests: &Requests,
    a_second: f64,
) -> Result<Vec<f64>> {
    let start = Instant::now() + Duration::from_millis(20);
    let mut tasks = JoinSet::new();
    for first in 0..CONNECTIONS {
        let requests = requests.clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut samples = Vec::new();
            for number in (first..requests.len()).step_by(CONNECTIONS) {
                let due = start + Duration::from_secs_f64(number as f64 / a_second);
                sleep_until(due).await;
                let status = connection.ask(&requests[number]).await?;
                ensure!(status == 200, "a device in good standing was answered with {status}");
                samples.push(due.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, anyhow::Error>(samples)
        });
    }
    let mut samples = Vec::with_capacity(requests.len());
    while let Some(done) = tasks.join_next().await {
        samples.extend(done??);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nx: y\r\n\r\n";
        assert_eq!(answer(head).unwrap(), Some((403, head.len() + 5)));
        assert_eq!(answer(&head[..head.len() - 1]).unwrap(), None);
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        let head = b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n";
        assert_eq!(answer(head).unwrap(), Some((204, head.len())));
    }
}
