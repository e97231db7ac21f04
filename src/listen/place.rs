use super::{Stream, Tls};
use anyhow::{Context as _, Result, ensure};
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::net::{TcpListener, UnixListener};

/// Who may connect to a socket file: its owner and its group, into which the proxy is put.
const SOCKET_MODE: u32 = 0o660;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address and port.
    Port(SocketAddr),
    /// A socket file, reached from this machine alone.
    File(PathBuf),
}

impl Place {
    /// A port of this machine.
    pub(crate) fn loopback(port: u16) -> Self {
        Self::Port(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Whether only this machine can reach it.
    pub(crate) fn is_near(&self) -> bool {
        match self {
            Self::Port(address) => address.ip().is_loopback(),
            Self::File(_) => true,
        }
    }

    /// The host of its address, unless that stands for all of this machine's.
    pub(crate) fn host(&self) -> Option<String> {
        match self {
            Self::Port(address) if !address.ip().is_unspecified() => Some(address.ip().to_string()),
            _ => None,
        }
    }

    /// Whether its address stands for all of this machine's.
    pub(crate) fn is_everywhere(&self) -> bool {
        matches!(self, Self::Port(address) if address.ip().is_unspecified())
    }

    /// Refuses to listen beyond this machine without TLS, unless told to by name.
    pub(crate) fn check(&self, tls: bool, without_tls: bool) -> Result<()> {
        let Self::Port(address) = self else { return Ok(()) };
        ensure!(
            address.ip().is_loopback() || tls || without_tls,
            "{address} can be reached from other machines and this listener speaks no TLS: \
             give it --tls-cert and --tls-key or --tls-self-signed, listen on 127.0.0.1 behind a proxy that adds it, \
             or say --without-tls"
        );
        Ok(())
    }

    /// Binds a listener, or says what is in the way.
    pub(crate) async fn bind(&self, option: &str) -> Result<Listener> {
        let socket = match self {
            Self::Port(address) => TcpListener::bind(address).await.map(Socket::Port),
            Self::File(path) => SocketFile::bind(path).map(Socket::File),
        };
        let socket = socket.with_context(|| {
            format!(
                "cannot listen on {self}: is something else running there? \
                 Choose another with {option}"
            )
        })?;
        Ok(Listener { socket, tls: None })
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::File(path.into())),
            Some(_) => Err("after unix: an absolute path is expected, as in unix:/run/muster.sock"),
            None => text.parse().map(Self::Port).map_err(
                |_| "expected an address and port, as in 127.0.0.1:7701, or unix:/run/muster.sock",
            ),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => address.fmt(f),
            Self::File(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound listener: a port, with or without TLS, or a socket file.
pub(crate) struct Listener {
    socket: Socket,
    tls: Option<Tls>,
}

enum Socket {
    Port(TcpListener),
    File(SocketFile),
}

impl Listener {
    /// Speaks TLS, if there is a certificate.
    pub(crate) fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Its address for clients.
    pub(crate) fn url(&self) -> Result<String> {
        Ok(match (&self.socket, &self.tls) {
            (Socket::Port(port), None) => format!("http://{}", port.local_addr()?),
            (Socket::Port(port), Some(_)) => format!("https://{}", port.local_addr()?),
            (Socket::File(file), _) => format!("unix:{}", file.path.display()),
        })
    }

    /// The next connection, who made it, and to which address. A peer on the socket file has no address: it is on
    /// this machine, and loopback says just that.
    pub(super) async fn accept(
        &self,
    ) -> io::Result<(Box<dyn Stream>, SocketAddr, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Port(port) => {
                let (stream, peer) = port.accept().await?;
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr()?;
                Ok((Box::new(stream), peer, Some(local)))
            }
            Socket::File(file) => {
                let (stream, _) = file.listener.accept().await?;
                Ok((Box::new(stream), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None))
            }
        }
    }
}

/// A listening socket file. It is removed with the value, unless another took its place.
struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    /// Makes the file under another name first: whoever sees it at its place finds it with its
    /// final rights, and with somebody behind it.
    fn bind(path: &Path) -> io::Result<Self> {
        make_way(path)?;
        let mut hidden = path.as_os_str().to_owned();
        hidden.push(format!(".{}", std::process::id()));
        let hidden = PathBuf::from(hidden);
        let listener = UnixListener::bind(&hidden)?;
        let placed = fs::set_permissions(&hidden, fs::Permissions::from_mode(SOCKET_MODE))
            .and_then(|()| fs::rename(&hidden, path))
            .and_then(|()| inode(path));
        let inode = placed.inspect_err(|_| {
            let _ = fs::remove_file(&hidden);
        })?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|there| there == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whatever is at the place may go only if it is a socket behind which nobody is: what a process
/// left that was killed.
fn make_way(path: &Path) -> io::Result<()> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.file_type().is_socket() => refuse("there is a file that is no socket"),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
            Ok(_) => refuse("somebody listens there"),
        },
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown() {
        for text in ["127.0.0.1:7701", "[::1]:0", "unix:/run/muster/gateway.sock"] {
            assert_eq!(text.parse::<Place>().expect(text).to_string(), text);
        }
        for text in ["", "7701", "unix:", "unix:here.sock", "localhost"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn beyond_this_machine_needs_tls_or_a_word() {
        let far: Place = "0.0.0.0:1".parse().expect("a place");
        assert!(far.check(false, false).is_err());
        assert!(far.check(true, false).is_ok() && far.check(false, true).is_ok());
        for near in ["127.0.0.1:1", "unix:/a"] {
            assert!(near.parse::<Place>().expect(near).check(false, false).is_ok());
        }
    }

    #[tokio::test]
    async fn a_socket_file_replaces_only_what_nobody_uses() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.sock");
        let place = Place::File(path.clone());
        let first = place.bind("--listen").await.expect("bound");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        assert!(place.bind("--listen").await.is_err(), "somebody listens there");
        drop(first);
        assert!(!path.exists(), "removed at the end");
        // Left by a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists());
        let second = place.bind("--listen").await.expect("the stale file is replaced");
        // Another one took the place: it stays.
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "mine").expect("written");
        drop(second);
        assert!(path.exists());
        assert!(place.bind("--listen").await.is_err(), "no socket");
        assert_eq!(fs::read(&path).expect("untouched"), b"mine");
    }
}
