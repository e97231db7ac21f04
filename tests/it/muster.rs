//! Runs the binary as a user would: commands with their output, servers on free ports that are
//! stopped when the test ends.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// A home folder of its own, and everything started in it.
pub(crate) struct Muster {
    dir: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// Where its metrics are, if it serves them.
    pub(crate) metrics: Option<String>,
}

/// A command that ends with the test at the latest.
pub(crate) struct Client(Child);

impl Client {
    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.0.wait().expect("it ends")
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Asks it to stop, as an operator would, and waits for its end.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "the server should end cleanly: {status}");
    }

    /// Its metrics as they are now.
    #[allow(dead_code, reason = "not every binary of tests asks for them")]
    pub(crate) fn metrics(&self) -> String {
        get(self.metrics.as_deref().expect("it serves metrics"), &[]).1
    }

    /// Cuts it off: it stands still, its connections stay open.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("the server ends");
    }
}

impl Muster {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder for the test"), environment: Vec::new() }
    }

    /// Everything that is run from now on has this in its environment.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.unset(name);
        self.environment.push((name, value.into()));
    }

    /// No longer.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| *known != name);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("--home").arg(self.home()).args(args).current_dir(self.dir.path());
        command.env_remove("MUSTER_NODE").env_remove("MUSTER_HOME").stdin(Stdio::null());
        for name in ["MUSTER_CONFIG", "MUSTER_LOG", "MUSTER_LOG_FORMAT"] {
            command.env_remove(name);
        }
        command.env_remove("MUSTER_PASSPHRASE").envs(self.environment.iter().cloned());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// Runs a command that must succeed, with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.output(&[args, &["--json"]].concat());
        assert!(
            output.status.success(),
            "muster {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// Runs a command that must succeed and prints a line.
    pub(crate) fn line(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(
            output.status.success(),
            "muster {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Runs a command that must be refused, and returns what it says.
    pub(crate) fn refused(&self, args: &[&str], status: i32) -> String {
        let output = self.output(args);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "muster {args:?}: {words}");
        words
    }

    /// Starts a command and does not wait for it. What it complains of goes to `client.log`.
    pub(crate) fn spawn(&self, args: &[&str]) -> Client {
        let mut command = self.command(args);
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path("client.log"));
        command.stdout(Stdio::null()).stderr(log.expect("a file"));
        Client(command.spawn().expect("the binary runs"))
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        self.serve_on(args, "127.0.0.1:0")
    }

    /// Starts a node at an address where one was before.
    pub(crate) fn serve_at(&self, address: &str) -> Server {
        self.serve_on(&["serve"], address)
    }

    /// Starts a server at any place.
    pub(crate) fn serve_on(&self, args: &[&str], address: &str) -> Server {
        let places = ["--listen", address, "--metrics", "127.0.0.1:0", "--json"];
        Self::start(self.command(&[args, &places].concat()))
    }

    /// Starts what serves and says where.
    pub(crate) fn start(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is read here");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it listens");
        let said: Value = serde_json::from_str(&line).expect("the server starts");
        let url = said["listening"].as_str().expect("an address").to_owned();
        let metrics = said["metrics"].as_str().map(str::to_owned);
        Server { child, url, metrics }
    }
}

/// A plain HTTP request on a new connection: status, headers and body as text.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = std::net::TcpStream::connect(host).expect("the server listens");
    let mut request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer)
}

/// Reads a JSON-lines file.
pub(crate) fn lines(file: &Path) -> Vec<Value> {
    std::fs::read_to_string(file)
        .expect("the file is there")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect()
}
