//! A clean Debian that boots systemd in namespaces of its own: no network but its loopback, no
//! process of this machine. `cargo xtask machine` makes what is copied here.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// What the first process of the namespaces does before it becomes systemd.
const BOOT: &str = r#"
set -e
ip link set lo up
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/tmp"
if ! mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup" 2>/dev/null; then
    mount -t tmpfs tmpfs "$1/sys/fs/cgroup"
    mkdir "$1/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$1/sys/fs/cgroup/systemd"
fi
export container=other
# Not chroot: who is in one may not make the user namespaces that units ask for.
mkdir -p "$1/.before"
cd "$1"
pivot_root . .before
umount -l /.before
# Credentials of units are mounted aside and have to show here.
mount --make-rshared /
exec /lib/systemd/systemd
"#;

/// How long it may take until everything runs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A copy of the clean Debian. It is stopped and removed when the test ends.
pub(crate) struct Machine {
    dir: PathBuf,
    unshare: Option<Child>,
    init: String,
}

impl Machine {
    /// A copy; none where `cargo xtask test` said that none can be made.
    pub(crate) fn clean(name: &str) -> Option<Self> {
        let original = env::var_os("MUSTER_MACHINE").map(PathBuf::from)?;
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let machine = Self { dir, unshare: None, init: String::new() };
        machine.remove();
        let copied = Command::new("cp").arg("-a").arg(original).arg(&machine.dir).status();
        assert!(copied.expect("cp runs").success());
        // Which an installer writes, and debootstrap does not.
        for (name, text) in [("hosts", "127.0.0.1 localhost\n"), ("hostname", "muster\n")] {
            fs::write(machine.path("/etc").join(name), text).expect("written");
        }
        Some(machine)
    }

    /// Starts systemd in it and waits until it is up.
    pub(crate) fn boot(&mut self) {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork"]);
        unshare.args(["--kill-child", "sh", "-c", BOOT, "boot"]).arg(&self.dir);
        let unshare = unshare.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let unshare = unshare.expect("unshare runs");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        self.unshare = Some(unshare);
        let until = Instant::now() + PATIENCE;
        loop {
            let children = fs::read_to_string(&children).unwrap_or_default();
            self.init = children.trim().to_owned();
            if !self.init.is_empty() {
                let state = self.run("systemctl is-system-running");
                let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
                if state == "running" || state == "degraded" {
                    return;
                }
            }
            assert!(Instant::now() < until, "systemd did not come up");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs a script in it as root, beside systemd if it was booted.
    pub(crate) fn run(&self, script: &str) -> Output {
        let mut command = match self.unshare {
            Some(_) => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &self.init, "--mount", "--net", "--pid", "--ipc"]);
                command.args(["--uts", "--cgroup"]);
                command
            }
            None => {
                let mut command = Command::new("chroot");
                command.arg(&self.dir);
                command
            }
        };
        command.args(["/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8"]);
        command.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "bash", "-c", script]);
        command.stdin(Stdio::null()).output().expect("chroot and nsenter run")
    }

    /// Runs a script that must succeed; what it printed.
    pub(crate) fn done(&self, script: &str) -> String {
        let output = self.run(script);
        let (told, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{}\n{told}\n{wrong}", output.status);
        told.into_owned()
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name.trim_start_matches('/'))
    }

    fn remove(&self) {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).expect("an old copy is removed");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut unshare) = self.unshare.take() {
            // Its child, the first process of the namespaces, ends with it; all others with that.
            let _ = unshare.kill();
            let _ = unshare.wait();
            let until = Instant::now() + PATIENCE;
            while Path::new("/proc").join(&self.init).exists() && Instant::now() < until {
                thread::sleep(Duration::from_millis(50));
            }
        }
        if !thread::panicking() {
            self.remove();
        }
    }
}
