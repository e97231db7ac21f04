//! A PostgreSQL server of the tests' own: on a free port of this machine, in a folder that goes
//! with it, as a user who may do nothing else.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// `nobody`, on every Debian.
const NOBODY: u32 = 65_534;

/// The server's password has signs in it that a URL must escape.
pub(crate) const PASSWORD: &str = "a:b/c@d?e";
const ESCAPED: &str = "a%3Ab%2Fc%40d%3Fe";

/// Ends the server when the test's end of the pipe closes, however the test ends; says its number
/// first. Its end takes no longer than that of the sessions.
const KEEPER: &str = "trap '' INT TERM HUP; \"$@\" >>log 2>&1 & server=$!; echo $server; \
    cat >/dev/null; kill -INT $server 2>/dev/null; wait $server";

pub(crate) struct Server {
    dir: tempfile::TempDir,
    port: u16,
    running: Option<Running>,
}

struct Running {
    keeper: Child,
    /// Open as long as the server shall run.
    _alive: ChildStdin,
    pid: u32,
}

/// Folders of programs, newest version first, where they are not in the path.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL: run `cargo xtask setup`, which installs the package postgresql")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    versions.sort();
    versions.pop().expect("a version of PostgreSQL").join("bin").join(name)
}

/// A command as somebody else than root, whom PostgreSQL refuses.
fn unprivileged(name: &str, dir: &Path) -> Command {
    let own = fs::metadata("/proc/self").expect("this process").uid();
    let mut command = if own == 0 {
        let mut command = Command::new("setpriv");
        command.args([
            &format!("--reuid={NOBODY}"),
            &format!("--regid={NOBODY}"),
            "--clear-groups",
            "--",
        ]);
        command.arg(program(name));
        command
    } else {
        Command::new(program(name))
    };
    command.current_dir(dir).env("HOME", dir);
    command
}

/// A port that nobody has, below those of outgoing connections: while the server is down, one of
/// them could be given its port.
fn port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(131);
    let numbers = (0..7_900).map(|_| first.wrapping_add(NEXT.fetch_add(1, SeqCst)) % 7_900);
    let mut ports = numbers.map(|n| 12_000 + n as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings, such as `fsync=off`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path();
        fs::write(path.join("password"), PASSWORD).expect("a password");
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("a mode");
        if fs::metadata("/proc/self").expect("this process").uid() == 0 {
            for path in [path, &path.join("password")] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("another owner");
            }
        }
        let made = unprivileged("initdb", path)
            .args(["-D", "data", "-U", "muster", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
            .args(["--auth=scram-sha-256", "--pwfile=password"])
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { dir, port: port(), running: None };
        server.run(settings);
        server
    }

    /// Starts it (again).
    pub(crate) fn run(&mut self, settings: &[&str]) {
        let server = unprivileged("postgres", self.dir.path());
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(server.get_program()).args(server.get_args());
        keeper.args(["-D", "data", "-h", "127.0.0.1", "-k", "", "-p", &self.port.to_string()]);
        for setting in ["max_connections=200", "shared_buffers=64MB"].iter().chain(settings) {
            keeper.args(["-c", setting]);
        }
        keeper.current_dir(self.dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().expect("a shell");
        let _alive = keeper.stdin.take().expect("a pipe");
        let mut line = String::new();
        let told = keeper.stdout.take().expect("a pipe");
        BufReader::new(told).read_line(&mut line).expect("a line");
        let pid = line.trim().parse().expect("the number of a process");
        self.running = Some(Running { keeper, _alive, pid });
        let begun = Instant::now();
        // `postmaster.pid` has a line `ready` once connections are taken.
        while !self.is_ready(pid) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self, pid: u32) -> bool {
        let Ok(said) = fs::read_to_string(self.dir.path().join("data/postmaster.pid")) else {
            return false;
        };
        said.lines().next() == Some(&pid.to_string())
            && said.lines().nth(7).is_some_and(|word| word.trim() == "ready")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Takes the power away from the server and all of its sessions.
    pub(crate) fn kill(&mut self) {
        let Some(running) = self.running.take() else { return };
        let pid = running.pid.to_string();
        // A session whose server died ends by itself, but not at once: with the server stopped
        // first, none is left out.
        signal("STOP", &pid);
        for session in children(&pid) {
            signal("KILL", &session);
        }
        signal("KILL", &pid);
        let Running { mut keeper, _alive, .. } = running;
        drop(_alive);
        keeper.wait().expect("the shell's end");
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) {
        let Some(Running { mut keeper, _alive, .. }) = self.running.take() else { return };
        drop(_alive);
        keeper.wait().expect("the shell's end");
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://muster:{ESCAPED}@127.0.0.1:{}/{database}", self.port)
    }

    /// The same as an operator writes it: without the password.
    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres://muster@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database; gives its name.
    pub(crate) fn new_database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, SeqCst));
        self.tell(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        name
    }

    /// Makes a database; gives its URL.
    pub(crate) fn database(&self) -> String {
        self.url(&self.new_database())
    }

    pub(crate) fn tell(&self, sql: &str) {
        tell(&self.url("postgres"), sql);
    }

    /// All that a database has, as SQL.
    pub(crate) fn dump(&self, database: &str) -> Vec<u8> {
        let url = self.url(database);
        let dumped = Command::new(program("pg_dump")).args(["--inserts", &url]).output();
        let dumped = dumped.expect("pg_dump runs");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        dumped.stdout
    }
}

/// Carries a statement out in a database.
pub(crate) fn tell(url: &str, sql: &str) {
    let mut psql = Command::new(program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql, url]);
    let told = psql.stdin(Stdio::null()).output().expect("psql runs");
    assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), pid]).status().expect("kill");
    assert!(sent.success() || name == "KILL", "signal {name} to {pid}");
}

/// Processes that a process started.
fn children(pid: &str) -> Vec<String> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    listed.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server of all tests that do not stop it. The shell beside it ends it with this process.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}
