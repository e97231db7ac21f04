//! Debian's Mosquitto with the plugin, by the sample configuration.

use crate::paho::{Login, Paho, root};
use crate::site::{AUDIENCE, CUT_WITHIN, Program, Site, adapted, free_port, sample};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// "Not authorized" of MQTT 5.0, in CONNACK, PUBACK and SUBACK.
const NOT_AUTHORIZED: u64 = 135;
/// "Administrative action" of MQTT 5.0, in DISCONNECT.
const ADMINISTRATIVE_ACTION: u64 = 152;

/// Builds the plugin as its page says, with the profile of this test.
fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_muster")).parent().expect("a folder");
        let target = folder.parent().expect("the target folder");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "-p", "muster-mosquitto", "--target-dir"]);
        build.arg(target).current_dir(root());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the plugin builds");
        folder.join("libmuster_mosquitto.so")
    })
}

/// The sample configuration with the places of this test.
fn configuration(site: &Site, port: u16, max_age: u64) -> String {
    let path = |name: &str| site.muster.path(name).display().to_string();
    fs::create_dir_all(site.muster.path("mosquitto")).expect("made");
    fs::write(site.muster.path("topics.rules"), site.rules()).expect("written");
    let mut text = adapted(
        &sample("mosquitto/mosquitto.conf"),
        &[
            ("listener 1883 127.0.0.1", &format!("listener {port} 127.0.0.1")),
            ("/usr/lib/muster/libmuster_mosquitto.so", &plugin().display().to_string()),
            ("/etc/mosquitto/muster/genesis.cbor", &path("home/genesis.cbor")),
            ("/var/lib/mosquitto/muster", &path("mosquitto")),
            ("http://127.0.0.1:7700", &site.url),
            ("/etc/mosquitto/muster/topics.rules", &path("topics.rules")),
            ("plugin_opt_max_age 3600", &format!("plugin_opt_max_age {max_age}")),
        ],
    );
    assert!(text.contains(&format!("plugin_opt_audience {AUDIENCE}")));
    // As root the broker would become `mosquitto`, who cannot read the folder of the test.
    text.push_str("\nuser root\n");
    text
}

fn start(site: &Site, text: &str, port: u16) -> Program {
    let file = site.muster.path("mosquitto.conf");
    fs::write(&file, text).expect("written");
    let found = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
    let found = found.into_iter().find(|path| Path::new(path).exists()).unwrap_or("mosquitto");
    let log = site.muster.path(&format!("mosquitto-{port}.log"));
    Program::spawn(Command::new(found).arg("-c").arg(file), port, log)
}

/// A broker by the sample, which knows the devices' batch.
fn broker(site: &Site, max_age: u64) -> Program {
    let port = free_port();
    let broker = start(site, &configuration(site, port, max_age), port).listening();
    ready(site, &broker);
    broker
}

/// Waits until the plugin follows the node: a device gets in.
#[track_caller]
fn ready(site: &Site, broker: &Program) {
    let until = Instant::now() + Duration::from_secs(30);
    let did = site.did("other");
    loop {
        let password = site.password("other");
        let login = Login::new(broker.port, &did, &password);
        let paho = Paho::start(&login);
        if paho.expect("connect")["code"] == 0 {
            return paho.leave();
        }
        assert!(Instant::now() < until, "never ready: {}", broker.log());
    }
}

