use crate::cli::GatewayPreload;
use crate::commands::Session;
use crate::reading;
use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use muster_api::{Client, LotQuery};
use muster_gateway::{Gateway, Preloaded};
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, BatchRecord, DevicePart, LeafTree, Receipt, View as _};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// How long a node may take to hand out what the folder lacks of the ledger.
const CATCH_UP: Duration = Duration::from_secs(600);
/// Device parts asked for at once.
const AT_ONCE: usize = 8;
/// Device parts checked and written at once.
const CHUNK: usize = 1_024;
/// Longest line of a file of receipts: a device part and its names.
const LINE_BYTES: u64 = 16 << 10;

pub(super) async fn run(session: &Session, arg: GatewayPreload) -> Result<ExitCode> {
    let what = arg.what;
    // Nobody presents anything to it, so any name will do.
    let config = super::config(session, arg.folder, "preload".parse()?)?;
    let reach = config.reach.clone();
    let (dir, nodes) = (config.dir.clone(), config.nodes.clone());
    let gateway = Gateway::start(config).await?;
    let told = async {
        caught_up(&gateway).await?;
        let client = Client::reach(nodes.first().context("name a node")?, &reach)?;
        let client = reading::signing(client, &session.home, arg.sign_with);
        let file = Path::new(&what);
        if file.exists() {
            return from_file(&gateway, file).with_context(|| file.display().to_string());
        }
        match what.parse::<BatchId>() {
            Ok(batch) => from_batch(&gateway, &client, batch).await,
            Err(_) => from_lot(&gateway, &client, &what).await,
        }
    };
    let told = told.await;
    let held = gateway.status().devices;
    gateway.close().await;
    let Preloaded { kept, unknown, false_parts } = told?;
    let mut words = format!("{kept} devices loaded into {}, {held} there in all", dir.display());
    if unknown > 0 {
        words.push_str(&format!(
            "\n{unknown} are of batches that this ledger does not have (yet): check --genesis and --node"
        ));
    }
    if false_parts > 0 {
        words.push_str(&format!("\n{false_parts} prove nothing: get their receipts again"));
    }
    let object = json!({ "kept": kept, "unknown": unknown, "false": false_parts, "held": held });
    session.output.result(&object, words);
    let whole = unknown == 0 && false_parts == 0 && kept > 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the newest head that a node has. Without a node, what the folder holds must do.
async fn caught_up(gateway: &Gateway) -> Result<()> {
    let had = gateway.roll().is_some();
    let mut rolls = gateway.subscribe();
    rolls.mark_unchanged();
    let patience = if had { Duration::from_secs(5) } else { CATCH_UP };
    let news = timeout(patience, rolls.changed()).await;
    ensure!(
        had || news.is_ok(),
        "no node answers and the folder holds no head: devices cannot be checked; name a node with --node"
    );
    Ok(())
}

fn add(to: &mut Preloaded, more: Preloaded) {
    to.kept += more.kept;
    to.unknown += more.unknown;
    to.false_parts += more.false_parts;
}

#[derive(Deserialize)]
struct Line {
    receipt: String,
}

/// A file of receipts, a line each, or one receipt.
fn from_file(gateway: &Gateway, file: &Path) -> Result<Preloaded> {
    let mut reader = BufReader::new(File::open(file)?);
    let first = reader.fill_buf()?.first().copied();
    if first.is_none_or(|byte| byte != b'{') {
        let mut bytes = Vec::new();
        reader.take(LINE_BYTES).read_to_end(&mut bytes)?;
        let receipt = Receipt::from_cbor(&bytes).context(
            "it is neither receipts as `muster enrol --out` writes them nor one receipt",
        )?;
        return Ok(gateway.preload(&[receipt.device])?);
    }
    let (mut told, mut parts, mut number) = (Preloaded::default(), Vec::new(), 0_u64);
    loop {
        let mut line = String::new();
        let read = reader.by_ref().take(LINE_BYTES).read_line(&mut line)?;
        if read == 0 || parts.len() == CHUNK {
            add(&mut told, gateway.preload(&parts)?);
            parts.clear();
        }
        if read == 0 {
            return Ok(told);
        }
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        let part = part_of(&line).with_context(|| format!("line {number}"))?;
        parts.push(part);
    }
}

fn part_of(line: &str) -> Result<DevicePart> {
    let line: Line = serde_json::from_str(line)
        .context("no object with a member `receipt`; give the file of `muster enrol --out`")?;
    let bytes = BASE64URL_NOPAD.decode(line.receipt.as_bytes()).context("receipt: base64url")?;
    DevicePart::from_cbor(&bytes).context("receipt")
}

/// All leaves of a batch, whose root must be the one on the roll; the paths follow from them.
async fn from_batch(gateway: &Gateway, client: &Client, batch: BatchId) -> Result<Preloaded> {
    let roll = gateway.roll().context("no head")?;
    let record: Option<BatchRecord> = roll.chain().state().batch(&batch)?;
    let record = record.with_context(|| format!("batch {batch} is not on this ledger"))?;
    let (mut tree, mut leaves, mut after) = (LeafTree::default(), Vec::new(), None);
    while (leaves.len() as u64) < record.count {
        let page = client.leaves(&batch.to_string(), after.as_ref()).await?;
        let Some(last) = page.last() else { bail!("the node does not have all leaves of {batch}") };
        after = Some(muster_ledger::Leaf::from_cbor(last)?.did());
        for leaf in page {
            let did = muster_ledger::Leaf::from_cbor(&leaf)?.did();
            tree.push(&did, &leaf)?;
            leaves.push(leaf);
        }
    }
    ensure!(
        tree.root() == record.root,
        "the leaves that the node gave are not those of batch {batch}: ask another with --node"
    );
    let mut told = Preloaded::default();
    let mut parts = Vec::with_capacity(CHUNK);
    for (index, leaf) in (0..).zip(leaves) {
        parts.extend(tree.device_part(batch, index, leaf));
        if parts.len() == CHUNK {
            add(&mut told, gateway.preload(&parts)?);
            parts.clear();
        }
    }
    add(&mut told, gateway.preload(&parts)?);
    Ok(told)
}

/// The devices of a lot that are enrolled.
async fn from_lot(gateway: &Gateway, client: &Client, lot: &str) -> Result<Preloaded> {
    let mut query = LotQuery { lot: Some(lot.into()), ..LotQuery::default() };
    let (mut told, mut any) = (Preloaded::default(), false);
    loop {
        let page = client.lot_devices(&query).await?;
        any |= !page.devices.is_empty();
        let dids: Vec<Did> = page
            .devices
            .iter()
            .filter_map(|device| device.did.as_deref())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let parts = futures_util::stream::iter(dids)
            .map(|did| async move { client.device_part(&did).await });
        let parts: Vec<DevicePart> = parts.buffer_unordered(AT_ONCE).try_collect().await?;
        for chunk in parts.chunks(CHUNK) {
            add(&mut told, gateway.preload(chunk)?);
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    ensure!(
        any,
        "{lot:?} is no file, no batch, and no lot that the line told of (`muster lot report` lists them)"
    );
    Ok(told)
}
