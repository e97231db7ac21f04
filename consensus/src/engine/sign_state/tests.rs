use super::*;

const A: NilOrVal<ValueId> = NilOrVal::Val(ValueId([1; 32]));
const B: NilOrVal<ValueId> = NilOrVal::Val(ValueId([2; 32]));
const NIL: NilOrVal<ValueId> = NilOrVal::Nil;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("sign-state")
    }

    fn open(&self) -> SignState {
        SignState::open(&self.path(), Height(0)).expect("opens")
    }
}

fn may(
    state: &mut SignState,
    height: u64,
    round: u32,
    step: Step,
    value: NilOrVal<ValueId>,
) -> bool {
    state.allow(Height(height), Round::new(round), step, value).is_ok()
}

#[test]
fn a_contradiction_is_refused_before_and_after_a_restart() {
    let folder = Folder::new();
    let mut state = folder.open();
    assert!(may(&mut state, 5, 0, Step::Prevote, A));
    for restarted in [false, true] {
        if restarted {
            state = folder.open();
        }
        assert!(may(&mut state, 5, 0, Step::Prevote, A), "the same again");
        assert!(!may(&mut state, 5, 0, Step::Prevote, B), "another value");
        assert!(!may(&mut state, 5, 0, Step::Prevote, NIL), "nil instead");
        assert!(!may(&mut state, 4, 9, Step::Precommit, A), "a lower height");
    }
    assert!(may(&mut state, 5, 0, Step::Precommit, NIL), "another step");
    assert!(may(&mut state, 5, 2, Step::Prevote, B), "a later round");
    assert!(!may(&mut state, 5, 1, Step::Prevote, B), "a lower round that is not known");
    assert!(may(&mut state, 5, 0, Step::Precommit, NIL), "a lower round that is known");
    assert!(may(&mut state, 6, 0, Step::Proposal, B), "the next height");
    let mut state = folder.open();
    assert_eq!(state.height(), Height(6));
    assert!(!may(&mut state, 5, 3, Step::Prevote, A));
}

#[test]
fn nothing_is_signed_before_its_time() {
    let folder = Folder::new();
    let mut state = folder.open();
    state.not_before(Height(8));
    assert!(!may(&mut state, 7, 0, Step::Prevote, A));
    assert_eq!(state.height(), Height(0), "a refusal leaves no trace");
    assert!(may(&mut state, 8, 0, Step::Prevote, A));
}

#[test]
fn a_torn_last_record_is_dropped_and_a_damaged_one_within_is_not() {
    let folder = Folder::new();
    let mut state = folder.open();
    assert!(may(&mut state, 5, 0, Step::Prevote, A));
    assert!(may(&mut state, 5, 0, Step::Precommit, A));
    assert!(may(&mut state, 6, 0, Step::Prevote, A));
    drop(state);
    let whole = std::fs::read(folder.path()).expect("reads");
    assert_eq!(whole.len(), 3 * RECORD);
    for cut in 1..RECORD {
        std::fs::write(folder.path(), &whole[..3 * RECORD - cut]).expect("writes");
        let mut state = folder.open();
        assert_eq!(state.height(), Height(5));
        assert!(may(&mut state, 6, 0, Step::Prevote, B), "it was never signed");
        assert!(!may(&mut state, 6, 0, Step::Prevote, A));
    }
    for at in 0..2 * RECORD {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(folder.path(), &damaged).expect("writes");
        let said = SignState::open(&folder.path(), Height(0)).expect_err("damaged").to_string();
        assert!(said.contains("sign-state") && said.contains("never delete"), "{said}");
    }
}

#[test]
fn the_file_stays_small_and_remembers() {
    let folder = Folder::new();
    let mut state = folder.open();
    let heights = limits::SIGN_STATE_BYTES / RECORD as u64 + 10;
    for height in 1..=heights {
        assert!(may(&mut state, height, 0, Step::Prevote, A));
    }
    let bytes = std::fs::metadata(folder.path()).expect("is there").len();
    assert!(bytes < limits::SIGN_STATE_BYTES, "{bytes} bytes");
    let mut state = folder.open();
    assert_eq!(state.height(), Height(heights));
    assert!(!may(&mut state, heights, 0, Step::Prevote, B));
}
