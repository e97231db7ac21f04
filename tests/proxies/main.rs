//! Real proxies in front of the real binary: nginx, Caddy and HAProxy of Debian with the very
//! samples of `docs/samples`, only their addresses replaced, and curl as the client.

#[path = "../it/muster.rs"]
#[allow(dead_code, reason = "what the other target needs of it")]
mod muster;

mod axum;
mod caddy;
mod client;
mod haproxy;
mod nginx;
mod proxy;
mod site;
mod tls;
