//! A durable write, and a round trip over loopback.

use anyhow::Result;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a request, and of an answer.
const MESSAGE: usize = 512;

/// Milliseconds of a durable write of 4 KiB, and a request and answer over one loopback TCP
/// connection, n times. Without a file, of the request and answer alone.
pub(crate) async fn times(file: Option<&Path>, n: u64) -> Result<Vec<f64>> {
    let mut file = file.map(File::create).transpose()?;
    let mut stream = TcpStream::connect(echo().await?).await?;
    stream.set_nodelay(true)?;
    let mut samples = Vec::new();
    let mut buffer = [0; MESSAGE];
    for _ in 0..n {
        let start = Instant::now();
        if let Some(file) = &mut file {
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
        }
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        samples.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(samples)
}

async fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; MESSAGE];
            while stream.read_exact(&mut buffer).await.is_ok() {
                if stream.write_all(&buffer).await.is_err() {
                    break;
                }
            }
        }
    });
    Ok(address)
}
