// Merkle paths of the log and of batches (RFC 9162 §2.1).

import { Fault, equal, sha256 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** @param {Uint8Array} data SHA-256(00 ‖ data) */
export const leafHash = (data) => sha256([0], data);

/** @param {Uint8Array} left @param {Uint8Array} right SHA-256(01 ‖ left ‖ right) */
const nodeHash = (left, right) => sha256([1], left, right);

const refused = () => new Fault("the Merkle path does not lead to the root");

/**
 * Throws unless the path leads from the leaf at `index` of a tree of `size` to the root, and has
 * the length that it must have (RFC 9162 §2.1.3.2).
 * @param {Bytes} leaf its hash @param {number | bigint} index @param {number | bigint} size
 * @param {Bytes[]} path @param {Bytes} root
 */
export async function verifyInclusion(leaf, index, size, path, root) {
  let [at, last, hash] = [BigInt(index), BigInt(size) - 1n, leaf];
  if (at > last) throw refused();
  for (const sibling of path) {
    if (last === 0n) throw refused();
    if (at & 1n || at === last) {
      hash = await nodeHash(sibling, hash);
      while (!(at & 1n) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      hash = await nodeHash(hash, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n || !equal(hash, root)) throw refused();
}

/**
 * Throws unless the tree of `size` leaves extends that of `old` leaves (RFC 9162 §2.1.4.2): for
 * whoever kept a head, and is shown a later one.
 * @param {number | bigint} old @param {Bytes} oldRoot @param {number | bigint} size
 * @param {Bytes} root @param {Bytes[]} proof
 */
export async function verifyConsistency(old, oldRoot, size, root, proof) {
  const [from, to] = [BigInt(old), BigInt(size)];
  if (from === 0n || from > to) throw refused();
  if (from === to) {
    if (proof.length > 0 || !equal(oldRoot, root)) throw refused();
    return;
  }
  const rest = [...proof];
  const first = (from & (from - 1n)) === 0n ? oldRoot : rest.shift();
  if (first === undefined) throw refused();
  let [at, last, before, after] = [from - 1n, to - 1n, first, first];
  while (at & 1n) [at, last] = [at >> 1n, last >> 1n];
  for (const sibling of rest) {
    if (last === 0n) throw refused();
    if (at & 1n || at === last) {
      before = await nodeHash(sibling, before);
      after = await nodeHash(sibling, after);
      while (!(at & 1n) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      after = await nodeHash(after, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n || !equal(before, oldRoot) || !equal(after, root)) throw refused();
}
