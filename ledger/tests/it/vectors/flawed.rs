//! Signed operations with one flaw each. Every one but those named for their signature is
//! signed rightly, so that nothing but the flaw is to blame.

use super::{Vector, cose};
use crate::network::{HOUR, Org, START, batch, ed25519, genesis, new_key, p256};
use muster_identity::cbor::{Encode, Writer};
use muster_identity::{Did, SecretKey, Signer};
use muster_ledger::{Action, DeviceRef, Network, NewKey, Rotate, SignedOperation, limits};

/// A flaw, what its error says, and the signed bytes.
pub(super) type Flaw = (&'static str, &'static str, Vec<u8>);

pub(super) fn all() -> Vec<Vector> {
    [signed_objects(), payloads(), actions(), fields()].into_iter().flatten().map(vector).collect()
}

pub(super) fn vector((flaw, says, bytes): Flaw) -> Vector {
    let error = SignedOperation(bytes.clone()).verify().expect_err(flaw).to_string();
    assert!(error.contains(says), "{flaw}: {error}");
    Vector::invalid("operation", flaw, &error).hex("signed", &bytes)
}

fn network() -> Network {
    genesis(4).network()
}

fn key() -> SecretKey {
    ed25519("maker root")
}

fn bytes(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::default();
    write(&mut w);
    w.into_bytes()
}

/// Fields 1 to 4 of an operation, without the map's head.
fn head() -> Vec<u8> {
    bytes(|w| {
        w.uint(1).uint(1).uint(2).value(&network()).uint(3).value(&Org::new("maker").did);
        w.uint(4).value(&START.plus_ms(HOUR));
    })
}

/// `deactivate` of a batch: the shortest action.
fn action() -> Vec<u8> {
    bytes(|w| {
        w.array(2).uint(5).map(1).uint(1).array(2).uint(2).bytes(&[0xbb; 32]);
    })
}

fn payload(action: &[u8]) -> Vec<u8> {
    [&[0xa5], &head()[..], &[5], action].concat()
}

