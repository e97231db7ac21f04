//! amqtt with its HTTP plugins, which ask the sidecar, by the sample configuration.

use crate::muster::Server;
use crate::paho::{Login, Paho, programs};
use crate::site::{AUDIENCE, Program, Site, adapted, free_port, sample};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// "Failure" of MQTT 3.1.1, in SUBACK.
const FAILURE: u64 = 128;

fn start(site: &Site, forms: bool) -> (Server, Program) {
    fs::write(site.muster.path("topics.rules"), site.rules()).expect("written");
    let node = ["--node", &site.url, "--topics", "topics.rules"];
    let gateway = site.muster.serve(&[&["gateway", "--audience", AUDIENCE], &node[..]].concat());
    let (_, hook) = gateway.url.rsplit_once(':').expect("a port");
    let port = free_port();
    let text = adapted(
        &sample("amqtt/broker.py"),
        &[
            ("127.0.0.1:1883", &format!("127.0.0.1:{port}")),
            ("GATEWAY_PORT = 7701", &format!("GATEWAY_PORT = {hook}")),
            // The same questions, as forms.
            ("ParamsMode.JSON", if forms { "ParamsMode.FORM" } else { "ParamsMode.JSON" }),
        ],
    );
    let file = site.muster.path("broker.py");
    fs::write(&file, text).expect("written");
    let mut command = Command::new(programs().join("python"));
    let log = site.muster.path("amqtt.log");
    let broker = Program::spawn(command.arg(file), port, log).listening();
    (gateway, broker)
}

/// amqtt speaks MQTT 3.1.1.
fn login<'a>(broker: &Program, user: &'a str, password: &'a str) -> Login<'a> {
    Login { version: 4, ..Login::new(broker.port, user, password) }
}

#[track_caller]
fn connect(site: &Site, broker: &Program, name: &str) -> Paho {
    let (did, until) = (site.did(name), Instant::now() + Duration::from_secs(20));
    loop {
        let password = site.password(name);
        let paho = Paho::start(&login(broker, &did, &password));
        if paho.expect("connect")["code"] == 0 {
            return paho;
        }
        assert!(Instant::now() < until, "never let in: {}", broker.log());
    }
}

#[test]
fn a_broker_that_asks_over_http_is_told_the_same() {
    told_the_same(false);
}

#[test]
fn also_if_it_asks_in_forms() {
    told_the_same(true);
}

fn told_the_same(forms: bool) {
    let site = Site::new();
    let (gateway, broker) = start(&site, forms);
    let (pump, other) = (site.did("pump"), site.did("other"));
    let mut reader = connect(&site, &broker, "reader");
    assert_eq!(reader.subscribe("telemetry/#"), 1);

    let password = site.password("pump");
    let mut device = Paho::connect(&login(&broker, &pump, &password));
    let elsewhere = format!("{pump}/elsewhere");
    Paho::refused(&Login { client_id: &elsewhere, ..login(&broker, &pump, &password) });
    Paho::refused(&login(&broker, &other, &site.password("pump")));
    Paho::refused(&login(&broker, "admin", "admin"));
    let fresh = site.password("other");
    Paho::refused(&Login { client_id: &pump, ..login(&broker, &other, &fresh) });

    // Own and foreign topics. amqtt answers PUBACK either way; only what is allowed arrives.
    device.publish(&format!("telemetry/{other}/level"), "foreign");
    device.publish(&format!("telemetry/{pump}/level"), "own");
    assert_eq!(reader.expect("message")["payload"], "own");
    assert_eq!(device.subscribe("#"), FAILURE);
    assert_eq!(device.subscribe(&format!("commands/{other}/#")), FAILURE);
    assert_eq!(device.subscribe(&format!("commands/{pump}/#")), 1);

    // Revoked: nothing it says arrives any more, and it does not get in again.
    let asked = site.change("revoke", "pump");
    while asked.elapsed() < Duration::from_secs(2) {
        Paho::refused(&login(&broker, &pump, &site.password("pump")));
        device.publish(&format!("telemetry/{pump}/level"), "late");
    }
    // What was on its way while the revocation was may have arrived; now nothing does.
    device.publish(&format!("telemetry/{pump}/level"), "last");
    let mut other = connect(&site, &broker, "other");
    other.publish(&format!("telemetry/{}/level", site.did("other")), "others");
    let heard: Vec<_> = std::iter::from_fn(|| {
        let payload = reader.expect("message")["payload"].clone();
        (payload != "others").then_some(payload)
    })
    .collect();
    assert!(!heard.contains(&"last".into()), "{heard:?}");
    drop(broker);
    gateway.stop();
}
