use super::Vector;
use crate::inputs::{ED25519_SECRET, P256_POINT, P256_SECRET, hex, secret};
use muster_identity::cbor::Encode;
use muster_identity::{AgreementKey, Algorithm, Did, Inception, PublicKey, Recovery, Signer};

/// RFC 7748 §6.1, Alice's public key.
const X25519: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

/// Key -> Multikey -> inception -> DID.
pub(super) fn valid() -> Vec<Vector> {
    let p256 = PublicKey::p256(&hex(P256_POINT)).unwrap();
    let ed25519 = secret(Algorithm::Ed25519).public_key();
    let agreement = AgreementKey::x25519(hex(X25519).try_into().unwrap()).unwrap();
    let full = Inception {
        key: ed25519,
        agreement: Some(agreement),
        next_key: Some(muster_identity::sha256(&[&p256.to_multicodec()])),
        recovery: Some(Recovery::Key(p256)),
    };
    let owner = Inception { recovery: Some(Recovery::Owner), ..Inception::from_key(p256) };
    let chip = "A P-256 key as a secure element reports it (SEC 1, uncompressed; RFC 6979 A.2.5).";
    let soft = "An Ed25519 key (RFC 8032 7.1, TEST 1).";
    let vector = |name, about, secret: &str, raw: &[u8], inception: &Inception| {
        Vector::valid("inception", name, about)
            .text("secret", secret)
            .hex("public_key", raw)
            .hex("multicodec", &inception.key.to_multicodec())
            .text("multikey", inception.key.to_multikey())
            .hex("inception", &inception.to_cbor())
            .text("did", Did::of(inception))
    };
    let point = hex(P256_POINT);
    let bare = |key| Inception::from_key(key);
    vec![
        vector("p256-chip", chip, P256_SECRET, &point, &bare(p256)),
        vector(
            "p256-compressed",
            "The same key, compressed.",
            P256_SECRET,
            p256.raw(),
            &bare(p256),
        ),
        vector("ed25519", soft, ED25519_SECRET, ed25519.raw(), &bare(ed25519)),
        vector(
            "every-field",
            "Agreement, next key, recovery key.",
            ED25519_SECRET,
            ed25519.raw(),
            &full,
        ),
        vector("owner-recovery", "Recovery by the owner.", P256_SECRET, p256.raw(), &owner),
    ]
}

/// Little-endian p = 2^255 - 19, plus `plus`.
fn field_prime_plus(plus: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + plus;
    bytes[31] = 0x7f;
    bytes
}

pub(super) fn invalid() -> Vec<Vector> {
    const ED25519: [u8; 2] = [0xed, 0x01];
    const P256: [u8; 2] = [0x80, 0x24];
    const X: [u8; 2] = [0xec, 0x01];
    let key = |name, fault, prefix: [u8; 2], raw: &[u8]| {
        Vector::invalid("public-key", name, fault).hex("multicodec", &[&prefix[..], raw].concat())
    };
    let agreement = |name, fault, raw: &[u8]| {
        Vector::invalid("agreement-key", name, fault).hex("multicodec", &[&X[..], raw].concat())
    };
    let did = |name, text: &str| Vector::invalid("did", name, "did").text("did", text);
    let mut one = [0; 32];
    one[0] = 1;
    let mut two = [0; 32];
    two[0] = 2;
    let mut high_bit = [0x11; 32];
    high_bit[31] = 0x91;
    let point = hex(P256_POINT);
    let mut hybrid = point.clone();
    hybrid[0] = 6 + (point[64] & 1);
    let mut off_curve = point[..33].to_vec();
    off_curve[0] = 2;
    // x = 1 is on P-256 for no y: 1 - 3 + b is not a square.
    off_curve[1..].copy_from_slice(&[0; 32]);
    off_curve[32] = 1;
    let good = Did::of(&Inception::from_key(PublicKey::p256(&point).unwrap())).to_string();
    let b58 = |bytes: &[u8]| multibase::encode(multibase::Base::Base58Btc, bytes);
    let digest = [7; 32];
    vec![
        key("small-order", "key_small_order", ED25519, &one),
        key("order-four", "key_small_order", ED25519, &[0; 32]),
        // y = p + 3 is the point with y = 3 under a second name, and of large order.
        key("noncanonical", "key_point", ED25519, &field_prime_plus(3)),
        key("not-on-curve", "key_point", ED25519, &two),
        key("ed25519-short", "key_length", ED25519, &[0x22; 31]),
        key("p256-uncompressed", "key_length", P256, &point),
        key("p256-hybrid", "key_length", P256, &hybrid),
        key("p256-not-on-curve", "key_point", P256, &off_curve),
        key("p256-at-infinity", "key_length", P256, &[0]),
        key("secp256k1", "key_type", [0xe7, 0x01], &point[..33]),
        key("x25519-does-not-sign", "key_type", X, &hex(X25519)),
        agreement("small-order", "key_small_order", &one),
        agreement("zero", "key_small_order", &[0; 32]),
        agreement("noncanonical", "key_point", &field_prime_plus(9)),
        agreement("high-bit", "key_point", &high_bit),
        Vector::invalid("multikey", "other-multibase", "key_multibase").text("multikey", "mEiA"),
        Vector::invalid("multikey", "too-long", "key_multibase")
            .text("multikey", format!("z{}", "2".repeat(64))),
        Vector::invalid("multikey", "bad-character", "key_multibase").text("multikey", "z6Mk0OIl"),
        did("other-method", &good.replace("muster", "example")),
        did("capital", &good.replace("did:", "DID:")),
        did("fragment", &format!("{good}#z")),
        did("other-multibase", &format!("did:muster:f1220{}", "07".repeat(32))),
        did("sha2-512", &format!("did:muster:{}", b58(&[&[0x13, 0x20][..], &digest].concat()))),
        did(
            "short-digest",
            &format!("did:muster:{}", b58(&[&[0x12, 0x20][..], &digest[1..]].concat())),
        ),
        did("leading-zero", &good.replace(":z", ":z1")),
        did("trailing", &format!("{good} ")),
    ]
}
