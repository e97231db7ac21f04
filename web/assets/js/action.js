// What an operation may do, action by action: number, word, fields (docs/formats/operations.md).
// What stands here is all that this page can read; anything else is refused, never guessed.

import { hex, unhex } from "./bytes.js";
import * as cbor from "./cbor.js";
import { readInception } from "./did.js";
import * as f from "./fields.js";

/** @typedef {Record<string, any> & { kind: string }} Action */

const seq = f.uint;
/** Most people that rules may ask for. */
const APPROVALS = 8;
const APPROVAL = f.record([
  [1, "devices?", f.uint],
  [2, "people", f.upTo(APPROVALS)],
  [3, "governance", f.bool],
]);

/**
 * What one signature does not suffice for: ending many devices in a day, governance, or both.
 * @type {f.Kind<Record<string, any>>}
 */
const approval = {
  read(r) {
    const value = APPROVAL.read(r);
    if (value.people === 0) throw r.fault("an approval is of one person or more");
    if (value.devices === undefined && !value.governance) {
      throw r.fault("rules of approval that ask for none");
    }
    return value;
  },
  write: APPROVAL.write,
};

const DAY_MS = 24 * 60 * 60 * 1_000;

/** @type {f.Kind<import("./cbor.js").Uint>} */
const trustPeriod = {
  read(r) {
    const value = r.uint();
    if (value < DAY_MS || value > 36_600 * DAY_MS) throw r.fault("a trust period is 1 to 36,600 days");
    return value;
  },
  write: f.uint.write,
};

/** Most organisations of a network. */
const ORGANISATIONS = 64;
const SHARES = ["half", "two-thirds", "all"];

/** How many organisations must agree: a number, or a share in a word. @type {f.Kind<number | string>} */
const threshold = {
  read(r) {
    const items = r.array(2);
    if (items === 0) throw r.fault("a threshold is a number, or one of three words");
    const kind = Number(r.uint());
    if (kind === 1 && items === 2) {
      const number = r.uintMax(ORGANISATIONS);
      if (number === 0) throw r.fault("a threshold is of one organisation or more");
      return number;
    }
    if (items === 1 && SHARES[kind - 2] !== undefined) return SHARES[kind - 2];
    throw r.fault("an unknown threshold");
  },
  write: (v) =>
    typeof v === "number"
      ? cbor.array([cbor.uint(1), cbor.uint(v)])
      : cbor.array([cbor.uint(SHARES.indexOf(v) + 2)]),
};

/** For admissions, expulsions, grants, validators, rules, protocol, holds of the network. */
const TABLE = f.tuple(threshold, threshold, threshold, threshold, threshold, threshold, threshold);

/** The rules of a network (docs/formats/state.md). */
export const RULES = f.record([
  [1, "trustPeriodMs", trustPeriod],
  [2, "evidence", f.policy],
  [3, "approval?", approval],
  [4, "table?", TABLE],
]);

/** Bytes of an organisation's name. */
const LABEL_BYTES = 64;
const KEYS = f.list(f.LIMITS.keys, f.tuple(f.newKey, f.capabilities));

/** The bytes of an inception, which are read to their end. @type {f.Kind<string>} */
const inception = {
  read(r) {
    const bytes = r.bytes(f.LIMITS.leafBytes);
    cbor.decode(bytes, readInception);
    return hex(bytes);
  },
  write: (v) => cbor.bytes(unhex(v)),
};

/** What an organisation signed that wants to be taken in. */
export const ADMISSION = f.record([
  [1, "inception", inception],
  [2, "label", f.printable(LABEL_BYTES)],
  [3, "keys", KEYS],
  [4, "signature", f.id(64)],
]);

/** What it signed: all but the signature. @param {string} network @param {Record<string, any>} admission */
export const admissionMessage = (network, admission) =>
  cbor.array([
    cbor.text("muster/admission/1"),
    f.id(32).write(network),
    inception.write(admission.inception),
    cbor.text(admission.label),
    KEYS.write(admission.keys),
  ]);

const TAKES_OFFER = f.record([
  [1, "target", f.target],
  [2, "offer", f.id(32)],
]);

