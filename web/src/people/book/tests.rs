use super::*;
use muster_identity::{Algorithm, InviteTerms, SecretKey, Signer as _};

const NOW: u64 = 1_000_000;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[byte; 32].into()).expect("a key")
}

fn invited(id: &str, role: Role, secret: &[u8]) -> Invited {
    let terms = InviteTerms {
        network: [7; 32],
        jti: id.into(),
        iat: NOW / 1_000,
        exp: NOW / 1_000 + 60,
        role,
        name: "Ann".into(),
        secret_hash: muster_identity::sha256(&[secret]),
    };
    let token = muster_identity::invite(&Did::from_digest([1; 32]), &terms, &key(1));
    Invited {
        id: id.into(),
        token: token.expect("signed"),
        secret_hash: muster_identity::sha256(&[secret]),
        made: NOW,
        expires: NOW + 60_000,
        person: None,
        claim: None,
    }
}

fn ours() -> String {
    Did::from_digest([1; 32]).to_string()
}

fn hash(secret: &[u8]) -> [u8; 32] {
    muster_identity::sha256(&[secret])
}

/// The ledger has the key that invites, and no other.
fn inviter(_: &Did, key: &str, _: Capabilities) -> bool {
    key == claim(1).key
}

fn claim(byte: u8) -> InviteClaim {
    let key = key(byte).public_key().to_multikey();
    InviteClaim { key, label: "browser".into(), seq: 1, proof: String::new() }
}

#[test]
fn an_invitation_is_used_once_and_by_its_secret_alone() {
    let mut book = Book::default();
    book.invite(invited("a", Role::Viewer, b"secret"), NOW).expect("taken");
    assert_eq!(book.invite(invited("a", Role::Viewer, b"x"), NOW).unwrap_err().status, 409);
    assert!(book.opened(&hash(b"other"), NOW).is_none());
    assert!(book.opened(&hash(b"secret"), NOW + 60_000).is_none(), "too old");
    assert_eq!(book.opened(&hash(b"secret"), NOW).expect("open").id, "a");
    book.claim("a", claim(2)).expect("the first key has it");
    book.claim("a", claim(2)).expect("the same again");
    assert_eq!(book.claim("a", claim(3)).unwrap_err().code(), "invite-used");
    assert_eq!(book.admit("a", inviter, NOW).expect("a viewer"), Joined::Yes);
    assert_eq!(book.people.len(), 1);
    assert!(book.opened(&hash(b"secret"), NOW).is_none(), "used");
    assert_eq!(book.claim("a", claim(3)).unwrap_err().status, 410);
    assert_eq!(book.claim("a", claim(2)).unwrap_err().code(), "key-known");
}

#[test]
fn who_acts_waits_for_the_ledger() {
    let mut book = Book::default();
    book.invite(invited("a", Role::Operator, b"secret"), NOW).expect("taken");
    assert_eq!(book.admit("a", |_, _, _| true, NOW).expect("no key yet"), Joined::Waits);
    book.claim("a", claim(2)).expect("claimed");
    assert_eq!(book.admit("a", inviter, NOW).expect("waits"), Joined::Waits);
    assert_eq!(book.admit("a", |_, _, _| true, NOW).expect("admitted"), Joined::Yes);
    let mut second = invited("b", Role::Operator, b"two");
    second.person = Some(book.people[0].no);
    book.invite(second, NOW).expect("taken");
    book.claim("b", claim(3)).expect("claimed");
    assert_eq!(book.admit("b", |_, _, _| true, NOW).expect("admitted"), Joined::Yes);
    assert_eq!((book.people.len(), book.people[0].keys.len()), (1, 2));
    assert!(book.people[0].settled);
    assert!(book.remove_key(&claim(2).key, &ours()) && book.people.len() == 1);
    assert!(book.remove_key(&claim(3).key, &ours()) && book.people.is_empty());
    assert!(!book.remove_key(&claim(3).key, &ours()));
}

fn joined(book: &mut Book, id: &str, byte: u8, by: Option<u64>) {
    let mut invited = invited(id, Role::Viewer, id.as_bytes());
    invited.person = by;
    book.invite(invited, NOW).expect("taken");
    book.claim(id, claim(byte)).expect("claimed");
    assert_eq!(book.admit(id, inviter, NOW).expect("admitted"), Joined::Yes);
}

#[test]
fn an_invitation_does_not_outlive_its_maker() {
    let mut book = Book::default();
    // The key that signs invitations is a person's, too.
    joined(&mut book, "a", 1, None);
    joined(&mut book, "b", 2, None);
    let ann = book.people[0].no;
    for (id, person) in [("c", None), ("d", Some(ann))] {
        let mut open = invited(id, Role::Viewer, id.as_bytes());
        open.person = person;
        book.invite(open, NOW).expect("taken");
        book.claim(id, claim(id.as_bytes()[0])).expect("claimed");
    }
    let kept = book.clone();
    assert!(book.remove_key(&claim(1).key, &ours()));
    assert!(book.invites.is_empty(), "what it signed went with it");
    // A root key that the ledger has no more asks nobody in.
    let mut book = kept;
    assert_eq!(book.admit("c", |_, _, _| false, NOW).unwrap_err().status, 410);
    // Her further key does not become somebody new after she has gone.
    book.people.retain(|p| p.no != ann);
    assert_eq!(book.admit("d", inviter, NOW).unwrap_err().status, 410);
    assert_eq!(book.people.len(), 1);
}

#[test]
fn a_key_that_was_ended_comes_back_by_no_way() {
    let mut book = Book::default();
    joined(&mut book, "a", 2, None);
    let others = Did::from_digest([2; 32]).to_string();
    assert!(!book.remove_key(&claim(2).key, &others), "of another organisation");
    assert!(book.remove_key(&claim(2).key, &ours()) && book.is_ended(&claim(2).key));
    book.invite(invited("b", Role::Viewer, b"b"), NOW).expect("taken");
    assert_eq!(book.claim("b", claim(2)).unwrap_err().code(), "key-ended");
    book.claim("b", claim(3)).expect("a new key is the way back");
    for n in 0..limits::ENDED_KEYS {
        book.ended.push_back(n.to_string());
    }
    joined(&mut book, "c", 4, None);
    let before = book.ended.len();
    book.remove_key(&claim(4).key, &ours());
    assert!(book.ended.len() <= before && book.is_ended(&claim(4).key), "bounded");
}

#[test]
fn a_person_has_few_open_links_for_further_keys() {
    let mut book = Book::default();
    joined(&mut book, "a", 2, None);
    let further = |n: usize| {
        let mut one = invited(&n.to_string(), Role::Viewer, &[n as u8]);
        one.person = Some(1);
        one
    };
    for n in 0..limits::FURTHER_INVITES {
        book.invite(further(n), NOW).expect("taken");
    }
    let one_more = book.invite(further(9), NOW).unwrap_err();
    assert_eq!((one_more.status, one_more.code()), (409, "invites"));
    book.invite(invited("b", Role::Viewer, b"b"), NOW).expect("of somebody new");
}
