//! `muster backup`: copies by the side of a running node, and `backup.json`, which says what they
//! are. Keys and signing state are no part of it.

use super::{Session, moment};
use crate::cli::Backup;
use crate::host::Machine;
use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::{BASE64, HEXLOWER};
use indicatif::{ProgressBar, ProgressStyle};
use muster_api::Host as _;
use muster_identity::cbor::Encode as _;
use muster_ledger::Genesis;
use muster_registry::{COPIED, Copied};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The format of `backup.json` and of what lies beside it.
pub(super) const FORMAT: u64 = 1;
pub(super) const MANIFEST: &str = "backup.json";
pub(super) const GENESIS: &str = "genesis.cbor";

/// Between two looks at how far the copy is.
const LOOK: Duration = Duration::from_millis(200);
/// Read at once when a file is hashed.
const CHUNK: usize = 1 << 20;

/// `backup.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u64,
    /// Version of the program that made it.
    pub(super) muster: String,
    pub(super) network: String,
    /// When the copy was begun, in milliseconds since 1970.
    pub(super) created: u64,
    pub(super) size: u64,
    pub(super) height: u64,
    pub(super) time: u64,
    pub(super) log_root: String,
    pub(super) state_root: String,
    pub(super) files: Vec<Kept>,
}

/// A file of the backup.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Kept {
    /// Reads a file and says what it is.
    pub(super) fn of(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name);
        let fault = || format!("cannot read {}", path.display());
        let mut file = File::open(&path).with_context(fault)?;
        let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
        loop {
            let read = file.read(&mut chunk).with_context(fault)?;
            if read == 0 {
                break;
            }
            hash.update(&chunk[..read]);
            bytes += read as u64;
        }
        Ok(Self { name: name.into(), bytes, sha256: HEXLOWER.encode(&hash.finalize()) })
    }
}

pub(super) async fn run(session: &Session, arg: &Backup) -> Result<ExitCode> {
    let genesis = session.home.genesis()?;
    let node = session.home.path("node");
    ensure!(
        !arg.dir.exists(),
        "{} is there already: a backup never goes over another one, name a new folder",
        arg.dir.display()
    );
    let partial = partial(&arg.dir)?;
    make(&partial)?;
    let started = Instant::now();
    let made = fill(session, &node, &genesis, &partial).await;
    let manifest = match made.and_then(|manifest| {
        fs::rename(&partial, &arg.dir)
            .with_context(|| format!("cannot name it {}", arg.dir.display()))?;
        Ok(manifest)
    }) {
        Ok(manifest) => manifest,
        Err(error) => {
            // Ours, made above, and of no use to anybody.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
    };
    sync(
        arg.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    )?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let words = format!(
        "{} log entries, height {}, {:.1} MB in {:.1} s, in {}\n\
         log root   {}\nstate root {}\n\
         It holds the ledger, the private directory (serial numbers and lots: keep it as secret as\n\
         they are) and the genesis. It holds no key and not what the node signed last (`signed-head`):\n\
         keep the keys apart, and put it back with `muster restore`, which asks gateways and nodes.",
        manifest.size,
        manifest.height,
        bytes as f64 / 1e6,
        started.elapsed().as_secs_f64(),
        arg.dir.display(),
        manifest.log_root,
        manifest.state_root,
    );
    let object = json!({
        "dir": arg.dir,
        "network": manifest.network,
        "created": manifest.created,
        "size": manifest.size,
        "height": manifest.height,
        "log_root": manifest.log_root,
        "state_root": manifest.state_root,
        "bytes": bytes,
        "milliseconds": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    Ok(session.output.result(&object, words))
}

/// Where it is made before it has its name.
fn partial(dir: &Path) -> Result<PathBuf> {
    let Some(name) = dir.file_name() else { bail!("{} is no name for a folder", dir.display()) };
    let mut name = name.to_owned();
    name.push(".partial");
    Ok(dir.with_file_name(name))
}

fn make(partial: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(partial);
    if made.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists) {
        bail!(
            "{} is there: another backup is under way, or one was cut off; if none is, remove it",
            partial.display()
        );
    }
    made.with_context(|| format!("cannot make {}", partial.display()))
}

/// Makes all files of the backup, on disk when it returns.
async fn fill(session: &Session, node: &Path, genesis: &Genesis, to: &Path) -> Result<Manifest> {
    let created = Machine.now().0;
    let copied = copy(session, node, genesis, to).await?;
    write(&to.join(GENESIS), &genesis.to_cbor())?;
    let names = COPIED.into_iter().chain([GENESIS]).map(String::from).collect::<Vec<_>>();
    let dir = to.to_owned();
    let files = tokio::task::spawn_blocking(move || {
        names.iter().map(|name| Kept::of(&dir, name)).collect::<Result<_>>()
    });
    let manifest = Manifest {
        format: FORMAT,
        muster: env!("CARGO_PKG_VERSION").into(),
        network: genesis.network().to_string(),
        created,
        size: copied.size,
        height: copied.height,
        time: copied.time,
        log_root: BASE64.encode(&copied.log_root),
        state_root: BASE64.encode(&copied.state_root),
        files: files.await??,
    };
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    write(&to.join(MANIFEST), &text)?;
    sync(to)?;
    Ok(manifest)
}

/// Copies, and shows how far it is.
async fn copy(session: &Session, node: &Path, genesis: &Genesis, to: &Path) -> Result<Copied> {
    let length = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let all = |dir: &Path| -> u64 { COPIED.iter().map(|name| length(dir.join(name))).sum() };
    let shown = !session.output.is_json() && std::io::stderr().is_terminal();
    let bar = if shown { ProgressBar::new(all(node)) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template(
        "  copying [{bar:20}] {bytes} of {total_bytes}, {eta} left",
    )?);
    let copying = muster_registry::copy(node, genesis, to);
    tokio::pin!(copying);
    let copied = loop {
        tokio::select! {
            copied = &mut copying => break copied,
            () = tokio::time::sleep(LOOK) => bar.set_position(all(to)),
        }
    };
    bar.finish_and_clear();
    Ok(copied?)
}

/// Writes a file that nobody else may read, durably.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let fault = || format!("cannot write {}", path.display());
    let mut options = File::options();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(path).with_context(fault)?;
    file.write_all(bytes).with_context(fault)?;
    file.sync_all().with_context(fault)
}

pub(super) fn sync(dir: &Path) -> Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("cannot write {}", dir.display()))
}

/// When it was made, for people.
impl Manifest {
    pub(super) fn moment(&self) -> String {
        moment(self.created)
    }
}
