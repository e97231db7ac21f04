//! curl, and the service behind the proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }
}

/// Runs curl with these arguments.
#[track_caller]
pub(crate) fn curl(arguments: &[&str]) -> Answer {
    let mut curl = Command::new("curl");
    // No Expect: the head of an interim answer would come before the answer's.
    curl.args(["--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", "*"]);
    let output = curl.args(["--header", "Expect:"]).args(arguments).output().expect("curl runs");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {fault}");
    let text = String::from_utf8(output.stdout).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Starts a service that answers each request with what it got: the line, the headers in lower
/// case, an empty line, the body. Its headers are a gateway's with a stale roll. It ends with the
/// test's process.
pub(crate) fn echo() -> String {
    record().0
}

/// The same, and what it got, if anybody listens.
pub(crate) fn record() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let (record, recorded) = sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let record = record.clone();
            std::thread::spawn(move || answer(stream).map(|text| record.try_send(text)));
        }
    });
    (address, recorded)
}

fn answer(mut stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let line = line.trim_end();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) => {
                let name = name.to_ascii_lowercase();
                if name == "content-length" {
                    length = value.parse().ok()?;
                }
                text.push_str(&format!("{name}: {value}\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    text.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close", text.len());
    let claim = "muster-stale: true\r\nmuster-session: forged\r\nmuster-proof: forged";
    stream.write_all(format!("{head}\r\n{claim}\r\n\r\n{text}").as_bytes()).ok()?;
    Some(text)
}
