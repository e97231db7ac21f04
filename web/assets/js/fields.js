// The kinds of values that operations are made of, each read and written in its one form: ids as
// hexadecimal, DIDs and keys as their texts, times as milliseconds. docs/formats/operations.md.

import { hex, unhex } from "./bytes.js";
import * as cbor from "./cbor.js";
import { didOfDigest, digestOfDid } from "./did.js";
import { PublicKey, readKey } from "./public_key.js";

/**
 * @template T
 * @typedef {{ read(r: cbor.Reader): T, write(value: any): Uint8Array }} Kind
 */

/** Bounds of crate ledger (`limits.rs`). */
export const LIMITS = {
  batchDevices: 1 << 20,
  leafBytes: 4_096,
  pathHashes: 256,
  keys: 32,
  models: 64,
  modelBytes: 64,
  reasonBytes: 128,
  validators: 128,
};

/** The last millisecond of the year 9999. */
const LAST_TIME = 253_402_300_799_999;

/** @type {Kind<cbor.Uint>} */
export const uint = { read: (r) => r.uint(), write: cbor.uint };

/** @param {number} max @returns {Kind<number>} */
export const upTo = (max) => ({ read: (r) => r.uintMax(max), write: cbor.uint });

export const time = upTo(LAST_TIME);

/** @type {Kind<boolean>} */
export const bool = { read: (r) => r.bool(), write: cbor.bool };

/** Exactly so many bytes, in hexadecimal. @param {number} n @returns {Kind<string>} */
export const id = (n) => ({ read: (r) => hex(r.arrayOf(n)), write: (v) => cbor.bytes(unhex(v)) });

/** Up to so many bytes. @param {number} max @returns {Kind<string>} */
export const blob = (max) => ({
  read: (r) => hex(r.bytes(max)),
  write: (v) => cbor.bytes(unhex(v)),
});

/** @type {Kind<string>} */
export const did = {
  read: (r) => didOfDigest(r.arrayOf(32)),
  write: (v) => cbor.bytes(digestOfDid(v)),
};

/** @type {Kind<string>} */
export const key = {
  read: (r) => readKey(r).multikey,
  write: (v) => cbor.bytes(PublicKey.fromMultikey(v).multicodec),
};

/** A word for each number. @param {Record<number, string>} words @param {string} fault @returns {Kind<string>} */
export const word = (words, fault) => ({
  read(r) {
    const found = words[Number(r.uint())];
    if (found === undefined) throw r.fault(fault);
    return found;
  },
  write(v) {
    const found = Object.entries(words).find((pair) => pair[1] === v);
    if (found === undefined) throw new RangeError(`unknown word ${v}`);
    return cbor.uint(Number(found[0]));
  },
});

export const power = word({ 1: "owner", 2: "incident", 3: "governance" }, "an unknown power");
export const policy = word(
  { 0: "enroller", 1: "document", 2: "possession" },
  "an unknown evidence policy",
);

/** @type {Kind<string>} */
export const model = {
  read(r) {
    const text = r.text(LIMITS.modelBytes);
    if (/^[\x20-\x7e]+$/.test(text)) return text;
    throw r.fault("a model id is 1 to 64 characters of printable ASCII");
  },
  write: cbor.text,
};

/** Text to show to people. @param {number} max @returns {Kind<string>} */
export const printable = (max) => ({
  read(r) {
    const text = r.text(max);
    if (/\p{Cc}/u.test(text)) throw r.fault("a text with control characters");
    return text;
  },
  write: cbor.text,
});

export const reason = printable(LIMITS.reasonBytes);

/** @template T @param {number} max @param {Kind<T>} kind @returns {Kind<T[]>} */
export const list = (max, kind) => ({
  read: (r) => r.list(max, kind.read),
  write: (v) => cbor.array(v.map(kind.write)),
});