/** @type {Record<number, [string, f.Kind<Record<string, any>>]>} */
const ACTIONS = {
  1: [
    "enrol",
    f.record([
      [1, "grant", f.id(32)],
      [2, "model", f.model],
      [3, "count", f.upTo(f.LIMITS.batchDevices)],
      [4, "root", f.id(32)],
    ]),
  ],
  2: [
    "hold",
    f.record([
      [1, "target", f.target],
      [2, "hold", f.id(16)],
      [3, "power", f.power],
      [4, "until?", f.time],
      [5, "seen", f.uint],
      [6, "reason", f.reason],
    ]),
  ],
  3: [
    "release",
    f.record([
      [1, "target", f.target],
      [2, "hold", f.id(16)],
      [3, "seq", seq],
    ]),
  ],
  4: [
    "revoke",
    f.record([
      [1, "target", f.target],
      [2, "reason", f.reason],
    ]),
  ],
  5: ["deactivate", f.record([[1, "target", f.target]])],
  6: [
    "revoke-key",
    f.record([
      [1, "device", f.device],
      [2, "key", f.key],
    ]),
  ],
  7: [
    "rotate",
    f.record([
      [1, "device", f.device],
      [2, "seq", seq],
      [3, "key", f.newKey],
      [4, "next?", f.id(32)],
    ]),
  ],
  8: [
    "change-keys",
    f.record([
      [1, "seq", seq],
      [2, "add", KEYS],
      [3, "remove", f.list(f.LIMITS.keys, f.key)],
    ]),
  ],
  9: [
    "grant",
    f.record([
      [1, "seq", seq],
      [2, "organisation", f.did],
      [3, "models", f.list(f.LIMITS.models, f.model)],
      [4, "count", f.uint],
      [5, "expires", f.time],
      [6, "evidence", f.policy],
    ]),
  ],
  10: ["withdraw-grant", f.record([[1, "grant", f.id(32)]])],
  11: [
    "change-validators",
    f.record([
      [1, "seq", seq],
      [2, "validators", f.validators],
    ]),
  ],
  12: [
    "change-rules",
    f.record([
      [1, "seq", seq],
      [2, "rules", RULES],
    ]),
  ],
  13: [
    "upgrade-protocol",
    f.record([
      [1, "seq", seq],
      [2, "upgrade?", f.tuple(f.uint, f.uint)],
    ]),
  ],
  14: [
    "propose",
    f.record([
      [1, "proposed", { read: readProposed, write: (v) => write(v) }],
      [2, "expires", f.time],
      [3, "reason", f.reason],
    ]),
  ],
  15: ["approve", f.record([[1, "proposal", f.id(32)]])],
  16: ["withdraw-proposal", f.record([[1, "proposal", f.id(32)]])],
  17: [
    "admit",
    f.record([
      [1, "seq", seq],
      [2, "admission", ADMISSION],
    ]),
  ],
  18: [
    "expel",
    f.record([
      [1, "seq", seq],
      [2, "organisation", f.did],
    ]),
  ],
  19: [
    "offer-transfer",
    f.record([
      [1, "target", f.target],
      [2, "to", f.did],
      [3, "seq", seq],
      [4, "expires", f.time],
    ]),
  ],
  20: ["accept-transfer", TAKES_OFFER],
  21: ["cancel-transfer", TAKES_OFFER],
  22: [
    "recover",
    f.record([
      [1, "device", f.device],
      [2, "seq", seq],
      [3, "key", f.newKey],
      [4, "next?", f.id(32)],
    ]),
  ],
};

/** What may wait for a second person. */
const PROPOSABLE = [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 17, 18, 19];
/** Bytes of a proposed action. */
const PROPOSED_BYTES = 6_144;

/** @param {cbor.Reader} r @returns {Action} */
export function read(r) {
  r.tuple(2);
  return readNumber(Number(r.uint()), r);
}

/** @param {number} number @param {cbor.Reader} r @returns {Action} */
function readNumber(number, r) {
  const found = ACTIONS[number];
  if (found === undefined) throw r.fault("an unknown action");
  return { kind: found[0], ...found[1].read(r) };
}

/** @param {cbor.Reader} r @returns {Action} */
function readProposed(r) {
  const start = r.at;
  r.tuple(2);
  const number = Number(r.uint());
  if (number in ACTIONS && !PROPOSABLE.includes(number))
    throw r.fault("an action that is not proposed");
  const action = readNumber(number, r);
  if (action.kind === "hold" && action.power !== "governance")
    throw r.fault("a hold by one organisation needs no proposal");
  if (r.at - start > PROPOSED_BYTES) throw r.fault("a proposed action above 6,144 bytes");
  return action;
}

/** @param {Action} action @returns {Uint8Array} */
export function write(action) {
  const found = Object.entries(ACTIONS).find(([, [kind]]) => kind === action.kind);
  if (found === undefined) throw new RangeError(`unknown action ${action.kind}`);
  return cbor.array([cbor.uint(Number(found[0])), found[1][1].write(action)]);
}
