//! Real brokers with real clients: Mosquitto with the plugin, amqtt with its HTTP plugins, paho.
//! A target of its own, since it builds the plugin and a Python environment first:
//! `cargo test --test brokers`.

mod amqtt;
mod mosquitto;
#[path = "../it/muster.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod muster;
mod paho;
mod site;
