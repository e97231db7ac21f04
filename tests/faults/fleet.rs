//! A network with some devices, for tests in which it does not matter which.

use crate::muster::{Muster, Server};
use std::fs;
use std::process::{Command, Stdio};

/// Starts a node as a shell would that does something first, such as `ulimit -n 64; exec`.
pub(crate) fn serve_after(muster: &Muster, first: &str) -> Server {
    let plain =
        muster.command(&["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first} \"$0\" \"$@\"")]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(muster.path("")).stdin(Stdio::null());
    Muster::start(command)
}

/// Enrols so many devices through a node; gives their DIDs.
pub(crate) fn enrolled(muster: &Muster, node: &Server, count: u32) -> Vec<String> {
    let (mut rows, mut dids) = (String::new(), Vec::new());
    for n in 0..count {
        let (key, serial) = (format!("{n}.pem"), format!("SN-{n}"));
        let row = ["device", "new", &key, "--serial", &serial, "--model", "pump"];
        rows += &(muster.line(&row) + "\n");
        dids.push(muster.line(&["device", "did", &key]));
    }
    fs::write(muster.path("fleet.jsonl"), rows).expect("written");
    muster.json(&["enrol", "fleet.jsonl", "--node", &node.url]);
    dids
}

/// What a node says of a device.
pub(crate) fn standing(muster: &Muster, node: &Server, did: &str) -> String {
    let shown = muster.json(&["show", did, "--node", &node.url]);
    shown["device"]["standing"].as_str().expect("a standing").to_owned()
}
