//! `muster restore`: a backup becomes a node's folder again, brought up to the highest head that
//! any gateway or node has.

use super::Session;
use super::backup::{FORMAT, GENESIS, Kept, MANIFEST, Manifest, sync};
use crate::cli::Restore;
use crate::home::read_genesis;
use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use muster_api::{Client, ClientError, Feed};
use muster_ledger::Genesis;
use muster_registry::{COPIED, Restored, Restoring};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// What the node signed last; never in a backup, perhaps still on the disk.
const SIGNED_HEAD: &str = "signed-head";
/// Where the ledger is put together before it is the node's.
const WORKSHOP: &str = "restoring";
/// How long a gateway or node may take to answer a request.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(session: &Session, arg: &Restore) -> Result<ExitCode> {
    let manifest = read_manifest(&arg.dir)?;
    let genesis = check_files(&arg.dir, &manifest)?;
    let node = session.home.path("node");
    let survived = node.join(SIGNED_HEAD).exists();
    if arg.gateway.is_empty() && arg.node.is_empty() && arg.head.is_none() && !survived {
        bail!(
            "how far did the ledger go after this backup? Name every gateway that can be reached \
             (--gateway URL) or another node (--node URL); if nobody can be asked, and you are sure \
             that nothing was signed since {}, say --head {}:{}",
            manifest.moment(),
            manifest.size,
            manifest.log_root
        );
    }
    prepare(session, &node, &genesis)?;
    let workshop = node.join(WORKSHOP);
    // What an interrupted restore left behind; nothing else goes by that name.
    if workshop.exists() {
        fs::remove_dir_all(&workshop)
            .with_context(|| format!("cannot remove {}", workshop.display()))?;
    }
    let restored = build(arg, &genesis, &node, &workshop).await;
    let restored = match restored {
        Ok(restored) => restored,
        Err(error) => {
            let _ = fs::remove_dir_all(&workshop);
            return Err(error);
        }
    };
    if arg.audit
        && let Err(error) = audit(&workshop, &genesis, &restored).await
    {
        let _ = fs::remove_dir_all(&workshop);
        return Err(error);
    }
    // It was of the ledger that is lost; the node makes it anew.
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let path = node.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    // The signing state comes last: before it, no node starts on what is here.
    for name in COPIED.iter().rev().copied().chain([SIGNED_HEAD]) {
        let to = node.join(name);
        fs::rename(workshop.join(name), &to)
            .with_context(|| format!("cannot write {}", to.display()))?;
    }
    crate::begun::note(&session.home)?;
    sync(&node)?;
    let _ = fs::remove_dir_all(&workshop);
    Ok(tell(session, &manifest, &restored))
}

fn read_manifest(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    let text = fs::read(&path)
        .with_context(|| format!("{} is no backup: cannot read {MANIFEST}", dir.display()))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
    match value["format"].as_u64() {
        Some(FORMAT) => {}
        found => bail!(
            "{} is of format {}, this is muster {} and reads format {FORMAT}: use the version that \
             wrote it ({}), or a newer one",
            path.display(),
            found.map_or("?".into(), |format| format.to_string()),
            env!("CARGO_PKG_VERSION"),
            value["muster"].as_str().unwrap_or("not said"),
        ),
    }
    serde_json::from_value(value).with_context(|| format!("{}", path.display()))
}

/// Compares every file with the manifest.
fn check_files(dir: &Path, manifest: &Manifest) -> Result<Genesis> {
    for name in COPIED.into_iter().chain([GENESIS]) {
        let stated = manifest.files.iter().find(|file| file.name == name);
        let stated = stated.with_context(|| format!("{MANIFEST} does not name {name}"))?;
        let found = Kept::of(dir, name)?;
        ensure!(
            found == *stated,
            "{} is not what was backed up ({} bytes, SHA-256 {}; then {} bytes, {}): the copy is \
             damaged, use another one",
            dir.join(name).display(),
            found.bytes,
            found.sha256,
            stated.bytes,
            stated.sha256
        );
    }
    let genesis = read_genesis(&dir.join(GENESIS))?;
    ensure!(
        genesis.network().to_string() == manifest.network,
        "{MANIFEST} and {GENESIS} are of different networks: the copy is damaged, use another one"
    );
    Ok(genesis)
}

