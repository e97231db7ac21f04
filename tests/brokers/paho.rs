//! The Python environment with paho and amqtt, and a paho client.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How long an event may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where our sources are.
pub(crate) fn root() -> PathBuf {
    // Not env!: two checkouts may share a target directory.
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is").into()
}

/// The environment's folder of programs. Made once, and again when the list changes.
pub(crate) fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let list = root().join("tests/brokers/requirements.txt");
        let wanted = fs::read_to_string(&list).expect("the list of packages");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("brokers-python");
        let done = dir.join("installed.txt");
        if fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
            return dir.join("bin");
        }
        let run = |command: &mut Command| {
            let output = command.output().expect("python3 runs");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{command:?}: {words}");
        };
        // Debian's own first: another one may have been built without what pip needs.
        let debians = Path::new("/usr/bin/python3");
        let python = if debians.exists() { debians } else { Path::new("python3") };
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&dir));
        run(Command::new(dir.join("bin/python"))
            .args(["-m", "pip", "install", "-q", "-r"])
            .arg(&list));
        fs::write(done, wanted).expect("written");
        dir.join("bin")
    })
}

/// How a client connects.
pub(crate) struct Login<'a> {
    pub(crate) port: u16,
    /// 4 is MQTT 3.1.1, 5 is MQTT 5.0.
    pub(crate) version: u8,
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: &'a str,
    pub(crate) clean: bool,
    pub(crate) will: Option<&'a str>,
    pub(crate) websockets: bool,
}

impl<'a> Login<'a> {
    /// MQTT 5.0 with the user name as client id and a clean session.
    pub(crate) fn new(port: u16, user: &'a str, password: &'a str) -> Self {
        let (user, client_id) = (Some(user), user);
        Self {
            port,
            version: 5,
            client_id,
            user,
            password,
            clean: true,
            will: None,
            websockets: false,
        }
    }
}

/// A paho client that ends with the test.
pub(crate) struct Paho {
    child: Child,
    commands: ChildStdin,
    events: Receiver<Value>,
}

impl Drop for Paho {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Paho {
    /// Starts to connect.
    pub(crate) fn start(login: &Login<'_>) -> Self {
        let login = json!({
            "port": login.port, "version": login.version, "client_id": login.client_id,
            "user": login.user, "password": login.password, "clean": login.clean,
            "will": login.will, "websockets": login.websockets,
        });
        let mut child = Command::new(programs().join("python"))
            .arg(root().join("tests/brokers/client.py"))
            .arg(login.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let commands = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, events) = sync_channel(1_000);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event");
                if tell.send(event).is_err() {
                    break;
                }
            }
        });
        Self { child, commands, events }
    }

    /// Connects, which must be let through.
    #[track_caller]
    pub(crate) fn connect(login: &Login<'_>) -> Self {
        let paho = Self::start(login);
        assert_eq!(paho.expect("connect")["code"], 0, "{:?}", login.user);
        paho
    }

    /// Connects, which must be refused; the reason code.
    #[track_caller]
    pub(crate) fn refused(login: &Login<'_>) -> u64 {
        let code = Self::start(login).expect("connect")["code"].as_u64();
        assert_ne!(code, Some(0), "{:?} was let in", login.user);
        code.expect("a number")
    }

    /// The next event of this kind; others before it are passed over.
    #[track_caller]
    pub(crate) fn expect(&self, kind: &str) -> Value {
        self.expect_within(kind, PATIENCE)
    }

    /// As [`Self::expect`], with another patience.
    #[track_caller]
    pub(crate) fn expect_within(&self, kind: &str, time: Duration) -> Value {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) if event["event"] == kind => return event,
                Ok(_) => {}
                Err(error) => panic!("no event {kind}: {error}"),
            }
        }
    }

    /// Nothing of this kind comes for a while.
    #[track_caller]
    pub(crate) fn expect_no(&self, kind: &str, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => assert_ne!(event["event"], kind, "{event}"),
                Err(RecvTimeoutError::Timeout) => return,
                Err(error) => panic!("the client ended: {error}"),
            }
        }
    }

    /// Publishes with QoS 1, and waits for the answer's reason code. "No matching subscribers"
    /// (16) is a success (MQTT 5.0 §3.4.2.1) and counts as 0.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &str) -> u64 {
        self.send(&json!({ "publish": topic, "payload": payload }));
        let code = self.expect("published")["code"].as_u64().expect("a number");
        if code == 16 { 0 } else { code }
    }

    /// Subscribes, and waits for the answer's reason code.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str) -> u64 {
        self.send(&json!({ "subscribe": filter }));
        self.expect("subscribed")["code"].as_u64().expect("a number")
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").expect("the client reads");
    }

    /// Says goodbye.
    pub(crate) fn leave(mut self) {
        self.send(&json!({ "leave": true }));
        self.child.wait().expect("it ends");
    }

    /// Ends it without goodbye.
    pub(crate) fn kill(self) {
        drop(self);
    }
}
