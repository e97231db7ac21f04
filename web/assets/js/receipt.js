// Receipts, checked in this browser from the pinned genesis alone: nobody's word is taken
// (docs/formats/receipt.md). It answers *was it enrolled?*, never *is it in good standing?*.

import { Fault, hex, sha256, unhex } from "./bytes.js";
import * as cbor from "./cbor.js";
import * as f from "./fields.js";
import * as genesis from "./genesis.js";
import * as leaf from "./leaf.js";
import { leafHash, verifyInclusion } from "./merkle.js";
import * as note from "./note.js";
import * as operation from "./operation.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/**
 * One check that held: what was checked, and what it showed.
 * @typedef {{ check: string, shows: string }} Step
 */

const MAX_ENTRY = 16_384 + 64;
const MAX_NOTE = 32_768;
const ENTRY_PROOF = f.record([
  [1, "index", f.uint],
  [2, "entry", f.blob(MAX_ENTRY)],
  [3, "path", f.path],
  [4, "note", { read: (r) => r.text(MAX_NOTE), write: cbor.text }],
]);
const RECEIPT = f.record([
  [1, "device", f.devicePart],
  [2, "batch", ENTRY_PROOF],
]);

/** Names the part of which an error speaks. @template T @param {string} part @param {() => T | Promise<T>} task */
async function within(part, task) {
  try {
    return await task();
  } catch (error) {
    throw error instanceof Fault ? new Fault(`${part}: ${error.message}`) : error;
  }
}

/**
 * The set that signs is the genesis's, unless the caller knows that it changed and to what: a
 * receipt does not carry the operations that changed it. `validators` are the Multikeys it knows.
 * @typedef {{ validators?: string[] }} Knowledge
 */

/**
 * Checks that an entry is in the log: an acknowledgement of an operation.
 * @param {Record<string, any>} proof @param {string} network @param {string[]} validators @param {Step[]} steps
 */
async function verifyEntry(proof, network, validators, steps) {
  const checkpoint = note.parse(proof.note);
  const { good, needed } = await note.verify(checkpoint, network, validators);
  const { size, height, logRoot, time } = checkpoint.head;
  const when = new Date(Number(time)).toISOString();
  steps.push({
    check: "A quorum of the validators signed this state of the ledger",
    shows: `${good} good signatures, ${needed} needed; ${size} entries at height ${height}, ${when}`,
  });
  const bytes = unhex(proof.entry);
  const path = proof.path.map(unhex);
  await within("log path", async () =>
    verifyInclusion(await leafHash(bytes), proof.index, size, path, logRoot),
  );
  steps.push({
    check: "The entry is in that log",
    shows: `entry ${proof.index}, by ${path.length} hashes to the root ${hex(logRoot)}`,
  });
  const { entry, signed } = await within("entry", async () => {
    const entry = cbor.decode(bytes, (r) => {
      r.tuple(3);
      return { height: r.uint(), time: f.time.read(r), operation: r.bytes(16_384) };
    });
    return { entry, signed: await operation.verify(entry.operation) };
  });
  steps.push({
    check: "The operation is signed",
    shows: `by ${signed.key.multikey} in the name of ${signed.operation.author}`,
  });
  return { entry, signed, checkpoint };
}

/**
 * Checks an entry proof under the pinned network.
 * @param {Bytes} bytes @param {Bytes} genesisBytes @param {string} network @param {Knowledge} [knowledge]
 */
export async function checkEntry(bytes, genesisBytes, network, knowledge = {}) {
  const { steps, validators } = await begin(genesisBytes, network, knowledge);
  const proof = cbor.decode(bytes, ENTRY_PROOF.read);
  const { entry, signed, checkpoint } = await verifyEntry(proof, network, validators, steps);
  return {
    steps,
    index: proof.index,
    entry,
    operation: signed.operation,
    key: signed.key,
    head: checkpoint.head,
  };
}

/** @param {Bytes} bytes @param {string} network @param {Knowledge} knowledge */
async function begin(bytes, network, knowledge) {
  const first = await genesis.openPinned(bytes, network);
  const validators = knowledge.validators ?? first.validators;
  /** @type {Step[]} */
  const steps = [
    {
      check: "The genesis is the one this browser has pinned",
      shows: `network ${network}, ${validators.length} validators`,
    },
  ];
  return { steps, validators };
}

/**
 * Checks a device's receipt, and gives the steps in words. Throws at the first that does not hold.
 * @param {Bytes} bytes the receipt @param {Bytes} genesisBytes as a node gave it
 * @param {string} network the pinned genesis hash @param {Knowledge} [knowledge]
 */
export async function check(bytes, genesisBytes, network, knowledge = {}) {
  const { steps, validators } = await begin(genesisBytes, network, knowledge);
  const receipt = cbor.decode(bytes, RECEIPT.read);
  const { entry, signed, checkpoint } = await verifyEntry(
    receipt.batch,
    network,
    validators,
    steps,
  );
  const { action: enrol, author } = signed.operation;
  if (enrol.kind !== "enrol") throw new Fault("batch part: the entry enrols nothing");
  const { device } = receipt;
  if ((await batchId(network, enrol)) !== device.batch) {
    throw new Fault("batch part: the entry enrols another batch");
  }
  steps.push({
    check: "It enrols the batch of this device",
    shows: `batch ${device.batch}, ${enrol.count} devices of model ${enrol.model}`,
  });
  const leafBytes = unhex(device.leaf);
  const path = device.path.map(unhex);
  const found = await within("device part", async () => {
    await verifyInclusion(
      await leafHash(leafBytes),
      device.index,
      enrol.count,
      path,
      unhex(enrol.root),
    );
    return leaf.open(leafBytes);
  });
  steps.push({
    check: "The device is in that batch",
    shows: `leaf ${device.index}, by ${path.length} hashes to the root ${enrol.root}`,
  });
  await within("leaf", () => leaf.check(found, network, author));
  const evidence = found.evidence;
  steps.push(
    "signature" in evidence
      ? { check: "The device itself signed to be enrolled", shows: `key ${found.key.multikey}` }
      : {
          check: "The manufacturer vouches for the device",
          shows: evidence.digest
            ? `by a ${evidence.by}, SHA-256 ${evidence.digest}`
            : "by its own word",
        },
  );
  steps.push({ check: "The DID is the hash of the device's inception", shows: found.did });
  return {
    steps,
    did: found.did,
    key: found.key,
    manufacturer: author,
    batch: device.batch,
    index: device.index,
    model: enrol.model,
    entry,
    head: checkpoint.head,
  };
}

/** @param {string} network @param {Record<string, any>} enrol @returns {Promise<string>} */
async function batchId(network, enrol) {
  const parts = [
    cbor.text("muster/batch/1"),
    f.id(32).write(network),
    f.id(32).write(enrol.grant),
    f.id(32).write(enrol.root),
    cbor.uint(enrol.count),
  ];
  return hex(await sha256(cbor.array(parts)));
}
