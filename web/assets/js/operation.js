// Operations: what the page is asked to sign, read again from its bytes, said in words, compared
// with what the person asked for, and only then signed. docs/formats/operations.md.

import { Fault, hex, sha256, unhex } from "./bytes.js";
import * as action from "./action.js";
import * as cbor from "./cbor.js";
import * as cose from "./cose.js";
import { didOfInception, digestOfDid, readInception } from "./did.js";
import * as f from "./fields.js";
import { PublicKey } from "./public_key.js";

export { describe } from "./words.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{ version: number, network: string, author: string, validUntil: number, action: action.Action }} Operation */

const TYP = "muster-op+cose";
/** The protocol version that this page speaks. */
const PROTOCOL = 1;
/** Longest time to `valid until` that the ledger takes: 24 h. */
const LIFETIME_MS = 24 * 60 * 60 * 1_000;

/** @param {cbor.Reader} r @returns {Operation} */
function read(r) {
  const m = r.map();
  const version = m.required(1);
  if (version.uint() !== PROTOCOL) throw version.fault("another protocol version");
  const network = f.id(32).read(m.required(2));
  const author = f.did.read(m.required(3));
  const validUntil = f.time.read(m.required(4));
  const does = action.read(m.required(5));
  m.end();
  return { version: PROTOCOL, network, author, validUntil, action: does };
}

/** The unsigned bytes of an operation as an object. @param {Uint8Array} bytes */
export function decode(bytes) {
  return cbor.decode(bytes, read);
}

/** @param {Operation} operation */
export function encode(operation) {
  return cbor.map([
    [1, cbor.uint(operation.version)],
    [2, f.id(32).write(operation.network)],
    [3, f.did.write(operation.author)],
    [4, f.time.write(operation.validUntil)],
    [5, action.write(operation.action)],
  ]);
}

/**
 * What a person asked for, by their own clicks and what this browser keeps: never what a server
 * says. The action's fields that are named must be exactly these; targets are DIDs and batch ids.
 * @typedef {object} Intention
 * @property {string} kind the action's word
 * @property {string} network the pinned genesis hash
 * @property {string} author the DID of the person's organisation
 * @property {string} [target] the DID of a device, or the id of a batch
 * @property {Record<string, any>} [fields] further fields of the action
 * @property {{ kind: string, target?: string, fields?: Record<string, any> }} [proposed] what a proposal shall do
 * @property {number} now milliseconds by this machine's clock
 */

/**
 * What differs between what was asked for and what the bytes say. Empty: it may be signed.
 * Every field that the action has must be asked for or be among those that only bind it.
 * @param {Operation} operation @param {Intention} wanted @returns {string[]}
 */
export function expect(operation, wanted) {
  /** @type {string[]} */
  const differences = [];
  /** @param {string} what @param {any} asked @param {any} says */
  const compare = (what, asked, says) => {
    if (text(asked) !== text(says)) {
      differences.push(`${what}: you asked for ${text(asked)}, the operation says ${text(says)}`);
    }
  };
  compare("network", wanted.network, operation.network);
  compare("author", wanted.author, operation.author);
  if (operation.validUntil <= wanted.now) differences.push("it is over already");
  if (operation.validUntil > wanted.now + LIFETIME_MS)
    differences.push("it is valid for more than 24 hours");
  compareAction(operation.action, wanted, compare);
  return differences;
}

/** Fields that bind an action to the ledger as it is, and cannot make it do anything else. */
const BINDING = ["kind", "seq", "seen"];

/**
 * @param {action.Action} says @param {Omit<Intention, "network" | "author" | "now">} wanted
 * @param {(what: string, asked: any, says: any) => void} compare
 */
function compareAction(says, wanted, compare) {
  compare("action", wanted.kind, says.kind);
  const target = says.target ?? (says.device && { device: says.device });
  compare("target", wanted.target, target && (target.device?.did ?? target.batch));
  const fields = wanted.fields ?? {};
  for (const name of new Set([...Object.keys(says), ...Object.keys(fields)])) {
    if (["target", "device", "proposed"].includes(name)) continue;
    // The name of a new hold is chosen at random; that of an old one says which hold ends.
    const binds = BINDING.includes(name) || (name === "hold" && says.kind === "hold");
    if (binds && !(name in fields)) continue;
    compare(name, fields[name], says[name]);
  }
  if (says.proposed && wanted.proposed) {
    compareAction(says.proposed, wanted.proposed, (what, a, b) =>
      compare(`proposed ${what}`, a, b),
    );
  } else {
    compare("proposed", wanted.proposed?.kind, says.proposed?.kind);
  }
}