#[test]
fn a_device_gets_in_once_and_stays_within_its_topics() {
    let site = Site::new();
    let broker = broker(&site, 3_600);
    let (pump, other) = (site.did("pump"), site.did("other"));
    let mut reader = site.connect(broker.port, "reader");
    assert_eq!(reader.subscribe("telemetry/#"), 1);

    let password = site.password("pump");
    let login = Login::new(broker.port, &pump, &password);
    let mut device = Paho::connect(&login);
    // The same password once more, from where it came and from elsewhere.
    assert_eq!(Paho::refused(&login), NOT_AUTHORIZED);
    let elsewhere = format!("{pump}/elsewhere");
    assert_eq!(Paho::refused(&Login { client_id: &elsewhere, ..login }), NOT_AUTHORIZED);
    broker.says("replayed");
    // The first connection is not disturbed by it.
    assert_eq!(device.publish(&format!("telemetry/{pump}/level"), "3"), 0);
    let message = reader.expect("message");
    assert_eq!(
        (&message["topic"], &message["payload"]),
        (&json!(format!("telemetry/{pump}/level")), &json!("3"))
    );

    // Another device's user name, no user name, a service's user name, no presentation.
    let fresh = site.password("pump");
    assert_eq!(Paho::refused(&Login::new(broker.port, &other, &fresh)), NOT_AUTHORIZED);
    broker.says("other-device");
    let nobody = Login { user: None, ..Login::new(broker.port, "x", "") };
    assert_eq!(Paho::refused(&nobody), NOT_AUTHORIZED);
    assert_eq!(Paho::refused(&Login::new(broker.port, "admin", "admin")), NOT_AUTHORIZED);
    assert_eq!(Paho::refused(&Login::new(broker.port, &pump, "a.b.c")), NOT_AUTHORIZED);

    // Nobody is given the device part of another one by mistake.
    let present = ["device", "present", "pump.pem", "--audience", AUDIENCE];
    let wrong = [&present[..], &["--receipt", "other.receipt"]].concat();
    assert!(site.muster.refused(&wrong, 1).contains("the receipt of another device"));

    // A device cannot take another one's session by its client id.
    let fresh = site.password("other");
    let thief = Login { client_id: &pump, ..Login::new(broker.port, &other, &fresh) };
    assert_eq!(Paho::refused(&thief), NOT_AUTHORIZED);
    broker.says("client-id");
    // That did not use the presentation up: with a client id of its own it gets in.
    let second = format!("{other}/second");
    Paho::connect(&Login { client_id: &second, version: 4, ..thief }).leave();

    // Foreign topics, and filters wider than the rules.
    assert_eq!(device.publish(&format!("telemetry/{other}/level"), "9"), NOT_AUTHORIZED);
    for filter in ["#", "commands/#", "commands/+/now", "telemetry/#", "$SYS/#", "$share/g/#"] {
        assert_eq!(device.subscribe(filter), NOT_AUTHORIZED, "{filter}");
    }
    for filter in [
        format!("commands/{pump}/+"),
        format!("commands/pump-9/{pump}/#"),
        format!("$share/g/commands/{pump}/now"),
    ] {
        assert_eq!(device.subscribe(&filter), 1, "{filter}");
    }
    reader.expect_no("message", Duration::from_millis(300));
    device.leave();
    broker.stop();
}

#[test]
fn a_revoked_device_is_cut_and_its_will_stays_unsaid() {
    let site = Site::new();
    let broker = broker(&site, 3_600);
    let (pump, other) = (site.did("pump"), site.did("other"));
    let mut reader = site.connect(broker.port, "reader");
    assert_eq!(reader.subscribe("telemetry/+/status"), 1);
    let will = |did: &str| format!("telemetry/{did}/status");

    // A device that just goes away has its will published, also after its connection ended.
    let (password, last) = (site.password("other"), will(&other));
    Paho::connect(&Login { will: Some(&last), ..Login::new(broker.port, &other, &password) })
        .kill();
    assert_eq!(reader.expect("message")["topic"], json!(last));

    // Held, idle, and with MQTT 3.1.1: cut; after the release it gets in again.
    let password = site.password("other");
    let old = Login { version: 4, ..Login::new(broker.port, &other, &password) };
    let held = Paho::connect(&old);
    let asked = site.change("hold", "other");
    held.expect("disconnect");
    let took = asked.elapsed();
    assert!(took < CUT_WITHIN, "held: {took:?}");
    assert_eq!(
        Paho::refused(&Login::new(broker.port, &other, &site.password("other"))),
        NOT_AUTHORIZED
    );
    broker.says("held");
    site.change("release", "other");
    ready(&site, &broker);

    // Revoked with two connections, one of them a session to be kept, both idle, one with a will.
    let (one, two) = (site.password("pump"), site.password("pump"));
    let (last, second) = (will(&pump), format!("{pump}/second"));
    let one = Paho::connect(&Login { will: Some(&last), ..Login::new(broker.port, &pump, &one) });
    let two = Login { client_id: &second, clean: false, ..Login::new(broker.port, &pump, &two) };
    let two = Paho::connect(&two);
    let asked = site.change("revoke", "pump");
    for device in [one, two] {
        assert_eq!(device.expect("disconnect")["code"], ADMINISTRATIVE_ACTION);
        let took = asked.elapsed();
        println!("cut {took:?} after the acknowledgement");
        assert!(took < CUT_WITHIN, "revoked: {took:?}");
    }
    broker.says("revoked");
    reader.expect_no("message", Duration::from_millis(500));
    assert_eq!(
        Paho::refused(&Login::new(broker.port, &pump, &site.password("pump"))),
        NOT_AUTHORIZED
    );
    // Others are not disturbed.
    let mut other = site.connect(broker.port, "other");
    assert_eq!(other.publish(&format!("{}/x", will(&site.did("other"))), "1"), 0);
    broker.stop();
}

