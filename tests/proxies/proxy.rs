//! A proxy that runs with a sample file, and ends with the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The proxy's process.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // By TERM, so that a master takes its workers along.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts it and waits until it listens.
    pub(crate) fn start(command: &mut Command, address: &str, log: &Path) -> Self {
        let file = fs::File::create(log).expect("a log");
        let copy = file.try_clone().expect("a log");
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().expect("the proxy is installed: cargo xtask test sees to it");
        let mut proxy = Self { child, url: format!("http://{address}") };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = proxy.child.try_wait().expect("its state");
            let said = || fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "{ended:?}: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// A file of `docs/samples` with other addresses. Each one must be in it.
pub(crate) fn sample(name: &str, replace: &[(&str, &str)]) -> String {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let path = PathBuf::from(root).join("docs/samples").join(name);
    let mut text = fs::read_to_string(&path).expect("the sample is there");
    for (from, to) in replace {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}
