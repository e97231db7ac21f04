//! One suite for both databases: the same calls, drawn at random, give the same answers, and the
//! same rows in every table whose numbers the databases do not give themselves.

use super::{open, server};
use crate::store::tables::{self, Rows, Table};
use crate::store::*;
use crate::tests::{genesis, secret};
use muster_api::{LineResult, Row};
use muster_identity::cbor::Encode as _;
use muster_identity::{Inception, Signer as _};
use muster_ledger::{Evidence, GrantId, Leaf, SerialCommitment, VouchedBy};
use std::fmt::Debug;

/// Numbers that look drawn, the same ones each time.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX: enough to mix calls up.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Both stores of one network.
struct Both {
    sqlite: Arc<dyn Store>,
    postgres: Arc<dyn Store>,
    _dir: tempfile::TempDir,
}

impl Both {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, directory) = (dir.path().join("l"), dir.path().join("d"));
        let sqlite = sqlite::Sqlite::open(&ledger, &directory, &genesis()).await.unwrap();
        let postgres = open(&server::shared().database().await).await.unwrap();
        Self { sqlite: Arc::new(sqlite), postgres: Arc::new(postgres), _dir: dir }
    }

    /// The same call of both gives the same answer.
    async fn same<T: Debug>(&self, call: impl for<'a> Fn(&'a dyn Store) -> BoxFuture<'a, T>) -> T {
        let (one, other) = (call(&*self.sqlite).await, call(&*self.postgres).await);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        one
    }

    /// The same rows, in whatever order.
    async fn same_rows<T: Debug>(
        &self,
        call: impl for<'a> Fn(&'a dyn Store) -> Answer<'a, Vec<T>>,
    ) {
        let sorted = |rows: Vec<T>| {
            let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            rows
        };
        let (one, other) = (call(&*self.sqlite).await, call(&*self.postgres).await);
        assert_eq!(sorted(one.unwrap()), sorted(other.unwrap()));
    }

    async fn all(store: &dyn Store, table: &'static Table) -> Rows {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.rows(table, after, 7).await.unwrap();
            let Some(last) = page.last() else { return all };
            after = Some(last.clone());
            all.extend(page);
        }
    }

    /// Gives the tables that have rows.
    async fn compare(&self) -> Vec<&'static str> {
        let mut filled = Vec::new();
        // Their numbers are given by the databases, each in its own way.
        let own = ["gateways", "gateway_sizes", "seen", "gateway_hours"];
        for table in tables::ALL.iter().filter(|table| !own.contains(&table.name)) {
            let (one, other) =
                (Self::all(&*self.sqlite, table).await, Self::all(&*self.postgres, table).await);
            assert_eq!(one, other, "{}", table.name);
            if !one.is_empty() {
                filled.push(table.name);
            }
        }
        filled
    }
}

fn owner() -> Did {
    genesis().organisation_did()
}

fn leaf(n: u8) -> Leaf {
    Leaf {
        inception: Inception::from_key(secret(n).public_key()),
        evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
        serial: SerialCommitment([n; 32]),
        owner_recovery: n.is_multiple_of(2),
    }
}

/// Serial numbers among which are those that databases like to order or keep otherwise.
fn serial(n: u64) -> String {
    let odd =
        ["", "a", "A", "\u{e9}", "z\0z", "\u{1}", "'; --", "%_", "10", "9", " a", "\u{1f600}"];
    let place = usize::try_from(n).unwrap();
    odd.get(place).map_or_else(|| format!("SN-{n}"), |odd| (*odd).to_owned())
}

fn new_upload(n: u64) -> NewUpload {
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

/// Takes rows that nobody enrolled; those of other uploads come over.
fn judge(count: usize, now: u64) -> Judge {
    Box::new(move |found: &Found| {
        let Some(_) = &found.upload else {
            return Err(Problem::new(404, "upload", "no such upload"));
        };
        if found.fresh {
            let (write, added) = ((0..count).collect(), count as u64);
            return Ok(Plan { write, added, now: Time(now), ..Plan::default() });
        }
        let staged = |number: &u64| matches!(found.places.get(number), Some(Place::Staged(_)));
        if found.claims.values().any(|number| !staged(number)) {
            return Err(Problem::new(409, "enrolled", "one of them is in a batch"));
        }
        let evict = found.claims.iter().map(|(name, number)| (*number, *name)).collect();
        let (write, added) = ((0..count).collect(), count as u64);
        Ok(Plan { evict, write, added, now: Time(now), ..Plan::default() })
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

fn record(drawn: &mut Drawn) -> LineRecord {
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

fn commit_of(height: u64, flips: Vec<Flip>, drawn: &mut Drawn) -> Commit {
    let mut commit = super::commit_of(height);
    commit.state.push((vec![2, drawn.below(4) as u8], vec![].into()));
    commit.state.push((vec![1], vec![9].into()));
    commit.touched.push(([drawn.below(3) as u8; 32], commit.first));
    commit.flips = flips;
    commit
}

fn asked(drawn: &mut Drawn) -> Asked {
    let some = |n: u64, drawn: &mut Drawn| (drawn.below(3) == 0).then(|| serial(drawn.below(n)));
    let after = (drawn.below(3) == 0).then(|| (serial(drawn.below(12)), serial(drawn.below(4))));
    let to = (drawn.below(3) == 0).then(|| (serial(drawn.below(12)), serial(drawn.below(4))));
    let (lot, order) = (some(12, drawn), some(4, drawn));
    Asked { organisation: owner(), lot, order, after, to }
}

/// What readers ask for.
async fn read(both: &Both, drawn: &mut Drawn) {
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

/// One write, drawn.
async fn write(both: &Both, drawn: &mut Drawn, turn: u64, height: &mut u64) {
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
            let _ = both.same(|s| s.stage(upload, rows.clone(), judge(rows.len(), turn))).await;
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
            *height += 1;
            let flips: Vec<Flip> = sealed.map(flip).into_iter().collect();
            let seed = drawn.below(99);
            let commit = || commit_of(*height, flips.clone(), &mut Drawn(seed));
            both.same(|s| s.commit(commit())).await.unwrap();
            // The same block twice leaves no trace.
            let again = (both.sqlite.commit(commit()).await, both.postgres.commit(commit()).await);
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

fn gateways(drawn: &mut Drawn, turn: u64) -> GatewaysSave {
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

#[tokio::test]
async fn both_databases_keep_the_same() {
    let mut filled = Vec::new();
    for seed in 1..=3 {
        let both = Both::new().await;
        let (mut drawn, mut height) = (Drawn(seed), 0);
        for turn in 0..120 {
            write(&both, &mut drawn, turn, &mut height).await;
            if turn.is_multiple_of(10) {
                read(&both, &mut drawn).await;
            }
        }
        filled.extend(both.compare().await);
        assert!(height > 3, "blocks were committed");
        both.sqlite.close().await;
        both.postgres.close().await;
        let closed = both.postgres.commit(commit_of(99, vec![], &mut drawn)).await;
        assert_eq!(closed, Err(Error::Closing));
    }
    filled.sort_unstable();
    filled.dedup();
    assert_eq!(filled.len(), tables::ALL.len() - 4, "every table was written: {filled:?}");
}
