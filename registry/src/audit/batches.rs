//! The tables that hold leaves and what follows from them: batches, leaves, tiles, claims.

use super::Findings;
use super::log::{Replayed, differences};
use super::source::Source;
use crate::Error;
use crate::claims::{BY_OPERATION, Claim};
use crate::tiles::{Tile, TileBuilder};
use data_encoding::HEXLOWER;
use muster_identity::cbor::Decode as _;

use muster_identity::Did;
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{BatchId, BatchRecord, Genesis, Leaf, LeafTree, Network, StateKey, View as _};
use std::collections::{BTreeMap, BTreeSet};

type Bytes = Vec<u8>;
type Claims = Vec<([u8; 16], i64)>;

/// What is read of one number's leaves.
#[derive(Default)]
struct Group {
    tree: LeafTree,
    builder: TileBuilder,
    tiles: Vec<Tile>,
}

/// What numbers may stand for.
struct Numbers {
    live: BTreeMap<i64, BatchId>,
    staged: BTreeSet<i64>,
    batches: BTreeMap<BatchId, BatchRecord>,
    /// Who enrolled them, whoever owns them now.
    makers: BTreeMap<BatchId, Did>,
}

impl Numbers {
    fn record(&self, number: i64) -> Option<(&BatchId, &BatchRecord)> {
        self.live.get(&number).and_then(|id| self.batches.get_key_value(id))
    }
}

/// Compares the tables; gives the number of devices.
pub(super) async fn check(
    snapshot: &mut Source,
    genesis: &Genesis,
    replayed: &Replayed,
    findings: &mut Findings,
) -> Result<u64, Error> {
    let numbers = numbers(snapshot, replayed, findings).await?;
    let mut claims: Claims = Vec::new();
    let by_operation = replayed.chain.state().iter().filter_map(|(k, _)| Claim::of_record(&k));
    claims.extend(by_operation.map(|claim| (claim.0, BY_OPERATION as i64)));
    let network = genesis.network();
    let mut seen = BTreeSet::new();
    let mut current: Option<(i64, Group)> = None;
    let mut after: Option<(i64, Bytes)> = None;
    loop {
        let page = snapshot.leaves(after.take()).await?;
        let Some((batch, name, _)) = page.last() else { break };
        after = Some((*batch, name.clone()));
        for (batch, name, leaf) in page {
            if current.as_ref().is_none_or(|(number, _)| *number != batch) {
                if let Some((number, group)) = current.take() {
                    finish(snapshot, &numbers, number, group, findings).await?;
                }
                seen.insert(batch);
                current = Some((batch, Group::default()));
            }
            let Some((_, group)) = &mut current else { continue };
            let row = format!("{batch}, {}", HEXLOWER.encode(&name));
            if let Err(what) = read(&numbers, &network, batch, &name, &leaf, group, &mut claims) {
                findings.add("leaves", row, what);
            }
        }
    }
    if let Some((number, group)) = current {
        finish(snapshot, &numbers, number, group, findings).await?;
    }
    for (number, id) in numbers.live.iter().filter(|(number, _)| !seen.contains(number)) {
        findings.add("batches", format!("{number}, {id}"), "no leaf has its number");
    }
    for (number,) in snapshot.tiled().await? {
        if !numbers.live.contains_key(&number) && !numbers.staged.contains(&number) {
            findings.add("tiles", number, "neither a batch nor an upload has the number");
        }
    }
    check_claims(snapshot, claims, findings).await?;
    Ok(numbers.batches.values().map(|batch| batch.count).sum())
}

