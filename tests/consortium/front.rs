//! The front door of a node: a proxy on its machine that says of each request that it came from
//! somewhere else, as a member's proxy says of those of other members.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// An address that is nobody's (RFC 5737 §3).
const ELSEWHERE: &str = "203.0.113.7";

pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    _task: JoinSet<()>,
}

impl Front {
    /// In front of the node that listens there.
    pub(crate) async fn of(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while open.try_join_next().is_some() {}
                open.spawn(async move { pass_on(stream, node).await.ok() });
            }
        });
        Self { address, _task: task }
    }
}

/// One request, and no other on the same connection.
async fn pass_on(mut client: TcpStream, node: SocketAddr) -> std::io::Result<()> {
    let mut request = Vec::new();
    let end = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let mut node = TcpStream::connect(node).await?;
    node.write_all(&request[..end]).await?;
    let more = format!("\r\nx-forwarded-for: {ELSEWHERE}\r\nconnection: close");
    node.write_all(more.as_bytes()).await?;
    node.write_all(&request[end..]).await?;
    copy_bidirectional(&mut client, &mut node).await?;
    Ok(())
}