/// Makes the home folder, or checks that nothing in it is in the way.
fn prepare(session: &Session, node: &Path, genesis: &Genesis) -> Result<()> {
    let home = &session.home;
    if home.exists()? {
        ensure!(
            home.genesis()?.network() == genesis.network(),
            "{} belongs to another network: choose another folder with --home",
            home.dir().display()
        );
    }
    home.create()?;
    if !home.path(GENESIS).exists() {
        home.write_genesis(genesis)?;
    }
    if !home.exists()? {
        home.seal()?;
    }
    // A write-ahead log that stayed behind would be taken for the restored file's own.
    let files = COPIED
        .iter()
        .flat_map(|name| ["", "-wal", "-shm", "-journal"].map(|end| format!("{name}{end}")));
    for path in files.map(|name| node.join(name)) {
        match fs::metadata(&path) {
            // Made by a node that was started without a ledger, and empty.
            Ok(found) if found.len() == 0 => fs::remove_file(&path)?,
            Ok(_) => bail!(
                "{} is there: a restore never goes over a ledger; stop the node and move the files \
                 of {} away, all but its key and {SIGNED_HEAD}, which is honoured",
                path.display(),
                node.display()
            ),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Puts the ledger together in a folder of its own.
async fn build(arg: &Restore, genesis: &Genesis, node: &Path, to: &Path) -> Result<Restored> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(to)?;
    let mut files: Vec<PathBuf> = COPIED.iter().map(|name| arg.dir.join(name)).collect();
    if node.join(SIGNED_HEAD).exists() {
        files.push(node.join(SIGNED_HEAD));
    }
    for file in &files {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(file, to.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let mut restoring = Restoring::open(to, genesis).await?;
    let reach = arg.ca.reach(arg.without_tls)?;
    for url in arg.gateway.iter().chain(&arg.node) {
        let client = Client::reach(url, &reach)?;
        if let Err(error) = follow(&client, &mut restoring).await {
            restoring.close().await;
            return Err(error.context(format!(
                "{url} may hold the highest head, so it is not passed over: mend it, or leave it \
                 out if you know that others are ahead of it"
            )));
        }
    }
    Ok(restoring.finish(arg.head.map(|head| (head.size, head.log_root))).await?)
}

/// Takes everything that one gateway or node has.
async fn follow(client: &Client, restoring: &mut Restoring) -> Result<()> {
    restoring.abandon();
    loop {
        let from = restoring.next();
        let feed = match timeout(PATIENCE, client.feed(from, 0, 0)).await? {
            Ok(feed) => feed,
            // It is behind the backup; its head still has to be one of this ledger.
            Err(ClientError::Refused(problem)) if problem.code() == "ahead" => {
                let checkpoint = timeout(PATIENCE, client.checkpoint()).await??;
                Feed { from, entries: Vec::new(), checkpoint }
            }
            Err(error) => return Err(error.into()),
        };
        if restoring.absorb(&feed).await? {
            return Ok(());
        }
    }
}

/// The whole audit; what was lost with the disk is no surprise.
async fn audit(dir: &Path, genesis: &Genesis, restored: &Restored) -> Result<()> {
    let report = muster_registry::audit(dir, genesis).await?;
    let lost: Vec<String> = restored.lost.iter().map(|lost| lost.batch.to_string()).collect();
    let mut found = report
        .findings
        .iter()
        .filter(|finding| !(finding.table == "batches" && lost.contains(&finding.row)));
    match found.next() {
        None => Ok(()),
        Some(first) => bail!(
            "the backup was altered or damaged ({} findings, the first: {} {}: {}): use another one",
            1 + found.count(),
            first.table,
            first.row,
            first.what
        ),
    }
}

fn tell(session: &Session, manifest: &Manifest, restored: &Restored) -> ExitCode {
    let devices: u64 = restored.lost.iter().map(|lost| lost.count).sum();
    let key = session.home.path("node/node.pem");
    let mut words = format!(
        "the backup of {} had {} log entries; {} were taken from others, which makes {}\n\
         log root   {}\nstate root {}\n",
        manifest.moment(),
        manifest.size,
        restored.taken,
        restored.size,
        BASE64.encode(&restored.log_root),
        BASE64.encode(&restored.state_root),
    );
    for lost in &restored.lost {
        words.push_str(&format!(
            "LOST  leaves of {} {}: batch {}\n",
            lost.count, lost.model, lost.batch
        ));
    }
    if devices > 0 {
        words.push_str(&format!(
            "{devices} devices are enrolled and stay so: gateways go on deciding about them. Their leaves\n\
             were on the lost disk alone: `muster enrol` their files again, which brings them back.\n\
             Until then the node enrols nothing else (or start it with --accept-lost-leaves).\n"
        ));
    }
    words.push_str(&format!(
        "Serial numbers, lots, line records and gateway registrations since {0} are lost.\n\
         People of the console are those of {0}: whoever was removed since is back, and what was \
         done at the console since is not noted. Check them on its page Organisation before others \
         can reach the node.\n",
        manifest.moment()
    ));
    if !key.exists() {
        words.push_str(&format!(
            "Put the node's key back ({}): it is in no backup.\n",
            key.display()
        ));
    }
    words.push_str("Start the node: `muster serve`.");
    let lost: Vec<_> = restored
        .lost
        .iter()
        .map(|lost| json!({ "batch": lost.batch.to_string(), "model": lost.model, "devices": lost.count }))
        .collect();
    session.output.result(
        &json!({
            "backup": manifest.size,
            "taken": restored.taken,
            "size": restored.size,
            "log_root": BASE64.encode(&restored.log_root),
            "state_root": BASE64.encode(&restored.state_root),
            "since": manifest.created,
            "lost": lost,
        }),
        words,
    )
}
