//! Ports for what is started again at the same place. They lie below those that the system gives
//! to whoever asks for any, so that nobody else has taken one when a node comes back.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the system's own range (Linux: from 32,768).
const FIRST: u32 = 12_000;
const MANY: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// So many adjacent ports that nobody listens at, with listeners that hold them.
fn held(ports: u16) -> (u16, Vec<TcpListener>) {
    // Test processes begin at different places, and go on from there.
    let begin = std::process::id().wrapping_mul(977);
    for _ in 0..MANY {
        let step = NEXT.fetch_add(ports.into(), Ordering::Relaxed);
        let port = (FIRST + begin.wrapping_add(step) % MANY) as u16;
        let bind = |offset| TcpListener::bind((Ipv4Addr::LOCALHOST, port + offset));
        if let Ok(listeners) = (0..ports).map(bind).collect() {
            return (port, listeners);
        }
    }
    panic!("no {ports} adjacent ports are free");
}

/// The first of so many adjacent ports that nobody listens at now.
pub(crate) fn free(ports: u16) -> u16 {
    held(ports).0
}

/// Listeners at adjacent ports.
pub(crate) async fn listeners(ports: u16) -> (u16, Vec<tokio::net::TcpListener>) {
    let (port, listeners) = held(ports);
    let listeners = listeners.into_iter().map(|listener| {
        listener.set_nonblocking(true).expect("a listener may be asynchronous");
        tokio::net::TcpListener::from_std(listener).expect("it becomes so")
    });
    (port, listeners.collect())
}
