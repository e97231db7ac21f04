// How a network begins; its hash is the network's name (docs/formats/genesis.md).

import { Fault, hex, sha256 } from "./bytes.js";
import * as cbor from "./cbor.js";
import { RULES } from "./action.js";
import { didOfInception, readInception } from "./did.js";
import * as f from "./fields.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const KEYS = f.list(f.LIMITS.keys, f.tuple(f.key, f.capabilities));
const GRANT = f.record([
  [1, "models", f.list(f.LIMITS.models, f.model)],
  [2, "count", f.uint],
  [3, "expires", f.time],
  [4, "evidence", f.policy],
]);
const STRENGTH = ["enroller", "document", "possession"];
const LABEL_BYTES = 64;

/** @param {cbor.Reader} r */
function read(r) {
  const m = r.map();
  const version = m.required(1);
  if (version.uint() !== 1) throw version.fault("another protocol version");
  const nonce = f.id(16).read(m.required(2));
  const time = f.time.read(m.required(3));
  const o = m.required(4).map();
  const inception = o.required(1).bytes(f.LIMITS.leafBytes);
  const first = cbor.decode(inception, readInception);
  const label = f.printable(LABEL_BYTES).read(o.required(2));
  const keys = KEYS.read(o.required(3));
  o.end();
  const rules = RULES.read(m.required(5));
  const grant = GRANT.read(m.required(6));
  const validators = f.validators.read(m.required(7));
  m.end();
  const root = keys.find(([key]) => key === first.key.multikey);
  if (!root?.[1].includes("root")) throw r.fault("the first organisation has no root key");
  if (new Set(keys.map(([key]) => key)).size < keys.length) {
    throw r.fault("a key of the first organisation stands twice");
  }
  if (STRENGTH.indexOf(grant.evidence) < STRENGTH.indexOf(rules.evidence)) {
    throw r.fault("the rules ask for stronger evidence than the first grant");
  }
  if (
    rules.approval &&
    !canBeMet(
      rules.approval,
      keys.map(([, can]) => can),
    )
  ) {
    throw r.fault("the rules ask for more approvals than the organisation has keys for");
  }
  if (rules.table && locks(rules.table))
    throw r.fault("a table by which one organisation could lock the network");
  return { nonce, time, inception, label, keys, rules, grant, validators };
}

/** Places of expulsions and rules in the table of decisions, and the members from which on it locks. */
const [EXPULSIONS, RULES_CHANGE, MEMBERS] = [1, 4, 4];

/** Whether every organisation must agree to expulsions and to other rules. @param {any[]} table */
const locks = (table) =>
  [EXPULSIONS, RULES_CHANGE].every((at) => table[at] === "all" || table[at] >= MEMBERS);

/**
 * Whether an organisation with these keys can have its proposals approved: for each capability
 * that proposes, beside one of its keys, enough others approve.
 * @param {Record<string, any>} approval @param {string[][]} keys what each may do
 */
function canBeMet({ devices, people, governance }, keys) {
  const approvers = keys.filter((can) => can.includes("approve")).length;
  const met = (/** @type {string} */ capability) => {
    const proposers = keys.filter((can) => can.includes(capability));
    const enough = (/** @type {string[]} */ can) =>
      approvers - Number(can.includes("approve")) >= people;
    return proposers.length === 0 || proposers.some(enough);
  };
  return (devices === undefined || met("operate")) && (!governance || met("root"));
}

/** What a genesis says, and the name of its network. @param {Bytes} bytes */
export async function open(bytes) {
  const genesis = cbor.decode(bytes, read);
  const [network, organisation] = [
    hex(await sha256(bytes)),
    await didOfInception(genesis.inception),
  ];
  return { ...genesis, network, organisation };
}

/** The same, if it is that of the network that this browser has pinned. @param {Bytes} bytes @param {string} network */
export async function openPinned(bytes, network) {
  const found = hex(await sha256(bytes));
  if (found !== network) {
    throw new Fault(`the genesis is that of another network: ${found} instead of ${network}`);
  }
  return open(bytes);
}
