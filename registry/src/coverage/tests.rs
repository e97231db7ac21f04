use super::book::{Book, Name};
use muster_api::limits;
use muster_identity::{
    Acknowledgement, Algorithm, Did, Holder, Mode, Registered, Registration, SecretKey,
    Signer as _, Statement, acknowledge, register,
};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

fn key() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([7; 32])).unwrap()
}

fn registered(book: &mut Book, gateway: &str) -> Name {
    let holder = Some(Holder { key: key().public_key(), site: String::new() });
    let said = Registered { gateway: gateway.into(), holder, made: 1 };
    let token = register(&Did::from_digest([1; 32]), &said, &key()).unwrap();
    book.register(Registration::parse(&token).unwrap(), 1).unwrap()
}

fn say(book: &mut Book, name: &Name, size: u64, at: Instant) {
    let statement = Statement {
        size,
        log_root: [0; 32],
        height: size,
        checkpoint: size * 1_000,
        adopted: size * 1_000,
        made: size * 1_000,
        mode: Mode::Live,
        report: None,
    };
    let token = acknowledge(&name.0, &statement, &key()).unwrap();
    let said = Acknowledgement::parse(&token).unwrap();
    book.hear(name, &token, said, size * 1_000, at).unwrap();
}

/// However much a gateway acknowledges, the newest sizes are kept and no more; for entries before
/// them it says since when at the latest.
#[test]
fn history_is_bounded_in_memory_and_in_the_store() {
    let mut book = Book::default();
    let name = registered(&mut book, "a");
    let start = Instant::now();
    let kept = limits::ACKNOWLEDGED_SIZES as u64;
    let (mut stored, mut last) = (Vec::<u64>::new(), 0);
    for n in 1..=2 * kept {
        // Two entries at a time.
        last = 2 * n;
        say(&mut book, &name, last, start + Duration::from_secs(n));
        // A store that is written now and then.
        if n % 100 == 0 || n == 2 * kept {
            let save = book.unsaved();
            assert_eq!(save.rows.len(), 1);
            stored.retain(|size| *size >= save.rows[0].least);
            stored.extend(save.rows[0].sizes.iter().map(|row| row.size));
            book.saved(&save);
        }
    }
    let least = last - 2 * (kept - 1);
    assert_eq!(stored, (0..kept).map(|n| least + 2 * n).collect::<Vec<_>>());
    let post = book.post(&name).unwrap();
    let (row, known) = post.first_beyond(last - 3).unwrap();
    assert_eq!((row.size, row.since, known), (last - 2, (last - 2) * 1_000, true));
    let (row, known) = post.first_beyond(0).unwrap();
    assert_eq!((row.size, known), (least, false));
    assert!(post.first_beyond(last).is_none());
    assert!(book.unsaved().rows.is_empty());
}

/// What could not be written is written next time.
#[test]
fn nothing_is_lost_when_a_write_fails() {
    let mut book = Book::default();
    let name = registered(&mut book, "a");
    say(&mut book, &name, 5, Instant::now());
    let save = book.unsaved();
    book.not_saved(save.clone());
    say(&mut book, &name, 6, Instant::now());
    let next = book.unsaved();
    assert_eq!(next.rows[0].sizes.len(), 2);
    assert_eq!(next.rows[0].sizes[0], save.rows[0].sizes[0]);
}
