// Identifiers and inceptions (docs/formats/did.md).

import { Fault, concat, sha256 } from "./bytes.js";
import { fromBase58, toBase58 } from "./base58.js";
import * as cbor from "./cbor.js";
import { MAX_KEY, PublicKey, readKey } from "./public_key.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const PREFIX = "did:muster:";
/** Multihash head of a SHA-256 digest: function 0x12, length 0x20. */
const MULTIHASH = Uint8Array.of(0x12, 0x20);
const P = 2n ** 255n - 19n;

/** @param {string} reason */
const refused = (reason) => new Fault(`not a did:muster identifier: ${reason}`);

/** @param {Uint8Array} digest 32 bytes */
export function didOfDigest(digest) {
  return PREFIX + toBase58(concat(MULTIHASH, digest));
}

/** @param {string} did @returns {Bytes} its digest, the form of the ledger */
export function digestOfDid(did) {
  if (!did.startsWith(PREFIX)) throw refused("it must begin with did:muster:");
  const id = did.slice(PREFIX.length);
  // 34 bytes are at most 47 characters of base58.
  if (id[0] !== "z" || id.length > 48) throw refused("expected `z` and a base58btc multihash");
  let bytes;
  try {
    bytes = fromBase58(id);
  } catch {
    throw refused("a character outside base58btc");
  }
  if (bytes[0] !== 0x12 || bytes[1] !== 0x20) throw refused("the multihash is not sha2-256");
  if (bytes.length !== 34) throw refused("the digest is not 32 bytes long");
  return bytes.slice(2);
}

/** @param {Uint8Array} inception its bytes */
export async function didOfInception(inception) {
  return didOfDigest(await sha256(inception));
}

/** The inception of a key and nothing else. @param {PublicKey} key */
export function bareInception(key) {
  return cbor.map([[1, cbor.bytes(key.multicodec)]]);
}

/** @param {string} did @param {PublicKey} key names a key of the DID */
export function didUrl(did, key) {
  return `${did}#${key.multikey}`;
}

/**
 * A key for key agreement (X25519, RFC 7748): canonical, not of small order.
 * @param {Uint8Array} bytes its multicodec form
 */
export function agreementKey(bytes) {
  const raw = bytes.slice(2);
  if (bytes[0] !== 0xec || bytes[1] !== 1) {
    throw new Fault("public key: unsupported key type (Ed25519 and P-256 sign, X25519 agrees)");
  }
  if (raw.length !== 32) throw new Fault("public key: wrong length for its type");
  const u = [...raw].reverse().reduce((n, byte) => (n << 8n) | BigInt(byte), 0n);
  if (u >= P) throw new Fault("public key: not a canonical point of its curve");
  if (SMALL_ORDER.includes(u)) {
    throw new Fault("public key: a small-order point, for which anybody can make signatures");
  }
  return toBase58(bytes);
}

/** The u coordinates of small order below p (RFC 7748 §6.1, §7). */
const SMALL_ORDER = [
  0n,
  1n,
  P - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];

/**
 * @param {cbor.Reader} r
 * @returns {{ key: PublicKey, agreement: string | null, next: Bytes | null, recovery: string | null }}
 */
export function readInception(r) {
  const m = r.map();
  const key = readKey(m.required(1));
  const agreement = m.optional(2);
  const agrees = agreement && agreementKey(agreement.bytes(MAX_KEY));
  const next = m.optional(3)?.arrayOf(32) ?? null;
  const recovery = m.optional(4);
  const recovers = recovery && readRecovery(recovery);
  m.end();
  return { key, agreement: agrees, next, recovery: recovers };
}

/** @param {cbor.Reader} r */
function readRecovery(r) {
  if (r.nextIsBytes()) return readKey(r).multikey;
  if (r.text(5) !== "owner") throw r.fault('recovery is a key or the text "owner"');
  return "owner";
}
