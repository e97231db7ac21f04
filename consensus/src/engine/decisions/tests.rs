use super::*;
use crate::engine::context::{Address, Seal};
use malachite::app::types::core::{ExtendedCommitCertificate, Round};

fn value(height: u64, bytes: usize) -> RawDecidedValue<Ctx> {
    let certificate = ExtendedCommitCertificate {
        height: Height(height),
        round: Round::new(0),
        value_id: ValueId([1; 32]),
        commit_signatures: Vec::new(),
    };
    RawDecidedValue::new(vec![height as u8; bytes].into(), certificate)
}

fn proposal(height: u64, content: &[u8]) -> Arc<Undecided> {
    let head = PartsHead {
        height: Height(height),
        round: Round::new(0),
        pol_round: Round::Nil,
        proposer: Address([2; 32]),
        value: ValueId::of(content),
        bytes: content.len() as u32,
        seal: Seal([3; 64]),
    };
    Arc::new(Undecided { head, bytes: content.to_vec() })
}

#[tokio::test]
async fn what_is_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.redb");
    let file = Decisions::open(&path).expect("opens");
    assert_eq!(file.span(), None);
    for (height, content) in [(1, b"a"), (1, b"b"), (2, b"c")] {
        file.keep(proposal(height, content)).await.expect("keeps");
    }
    file.decide(value(1, 40)).await.expect("decides");
    drop(file);
    let file = Decisions::open(&path).expect("opens again");
    assert_eq!(file.span(), Some((1, 1)));
    assert_eq!(file.decided(1..=9).await.expect("reads"), [value(1, 40)]);
    let left = file.undecided(Height(0)).await.expect("reads");
    assert_eq!(left, [(*proposal(2, b"c")).clone()]);
    let found = file.find(Height(2), ValueId::of(b"c")).await.expect("reads");
    assert_eq!(found.map(|p| p.bytes), Some(b"c".to_vec()));
    assert!(Decisions::open(&path).is_err(), "two at once");
}

#[tokio::test]
async fn the_span_has_no_gap_and_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = Decisions::open(&folder.path().join("decisions.redb")).expect("opens");
    for height in [1, 2, 3, 7, 8] {
        file.decide(value(height, 10)).await.expect("decides");
    }
    // Heights 4 to 6 came by another way.
    assert_eq!(file.span(), Some((7, 8)));
    assert!(file.decided(3..=8).await.expect("reads").is_empty());
    assert_eq!(file.decided(7..=20).await.expect("reads").len(), 2);
    // The same height again, as after a crash between keeping and committing.
    file.decide(value(8, 10)).await.expect("decides");
    assert_eq!(file.span(), Some((7, 8)));
    let most = limits::DECISIONS as u64;
    for height in 9..9 + most {
        file.decide(value(height, 10)).await.expect("decides");
    }
    assert_eq!(file.span(), Some((9, 8 + most)));
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = Decisions::open(&folder.path().join("decisions.redb")).expect("opens");
    for height in 1..=8 {
        file.decide(value(height, 1 << 20)).await.expect("decides");
    }
    let answer = file.decided(2..=8).await.expect("reads");
    let bytes: usize = answer.iter().map(|v| v.value_bytes.len()).sum();
    assert_eq!(answer[0], value(2, 1 << 20));
    assert_eq!(answer.len(), 5);
    assert!(bytes <= limits::ANSWER_BYTES);
}
