// Reads the project's vectors with the console's modules, as crates identity and ledger do in
// their own tests: the same verdict, in the same words.

import { equal, hex, unhex, utf8 } from "../js/bytes.js";
import * as cbor from "../js/cbor.js";
import * as did from "../js/did.js";
import * as f from "../js/fields.js";
import * as genesis from "../js/genesis.js";
import * as leaf from "../js/leaf.js";
import { leafHash, verifyConsistency, verifyInclusion } from "../js/merkle.js";
import * as note from "../js/note.js";
import * as operation from "../js/operation.js";
import { PublicKey } from "../js/public_key.js";
import * as receipt from "../js/receipt.js";
import * as cose from "../js/cose.js";
import * as stateProof from "../js/state_proof.js";
import * as upload from "../js/upload.js";

/** @param {any} found @param {any} wanted @param {string} what */
function same(found, wanted, what) {
  if (String(found) !== String(wanted)) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

/** Hash of a genesis's bytes, unchecked, as whoever pinned it knows it. */
async function networkOf(file) {
  return (await genesis.open(unhex(file.genesis))).network;
}

const KINDS = {
  inception(file) {
    const inception = cbor.decode(unhex(file.inception), did.readInception);
    if (file.multikey === undefined) return;
    same(inception.key.multikey, file.multikey, "multikey");
    same(hex(inception.key.multicodec), file.multicodec, "multicodec");
    same(PublicKey.fromMultikey(file.multikey).multikey, file.multikey, "multikey read");
    const bare = hex(did.bareInception(inception.key)) === file.inception;
    same(bare, ![inception.agreement, inception.next, inception.recovery].some(Boolean), "bare");
    return did.didOfInception(unhex(file.inception)).then((found) => {
      same(found, file.did, "did");
      same(did.didOfDigest(did.digestOfDid(found)), file.did, "did read");
    });
  },
  "public-key": (file) => void PublicKey.fromMulticodec(unhex(file.multicodec)),
  "agreement-key": (file) => void did.agreementKey(unhex(file.multicodec)),
  multikey: (file) => void PublicKey.fromMultikey(file.multikey),
  did: (file) => void did.digestOfDid(file.did),
  async genesis(file) {
    const opened = await genesis.open(unhex(file.genesis));
    same(opened.network, file.network, "network");
    same(opened.organisation, file.organisation, "organisation");
  },
  async upload(file) {
    const { key, payload, request } = await upload.verify(unhex(file.signed));
    same(hex(payload), file.upload, "payload");
    same(key.multikey, file.multikey, "multikey");
    same([request.rehearsal, request.rows, request.model], [true, 250_000, "sensor-1"], "request");
    const covered = cose.toBeSigned(cose.protectedHeader(upload.UPLOAD, key), payload);
    same(hex(upload.covered(covered, key).payload), file.upload, "what a signature covers");
  },
  async operation(file) {
    const found = await operation.verify(unhex(file.signed));
    same(hex(found.payload), file.payload, "payload");
    same(hex(operation.encode(found.operation)), file.payload, "encoded again");
    same(found.operation.action.kind, file.action, "action");
    same(found.operation.network, file.network, "network");
    same(found.operation.author, file.author, "author");
    same(found.operation.validUntil, file.valid_until, "valid until");
    same(found.key.multikey, file.multikey, "multikey");
    same(found.hash, file.hash, "hash");
    same(found.proposal, file.proposal, "proposal");
    const { sentence, lines } = operation.describe(found.operation);
    if (/undefined|object|NaN/.test(sentence + JSON.stringify(lines))) throw new Error(sentence);
  },
  async leaf(file) {
    const found = await leaf.open(unhex(file.leaf));
    await leaf.check(found, file.network, file.manufacturer);
    same(found.did, file.did, "did");
    same(found.key.multikey, file.multikey, "multikey");
    same(found.serial, file.serial_commitment, "serial");
    same(hex(await leafHash(unhex(file.leaf))), file.leaf_hash, "leaf hash");
  },
  async "device-part"(file) {
    const part = cbor.decode(unhex(file.device_part), f.devicePart.read);
    const path = part.path.map(unhex);
    const hash = await leafHash(unhex(part.leaf));
    await verifyInclusion(hash, part.index, file.count, path, unhex(file.root));
    same((await leaf.open(unhex(part.leaf))).did, file.dids[part.index], "did");
    same(hex(f.devicePart.write(part)), file.device_part, "encoded again");
  },
  async log(file) {
    const [leaves, roots] = [file.leaf_hashes.map(unhex), file.roots.map(unhex)];
    const [n, hashes] = [leaves.length, (text) => (text.match(/.{64}/g) ?? []).map(unhex)];
    for (const [i, path] of file.paths_at_10.entries()) {
      await verifyInclusion(leaves[i], i, n, hashes(path), roots[n]);
    }
    for (const [i, proof] of file.consistency_to_10.entries()) {
      await verifyConsistency(i + 1, roots[i + 1], n, roots[n], hashes(proof));
    }
  },
  async checkpoint(file) {
    const parsed = note.parse(file.note);
    await note.verify(parsed, file.network, file.validators);
    same(parsed.head.size, file.size, "size");
    same(parsed.head.height, file.height, "height");
    same(parsed.head.time, file.time, "time");
    same(hex(parsed.head.logRoot), file.log_root, "log root");
    same(hex(parsed.head.stateRoot), file.state_root, "state root");
  },
  async "entry-proof"(file) {
    const found = await receipt.checkEntry(
      unhex(file.entry_proof),
      unhex(file.genesis),
      await networkOf(file),
    );
    same(found.index, file.index, "index");
    same(found.operation.action.kind, file.action, "action");
  },
  async receipt(file) {
    const found = await receipt.check(
      unhex(file.receipt),
      unhex(file.genesis),
      await networkOf(file),
    );
    same(found.did, file.did, "did");
    same(found.index, file.index, "index");
    same(found.batch, file.batch, "batch");
    same(found.manufacturer, file.manufacturer, "manufacturer");
    same(found.entry.height, file.height, "height");
    same(found.steps.length, 8, "steps");
  },
  async "state-proof"(file) {
    const value = file.value == null ? null : unhex(file.value);
    await stateProof.verify(unhex(file.state_proof), unhex(file.root), unhex(file.key), value);
    const key = file.did === undefined ? null : hex(stateProof.deviceKey(file.did));
    if (key !== null && file.value != null) same(key, file.key, "key");
  },
  async possession(file) {
    const device = PublicKey.fromMultikey(file.multikey);
    const terms = {
      network: file.network,
      manufacturer: file.manufacturer,
      device: file.did,
      challenge: file.challenge,
      ownerRecovery: file.owner_recovery,
    };
    const message = leaf.possession(terms);
    same(hex(message), file.message, "message");
    await device.verify(message, unhex(file.signature));
  },
};

/** Kinds whose vectors are of code that a browser does not run. */
export const ELSEWHERE = [
  "acknowledgement",
  "batch",
  "block",
  "entry",
  "gateway-proof",
  "history",
  "invite",
  "login",
  "presentation",
  "read",
  "record",
  "registration",
  "snapshot",
  "state",
];

/** How faults of crate identity are named in its vectors (docs/formats/did.md). */
const CODES = [
  [/^CBOR, /, "cbor"],
  [/^not a did:muster identifier/, "did"],
  [/^the signature does not verify/, "signature"],
  [/ must be at most /, "bound"],
  [/^public key: unsupported key type/, "key_type"],
  [/^public key: wrong length/, "key_length"],
  [/^public key: not a canonical point/, "key_point"],
  [/^public key: a small-order point/, "key_small_order"],
  [/^public key: not a Multikey/, "key_multibase"],
];

/**
 * Whether the modules say of a vector what the file does: null, or the difference in words.
 * @param {string} name @param {"valid" | "invalid"} folder @param {any} file
 */
export async function difference(name, folder, file) {
  if (!(file.kind in KINDS)) return `unknown kind ${file.kind}`;
  let found = null;
  try {
    await KINDS[file.kind](file);
  } catch (error) {
    if (error.name !== "Fault") return String(error.stack);
    found = error.message;
  }
  const wanted = folder === "valid" ? null : file.fault;
  if (found === wanted) return null;
  // A page may know an action that comes with the next protocol version: then it reads further.
  if (found !== null && wanted === "upgrade needed: an unknown action") return null;
  const code = found === null ? null : CODES.find(([pattern]) => pattern.test(found))?.[1];
  if (name.startsWith("identity-") && code === wanted) return null;
  return `wanted ${wanted}, found ${found}`;
}

/** Bytes that are read and written again: integers at the edges of their forms. */
export function integers() {
  const edges = [
    0,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
  ];
  const large = [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
  for (const n of [...edges, ...large]) {
    const read = cbor.decode(cbor.uint(n), (r) => r.uint());
    if (read !== n) throw new Error(`${n} is read as ${read}`);
  }
  const text = "a\ufeff\u{1f600}";
  if (cbor.decode(cbor.text(text), (r) => r.text(99)) !== text) throw new Error("a text");
  if (!equal(cbor.text("é"), Uint8Array.of(0x62, ...utf8("é")))) throw new Error("UTF-8");
  return edges.length + large.length;
}
