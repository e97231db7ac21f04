// Leaves: what a device is in its batch, and why (docs/formats/leaf-and-batch.md, possession.md).

import { Fault, hex, unhex } from "./bytes.js";
import * as cbor from "./cbor.js";
import { didOfInception, digestOfDid, readInception } from "./did.js";
import * as f from "./fields.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const VOUCHED = f.word(
  { 0: "enroller", 1: "manifest", 2: "certificate", 3: "signing request" },
  "an unknown kind of voucher",
);
const MAX_CHALLENGE = 32;

/**
 * Why the enroller believes in the device.
 * @typedef {{ challenge: string, signature: string } | { by: string, digest: string | null }} Evidence
 * @param {cbor.Reader} r @returns {Evidence}
 */
function readEvidence(r) {
  const items = r.array(3);
  const kind = r.uint();
  if (kind === 1 && items === 3) {
    return { challenge: hex(r.bytes(MAX_CHALLENGE)), signature: hex(r.arrayOf(64)) };
  }
  if (kind !== 2 || items < 2) throw r.fault("unknown evidence");
  const by = VOUCHED.read(r);
  const digest = items === 3 ? hex(r.arrayOf(32)) : null;
  if ((digest === null) !== (by === "enroller")) {
    throw r.fault("a document is named by its digest, the enroller's word has none");
  }
  return { by, digest };
}

/** @param {cbor.Reader} r */
function read(r) {
  const m = r.map();
  const inception = m.required(1).bytes(f.LIMITS.leafBytes);
  const evidence = readEvidence(m.required(2));
  const serial = hex(m.required(3).arrayOf(32));
  const recovery = m.optional(4);
  if (recovery !== null && !recovery.bool()) throw recovery.fault("an absent recovery is left out");
  m.end();
  return { inception, evidence, serial, ownerRecovery: recovery !== null };
}

/** What a leaf's bytes say; no signature is checked. @param {Uint8Array} bytes */
export async function open(bytes) {
  const leaf = cbor.decode(bytes, read);
  const inception = cbor.decode(leaf.inception, readInception);
  return { ...leaf, key: inception.key, did: await didOfInception(leaf.inception) };
}

/** @typedef {Awaited<ReturnType<typeof open>>} Leaf */

/**
 * What a device signs at the factory (docs/formats/possession.md).
 * @param {{ network: string, manufacturer: string, device: string, challenge: string, ownerRecovery: boolean }} terms
 */
export function possession({ network, manufacturer, device, challenge, ownerRecovery }) {
  const chosen = unhex(challenge);
  if (chosen.length > MAX_CHALLENGE) throw new Fault("a challenge must be at most 32 bytes long");
  const parts = [unhex(network), digestOfDid(manufacturer), digestOfDid(device), chosen];
  const domain = cbor.text("muster/possession/1");
  return cbor.array([domain, ...parts.map(cbor.bytes), cbor.bool(ownerRecovery)]);
}

/**
 * What anybody can check of a leaf alone: the possession signature, and that a recovery by the
 * owner was agreed to by the device.
 * @param {Leaf} leaf @param {string} network @param {string} manufacturer a DID
 */
export async function check(leaf, network, manufacturer) {
  const { evidence, key, did, ownerRecovery } = leaf;
  if ("signature" in evidence) {
    const { challenge, signature } = evidence;
    const terms = { network, manufacturer, device: did, challenge, ownerRecovery };
    await key.verify(possession(terms), unhex(signature));
  } else if (ownerRecovery) {
    throw new Fault("recovery by the owner needs the device's own possession signature");
  }
}
