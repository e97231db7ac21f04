//! A clean Debian with systemd below `target`, in which the packages are tried: made once, copied
//! for each trial. `tests/packaging` boots it in namespaces of its own.

use crate::setup::ensure_apt;
use crate::shell::{Result, output_of, program, root, succeeds};
use std::fs;
use std::path::PathBuf;

/// The release that the packages are built for and tried in.
const RELEASE: &str = "bookworm";
/// What the operating page has its reader install, and systemd, which every Debian server has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,ca-certificates,openssl,softhsm2";
/// Programs of this machine that make and start it.
const TOOLS: &[&str] = &["debootstrap", "iproute2", "util-linux"];

/// Where it is; none where it cannot be made or started, which is printed.
pub(crate) fn ensure() -> Result<Option<PathBuf>> {
    let namespaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "true"];
    let root_user = output_of(program("id").arg("-u")).as_deref() == Some("0");
    if !root_user || output_of(program("unshare").args(namespaces)).is_none() {
        println!("setup: no namespaces can be made here (that needs root), so the Debian packages");
        println!("setup:   and docs/operating.md are NOT tried in a machine of their own");
        return Ok(None);
    }
    let machine = root().join("target/machine");
    let done = machine.join("etc/muster-machine");
    if fs::read_to_string(&done).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(Some(machine));
    }
    ensure_apt(TOOLS)?;
    if machine.exists() {
        fs::remove_dir_all(&machine).map_err(|e| format!("{}: {e}", machine.display()))?;
    }
    println!("setup: a clean Debian to try the packages in (a minute or two, once)");
    let mut make = program("debootstrap");
    make.args(["--variant=minbase", "--include", PACKAGES, RELEASE]).arg(&machine);
    if !succeeds(&mut make)? {
        return Err("debootstrap failed (see above): it needs a mirror of Debian".into());
    }
    fs::write(&done, PACKAGES).map_err(|e| format!("{}: {e}", done.display()))?;
    Ok(Some(machine))
}
