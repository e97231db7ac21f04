// Multibase base58btc: `z` and the Bitcoin alphabet (draft-multiformats-multibase).

import { Fault } from "./bytes.js";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** Longest text that is decoded: the work grows with its square. */
const MAX_TEXT = 64;

/** @param {Uint8Array} bytes */
export function toBase58(bytes) {
  let n = bytes.reduce((n, byte) => (n << 8n) | BigInt(byte), 0n);
  let text = "";
  for (; n > 0n; n /= 58n) text = ALPHABET[Number(n % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return `z${"1".repeat(zeros < 0 ? bytes.length : zeros)}${text}`;
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function fromBase58(text) {
  if (text.length > MAX_TEXT || text[0] !== "z") throw new Fault("not multibase base58btc");
  let n = 0n;
  for (const c of text.slice(1)) {
    const digit = ALPHABET.indexOf(c);
    if (digit < 0) throw new Fault("not multibase base58btc");
    n = n * 58n + BigInt(digit);
  }
  const bytes = [];
  for (; n > 0n; n >>= 8n) bytes.unshift(Number(n & 255n));
  for (const c of text.slice(1)) {
    if (c !== "1") break;
    bytes.unshift(0);
  }
  return Uint8Array.from(bytes);
}
