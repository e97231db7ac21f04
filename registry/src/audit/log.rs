//! The tables that follow from the entries alone: meta, entries, blocks, state, touched.

use super::Findings;
use super::source::Source;
use crate::Error;
use crate::store::columns::BlockColumns;
use crate::subjects::subjects;
use data_encoding::HEXLOWER;
use muster_identity::cbor::Decode as _;
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{Block, Chain, ChainFault, Entry, Genesis};
use std::collections::{BTreeMap, BTreeSet};

/// What the entries give.
pub(super) struct Replayed {
    pub(super) chain: Chain,
    pub(super) tree: Tree,
    /// Whether every entry could be read and applied.
    pub(super) complete: bool,
    touched: BTreeSet<(Vec<u8>, i64)>,
    blocks: Vec<BlockColumns>,
}

/// Reads all entries and applies them.
pub(super) async fn replay(
    snapshot: &mut Source,
    genesis: &Genesis,
    findings: &mut Findings,
) -> Result<Replayed, Error> {
    let mut replayed = Replayed {
        chain: Chain::new(genesis),
        tree: Tree::default(),
        complete: true,
        touched: BTreeSet::new(),
        blocks: Vec::new(),
    };
    check_meta(snapshot, genesis, findings).await?;
    let mut block: Option<Block> = None;
    let mut from = 0;
    'pages: loop {
        let page = snapshot.entries(from).await?;
        if page.is_empty() {
            break;
        }
        for (place, bytes) in page {
            if i64::try_from(from) != Ok(place) {
                findings.add("entries", from, "it is missing");
                replayed.complete = false;
                break 'pages;
            }
            let entry = match Entry::from_cbor(&bytes) {
                Ok(entry) => entry,
                Err(e) => {
                    findings.add("entries", from, e);
                    replayed.complete = false;
                    break 'pages;
                }
            };
            from += 1;
            replayed.tree.push(leaf_hash(&bytes));
            let Entry { height, time, operation } = entry;
            match &mut block {
                Some(b) if b.height == height && b.time == time => b.operations.push(operation),
                _ => {
                    let next = Block { height, time, operations: vec![operation] };
                    if let Some(done) = block.replace(next)
                        && !replayed.extend(&done, findings)
                    {
                        break 'pages;
                    }
                }
            }
        }
    }
    if let Some(last) = block.filter(|_| replayed.complete) {
        replayed.extend(&last, findings);
    }
    Ok(replayed)
}

impl Replayed {
    fn extend(&mut self, block: &Block, findings: &mut Findings) -> bool {
        let first = self.chain.size();
        let proposals = match self.chain.extend_telling(block) {
            Ok((next, _, proposals)) => {
                self.chain = next;
                proposals
            }
            Err(fault) => {
                let place = match &fault {
                    ChainFault::Operation { index, .. } | ChainFault::Refused { index, .. } => {
                        *index
                    }
                    _ => first,
                };
                findings.add("entries", place, &fault);
                self.complete = false;
                return false;
            }
        };
        for (place, signed) in (first..).zip(&block.operations) {
            if let Ok(verified) = signed.verify() {
                let (network, proposal) = (self.chain.network(), verified.proposal());
                let carried_out = proposals.get(&place);
                let concerned = subjects(&network, verified.operation(), carried_out, proposal);
                let place = place as i64;
                self.touched.extend(concerned.into_iter().map(|s| (s.to_vec(), place)));
            }
        }
        if let Ok(head) = self.chain.head(block.time) {
            self.blocks.push((
                head.height as i64,
                head.time.0 as i64,
                head.size as i64,
                head.log_root.to_vec(),
                head.state_root.to_vec(),
            ));
        }
        true
    }
}

async fn check_meta(
    snapshot: &mut Source,
    genesis: &Genesis,
    findings: &mut Findings,
) -> Result<(), Error> {
    let found: BTreeMap<_, _> = snapshot.meta().await?.into_iter().collect();
    let computed = snapshot.expected_meta(genesis);
    differences("meta", &found, &computed, |k| String::from_utf8_lossy(k).into(), findings);
    Ok(())
}

/// Rows that are missing, altered, or there without a reason.
pub(super) fn differences<K: Ord, V: PartialEq>(
    table: &'static str,
    found: &BTreeMap<K, V>,
    computed: &BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
    findings: &mut Findings,
) {
    for (key, value) in computed {
        match found.get(key) {
            None => findings.add(table, name(key), "it is missing"),
            Some(found) if found != value => {
                findings.add(table, name(key), "it is not what the entries give");
            }
            Some(_) => {}
        }
    }
    for key in found.keys().filter(|key| !computed.contains_key(key)) {
        findings.add(table, name(key), "nothing says that it should be there");
    }
}

/// Compares the tables with what the entries give.
pub(super) async fn check(
    snapshot: &mut Source,
    replayed: &Replayed,
    findings: &mut Findings,
) -> Result<(), Error> {
    check_blocks(&snapshot.blocks().await?, &replayed.blocks, findings);
    let found: BTreeMap<_, _> = snapshot.state().await?.into_iter().collect();
    let records = replayed.chain.state().iter();
    let computed: BTreeMap<_, _> = records.map(|(k, v)| (k.to_bytes(), v.to_vec())).collect();
    differences("state", &found, &computed, |k| HEXLOWER.encode(k), findings);
    let found: BTreeSet<_> = snapshot.touched().await?.into_iter().collect();
    let name = |(subject, entry): &(Vec<u8>, i64)| {
        format!("{} at entry {entry}", HEXLOWER.encode(subject))
    };
    for row in replayed.touched.difference(&found) {
        findings.add("touched", name(row), "it is missing");
    }
    for row in found.difference(&replayed.touched) {
        findings.add("touched", name(row), "nothing says that it should be there");
    }
    Ok(())
}

fn check_blocks(found: &[BlockColumns], computed: &[BlockColumns], findings: &mut Findings) {
    let by_height = |rows: &[BlockColumns]| -> BTreeMap<i64, BlockColumns> {
        rows.iter().map(|row| (row.0, row.clone())).collect()
    };
    let (found, computed) = (by_height(found), by_height(computed));
    for (height, ours) in &computed {
        let Some(row) = found.get(height) else {
            findings.add("blocks", height, "it is missing");
            continue;
        };
        findings.compare("blocks", height, "time", &row.1, &ours.1);
        findings.compare("blocks", height, "size", &row.2, &ours.2);
        findings.compare("blocks", height, "log_root", &row.3, &ours.3);
        findings.compare("blocks", height, "state_root", &row.4, &ours.4);
    }
    for height in found.keys().filter(|height| !computed.contains_key(height)) {
        findings.add("blocks", height, "nothing says that it should be there");
    }
    // An entry that was exchanged shows in every root after it, an altered root only in its row.
    if let (Some((height, ours)), Some(row)) =
        (computed.last_key_value(), computed.keys().last().and_then(|h| found.get(h)))
        && (row.3 != ours.3 || row.1 != ours.1)
    {
        let what = "they do not give the last block's root: an entry, or that row, was altered";
        findings.add("entries", format!("up to block {height}"), what);
    }
}
