// What a state holds at a key, or that it holds nothing there: *unchanged since enrolment*, for a
// device (docs/formats/state.md).

import { Fault, concat, equal, sha256, unhex, utf8 } from "./bytes.js";
import * as cbor from "./cbor.js";
import { digestOfDid } from "./did.js";
import * as f from "./fields.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const EMPTY = utf8("SPARSE_MERKLE_PLACEHOLDER_HASH__");
const LEAF = utf8("JMT::LeafNode");
/** Spelt so. */
const INNER = utf8("JMT::IntrnalNode");

const PROOF = f.record([
  [1, "siblings", f.path],
  [2, "other?", f.tuple(f.id(32), f.id(32))],
]);

/** The place of a device's record. @param {string} did */
export const deviceKey = (did) => concat([6], digestOfDid(did));

/** The place of a batch's record. @param {string} batch */
export const batchKey = (batch) => concat([5], unhex(batch));

/** @param {Uint8Array} path @param {number} depth */
const bit = (path, depth) => (path[depth >> 3] >> (7 - (depth & 7))) & 1;

/**
 * Throws unless a state with this root holds `value` at `key` (null: nothing).
 * @param {Bytes} proof its bytes @param {Bytes} root @param {Bytes} key tag and id
 * @param {Bytes | null} value the record
 */
export async function verify(proof, root, key, value) {
  const { siblings, other } = cbor.decode(proof, PROOF.read);
  const path = await sha256(key);
  const refused = new Fault("the Merkle path does not lead to the root");
  const depth = siblings.length;
  let hash = EMPTY;
  if (value !== null) {
    if (other) throw refused;
    hash = await sha256(LEAF, path, await sha256(value));
  } else if (other) {
    const [found, valueHash] = other.map(unhex);
    const sharesPlace = siblings.every(
      (/** @type {string} */ _, /** @type {number} */ d) => bit(found, d) === bit(path, d),
    );
    if (equal(found, path) || !sharesPlace) throw refused;
    hash = await sha256(LEAF, found, valueHash);
  }
  for (const [level, sibling] of siblings.map(unhex).entries()) {
    const right = bit(path, depth - 1 - level) === 1;
    hash = await (right ? sha256(INNER, sibling, hash) : sha256(INNER, hash, sibling));
  }
  if (!equal(hash, root)) throw refused;
}
