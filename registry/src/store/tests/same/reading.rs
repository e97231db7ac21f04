use super::Both;
use super::drawn::{Drawn, asked, leaf, owner, serial};
use crate::store::*;
use muster_api::LineResult;

/// What readers ask for.
pub(super) async fn read(both: &Both, drawn: &mut Drawn) {
    let did = leaf(drawn.below(24) as u8).did();
    both.same(|s| s.leaf(did)).await.unwrap();
    both.same(|s| s.directory(did)).await.unwrap();
    let (number, count) = (1 + drawn.below(6), drawn.below(9));
    let after = (drawn.below(2) == 0).then(|| Claim::of_did(&did));
    both.same(|s| s.leaves(number, after, count)).await.unwrap();
    both.same(|s| s.listed(number, after, count)).await.unwrap();
    both.same(|s| s.serials(number, after, count)).await.unwrap();
    both.same(|s| s.tile_of(number, did)).await.unwrap();
    both.same(|s| s.tile(number, 0, 0)).await.unwrap();
    let names: Vec<Claim> = (0..24).map(|n| Claim::of_did(&leaf(n).did())).collect();
    let of: Vec<(u64, Claim)> = names.iter().map(|name| (number, *name)).collect();
    both.same_rows(|s| s.leaves_of(of.clone())).await;
    both.same(|s| s.private(owner(), names.clone())).await.unwrap();
    both.same(|s| s.claims_of(names.clone())).await.unwrap();
    let (low, high) = (Claim([0; 16]), Claim([drawn.below(256) as u8; 16]));
    both.same(|s| s.claims_from(NameRange { low, high, after, count })).await.unwrap();
    let range = SerialRange {
        organisation: owner(),
        low: serial(drawn.below(12)),
        behind: (drawn.below(2) == 0).then(|| serial(drawn.below(12))),
        after: (drawn.below(2) == 0).then(|| serial(drawn.below(12))),
        count,
    };
    both.same(|s| s.serials_from(range.clone())).await.unwrap();
    let subjects = vec![[0; 32], [drawn.below(3) as u8; 32], [9; 32]];
    both.same(|s| s.touched(subjects.clone(), count)).await.unwrap();
    both.same(|s| s.last_touched(subjects.clone(), count)).await.unwrap();
    both.same(|s| s.first_touched(subjects[1])).await.unwrap();
    both.same(|s| s.touched_below([9; 32], count, 3)).await.unwrap();
    both.same(|s| s.entries(count, 5)).await.unwrap();
    both.same(|s| s.entries_at(vec![0, count, 3])).await.unwrap();
    both.same(|s| s.blocks(count, 5)).await.unwrap();
    both.same(|s| s.uploads()).await.unwrap();
    both.same(|s| s.batch_numbers()).await.unwrap();
    let wanted = asked(drawn);
    both.same(|s| s.lots(wanted.clone(), count)).await.unwrap();
    both.same_rows(|s| s.lot_groups(wanted.clone())).await;
    both.same_rows(|s| s.lot_groups_of(wanted.clone(), names.clone())).await;
    for which in [WhichLots::All, WhichLots::Result(LineResult::Scrap), WhichLots::NotEnrolled] {
        let after = serial(drawn.below(12));
        both.same(|s| s.lot_devices(wanted.clone(), which, after.clone(), count)).await.unwrap();
    }
    both.same(|s| s.lot_counts(wanted.clone())).await.unwrap();
    both.same(|s| s.line_rows(owner())).await.unwrap();
    both.same(|s| s.gateways()).await.unwrap();
    both.same(|s| s.seen(did)).await.unwrap();
    both.same(|s| s.seen_times(names.clone())).await.unwrap();
    both.same(|s| s.gateway_hours(None, 0, 9_999)).await.unwrap();
    both.same(|s| s.gateway_hours(Some(owner()), 3, 9)).await.unwrap();
    for of in [SeenOf::Names(names.clone()), SeenOf::Batch(number, 9)] {
        both.same_rows(|s| s.seen_by(of.clone(), (5, 3))).await;
    }
    both.same(|s| s.acts(owner(), u64::MAX, count)).await.unwrap();
    both.same(|s| s.note("n")).await.unwrap();
}
