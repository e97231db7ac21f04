//! What the service manager is told (`sd_notify(3)`): one datagram to the socket that it names.

use std::env;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use tokio::signal::unix::{SignalKind, signal};

/// It listens. From now on `SIGHUP` does not end it, since that is how a unit is reloaded.
pub(crate) fn ready() {
    if env::var_os(SOCKET).is_some() {
        // The handler stays when the value goes.
        if let Err(error) = signal(SignalKind::hangup()) {
            tracing::warn!("SIGHUP would end this process: {error}");
        }
        say("READY=1");
    }
}

/// It ends, as it was asked to.
pub(crate) fn stopping() {
    say("STOPPING=1");
}

const SOCKET: &str = "NOTIFY_SOCKET";

fn say(words: &str) {
    let Some(name) = env::var_os(SOCKET) else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &to));
    if let Err(error) = sent {
        tracing::warn!("the service manager at {} cannot be told: {error}", name.display());
    }
}
