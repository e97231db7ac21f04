//! WebDriver (W3C) in as little as the tests need: one request, one answer, over plain HTTP to a
//! chromedriver of our own.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest time of one answer: a page that computes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A chromedriver and the one browser it started. Both end with this value.
pub(crate) struct Driver {
    child: Child,
    address: String,
    session: String,
    profile: PathBuf,
}

impl Driver {
    /// Starts a browser with a profile folder of its own.
    pub(crate) fn start(profile: &Path) -> Self {
        // It takes a free port of IPv6 and then the same of IPv4, which somebody may have.
        let mut started = process();
        for _ in 1..ATTEMPTS {
            started = started.or_else(|_| process());
        }
        let (child, port) = started.unwrap_or_else(|said| panic!("no driver: {said}"));
        let address = format!("127.0.0.1:{port}");
        let mut driver =
            Self { child, address, session: String::new(), profile: profile.to_owned() };
        let answer = driver.send("POST", "/session", Some(&capabilities(profile)));
        let answer = answer.unwrap_or_else(|fault| panic!("no browser: {fault}"));
        let id = answer["sessionId"].as_str().expect("a session has an id");
        driver.session = format!("/session/{id}");
        driver
    }

    /// A command of the session; panics with what the driver says if it refuses.
    pub(crate) fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_command(method, path, body).unwrap_or_else(|fault| panic!("{path}: {fault}"))
    }

    /// A command of the session that may be refused.
    pub(crate) fn try_command(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let body = (method == "POST").then_some(body);
        self.send(method, &format!("{}{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.exchange(method, path, &body).map_err(|e| e.to_string())?;
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|e| e.to_string())?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or(""))),
            None => Ok(value),
        }
    }

    /// The body of the answer. chromedriver states its length, and keeps the connection open.
    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.address
        )?;
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok(body)
    }

    /// The browser's own process: it links its lock to `host-pid`.
    fn browser(&self) -> Option<Pid> {
        let lock = std::fs::read_link(self.profile.join("SingletonLock")).ok()?;
        let pid = lock.to_str()?.rsplit_once('-')?.1.parse().ok()?;
        Pid::from_raw(pid)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let browser = self.browser();
        let closed =
            !self.session.is_empty() && self.try_command("DELETE", "", &Value::Null).is_ok();
        // A browser that does not close when asked has a process group of its own.
        if let (false, Some(browser)) = (closed, browser) {
            let _ = kill_process(browser, Signal::KILL);
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// How often a driver is started, at most.
const ATTEMPTS: usize = 5;

/// Starts a driver: its process and port, or what it said instead.
fn process() -> Result<(Child, u16), String> {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver is installed: cargo xtask test sees to it");
    let mut said = BufReader::new(child.stdout.take().expect("its output was piped"));
    match port_in(&mut said) {
        Ok(port) => {
            // Whatever it says later must not fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            Ok((child, port))
        }
        Err(said) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(said)
        }
    }
}

/// `ChromeDriver was started successfully on port 12345.`
fn port_in(said: &mut impl BufRead) -> Result<u16, String> {
    let mut lines = String::new();
    while said.read_line(&mut lines).expect("chromedriver speaks") > 0 {
        let port = lines.lines().find_map(|line| line.split_once("successfully on port "));
        if let Some(port) = port.and_then(|(_, rest)| rest.trim_end_matches('.').parse().ok()) {
            return Ok(port);
        }
    }
    Err(lines)
}

fn capabilities(profile: &Path) -> Value {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        // Containers have 64 MB of shared memory, and no graphics.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        // Nothing but what a test asks for.
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
    ];
    if rustix::process::getuid().is_root() {
        arguments.push("--no-sandbox".to_owned());
    }
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        // A node's own certificate is vouched for by nobody.
        "acceptInsecureCerts": true,
        "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
        "timeouts": { "script": PATIENCE.as_millis() as u64, "pageLoad": 60_000 },
    } } })
}
