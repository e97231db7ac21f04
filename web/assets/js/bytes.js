// Bytes and their texts. Strict: one value has one text.

/** Something that came from outside and is not what it claims to be. */
export class Fault extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "Fault";
  }
}

/**
 * A byte array as WebCrypto takes it.
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 */

/** @param {...ArrayLike<number>} parts @returns {Bytes} */
export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** @param {Uint8Array} bytes lower-case hexadecimal */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} text @returns {Bytes} */
export function unhex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Fault("not lower-case hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** @param {string} text padded, without stray bits (RFC 4648 §3.5) @returns {Bytes} */
export function unbase64(text) {
  const refused = new Fault("not base64");
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw refused;
  }
  // `atob` takes spaces, missing padding and stray bits.
  if (base64(bytes) !== text) throw refused;
  return bytes;
}

/** @param {Uint8Array} bytes base64url without padding (RFC 7515 §2) */
export function base64url(bytes) {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text base64url without padding (RFC 7515 §2) @returns {Bytes} */
export function unbase64url(text) {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return unbase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
}

/** @param {string} text @returns {Bytes} */
export function utf8(text) {
  return concat(new TextEncoder().encode(text));
}

/** @param {...ArrayLike<number>} parts SHA-256 of all of them (FIPS 180-4) */
export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

/** @param {number} n */
export function random(n) {
  return crypto.getRandomValues(new Uint8Array(n));
}