/** One text for one value. @param {any} value @returns {string} */
function text(value) {
  if (value === undefined) return "nothing";
  return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
}

/**
 * Signs an operation's bytes, if they say what the person asked for and nothing else.
 * @param {Bytes} bytes unsigned, as a server proposes them
 * @param {Intention} wanted @param {cose.Signer} signer
 */
export async function sign(bytes, wanted, signer) {
  const differences = expect(decode(bytes), wanted);
  if (differences.length > 0) {
    throw new Fault(
      `Not signed. The server proposed something else than you asked for: ${differences.join("; ")}.`,
    );
  }
  return cose.sign(TYP, bytes, signer);
}

/**
 * A key's own word that it wants to join (docs/formats/operations.md).
 * @param {string} network @param {string} joins a DID @param {cbor.Uint} seq @param {cose.Signer} signer
 */
export async function newKey(network, joins, seq, signer) {
  const message = cose.newKeyMessage(unhex(network), digestOfDid(joins), seq, signer.publicKey);
  return [signer.publicKey.multikey, hex(await signer.sign(message))];
}

/**
 * Reads and checks a signed operation: encoding, signature, the proofs of new keys. `proposal` is
 * the id of the proposal, if it is one: of what is signed, not of the signature, which has a twin.
 * @param {Bytes} bytes
 */
export async function verify(bytes) {
  const later = statedVersion(bytes) > PROTOCOL;
  if (later) throw new Fault("upgrade needed: another protocol version");
  try {
    const { key, payload, signed } = await cose.verify(TYP, bytes);
    const operation = decode(payload);
    await verifyNewKeys(operation);
    const [hash, proposal] = [hex(await sha256(bytes)), hex(await sha256(signed))];
    return { key, operation, payload, hash, proposal };
  } catch (error) {
    throw upgradeNeeded(error);
  }
}

/** Those of a proposal too. @param {Operation} operation */
async function verifyNewKeys({ network, author, action: outer }) {
  const does = outer.kind === "propose" ? outer.proposed : outer;
  if (does.kind === "admit") return verifyAdmission(network, does.admission);
  /** @type {[string, [string, string]][]} */
  const joining =
    does.kind === "rotate" || does.kind === "recover"
      ? [[does.device.did, does.key]]
      : does.kind === "change-keys"
        ? does.add.map((/** @type {any} */ [key]) => [author, key])
        : [];
  for (const [joins, [multikey, proof]] of joining) {
    const key = PublicKey.fromMultikey(multikey);
    const message = cose.newKeyMessage(unhex(network), digestOfDid(joins), does.seq, key);
    await key.verify(message, unhex(proof));
  }
}

/** By the inception's key, and by each key that the organisation begins with.
 * @param {string} network @param {Record<string, any>} admission */
async function verifyAdmission(network, admission) {
  const inception = unhex(admission.inception);
  const { key } = cbor.decode(inception, readInception);
  const message = action.admissionMessage(network, admission);
  await key.verify(message, unhex(admission.signature));
  const did = digestOfDid(await didOfInception(inception));
  for (const [[multikey, proof]] of admission.keys) {
    const joins = PublicKey.fromMultikey(multikey);
    await joins.verify(cose.newKeyMessage(unhex(network), did, 0, joins), unhex(proof));
  }
}

/** The version that an operation states, whatever else it says. @param {Bytes} bytes @returns {cbor.Uint} */
function statedVersion(bytes) {
  try {
    const r = new cbor.Reader(bytes);
    r.tuple(4);
    r.bytes(bytes.length);
    r.map().end();
    return new cbor.Reader(r.bytes(bytes.length)).map().required(1).uint();
  } catch {
    return 0;
  }
}

/** Tells what a later version may have written from what none would. @param {unknown} error */
function upgradeNeeded(error) {
  const message = error instanceof Fault ? error.message : "";
  for (const later of ["an unknown action", "another protocol version"]) {
    if (message.endsWith(`: ${later}`)) return new Fault(`upgrade needed: ${later}`);
  }
  return message.startsWith("public key: unsupported")
    ? new Fault("upgrade needed: an unknown kind of key")
    : error;
}
