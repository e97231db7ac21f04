// COSE_Sign1 (RFC 9052 §4.2) as the ledger uses it: untagged, an empty unprotected header, and a
// protected header of exactly alg, kid (the key itself) and typ. docs/formats/cbor.md.

import { Fault } from "./bytes.js";
import * as cbor from "./cbor.js";
import { kindOf, readKey } from "./public_key.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./public_key.js").PublicKey} PublicKey */

/**
 * Whatever signs: a kept key (keys.js).
 * @typedef {{ publicKey: PublicKey, sign(message: Bytes): Promise<Bytes> }} Signer
 */

/** Bytes of a signed object. */
const MAX_SIGNED = 16_384;
/** Bytes of a protected header. */
const MAX_PROTECTED = 128;

/** @param {string} typ @param {PublicKey} key */
export function protectedHeader(typ, key) {
  const alg = cbor.int(kindOf(key.algorithm).cose);
  return cbor.map([
    [1, alg],
    [4, cbor.bytes(key.multicodec)],
    [16, cbor.text(typ)],
  ]);
}

/** Sig_structure (RFC 9052 §4.4), no external data. @param {Uint8Array} header @param {Uint8Array} payload */
export function toBeSigned(header, payload) {
  const parts = [cbor.text("Signature1"), cbor.bytes(header), cbor.bytes([]), cbor.bytes(payload)];
  return cbor.array(parts);
}

/**
 * Signs, and checks the signature before anybody sees it.
 * @param {string} typ @param {Bytes} payload @param {Signer} signer
 */
export async function sign(typ, payload, signer) {
  const header = protectedHeader(typ, signer.publicKey);
  const signature = await signer.sign(toBeSigned(header, payload));
  await signer.publicKey.verify(toBeSigned(header, payload), signature);
  return cbor.array([cbor.bytes(header), cbor.map([]), cbor.bytes(payload), cbor.bytes(signature)]);
}

/**
 * Takes it apart; nothing is verified yet.
 * @param {string} typ @param {Bytes} bytes
 */
export function read(typ, bytes) {
  if (bytes.length > MAX_SIGNED) throw new Fault("a signed object above 16,384 bytes");
  const parts = cbor.decode(bytes, (r) => {
    r.tuple(4);
    const header = r.bytes(MAX_PROTECTED);
    r.map().end();
    return { header, payload: r.bytes(MAX_SIGNED), signature: r.arrayOf(64) };
  });
  const key = cbor.decode(parts.header, (r) => readProtected(typ, r));
  return { ...parts, key };
}

/** @param {string} typ @param {cbor.Reader} r */
function readProtected(typ, r) {
  const m = r.map();
  const alg = m.required(1).int();
  const key = readKey(m.required(4));
  const named = m.required(16).text(64);
  m.end();
  r.end();
  if (alg !== kindOf(key.algorithm).cose) throw r.fault("alg does not fit the key");
  if (named !== typ) throw r.fault("typ names another kind of object");
  return key;
}

/** The key that signed, what, and all that the signature covers. @param {string} typ @param {Bytes} bytes */
export async function verify(typ, bytes) {
  const { header, payload, signature, key } = read(typ, bytes);
  const signed = toBeSigned(header, payload);
  await key.verify(signed, signature);
  return { key, payload, signed };
}

/** The DID that a new key joins, and what it signs for that (docs/formats/operations.md). */
const NEW_KEY = "muster/new-key/1";

/**
 * @param {Uint8Array} network @param {Uint8Array} joins digest of the DID
 * @param {import("./cbor.js").Uint} seq @param {PublicKey} key
 */
export function newKeyMessage(network, joins, seq, key) {
  const [words, did] = [cbor.text(NEW_KEY), cbor.bytes(joins)];
  return cbor.array([words, cbor.bytes(network), did, cbor.uint(seq), cbor.bytes(key.multicodec)]);
}
