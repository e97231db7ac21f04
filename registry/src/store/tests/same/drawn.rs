//! What the calls are given, drawn.

use crate::store::*;
use crate::tests::{genesis, secret};
use muster_api::LineResult;
use muster_identity::{Inception, Signer as _};
use muster_ledger::{Evidence, GrantId, Leaf, SerialCommitment, VouchedBy};

/// Numbers that look drawn, the same ones each time.
pub(super) struct Drawn(pub(super) u64);

impl Drawn {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX: enough to mix calls up.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(super) fn owner() -> Did {
    genesis().organisation_did()
}

pub(super) fn leaf(n: u8) -> Leaf {
    Leaf {
        inception: Inception::from_key(secret(n).public_key()),
        evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
        serial: SerialCommitment([n; 32]),
        owner_recovery: n.is_multiple_of(2),
    }
}

/// Serial numbers among which are those that databases like to order or keep otherwise.
pub(super) fn serial(n: u64) -> String {
    let odd =
        ["", "a", "A", "\u{e9}", "z\0z", "\u{1}", "'; --", "%_", "10", "9", " a", "\u{1f600}"];
    let place = usize::try_from(n).unwrap();
    odd.get(place).map_or_else(|| format!("SN-{n}"), |odd| (*odd).to_owned())
}

pub(super) fn new_upload(n: u64) -> NewUpload {
    let mut token = [0; 32];
    token[..8].copy_from_slice(&n.to_be_bytes());
    NewUpload {
        token,
        request: token,
        valid_until: Time(1_000 + n),
        organisation: if n.is_multiple_of(3) { Did::from_digest([7; 32]) } else { owner() },
        grant: GrantId([1; 32]),
        model: serial(n % 12),
        rows: 100,
        rehearsal: n.is_multiple_of(5),
        opened: Time(n),
        expires: Time(5_000),
    }
}

pub(super) fn record(drawn: &mut Drawn) -> LineRecord {
    let result = [LineResult::Pass, LineResult::Rework, LineResult::Scrap][drawn.below(3) as usize];
    let before = (drawn.below(2) == 0).then(|| drawn.below(9));
    LineRecord {
        serial: serial(drawn.below(16)),
        result,
        lot: (drawn.below(3) > 0).then(|| serial(drawn.below(12))),
        order: (drawn.below(2) > 0).then(|| serial(drawn.below(4))),
        station: Some(serial(1 + drawn.below(3))),
        before,
        after: before.map(|before| before + 1),
    }
}

pub(super) fn commit_of(height: u64, flips: Vec<Flip>, drawn: &mut Drawn) -> Commit {
    let mut commit = super::super::commit_of(height);
    commit.state.push((vec![2, drawn.below(4) as u8], vec![].into()));
    commit.state.push((vec![1], vec![9].into()));
    commit.touched.push(([drawn.below(3) as u8; 32], commit.first));
    commit.flips = flips;
    commit
}

pub(super) fn asked(drawn: &mut Drawn) -> Asked {
    let some = |n: u64, drawn: &mut Drawn| (drawn.below(3) == 0).then(|| serial(drawn.below(n)));
    let after = (drawn.below(3) == 0).then(|| (serial(drawn.below(12)), serial(drawn.below(4))));
    let to = (drawn.below(3) == 0).then(|| (serial(drawn.below(12)), serial(drawn.below(4))));
    let (lot, order) = (some(12, drawn), some(4, drawn));
    Asked { organisation: owner(), lot, order, after, to }
}

pub(super) fn gateways(drawn: &mut Drawn, turn: u64) -> GatewaysSave {
    let name = |n: u64| (owner(), serial(1 + n));
    let row = |n: u64, least: u64| GatewayRow {
        organisation: owner(),
        name: name(n).1,
        registration: "r".into(),
        heard: (n > 1).then(|| ("h".into(), turn)),
        told: None,
        sizes: vec![SizeRow { size: turn, since: 1, stated: 2, received: 3 }],
        least,
    };
    let gone = if drawn.below(6) == 0 { vec![name(drawn.below(4))] } else { Vec::new() };
    let seen = |n: u64, drawn: &mut Drawn| SeenRow {
        device: Claim::of_did(&leaf(drawn.below(24) as u8).did()),
        time: drawn.below(9),
        by: name(n),
    };
    let n = drawn.below(4);
    let counts = GatewayHour { hour: drawn.below(12), allowed: drawn.below(5), refused: 1 };
    GatewaysSave {
        rows: vec![row(n, turn.saturating_sub(drawn.below(9)))],
        gone,
        seen: vec![seen(n, drawn), seen(drawn.below(4), drawn)],
        counted: vec![CountedHour { by: name(n), counts }],
    }
}
