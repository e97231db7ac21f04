//! One node: its folder, its ports, and its process while it runs.

use crate::cluster::PATIENCE;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Where a node listens: HTTP, the exchange, and the engine at the port after that.
const PORTS: u16 = 3;

pub(crate) struct Node {
    pub(crate) home: PathBuf,
    port: u16,
    /// Where it reaches the others.
    pub(crate) peers: Vec<u16>,
    process: Option<Child>,
    /// How its clock differs, as faketime(1) writes it.
    clock: Option<&'static str>,
    /// What `serve` is told besides.
    pub(crate) more: Vec<String>,
    /// The password of its database, if it has one.
    pub(crate) password: Option<&'static str>,
}

impl Node {
    pub(crate) fn new(home: PathBuf) -> Self {
        let port = crate::ports::free(PORTS);
        Self {
            home,
            port,
            peers: Vec::new(),
            process: None,
            clock: None,
            more: Vec::new(),
            password: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its exchange listens; its engine at the next port.
    pub(crate) fn exchange(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + 1))
    }

    /// A command in its folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("--home").arg(&self.home).args(args).current_dir(&self.home);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MUSTER_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).envs(self.password.map(|word| ("PGPASSWORD", word)));
        command
    }

    /// Starts it, and does not wait until it serves.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let (http, exchange) = (format!("127.0.0.1:{}", self.port), self.exchange().to_string());
        let mut args: Vec<String> =
            ["serve", "--json", "--listen", &http, "--metrics", "127.0.0.1:0"]
                .map(str::to_owned)
                .into();
        args.extend(["--consortium-listen".to_owned(), exchange]);
        for port in &self.peers {
            args.extend(["--consortium-peer".to_owned(), format!("127.0.0.1:{port}")]);
        }
        args.extend(self.more.iter().cloned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.command(&args);
        if let Some(clock) = self.clock {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", clock);
            // Timers go on as they are: it is the clock on the wall that is wrong.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary runs");
        // Through a pipe: the node's own disk may be full.
        let mut words = process.stderr.take().expect("it is piped");
        let mut log = File::options().create(true).append(true).open(self.log()).expect("a log");
        std::thread::spawn(move || std::io::copy(&mut words, &mut log));
        self.process = Some(process);
    }

    /// From its next start on its clock differs by so much.
    pub(crate) fn set_clock(&mut self, clock: Option<&'static str>) {
        self.clock = clock;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("kill -9");
        process.wait().expect("it ends");
    }

    /// Asks it to end, as an operator would, and waits for that.
    pub(crate) async fn stop(&mut self) {
        self.listens().await;
        self.signal("TERM");
        let mut process = self.process.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || process.wait().expect("it ends"));
        let status = ended.await.expect("it ends");
        assert!(status.success(), "{} should end cleanly: {status}", self.home.display());
    }

    /// Waits until it takes connections: before that a signal may come to a program that is only
    /// being loaded, and ends it.
    async fn listens(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let home = self.home.display().to_string();
            assert_eq!(self.ended(), None, "{home} ended by itself");
            assert!(begun.elapsed() < PATIENCE, "{home} does not listen");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().expect("it is our own process")
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// The last of what it said.
    pub(crate) fn last_words(&self) -> String {
        const BYTES: u64 = 6_000;
        let Ok(mut file) = File::open(self.log()) else { return "it said nothing".into() };
        let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(BYTES)));
        let mut bytes = Vec::new();
        let _ = file.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it ever said this.
    pub(crate) fn said(&self, words: &str) -> bool {
        let bytes = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(words)
    }

    /// The files that prove what validators did wrong.
    pub(crate) fn evidence(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.home.join("node/evidence")) else {
            return Vec::new();
        };
        files.map(|file| file.expect("a file").path()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The library that gives a process another clock (Debian's package faketime).
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("a system has libraries");
    let found = folders
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").to_owned()])
        .find(|path| path.exists());
    found.expect("Debian's package faketime is installed: `cargo xtask test` does that")
}
