//! A small fleet with everything real: a node with its console, a registered gateway, devices with
//! keys, and people who join by an invitation.

use crate::browser::Browser;
use crate::muster::{Muster, Server, get};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const AUDIENCE: &str = "pumps.example";

/// What is there, and ends with the test.
pub(crate) struct Fleet {
    muster: Muster,
    node: Server,
    gateway: Server,
}

impl Fleet {
    /// Devices with these serial numbers, all of one batch and lot.
    pub(crate) fn start(serials: &[&str]) -> Self {
        let muster = Muster::new();
        muster.json(&["init"]);
        let node = muster.serve(&["serve"]);
        let mut rows = String::new();
        for (n, serial) in serials.iter().enumerate() {
            let file = format!("d{n}.pem");
            let named = ["--serial", serial, "--model", "pump"];
            let row = muster.line(&[&["device", "new", &file][..], &named].concat());
            rows.push_str(&format!("{row}\n"));
        }
        std::fs::write(muster.path("fleet.jsonl"), rows).expect("the manifest is written");
        muster.json(&["enrol", "fleet.jsonl", "--node", &node.url]);
        let add = ["gateways", "add", "store-1", "g.pem", "--site", "Quai 1"];
        muster.json(&[&add[..], &["--node", &node.url]].concat());
        let gateway = muster.serve(&[
            "gateway",
            "--audience",
            AUDIENCE,
            "--node",
            &node.url,
            "--key",
            "g.pem",
            "--dir",
            "g",
            "--report-devices",
        ]);
        Self { muster, node, gateway }
    }

    /// An address of the console.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node.url)
    }

    /// A device's DID, by its place.
    pub(crate) fn did(&self, n: usize) -> String {
        self.muster.line(&["device", "did", &format!("d{n}.pem")])
    }

    /// What the gateway answers to a fresh presentation of a device.
    pub(crate) fn shown(&self, n: usize) -> (u16, String) {
        let file = format!("d{n}.pem");
        let token = self.muster.line(&["device", "present", &file, "--audience", AUDIENCE]);
        let url = format!("{}/v1/authenticate", self.gateway.url);
        get(&url, &[("authorization", &format!("Muster {token}"))])
    }

    /// A command of the operator, against this node.
    pub(crate) fn operator(&self, args: &[&str]) -> serde_json::Value {
        self.muster.json(&[args, &["--node", &self.node.url]].concat())
    }

    /// The link of an invitation that nobody waits for.
    pub(crate) fn link(&self, name: &str, role: &str) -> String {
        let made = self.operator(&["org", "invite", "--name", name, "--role", role]);
        made["link"].as_str().expect("a link").to_owned()
    }

    /// The batch that the devices are in.
    pub(crate) fn batch(&self) -> String {
        let shown = self.operator(&["show", &self.did(0)]);
        shown["device"]["batch"].as_str().or(shown["batch"].as_str()).expect("a batch").to_owned()
    }

    /// Somebody is invited, opens the link, makes a key, is admitted, and finishes joining.
    pub(crate) fn join(&self, browser: &Browser, name: &str, role: &str) {
        let invite = ["org", "invite", "--name", name, "--role", role, "--yes"];
        let args = [&invite[..], &["--node", &self.node.url]].concat();
        let mut child = self.muster.command(&args).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("its output was piped"));
        let mut link = String::new();
        said.read_line(&mut link).expect("it prints the link");
        browser.open(link.trim());
        browser.control("Make my key and join").click();
        browser.find("nav#nav");
        // Whatever it says last must not break its pipe.
        std::io::copy(&mut said, &mut std::io::sink()).expect("it says what it did");
        assert!(child.wait().expect("it ends").success(), "the key was admitted");
        browser.open(&self.url("/organisation"));
        browser.find("#recovery option:nth-child(2)").click();
        browser.control("I know where it is kept").click();
        browser.wait_gone("#recovery");
        browser.wait_until("the way in is settled", || {
            browser.script("return !document.querySelector('.banner')", &[]) == json!(true)
        });
    }
}
