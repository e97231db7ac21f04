use super::Vector;
use crate::inputs::secret;
use muster_identity::{Algorithm, Signer};

/// Encodings that are not the deterministic one (RFC 8949 §4.2.1), and shapes that are no
/// inception. Each has one flaw.
pub(super) fn invalid() -> Vec<Vector> {
    let key = secret(Algorithm::Ed25519).public_key().to_multicodec();
    let p256 = secret(Algorithm::P256).public_key().to_multicodec();
    let of = |parts: &[&[u8]]| parts.concat();
    let field_1 = of(&[&[0x01, 0x58, 34], &key]);
    let field_3 = of(&[&[0x03, 0x58, 32], &[9; 32]]);
    let mut small_order = vec![0xa1, 0x01, 0x58, 34, 0xed, 0x01, 0x01];
    small_order.extend([0; 31]);
    let cbor =
        |name, bytes: Vec<u8>| Vector::invalid("inception", name, "cbor").hex("inception", &bytes);
    let with = |map: u8, rest: &[&[u8]]| of(&[&[map], &field_1, &of(rest)]);
    vec![
        cbor("long-form-int", of(&[&[0xa1, 0x18, 0x01], &field_1[1..]])),
        cbor("long-form-length", of(&[&[0xa1, 0x01, 0x59, 0, 34], &key])),
        cbor("long-form-map", of(&[&[0xb8, 1], &field_1])),
        cbor("map-order", of(&[&[0xa2], &field_3, &field_1])),
        cbor("duplicate-key", with(0xa2, &[&field_1])),
        cbor("unknown-key", with(0xa2, &[&[0x05, 0xf5]])),
        cbor("negative-key", with(0xa2, &[&[0x20, 0xf5]])),
        cbor("text-key", with(0xa2, &[&[0x61, b'k', 0xf5]])),
        cbor("missing-key", of(&[&[0xa1], &field_3])),
        cbor("empty-map", vec![0xa0]),
        cbor("indefinite-map", of(&[&[0xbf], &field_1, &[0xff]])),
        cbor("indefinite-bytes", of(&[&[0xa1, 0x01, 0x5f, 0x58, 34], &key, &[0xff]])),
        cbor("trailing-byte", with(0xa1, &[&[0]])),
        cbor(
            "truncated",
            field_1[..20].iter().copied().fold(vec![0xa1], |mut v, b| {
                v.push(b);
                v
            }),
        ),
        cbor("count-too-high", with(0xa2, &[])),
        cbor("tagged", of(&[&[0xc1, 0xa1], &field_1])),
        cbor("null-field", with(0xa2, &[&[0x02, 0xf6]])),
        cbor("key-as-text", of(&[&[0xa1, 0x01, 0x78, 34], &[b'z'; 34]])),
        cbor("key-too-long", of(&[&[0xa1, 0x01, 0x58, 36], &p256, &[0]])),
        cbor("short-commitment", with(0xa2, &[&[0x03, 0x58, 31], &[9; 31]])),
        cbor("recovery-by-other", with(0xa2, &[&[0x04, 0x65], b"buyer"])),
        cbor("huge-length", vec![0xa1, 0x01, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Vector::invalid("inception", "small-order-key", "key_small_order")
            .hex("inception", &small_order),
    ]
}
