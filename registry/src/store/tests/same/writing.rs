use super::Both;
use super::drawn::{Drawn, commit_of, gateways, leaf, new_upload, owner, record, serial};
use crate::store::*;
use muster_api::Row;
use muster_identity::cbor::Encode as _;

/// Takes rows that nobody enrolled; those of other uploads come over.
fn judge(count: usize, now: u64, leaves_only: bool) -> Judge {
    Box::new(move |found: &Found| {
        let Some(_) = &found.upload else {
            return Err(Problem::new(404, "upload", "no such upload"));
        };
        if found.fresh {
            let (write, added) = ((0..count).collect(), count as u64);
            return Ok(Plan { write, leaves_only, added, now: Time(now), ..Plan::default() });
        }
        let staged = |number: &u64| matches!(found.places.get(number), Some(Place::Staged(_)));
        if found.claims.values().any(|number| !staged(number)) {
            return Err(Problem::new(409, "enrolled", "one of them is in a batch"));
        }
        let evict = found.claims.iter().map(|(name, number)| (*number, *name)).collect();
        let (write, added) = ((0..count).collect(), count as u64);
        Ok(Plan { evict, write, leaves_only, added, now: Time(now), ..Plan::default() })
    })
}

/// Whoever holds a serial number of a batch keeps it; of an upload, it loses its row.
fn settle() -> Settle {
    Box::new(|clashes: &Clashes| {
        let mut done = Settlement::default();
        for clash in &clashes.clashes {
            match clash.upload.and_then(|upload| clashes.places.get(&upload)) {
                Some(Place::Live(_)) => done.refuse.push(clash.ours.name),
                Some(Place::Staged(upload)) => {
                    done.evict.push((upload.number, clash.name));
                    done.take.push(clash.ours.clone());
                }
                None => done.take.push(clash.ours.clone()),
            }
        }
        Ok(done)
    })
}

fn claims_of(n: u8) -> Vec<Claim> {
    let leaf = leaf(n);
    let (name, key) = Claim::of_inception(&leaf.did(), &leaf.inception);
    [name].into_iter().chain(key).collect()
}

/// What a block takes out of uploads that brings these keys, and the keys; none, if a batch or the
/// ledger has one of them, or an upload that becomes a batch.
async fn taken_over(
    both: &Both,
    claims: &[Claim],
    flips: &[Flip],
) -> Option<(Vec<(u64, Claim)>, Vec<Claim>)> {
    let of = claims.to_vec();
    let found = both.same(|s| s.claims_of(of.clone())).await.unwrap();
    let uploads = both.same(|s| s.uploads()).await.unwrap();
    let staged =
        |n: u64| uploads.iter().any(|u| u.number == n) && flips.iter().all(|f| f.upload != n);
    let evict: Vec<(u64, Claim)> = found.into_iter().map(|(claim, n)| (n, claim)).collect();
    evict.iter().all(|(n, _)| staged(*n)).then(|| (evict, claims.to_vec()))
}

