//! A network with devices, and programs that run beside it.

use crate::muster::{Muster, Server};
use crate::paho::{Login, Paho};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The name that devices are told to dial, as in the samples.
pub(crate) const AUDIENCE: &str = "broker.example";

/// Well below the two seconds of the promise, so that a slower machine keeps it too.
pub(crate) const CUT_WITHIN: Duration = Duration::from_secs(2);

/// A node and three devices: two pumps and a reader of all telemetry.
pub(crate) struct Site {
    pub(crate) muster: Muster,
    /// Where the node is, or was.
    pub(crate) url: String,
    node: Option<Server>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let muster = Muster::new();
        muster.json(&["init"]);
        let node = muster.serve(&["serve"]);
        let site = Self { muster, url: node.url.clone(), node: Some(node) };
        let mut rows = String::new();
        for (name, model) in [("pump", "pump-9"), ("other", "pump-9"), ("reader", "server")] {
            let file = format!("{name}.pem");
            let row = ["device", "new", &file, "--serial", name, "--model", model];
            rows.push_str(&site.muster.line(&row));
            rows.push('\n');
        }
        fs::write(site.muster.path("all.jsonl"), rows).expect("written");
        site.muster.json(&["enrol", "all.jsonl", "--node", &site.url]);
        for name in ["pump", "other", "reader"] {
            let (did, file) = (site.did(name), format!("{name}.receipt"));
            site.muster.json(&["show", &did, "--receipt", &file, "--node", &site.url]);
        }
        site
    }

    /// Stops the node.
    pub(crate) fn cut_off(&mut self) {
        self.node.take().expect("a node that runs").stop();
    }

    pub(crate) fn did(&self, name: &str) -> String {
        self.muster.line(&["device", "did", &format!("{name}.pem")])
    }

    /// A new password for MQTT: presentation and device part.
    pub(crate) fn password(&self, name: &str) -> String {
        let (key, receipt) = (format!("{name}.pem"), format!("{name}.receipt"));
        let present = ["device", "present", &key, "--audience", AUDIENCE, "--receipt", &receipt];
        self.muster.line(&present)
    }

    /// A change of a device, acknowledged; the moment of that.
    pub(crate) fn change(&self, verb: &str, name: &str) -> Instant {
        self.muster.json(&[verb, &self.did(name), "--node", &self.url]);
        Instant::now()
    }

    /// Connects a device.
    #[track_caller]
    pub(crate) fn connect(&self, port: u16, name: &str) -> Paho {
        Paho::connect(&Login::new(port, &self.did(name), &self.password(name)))
    }

    /// The rules of the samples, and one for the reader.
    pub(crate) fn rules(&self) -> String {
        let sample = sample("mosquitto/topics.rules");
        format!("{sample}did {}: subscribe telemetry/#\n", self.did("reader"))
    }
}

/// A file of `docs/samples`.
pub(crate) fn sample(name: &str) -> String {
    let file = crate::paho::root().join("docs/samples").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The sample with other places: each must be in it.
#[track_caller]
pub(crate) fn adapted(sample: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(sample.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the sample does not say {from}");
        text.replace(from, to)
    })
}

/// A port of the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A broker that ends with the test.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

impl Program {
    /// Starts it, all its words going to the log.
    pub(crate) fn spawn(command: &mut Command, port: u16, log: PathBuf) -> Self {
        let to = File::create(&log).expect("a log");
        let also = to.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(to).stderr(also).spawn();
        Self {
            child: child.expect("the broker; `cargo xtask test` installs what is missing"),
            port,
            log,
        }
    }

    /// Waits until it listens.
    #[track_caller]
    pub(crate) fn listening(mut self) -> Self {
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().expect("a status");
            assert!(ended.is_none(), "the broker ended: {}", self.log());
            assert!(Instant::now() < until, "the broker does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        self
    }

    /// Its end, which must come by itself and not be a success; its words.
    #[track_caller]
    pub(crate) fn fails(mut self) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                assert!(!status.success(), "{}", self.log());
                return self.log();
            }
            assert!(Instant::now() < until, "it goes on: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Stops it in order.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let until = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().expect("a status").is_none() {
            assert!(Instant::now() < until, "it does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for words in the log.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(words) {
            assert!(Instant::now() < until, "never said {words:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
