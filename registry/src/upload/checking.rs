use crate::store::CheckedRow;
use muster_api::{Row, RowVerdict, Verdict, limits};
use muster_identity::Did;
use muster_ledger::{EvidencePolicy, Leaf, Network};
use std::sync::Arc;

/// A refusal of one row.
pub(super) fn refused(row: u64, code: &str, detail: impl Into<String>) -> RowVerdict {
    let (code, detail) = (Some(code.into()), Some(detail.into()));
    RowVerdict { row, verdict: Verdict::Refused, code, detail }
}

/// Checks everything about rows that needs no store: encoding, evidence, signatures. Gives the
/// good rows, and for each row of the request its verdict if it has one already.
///
/// A node that must refuse a leaf for its evidence checks its signature first: evidence is the
/// grant's business, and a request has few such rows or nothing else.
pub(crate) fn check(
    rows: Vec<Row>,
    network: &Network,
    owner: &Did,
    needs: EvidencePolicy,
) -> (Arc<[CheckedRow]>, Vec<Option<RowVerdict>>) {
    let mut good = Vec::new();
    let mut verdicts = Vec::new();
    for row in rows {
        match check_row(&row, network, owner, needs) {
            Ok(leaf) => {
                good.push(CheckedRow::new(row, &leaf));
                verdicts.push(None);
            }
            Err(verdict) => verdicts.push(Some(verdict)),
        }
    }
    (good.into(), verdicts)
}

fn check_row(
    row: &Row,
    network: &Network,
    owner: &Did,
    needs: EvidencePolicy,
) -> Result<Leaf, RowVerdict> {
    let refuse = |code, detail: String| Err(refused(row.number, code, detail));
    let long = row.leaf.len() > muster_ledger::limits::LEAF_BYTES
        || row.serial.len() > muster_ledger::limits::SERIAL_BYTES
        || row.lot.as_ref().is_some_and(|lot| lot.len() > limits::LOT_BYTES);
    if long {
        return refuse("malformed-leaf", "leaf, serial or lot is too long".into());
    }
    let leaf = match Leaf::read_checked(&row.leaf, network, owner) {
        Ok(leaf) => leaf,
        Err(muster_ledger::Error::Bound(why)) => return refuse("evidence", why.into()),
        Err(e @ muster_ledger::Error::Identity(muster_identity::Error::Signature)) => {
            return refuse("bad-possession", e.to_string());
        }
        Err(muster_ledger::Error::Identity(muster_identity::Error::Key(why))) => {
            return refuse("public-key", why.to_string());
        }
        Err(e) => return refuse("malformed-leaf", e.to_string()),
    };
    if needs.admits(&leaf.evidence) {
        return Ok(leaf);
    }
    refuse("evidence", format!("the grant asks for evidence of kind `{}`", needs.word()))
}