/** @param {...Kind<any>} kinds @returns {Kind<any[]>} */
export const tuple = (...kinds) => ({
  read(r) {
    r.tuple(kinds.length);
    return kinds.map((kind) => kind.read(r));
  },
  write: (v) => cbor.array(kinds.map((kind, i) => kind.write(v[i]))),
});

const WORDS = ["root", "enrol", "operate", "approve", "gateway", "validator"];

/** @type {Kind<string[]>} */
export const capabilities = {
  read(r) {
    const bits = r.uintMax(63);
    if (bits === 0) throw r.fault("a key without capabilities");
    return WORDS.filter((_, bit) => bits & (1 << bit));
  },
  write: (v) => cbor.uint(WORDS.reduce((bits, w, bit) => bits | (v.includes(w) ? 1 << bit : 0), 0)),
};

/** Hashes of a Merkle path, in one byte string. @type {Kind<string[]>} */
export const path = {
  read(r) {
    const bytes = r.bytes(LIMITS.pathHashes * 32);
    if (bytes.length % 32 !== 0) throw r.fault("a path of broken hashes");
    return hex(bytes).match(/.{64}/g) ?? [];
  },
  write: (v) => cbor.bytes(unhex(v.join(""))),
};

/** @type {Kind<string[]>} */
export const validators = {
  read(r) {
    const keys = r.list(LIMITS.validators, readKey);
    // Ed25519 before P-256, then by their bytes.
    const order = keys.map((k) => (k.algorithm === "Ed25519" ? "0" : "1") + hex(k.raw));
    if (keys.length === 0 || order.some((k, i) => i > 0 && order[i - 1] >= k)) {
      throw r.fault("validators are one or more keys in ascending order");
    }
    if (keys.some((k) => k.algorithm !== "Ed25519")) {
      throw r.fault("a validator key is Ed25519 (C2SP cosignature/v1)");
    }
    return keys.map((k) => k.multikey);
  },
  write: (v) => cbor.array(v.map(key.write)),
};

/**
 * A map: number, name, kind of each field; a field that may be absent ends in `?`.
 * @param {[number, string, Kind<any>][]} fields @returns {Kind<Record<string, any>>}
 */
export const record = (fields) => ({
  read(r) {
    const m = r.map();
    /** @type {Record<string, any>} */
    const value = {};
    for (const [number, name, kind] of fields) {
      const optional = name.endsWith("?");
      const at = optional ? m.optional(number) : m.required(number);
      if (at !== null) value[name.replace("?", "")] = kind.read(at);
    }
    m.end();
    return value;
  },
  write: (v) =>
    cbor.map(
      fields.map(([number, name, kind]) => {
        const found = v[name.replace("?", "")];
        return [number, found === undefined ? null : kind.write(found)];
      }),
    ),
});

export const newKey = tuple(key, id(64));

export const devicePart = record([
  [1, "batch", id(32)],
  [2, "index", upTo(LIMITS.batchDevices)],
  [3, "leaf", blob(LIMITS.leafBytes)],
  [4, "path", path],
]);

/** @type {Kind<{ did: string, part?: Record<string, any> }>} */
export const device = {
  read(r) {
    const items = r.array(2);
    if (items === 0) throw r.fault("a device is named by its DID");
    const named = did.read(r);
    return items === 2 ? { did: named, part: devicePart.read(r) } : { did: named };
  },
  write: (v) => cbor.array([did.write(v.did), ...(v.part ? [devicePart.write(v.part)] : [])]),
};

/** @type {Kind<{ device: { did: string, part?: any } } | { batch: string }>} */
export const target = {
  read(r) {
    r.tuple(2);
    const kind = r.uint();
    if (kind === 1) return { device: device.read(r) };
    if (kind === 2) return { batch: id(32).read(r) };
    throw r.fault("an unknown kind of target");
  },
  write: (v) =>
    "device" in v
      ? cbor.array([cbor.uint(1), device.write(v.device)])
      : cbor.array([cbor.uint(2), id(32).write(v.batch)]),
};
