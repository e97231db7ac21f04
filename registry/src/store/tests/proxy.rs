//! A line between a node and its server that breaks when a commit goes over it: the server gets the
//! word and the node no answer, or neither does anything of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the next commit.
pub(super) const PASSES: u8 = 0;
pub(super) const ANSWER_IS_LOST: u8 = 1;
pub(super) const WORD_IS_LOST: u8 = 2;

/// A simple query of the protocol: its kind, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

pub(super) struct Proxy {
    pub(super) port: u16,
    pub(super) next: Arc<AtomicU8>,
}

impl Proxy {
    pub(super) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let next = Arc::new(AtomicU8::new(PASSES));
        let fate = next.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(carry(client, server, fate.clone()));
            }
        });
        Self { port, next }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, fate: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                let commits = asked[..read].windows(COMMIT.len()).any(|part| part == COMMIT);
                match if commits { fate.swap(PASSES, SeqCst) } else { PASSES } {
                    WORD_IS_LOST => return,
                    ANSWER_IS_LOST => {
                        server.write_all(&asked[..read]).await.unwrap();
                        // Its answer comes here and no further.
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    _ => if server.write_all(&asked[..read]).await.is_err() { return },
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() { return }
            }
        }
    }
}
