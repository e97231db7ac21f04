// Deterministic CBOR (RFC 8949 §4.2.1), strict both ways: one value has one encoding, so a
// signature over bytes is one over the value. docs/formats/cbor.md; the same rules, bounds and
// words as crate identity.

import { Fault, concat, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {number | bigint} Uint a number up to 2^53 - 1, a bigint beyond: nothing is rounded */

const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const UINT = 0,
  NEGATIVE = 1,
  BYTES = 2,
  STRING = 3,
  ARRAY = 4,
  MAP = 5;
const MAX_U64 = (1n << 64n) - 1n;

/** @param {bigint} n @returns {Uint} */
const narrow = (n) => (n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n);

/** Reads items and refuses every encoding but the deterministic one. */
export class Reader {
  /** @param {Uint8Array} input */
  constructor(input) {
    this.input = input;
    this.at = 0;
  }

  /** @param {string} reason @param {number} [at] @returns {Fault} */
  fault(reason, at = this.at) {
    return new Fault(`CBOR, byte ${at}: ${reason}`);
  }

  /** Refuses bytes after the end. */
  end() {
    if (this.at !== this.input.length) throw this.fault("bytes after the end of the value");
  }

  /** Whether the next item is a byte string. */
  nextIsBytes() {
    return this.input[this.at] >> 5 === BYTES;
  }

  /**
   * One head (RFC 8949 §3), and the body that a string has. `expected` says what should stand here.
   * @param {number} major @param {string} expected
   * @returns {{ n: bigint, body: Uint8Array }}
   */
  #head(major, expected) {
    const at = this.at;
    const first = this.input[at];
    const info = first & 31;
    const extra = info < 24 ? 0 : 1 << (info - 24);
    if (first === undefined || first >> 5 !== major || info > 27) throw this.fault(expected, at);
    let end = at + 1 + extra;
    if (end > this.input.length) throw this.fault(expected, at);
    let n = BigInt(info);
    if (extra > 0)
      n = this.input.slice(at + 1, end).reduce((n, byte) => (n << 8n) | BigInt(byte), 0n);
    const start = end;
    if (major === BYTES || major === STRING) {
      if (n > BigInt(this.input.length - end)) throw this.fault(expected, at);
      end += Number(n);
    }
    if (major === NEGATIVE && n >= 1n << 63n) throw this.fault(expected, at);
    const body = this.input.slice(start, end);
    if (major === STRING) {
      try {
        TEXT.decode(body);
      } catch {
        throw this.fault(expected, at);
      }
    }
    this.at = end;
    if (headLength(n) !== 1 + extra) {
      throw this.fault("a number or length not in shortest form", at);
    }
    return { n, body };
  }

  /** @returns {Uint} */
  uint() {
    return narrow(this.#head(UINT, "expected an unsigned integer").n);
  }

  /** @param {number} max @returns {number} */
  uintMax(max) {
    const at = this.at;
    const n = this.uint();
    if (n > max) throw this.fault("a number above its limit", at);
    return Number(n);
  }

  /** A signed integer as COSE has them: small. */
  int() {
    const negative = this.input[this.at] >> 5 === NEGATIVE;
    const { n } = this.#head(negative ? NEGATIVE : UINT, "expected an integer");
    return negative ? -1 - Number(n) : Number(n);
  }

  /** @param {number} max @returns {Bytes} */
  bytes(max) {
    const at = this.at;
    const { body } = this.#head(BYTES, "expected a byte string of definite length");
    if (body.length > max) throw this.fault("a byte string above its limit", at);
    return concat(body);
  }

  /** @param {number} n exactly so many bytes */
  arrayOf(n) {
    const at = this.at;
    const body = this.bytes(n);
    if (body.length !== n) throw this.fault("a byte string of the wrong length", at);
    return body;
  }

  /** @param {number} max bytes */
  text(max) {
    const at = this.at;
    const { body } = this.#head(STRING, "expected a UTF-8 text string of definite length");
    if (body.length > max) throw this.fault("a text above its limit", at);
    return TEXT.decode(body);
  }

  bool() {
    const byte = this.input[this.at];
    if (byte !== 0xf4 && byte !== 0xf5) throw this.fault("expected a boolean");
    this.at += 1;
    return byte === 0xf5;
  }

  /** The head of an array. @param {number} max items */
  array(max) {
    const at = this.at;
    const { n } = this.#head(ARRAY, "expected an array of definite length");
    if (n > BigInt(max)) throw this.fault("an array above its limit", at);
    return Number(n);
  }

  /** @param {number} n exactly so many items */
  tuple(n) {
    const at = this.at;
    if (this.array(n) !== n) throw this.fault("an array of the wrong length", at);
  }

  /** @template T @param {number} max @param {(r: Reader) => T} read @returns {T[]} */
  list(max, read) {
    return Array.from({ length: this.array(max) }, () => read(this));
  }

  /** Opens a map; its fields are read in ascending order. */
  map() {
    return new Fields(this, this.#head(MAP, "expected a map of definite length").n);
  }
}

/**
 * The fields of a map. Read in ascending order, order, repetition and unknown keys are one check.
 */
export class Fields {
  /** @type {Uint | null} */
  #next = null;

  /** @param {Reader} reader @param {bigint} left */
  constructor(reader, left) {
    this.reader = reader;
    this.left = left;
  }

  #peek() {
    if (this.#next === null && this.left > 0n) {
      this.#next = this.reader.uint();
      this.left -= 1n;
    }
    return this.#next;
  }

  /** The reader at the value of `key`, or null if it is absent. @param {number} key */
  optional(key) {
    const found = this.#peek();
    if (found === null || found > key) return null;
    if (found < key) throw this.reader.fault("an unknown, repeated or unordered map key");
    this.#next = null;
    return this.reader;
  }

  /** @param {number} key */
  required(key) {
    const reader = this.optional(key);
    if (reader === null) throw this.reader.fault("a required map key is missing");
    return reader;
  }

  /** Refuses fields that were not asked for. */
  end() {
    if (this.#peek() !== null) {
      throw this.reader.fault("an unknown, repeated or unordered map key");
    }
  }
}

/** @param {bigint} n */
function headLength(n) {
  return n < 24n ? 1 : n < 1n << 8n ? 2 : n < 1n << 16n ? 3 : n < 1n << 32n ? 5 : 9;
}

/**
 * The whole of `bytes` as one value.
 * @template T @param {Uint8Array} bytes @param {(r: Reader) => T} read @returns {T}
 */
export function decode(bytes, read) {
  const reader = new Reader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** @param {number} major @param {Uint} argument */
function head(major, argument) {
  const n = BigInt(argument);
  if (n < 0n || n > MAX_U64) throw new RangeError("not an unsigned integer of 64 bits");
  const length = headLength(n) - 1;
  const bytes = new Uint8Array(1 + length);
  bytes[0] = (major << 5) | (length === 0 ? Number(n) : 24 + Math.log2(length));
  for (let i = 0; i < length; i++) bytes[length - i] = Number((n >> BigInt(8 * i)) & 255n);
  return bytes;
}

// Writers: each gives the bytes of one item in shortest form.

/** @param {Uint} n */
export const uint = (n) => head(UINT, n);
/** @param {number} n */
export const int = (n) => (n < 0 ? head(NEGATIVE, -1 - n) : head(UINT, n));
/** @param {ArrayLike<number>} b */
export const bytes = (b) => concat(head(BYTES, b.length), b);
/** @param {string} s */
export const text = (s) => bytesOfText(utf8(s));
/** @param {boolean} b */
export const bool = (b) => Uint8Array.of(b ? 0xf5 : 0xf4);
/** @param {Uint8Array[]} items */
export const array = (items) => concat(head(ARRAY, items.length), ...items);
/** @param {[number, Uint8Array | null][]} fields ascending; those that are null are left out */
export const map = (fields) => {
  const present = fields.filter((field) => field[1] !== null);
  return concat(head(MAP, present.length), ...present.flatMap(([k, v]) => [uint(k), v ?? []]));
};

/** @param {Uint8Array} b */
function bytesOfText(b) {
  return concat(head(STRING, b.length), b);
}