/// One write, drawn.
pub(super) async fn write(both: &Both, drawn: &mut Drawn, turn: u64, height: &mut u64) {
    let upload = 1 + drawn.below(8);
    match drawn.below(11) {
        0 | 1 => {
            let n = drawn.below(60);
            both.same(|s| s.open_upload(new_upload(n), 5)).await.unwrap();
            both.same(|s| s.upload(new_upload(n).token)).await.unwrap();
        }
        2..=4 => {
            let mut names: Vec<u8> =
                (0..1 + drawn.below(4)).map(|_| drawn.below(24) as u8).collect();
            names.sort_unstable();
            names.dedup();
            let row = |(place, n): (usize, &u8)| {
                let leaf = leaf(*n);
                let (bytes, serial) = (leaf.to_cbor(), serial(u64::from(*n) % 14));
                let lot = (*n % 3 > 0).then(|| self::serial(u64::from(*n) % 12));
                CheckedRow::new(Row { number: place as u64, leaf: bytes, serial, lot }, &leaf)
            };
            let rows: Arc<[CheckedRow]> = names.iter().enumerate().map(row).collect();
            let leaves_only = drawn.below(4) == 0;
            let judge = || judge(rows.len(), turn, leaves_only);
            let _ = both.same(|s| s.stage(upload, rows.clone(), judge())).await;
            let claims: Vec<Claim> = rows.iter().flat_map(CheckedRow::claims).collect();
            both.same_rows(|s| s.claimed(claims.clone())).await;
        }
        5 => {
            let page = both.same(|s| s.serials(upload, None, 99)).await.unwrap();
            let mut serials: Vec<Serial> = page
                .into_iter()
                .filter_map(|(name, of)| of.map(|(serial, row)| Serial { serial, row, name }))
                .collect();
            serials.sort_unstable();
            // Whether it is there any more, both say.
            if drawn.below(2) == 0 {
                let _ = both.same(|s| s.enter_new(upload, serials.clone())).await;
            } else {
                let _ = both.same(|s| s.enter_serials(upload, serials.clone(), settle())).await;
            }
        }
        6 => {
            let tile = |index| Tile {
                level: 0,
                index,
                first: leaf(index as u8).did(),
                hashes: vec![index as u8; 32],
            };
            let tiles = vec![tile(0), tile(1 + turn)];
            both.same(|s| s.write_tiles(upload, tiles.clone(), true)).await.unwrap();
            let found = both.same(|s| s.uploads()).await.unwrap();
            if let Some(found) = found.iter().find(|found| found.number == upload) {
                let version = found.version - drawn.below(2).min(found.version);
                both.same(|s| s.seal(upload, version, found.staged, [5; 32])).await.unwrap();
            }
        }
        7 => {
            let found = both.same(|s| s.uploads()).await.unwrap();
            let sealed = found.iter().find_map(|found| Some((found.number, found.sealed?)));
            let flip = |(upload, (count, root)): (u64, (u64, [u8; 32]))| Flip {
                upload,
                batch: BatchId([upload as u8; 32]),
                count,
                root,
            };
            let flips: Vec<Flip> = sealed.map(flip).into_iter().collect();
            let (seed, count) = (drawn.below(99), 1 + drawn.below(3));
            let claims =
                if drawn.below(2) == 0 { claims_of(drawn.below(24) as u8) } else { vec![] };
            let held = taken_over(both, &claims, &flips).await;
            let commits = |from: u64| {
                let block = |height| commit_of(height, vec![], &mut Drawn(seed + height));
                let mut all: Vec<Commit> = (from + 1..=from + count).map(block).collect();
                all[0].flips.clone_from(&flips);
                if let Some((evict, keys)) = &held {
                    all[0].evict.clone_from(evict);
                    all[0].keys.extend(keys);
                }
                all
            };
            both.same(|s| s.commit(commits(*height))).await.unwrap();
            *height += count;
            // Behind a new block, one that is there already: neither leaves a trace.
            let block = |height| commit_of(height, vec![], &mut Drawn(seed));
            let again = || vec![block(*height + 1), block(*height)];
            let again = (both.sqlite.commit(again()).await, both.postgres.commit(again()).await);
            assert!(again.0.is_err() && again.1.is_err());
        }
        8 => both.same(|s| s.drop_upload(upload)).await.unwrap(),
        9 => {
            let records: Vec<LineRecord> = (0..3).map(|_| record(drawn)).collect();
            let room = drawn.below(5);
            // Before any upload of the organisation there is nobody to note it for.
            if both.same(|s| s.uploads()).await.unwrap().iter().any(|u| u.organisation == owner()) {
                both.same(|s| s.note_line(owner(), records.clone(), room)).await.unwrap();
            }
        }
        _ => {
            let save = gateways(drawn, turn);
            both.same(|s| s.save_gateways(save.clone())).await.unwrap();
            let act = Act {
                time: turn,
                organisation: owner(),
                who: serial(drawn.below(12)),
                act: "sign-in".into(),
                about: serial(drawn.below(12)),
            };
            both.same(|s| s.add_act(act.clone())).await.unwrap();
            both.same(|s| s.keep_note("n", vec![turn as u8])).await.unwrap();
            both.same(|s| s.pass_numbers()).await.unwrap();
        }
    }
}