/// Signed rightly, whatever the action is.
pub(super) fn with(action: impl FnOnce(&mut Writer)) -> Vec<u8> {
    cose::operation(&payload(&bytes(action)), &key())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Flaws of the COSE_Sign1 object.
fn signed_objects() -> Vec<Flaw> {
    let (key, payload) = (key(), payload(&action()));
    let kid = key.public_key().to_multicodec();
    let good = cose::operation(&payload, &key);
    assert!(SignedOperation(good.clone()).verify().is_ok());
    let signed = |protected: &[u8]| cose::sign(protected, &payload, &key);
    let crit = bytes(|w| {
        w.map(4).uint(1).int(-19).uint(2).array(1).uint(16).uint(4).bytes(&kid);
        w.uint(16).text("muster-op+cose");
    });
    let no_kid = bytes(|w| {
        w.map(2).uint(1).int(-19).uint(16).text("muster-op+cose");
    });
    let disordered = bytes(|w| {
        w.map(3).uint(4).bytes(&kid).uint(1).int(-19).uint(16).text("muster-op+cose");
    });
    let protected = cose::good(&key);
    let external = key.sign(&cose::to_be_signed(&protected, b"more", &payload)).unwrap();
    let object = |write: &dyn Fn(&mut Writer)| bytes(|w| write(w));
    let unprotected = object(&|w| {
        w.array(4).bytes(&protected).map(1).uint(4).bytes(&kid).bytes(&payload);
        w.value(&key.sign(&cose::to_be_signed(&protected, &[], &payload)).unwrap());
    });
    let outside = object(&|w| {
        w.array(4).bytes(&protected).map(0).bytes(&payload).value(&external);
    });
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let der = object(&|w| {
        w.array(4).bytes(&protected).map(0).bytes(&payload).bytes(&[0x30; 70]);
    });
    let detached = object(&|w| {
        w.array(4).bytes(&protected).map(0);
    });
    let x25519 = [&[0xec, 0x01], &[9; 32][..]].concat();
    let small_order = [&[0xed, 0x01], &[0; 32][..]].concat();
    let other = ed25519("another").public_key().to_multicodec();
    let typ = "muster-op+cose";
    vec![
        (
            "wrong-typ",
            "typ names another kind",
            signed(&cose::protected(-19, &kid, "muster-upload+cose")),
        ),
        ("alg-mismatch", "alg does not fit the key", signed(&cose::protected(-9, &kid, typ))),
        (
            "alg-eddsa-not-fully-specified",
            "alg does not fit",
            signed(&cose::protected(-8, &kid, typ)),
        ),
        (
            "kid-unknown-kind",
            "upgrade needed: an unknown kind of key",
            signed(&cose::protected(-19, &x25519, typ)),
        ),
        ("kid-small-order", "small-order", signed(&cose::protected(-19, &small_order, typ))),
        ("kid-missing", "a required map key is missing", signed(&no_kid)),
        ("header-crit", "an unknown, repeated or unordered map key", signed(&crit)),
        ("header-order", "a required map key is missing", signed(&disordered)),
        ("unprotected-header-not-empty", "an unknown, repeated or unordered map key", unprotected),
        ("cose-tag", "expected an array", [&[0xd2], &good[..]].concat()),
        ("cose-three-items", "an array of the wrong length", [&[0x83], &good[1..]].concat()),
        (
            "cose-indefinite-array",
            "expected an array of definite length",
            [&[0x9f], &good[1..], &[0xff]].concat(),
        ),
        ("payload-detached", "expected a byte string", [&detached[..], &[0xf6]].concat()),
        ("signature-der", "a byte string above its limit", der),
        ("signature-altered", "the signature does not verify", altered),
        (
            "signature-by-another",
            "the signature does not verify",
            signed(&cose::protected(-19, &other, typ)),
        ),
        ("signature-over-external-data", "the signature does not verify", outside),
        ("bytes-after-the-end", "bytes after the end", [&good[..], &[0]].concat()),
        (
            "operation-too-long",
            "above 16,384 bytes",
            cose::operation(&vec![0; limits::OPERATION_BYTES], &key),
        ),
    ]
}

/// Flaws of the payload's own map.
fn payloads() -> Vec<Flaw> {
    let sign = |payload: &[u8]| cose::operation(payload, &key());
    let good = payload(&action());
    let (fields, network) = (head(), network().to_cbor());
    let version = [1, 1, 2];
    let until = START.plus_ms(HOUR).to_cbor();
    let time =
        |raw: &[u8]| sign(&replaced(&good, &[&[4], &until[..]].concat(), &[&[4], raw].concat()));
    let swapped = [&[0xa5], &fields[2..], &[1, 1], &[5], &action()[..]].concat();
    let twice = [&[0xa6][..], &[1, 1], &fields[..], &[5], &action()[..]].concat();
    let missing =
        [&[0xa4], &fields[..fields.len() - 1 - until.len()], &[5], &action()[..]].concat();
    vec![
        (
            "other-protocol-version",
            "upgrade needed: another protocol version",
            sign(&replaced(&good, &version, &[1, 2, 2])),
        ),
        (
            "long-form-int",
            "not in shortest form",
            sign(&replaced(&good, &version, &[1, 0x18, 1, 2])),
        ),
        (
            "long-form-length",
            "not in shortest form",
            sign(&replaced(&good, &network, &[&[0x59, 0, 32], &network[2..]].concat())),
        ),
        (
            "indefinite-bytes",
            "expected a byte string of definite length",
            sign(&replaced(&good, &network, &[&[0x5f], &network[..], &[0xff]].concat())),
        ),
        (
            "indefinite-map",
            "expected a map of definite length",
            sign(&[&[0xbf], &good[1..], &[0xff]].concat()),
        ),
        ("map-order", "a required map key is missing", sign(&swapped)),
        ("map-key-twice", "an unknown, repeated or unordered map key", sign(&twice)),
        ("map-key-missing", "a required map key is missing", sign(&missing)),
        (
            "unknown-field",
            "an unknown, repeated or unordered map key",
            sign(&[&[0xa6], &good[1..], &[6, 0]].concat()),
        ),
        ("payload-bytes-after-the-end", "bytes after the end", sign(&[&good[..], &[0]].concat())),
        ("payload-truncated", "expected a byte string", sign(&good[..good.len() - 1])),
        ("time-float", "expected an unsigned integer", time(&[0xfb, 0x42, 0x7a, 0, 0, 0, 0, 0, 0])),
        ("time-negative", "expected an unsigned integer", time(&[0x20])),
        ("time-tagged", "expected an unsigned integer", time(&[&[0xc1], &until[..]].concat())),
        (
            "time-after-9999",
            "a number above its limit",
            time(&bytes(|w| {
                w.uint(253_402_300_800_000);
            })),
        ),
        ("payload-is-null", "expected a map", sign(&[0xf6])),
        ("payload-empty", "expected a map", sign(&[])),
    ]
}

/// Actions and targets that this version does not know, and new keys that did not agree.
fn actions() -> Vec<Flaw> {
    let maker = Org::new("maker").did;
    let devices = batch(&network(), &maker, genesis(4).grant_id(), "flawed", 2).devices;
    let [one, two] = &devices[..] else { unreachable!() };
    let new = p256("new");
    let rotate = |device: &DeviceRef, key: NewKey| {
        let rotate = Rotate { device: device.clone(), seq: 0, key, next_key: None };
        with(|w| {
            w.value(&Action::Rotate(rotate));
        })
    };
    let agreed = |joins: &Did| new_key(&network(), joins, 0, &new);
    let mut never = agreed(&one.did);
    never.proof.0[0] ^= 1;
    let target = |write: &dyn Fn(&mut Writer)| {
        with(|w| {
            w.array(2).uint(5).map(1).uint(1);
            write(w);
        })
    };
    vec![
        (
            "unknown-action",
            "upgrade needed: an unknown action",
            with(|w| {
                w.array(2).uint(1_000).map(0);
            }),
        ),
        (
            "action-zero",
            "upgrade needed: an unknown action",
            with(|w| {
                w.array(2).uint(0).map(0);
            }),
        ),
        (
            "action-without-fields",
            "an array of the wrong length",
            with(|w| {
                w.array(1).uint(5);
            }),
        ),
        (
            "action-unknown-field",
            "an unknown, repeated or unordered map key",
            with(|w| {
                w.array(2)
                    .uint(5)
                    .map(2)
                    .uint(1)
                    .array(2)
                    .uint(2)
                    .bytes(&[0xbb; 32])
                    .uint(2)
                    .bool(true);
            }),
        ),
        (
            "target-unknown-kind",
            "an unknown kind of target",
            target(&|w| {
                w.array(2).uint(3).bytes(&[0xbb; 32]);
            }),
        ),
        (
            "target-device-without-did",
            "named by its DID",
            target(&|w| {
                w.array(2).uint(1).array(0);
            }),
        ),
        (
            "target-batch-id-short",
            "of the wrong length",
            target(&|w| {
                w.array(2).uint(2).bytes(&[0xbb; 31]);
            }),
        ),
        (
            "device-part-path-of-broken-hashes",
            "a path of broken hashes",
            target(&|w| device(w, one.did, 33)),
        ),
        (
            "device-part-path-beyond-the-limit",
            "a byte string above its limit",
            target(&|w| {
                device(w, one.did, 32 * (limits::PATH_HASHES + 1));
            }),
        ),
        ("new-key-never-agreed", "the signature does not verify", rotate(&one.with_part(), never)),
        (
            "new-key-of-another-device",
            "the signature does not verify",
            rotate(&one.with_part(), agreed(&two.did)),
        ),
    ]
}

/// A device with a part whose path has so many bytes.
fn device(w: &mut Writer, did: Did, path: usize) {
    w.array(2).uint(1).array(2).value(&did).map(4).uint(1).bytes(&[0xbb; 32]).uint(2).uint(0);
    w.uint(3).bytes(&[0; 8]).uint(4).bytes(&vec![0; path]);
}

/// Fields of actions beyond their bounds.
fn fields() -> Vec<Flaw> {
    let enrol = |model: &[u8], count| {
        with(|w| {
            w.array(2).uint(1).map(4).uint(1).bytes(&[1; 32]).uint(2);
            w.text(str::from_utf8(model).unwrap()).uint(3).uint(count).uint(4).bytes(&[2; 32]);
        })
    };
    let hold = |id: &[u8], power, reason: &str| {
        with(|w| {
            w.array(2).uint(2).map(5).uint(1).array(2).uint(2).bytes(&[0xbb; 32]);
            w.uint(2).bytes(id).uint(3).uint(power).uint(5).uint(0).uint(6).text(reason);
        })
    };
    let mark = "-reason-";
    let not_utf8 = replaced(
        &bytes(|w| {
            w.array(2)
                .uint(4)
                .map(2)
                .uint(1)
                .array(2)
                .uint(2)
                .bytes(&[0xbb; 32])
                .uint(2)
                .text(mark);
        }),
        mark.as_bytes(),
        b"\xff\xfereason",
    );
    let joining = p256("joining");
    let add = |keys: usize, capabilities| {
        let new = new_key(&network(), &Org::new("maker").did, 1, &joining);
        with(|w| {
            w.array(2).uint(8).map(3).uint(1).uint(1).uint(2).array(keys);
            for _ in 0..keys {
                w.array(2).value(&new).uint(capabilities);
            }
            w.uint(3).array(0);
        })
    };
    let grant = |models: usize, evidence| {
        with(|w| {
            w.array(2).uint(9).map(6).uint(1).uint(1).uint(2).bytes(&[3; 32]).uint(3).array(models);
            for _ in 0..models {
                w.text("m");
            }
            w.uint(4).uint(1).uint(5).value(&START).uint(6).uint(evidence);
        })
    };
    let ascii = "printable ASCII";
    let long = "r".repeat(limits::REASON_BYTES + 1);
    vec![
        ("batch-too-large", "a number above its limit", enrol(b"m", limits::BATCH_DEVICES + 1)),
        ("model-empty", ascii, enrol(b"", 1)),
        ("model-not-ascii", ascii, enrol("s\u{e9}nsor".as_bytes(), 1)),
        ("model-with-line-end", ascii, enrol(b"a\nb", 1)),
        ("model-too-long", "a text above its limit", enrol(&[b'm'; limits::MODEL_BYTES + 1], 1)),
        ("hold-id-short", "of the wrong length", hold(&[1; 15], 1, "")),
        ("hold-unknown-power", "an unknown power", hold(&[1; 16], 4, "")),
        ("reason-too-long", "a text above its limit", hold(&[1; 16], 1, &long)),
        ("reason-not-utf8", "expected a UTF-8 text", cose::operation(&payload(&not_utf8), &key())),
        ("capabilities-none", "a key without capabilities", add(1, 0)),
        ("capabilities-unknown", "a number above its limit", add(1, 64)),
        ("keys-too-many", "an array above its limit", add(limits::ORGANISATION_KEYS + 1, 1)),
        ("models-too-many", "an array above its limit", grant(limits::GRANT_MODELS + 1, 0)),
        ("evidence-policy-unknown", "an unknown evidence policy", grant(1, 3)),
    ]
}