#[test]
fn a_rotated_key_ends_what_the_old_one_opened() {
    let site = Site::new();
    let broker = broker(&site, 3_600);
    let device = site.connect(broker.port, "pump");
    site.muster.line(&["device", "new", "new.pem"]);
    let rotate = ["rotate", "--key", "pump.pem", "--new", "new.pem", "--node", &site.url];
    site.muster.json(&rotate);
    let asked = Instant::now();
    device.expect("disconnect");
    assert!(asked.elapsed() < CUT_WITHIN, "{:?}", asked.elapsed());
    // The new key opens without any receipt: the roll has a record of it.
    let pump = site.did("pump");
    let present = ["device", "present", "new.pem", "--audience", AUDIENCE, "--did", &pump];
    let token = site.muster.line(&present);
    Paho::connect(&Login::new(broker.port, &pump, &token)).leave();
}

#[test]
fn a_connection_over_websockets_is_cut_as_well() {
    let site = Site::new();
    let (port, webs) = (free_port(), free_port());
    let text = configuration(&site, port, 3_600);
    let text = format!("{text}listener {webs} 127.0.0.1\nprotocol websockets\n");
    let broker = start(&site, &text, port).listening();
    ready(&site, &broker);
    let (pump, password) = (site.did("pump"), site.password("pump"));
    let login = Login { websockets: true, ..Login::new(webs, &pump, &password) };
    let mut device = Paho::connect(&login);
    assert_eq!(device.publish(&format!("telemetry/{pump}/level"), "3"), 0);
    let asked = site.change("revoke", "pump");
    device.expect("disconnect");
    assert!(asked.elapsed() < CUT_WITHIN, "{:?}", asked.elapsed());
}

#[test]
fn without_a_node_it_decides_until_the_roll_is_stale() {
    let mut site = Site::new();
    let max_age = 25;
    let broker = broker(&site, max_age);
    let password = site.password("pump");
    site.cut_off();
    let stopped = Instant::now();

    // Restarted without a node: devices get in, and what was used stays used.
    let (port, pump) = (broker.port, site.did("pump"));
    Paho::connect(&Login::new(port, &pump, &password)).leave();
    broker.stop();
    let broker = start(&site, &configuration(&site, port, max_age), port).listening();
    assert_eq!(Paho::refused(&Login::new(port, &pump, &password)), NOT_AUTHORIZED);
    broker.says("replayed");
    let mut device = site.connect(port, "pump");
    assert_eq!(device.publish(&format!("telemetry/{pump}/level"), "3"), 0);
    assert!(stopped.elapsed() < Duration::from_secs(max_age), "too slow a machine for this test");

    // Stale: the open connection is cut, and nobody gets in.
    let until = Duration::from_secs(max_age + 15);
    device.expect_within("disconnect", until);
    broker.says("stale-roll");
    let fresh = site.password("pump");
    assert_eq!(Paho::refused(&Login::new(port, &pump, &fresh)), NOT_AUTHORIZED);
    broker.stop();
}

#[test]
fn a_reload_reads_the_rules_and_disturbs_nobody() {
    let site = Site::new();
    let broker = broker(&site, 3_600);
    let pump = site.did("pump");
    let mut device = site.connect(broker.port, "pump");
    assert_eq!(device.publish("shared", "1"), NOT_AUTHORIZED);

    let rules = site.muster.path("topics.rules");
    fs::write(&rules, "any: publish shared\n").expect("written");
    broker.signal("HUP");
    broker.says("1 topic rules from now on");
    assert_eq!(device.publish("shared", "1"), 0);
    assert_eq!(device.publish(&format!("telemetry/{pump}/level"), "3"), NOT_AUTHORIZED);

    // Rules that cannot be read change nothing.
    fs::write(&rules, "any: publish shared\nany: publish a/#/b\n").expect("written");
    broker.signal("HUP");
    broker.says("line 2: `a/#/b` is no topic filter");
    assert_eq!(device.publish("shared", "1"), 0);
    device.expect_no("disconnect", Duration::from_millis(300));
}

