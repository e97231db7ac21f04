//! What passes between processes, as somebody on the wire sees it, and the search for words in that
//! and in whole folders: as they are, and written the way that formats write bytes.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One direction of one connection, from its first byte on.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<Mutex<Vec<u8>>>);

impl Stream {
    pub(crate) fn saw(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

/// All that passed.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Stream>>>);

impl Wire {
    /// A further stream.
    pub(crate) fn stream(&self) -> Stream {
        let stream = Stream::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream.clone());
        stream
    }

    /// The bytes of each stream.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes =
            |stream: &Stream| stream.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        streams.iter().map(bytes).collect()
    }

    /// Whether a word passed.
    pub(crate) fn has(&self, word: &[u8]) -> bool {
        let forms = forms(word);
        self.seen().iter().any(|bytes| has_any(bytes, &forms))
    }
}

/// A word as formats write it: bare, in hexadecimal, and in base64 wherever in it the word begins.
pub(crate) fn forms(word: &[u8]) -> Vec<Vec<u8>> {
    let mut forms =
        vec![word.to_vec(), HEXLOWER.encode(word).into_bytes(), HEXUPPER.encode(word).into_bytes()];
    for before in 0..3 {
        let shifted = [&vec![0; before][..], word].concat();
        for base in [BASE64_NOPAD, BASE64URL_NOPAD] {
            let text = base.encode(&shifted).into_bytes();
            // The first and the last letter have bits of what stands beside the word.
            let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
            forms.push(text[first..last].to_vec());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Whether any of these stands in some bytes.
pub(crate) fn has_any(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    // A form may begin only where its first byte stands: most places are passed at once.
    let mut begins = [false; 256];
    for form in forms {
        begins[usize::from(form[0])] = true;
    }
    let at = |place: usize| forms.iter().any(|form| bytes[place..].starts_with(form));
    let places = bytes.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)]);
    places.map(|(place, _)| place).any(at)
}

/// The files of a folder, and of all folders in it, that have a word.
pub(crate) fn files_with(dir: &Path, word: &[u8]) -> Vec<PathBuf> {
    let (mut found, forms) = (Vec::new(), forms(word));
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder that may be read") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("its kind");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if !kind.is_socket() && !kind.is_fifo() {
                let bytes = fs::read(entry.path()).expect("a file that may be read");
                if has_any(&bytes, &forms) {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

/// Panics if two processes are connected at one of these ports of this machine without this process
/// between them: then something passes that nobody records. Gives how many connections there are.
pub(crate) fn nothing_passes_by(ports: &[u16]) -> usize {
    const ESTABLISHED: &str = "01";
    let sockets: HashSet<String> = fs::read_dir("/proc/self/fd")
        .expect("what this process has open")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|to| {
            to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
        })
        .collect();
    let table = fs::read_to_string("/proc/self/net/tcp").expect("the connections of this machine");
    let port = |address: &str| {
        let (_, port) = address.split_once(':').expect("an address and a port");
        u16::from_str_radix(port, 16).expect("a port")
    };
    // Number, local, remote, state, ...; the tenth is the socket.
    let rows: Vec<Vec<&str>> =
        table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let open = rows.iter().filter(|row| row[3] == ESTABLISHED);
    let theirs = open.filter(|row| ports.contains(&port(row[2])));
    let mut count = 0;
    for row in theirs {
        assert!(sockets.contains(row[9]), "somebody else is connected to port {}", port(row[2]));
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_however_it_is_written() {
        let word = b"KQ7-serial-0001";
        for around in ["", "a", "ab", "abc", "abcd"] {
            let text = [around.as_bytes(), word, around.as_bytes()].concat();
            for written in [
                text.clone(),
                HEXLOWER.encode(&text).into_bytes(),
                HEXUPPER.encode(&text).into_bytes(),
                BASE64_NOPAD.encode(&text).into_bytes(),
                BASE64URL_NOPAD.encode(&text).into_bytes(),
                data_encoding::BASE64.encode(&text).into_bytes(),
            ] {
                assert!(has_any(&written, &forms(word)), "{}", String::from_utf8_lossy(&written));
                let half = &written[..written.len() / 2];
                assert!(!has_any(half, &forms(word)));
            }
        }
    }

    #[test]
    fn files_are_found_in_folders_of_folders() {
        let dir = tempfile::tempdir().expect("a folder");
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).expect("made");
        fs::write(inner.join("has"), "xx KQ7-word xx").expect("written");
        fs::write(inner.join("has-not"), "xx KQ7-wor").expect("written");
        assert_eq!(files_with(dir.path(), b"KQ7-word"), [inner.join("has")]);
    }

    #[tokio::test]
    async fn who_passes_a_recorder_by_is_noticed() {
        let (wire, server) = (Wire::default(), std::net::TcpListener::bind("127.0.0.1:0"));
        let server = server.expect("a port");
        let to = server.local_addr().expect("an address");
        let link = crate::link::Link::recorded(to, 1, &wire).await;
        let command = |port: u16| {
            let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo passed >&3; sleep 600");
            let mut command = std::process::Command::new("bash");
            command.args(["-c", &script]).stdin(std::process::Stdio::null());
            command.spawn().expect("bash runs")
        };
        let accepted = || {
            let server = server.try_clone().expect("the same listener");
            tokio::task::spawn_blocking(move || {
                let (mut stream, _) = server.accept().expect("a connection");
                let mut word = [0; 6];
                std::io::Read::read_exact(&mut stream, &mut word).expect("a word");
                (stream, word)
            })
        };
        let mut through = command(link.port);
        let (first, word) = accepted().await.expect("it came");
        assert_eq!((&word, nothing_passes_by(&[to.port()])), (b"passed", 1));
        assert!(wire.has(b"passed"));
        let mut by = command(to.port());
        let (second, _) = accepted().await.expect("it came");
        let noticed = std::panic::catch_unwind(|| nothing_passes_by(&[to.port()]));
        for child in [&mut through, &mut by] {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
        drop((first, second));
        assert!(noticed.is_err(), "a connection that is not recorded");
    }
}
