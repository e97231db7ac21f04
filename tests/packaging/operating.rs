//! The operating page, word for word, in a clean Debian under systemd.

use crate::machine::Machine;
use crate::packages::deb;
use crate::tree::read;
use std::fs;

/// The blocks that are to be run, each with its line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut open): (Vec<(usize, String)>, bool) = (Vec::new(), false);
    for (n, line) in page.lines().enumerate() {
        match (open, line.trim()) {
            (false, "```sh") => {
                blocks.push((n + 2, String::new()));
                open = true;
            }
            (true, "```") => open = false,
            (true, _) => {
                let (_, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn the_page_word_for_word() {
    let blocks = blocks(&read("docs/operating.md"));
    assert!(blocks.len() > 15, "{}", blocks.len());
    let Some(mut machine) = Machine::clean("operating") else { return };
    let deb = deb();
    let name = deb.file_name().expect("a name").to_string_lossy().into_owned();
    fs::copy(&deb, machine.path("/root").join(&name)).expect("copied");
    // A person goes on in one shell; this one stops at the first thing that fails.
    let mut script = String::from("set -euo pipefail\n");
    for (line, text) in &blocks {
        script.push_str(&format!("echo '== operating.md, line {line}'\n{text}"));
    }
    fs::write(machine.path("/root/operating.sh"), script).expect("written");
    machine.boot();
    let followed = machine.run("cd /root && bash /root/operating.sh 2>&1");
    let told = String::from_utf8_lossy(&followed.stdout).into_owned();
    if !followed.status.success() {
        let log = machine.run("journalctl --no-pager -n 40 -u 'muster-*' 2>&1");
        panic!("{}\n{told}\n{}", followed.status, String::from_utf8_lossy(&log.stdout));
    }
    // The claims of the page.
    for word in ["store     format", "1 of 1 gateways refuse", "revoked", "sound"] {
        assert!(told.contains(word), "{word:?} in\n{told}");
    }
    machine.done("systemctl is-active muster-node muster-gateway muster-backup.timer");
    assert!(machine.done("ls /var/backups/muster").lines().count() >= 2);
    // Whoever stops it is told so, and loses nothing.
    machine.done("systemctl stop muster-node muster-gateway");
    let state = machine.done("systemctl show -P Result muster-node muster-gateway");
    assert!(state.lines().filter(|line| !line.is_empty()).all(|line| line == "success"), "{state}");
    let log = machine.done("journalctl --no-pager -u muster-node -u muster-gateway");
    assert!(!log.contains("passphrase is empty") && !log.contains("panicked"), "{log}");
}