#[test]
fn what_waits_for_a_device_is_its_own() {
    let site = Site::new();
    let broker = broker(&site, 3_600);
    let pump = site.did("pump");
    let topic = format!("telemetry/{}/kept", site.did("other"));
    // The reader leaves a session behind, and finds what came meanwhile.
    let reader = site.did("reader");
    let password = site.password("reader");
    let login = Login { version: 4, clean: false, ..Login::new(broker.port, &reader, &password) };
    let mut first = Paho::connect(&login);
    assert_eq!(first.subscribe("telemetry/#"), 1);
    first.leave();
    let mut other = site.connect(broker.port, "other");
    assert_eq!(other.publish(&topic, "meanwhile"), 0);
    let password = site.password("reader");
    let again = Paho::connect(&Login { password: &password, ..login });
    assert_eq!(again.expect("message")["payload"], "meanwhile");
    again.leave();

    // Retained words of a device are shown, until it is revoked.
    let retained = format!("telemetry/{pump}/last");
    let mut device = site.connect(broker.port, "pump");
    device.send(&json!({ "publish": retained, "payload": "5", "retain": true }));
    assert_eq!(device.expect("published")["code"], 0);
    device.leave();
    let mut reader = site.connect(broker.port, "reader");
    reader.subscribe(&retained);
    assert_eq!(reader.expect("message")["payload"], "5");
    reader.leave();
    site.change("revoke", "pump");
    let until = Instant::now() + CUT_WITHIN;
    while !broker.log().contains("revoked") && Instant::now() < until {
        Paho::refused(&Login::new(broker.port, &pump, &site.password("pump")));
    }
    let mut reader = site.connect(broker.port, "reader");
    reader.subscribe(&retained);
    reader.expect_no("message", Duration::from_millis(500));
}

#[test]
fn services_are_left_to_the_brokers_own_files_if_the_operator_says_so() {
    let site = Site::new();
    let path = |name: &str| site.muster.path(name).display().to_string();
    let passwords = path("passwd");
    let mut made = Command::new("mosquitto_passwd");
    made.args(["-c", "-b", &passwords, "service", "secret"]);
    assert!(made.status().expect("mosquitto_passwd runs").success());
    fs::write(path("acl"), "user service\ntopic read telemetry/#\n").expect("written");
    let port = free_port();
    let text = adapted(
        &configuration(&site, port, 3_600),
        &[
            ("#plugin_opt_others defer", "plugin_opt_others defer"),
            ("#password_file /etc/mosquitto/passwd", &format!("password_file {passwords}")),
            ("#acl_file /etc/mosquitto/acl", &format!("acl_file {}", path("acl"))),
        ],
    );
    let broker = start(&site, &text, port).listening();
    ready(&site, &broker);
    let mut service = Paho::connect(&Login::new(port, "service", "secret"));
    assert_eq!(service.subscribe("telemetry/#"), 1);
    assert_eq!(Paho::refused(&Login::new(port, "service", "guess")), NOT_AUTHORIZED);
    let nobody = Login { user: None, ..Login::new(port, "x", "") };
    assert_eq!(Paho::refused(&nobody), NOT_AUTHORIZED);
    // Nobody becomes a device by a password of the file.
    let pump = site.did("pump");
    assert_eq!(Paho::refused(&Login::new(port, &pump, "secret")), NOT_AUTHORIZED);
    let mut device = site.connect(port, "pump");
    // Nor does it take a device's session over by the client id.
    for client_id in [&pump, &format!("{pump}/2")] {
        let thief = Login { client_id, ..Login::new(port, "service", "secret") };
        assert_eq!(Paho::refused(&thief), NOT_AUTHORIZED, "{client_id}");
    }
    broker.says("client-id: a client id of devices");
    assert_eq!(device.publish(&format!("telemetry/{pump}/level"), "3"), 0);
    assert_eq!(service.expect("message")["payload"], "3");
    assert_eq!(service.publish(&format!("commands/{pump}/now"), "3"), NOT_AUTHORIZED);
}

#[test]
fn a_configuration_that_would_not_protect_is_refused() {
    let site = Site::new();
    let port = free_port();
    let good = configuration(&site, port, 3_600);
    let table = [
        (
            "plugin_opt_max_age 3600",
            "plugin_opt_maxage 3600",
            "plugin_opt_maxage is not known; the options are plugin_opt_genesis",
        ),
        ("plugin_opt_audience broker.example", "", "plugin_opt_audience is missing"),
        ("topics.rules", "nowhere.rules", "nowhere.rules: No such file"),
        ("genesis.cbor", "FORMAT", "no genesis"),
    ];
    for (from, to, words) in table {
        let said = start(&site, &adapted(&good, &[(from, to)]), port).fails();
        assert!(said.contains(words), "{said}");
    }
    fs::write(site.muster.path("topics.rules"), "all: publish #\n").expect("written");
    let said = start(&site, &good, port).fails();
    assert!(said.contains("line 1: `all` names nobody; write `any`"), "{said}");

    // With settings of each listener there is no timer, so no cut: nobody gets in.
    let text = configuration(&site, port, 3_600);
    let text = adapted(&text, &[("per_listener_settings false", "per_listener_settings true")]);
    let broker = start(&site, &text, port).listening();
    let pump = site.did("pump");
    assert_eq!(Paho::refused(&Login::new(port, &pump, &site.password("pump"))), NOT_AUTHORIZED);
    broker.says("set `per_listener_settings false`");
}