async fn numbers(
    snapshot: &mut Source,
    replayed: &Replayed,
    findings: &mut Findings,
) -> Result<Numbers, Error> {
    let (mut batches, mut makers) = (BTreeMap::new(), BTreeMap::new());
    let state = replayed.chain.state();
    for (key, value) in replayed.chain.state().iter() {
        if let StateKey::Batch(id) = key {
            let record = BatchRecord::from_cbor(value).map_err(Error::damaged)?;
            makers.insert(id, state.manufacturer(&record).map_err(Error::damaged)?);
            batches.insert(id, record);
        }
    }
    let mut live = BTreeMap::new();
    for (number, id) in snapshot.batches().await? {
        let known = id.as_slice().try_into().ok().map(BatchId);
        match known.filter(|id| batches.contains_key(id)) {
            Some(id) => {
                live.insert(number, id);
            }
            None => findings.add("batches", number, "no entry enrols it"),
        }
    }
    for id in batches.keys().filter(|id| !live.values().any(|l| l == *id)) {
        findings.add("batches", id, "its leaves are not here: enrol its file again");
    }
    let staged = snapshot.uploads().await?.into_iter().map(|(number,)| number).collect();
    Ok(Numbers { live, staged, batches, makers })
}

/// Reads one leaf; notes what it claims.
fn read(
    numbers: &Numbers,
    network: &Network,
    number: i64,
    name: &[u8],
    bytes: &[u8],
    group: &mut Group,
    claims: &mut Claims,
) -> Result<(), String> {
    let leaf = Leaf::from_cbor(bytes).map_err(|e| e.to_string())?;
    let did = leaf.did();
    let (own, key) = Claim::of_inception(&did, &leaf.inception);
    claims.extend([own].into_iter().chain(key).map(|claim| (claim.0, number)));
    if own.0 != name {
        return Err("`name` is not the leaf's".into());
    }
    let maker = numbers.record(number).and_then(|(id, _)| numbers.makers.get(id));
    let Some(maker) = maker else {
        return if numbers.staged.contains(&number) {
            Ok(())
        } else {
            Err("neither a batch nor an upload has the number".into())
        };
    };
    let hash = leaf_hash(bytes);
    group.tree.push_hash(&did, hash).map_err(|e| e.to_string())?;
    group.tiles.extend(group.builder.push(&did, hash));
    leaf.check(network, maker).map_err(|e| e.to_string())
}

/// Compares a batch's root and tiles.
async fn finish(
    snapshot: &mut Source,
    numbers: &Numbers,
    number: i64,
    mut group: Group,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Some((id, record)) = numbers.record(number) else { return Ok(()) };
    if group.tree.count() != record.count || group.tree.root() != record.root {
        let what = "its leaves do not give the root that was signed";
        findings.add("leaves", format!("{number}, batch {id}"), what);
    }
    group.tiles.extend(group.builder.finish());
    let columns = |t: Tile| {
        let key = (t.level as i64, t.index as i64);
        (key, (t.first.digest().to_vec(), t.hashes))
    };
    let computed: BTreeMap<_, _> = group.tiles.into_iter().map(columns).collect();
    let found = snapshot.tiles(number).await?.into_iter();
    let found: BTreeMap<_, _> =
        found.map(|(level, index, first, hashes)| ((level, index), (first, hashes))).collect();
    let name = |(level, index): &(i64, i64)| format!("{number}, level {level}, {index}");
    differences("tiles", &found, &computed, name, findings);
    Ok(())
}

/// Walks both lists in the order of digests.
async fn check_claims(
    snapshot: &mut Source,
    mut claims: Claims,
    findings: &mut Findings,
) -> Result<(), Error> {
    claims.sort_unstable();
    for pair in claims.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let what = "a DID or key is in two places of the log";
        findings.add("leaves", HEXLOWER.encode(&pair[0].0), what);
    }
    claims.dedup_by_key(|claim| claim.0);
    let mut expected = claims.into_iter().peekable();
    let mut after = None;
    loop {
        let page = snapshot.claims(after.take()).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (digest, number) in page {
            while let Some((missing, _)) = expected.next_if(|(d, _)| d[..] < digest[..]) {
                findings.add("claims", HEXLOWER.encode(&missing), "it is missing");
            }
            match expected.next_if(|(d, _)| d[..] == digest[..]) {
                Some((_, ours)) => {
                    let row = HEXLOWER.encode(&digest);
                    findings.compare("claims", row, "batch", &number, &ours);
                }
                None => {
                    let what = "nothing says that it should be there";
                    findings.add("claims", HEXLOWER.encode(&digest), what);
                }
            }
        }
    }
    for (missing, _) in expected {
        findings.add("claims", HEXLOWER.encode(&missing), "it is missing");
    }
    Ok(())
}
