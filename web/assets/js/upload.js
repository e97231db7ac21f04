// The signed request that opens an upload (docs/formats/operations.md), and the bytes that a
// signature covers, taken apart. What does not read back to the same bytes is not signed.

import { Fault, hex } from "./bytes.js";
import * as cbor from "./cbor.js";
import * as cose from "./cose.js";
import * as f from "./fields.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./public_key.js").PublicKey} PublicKey */
/** @typedef {{ network: string, organisation: string, validUntil: number, grant: string, model: string, rows: number, rehearsal: boolean, nonce: string }} UploadRequest */

export const UPLOAD = "muster-upload+cose";
export const OPERATION = "muster-op+cose";
/** The protocol version that this page speaks. */
const PROTOCOL = 1;
/** Bytes of a signed object, and of a protected header (cose.js). */
const [MAX_SIGNED, MAX_PROTECTED] = [16_384, 128];

/** @param {cbor.Reader} r @returns {UploadRequest} */
function read(r) {
  const m = r.map();
  const version = m.required(1);
  if (version.uint() !== PROTOCOL) throw version.fault("another protocol version");
  const request = {
    network: f.id(32).read(m.required(2)),
    organisation: f.did.read(m.required(3)),
    validUntil: f.time.read(m.required(4)),
    grant: f.id(32).read(m.required(5)),
    model: f.model.read(m.required(6)),
    rows: f.upTo(f.LIMITS.batchDevices).read(m.required(7)),
    rehearsal: m.required(8).bool(),
    nonce: hex(m.required(9).arrayOf(16)),
  };
  m.end();
  return request;
}

/** The unsigned bytes of an upload request as an object. @param {Uint8Array} bytes */
export function decode(bytes) {
  return cbor.decode(bytes, read);
}

/**
 * What a `Sig_structure` (RFC 9052 §4.4) covers: which kind of thing, and its bytes. It is one of
 * ours, for this key, or a fault.
 * @param {Bytes} bytes @param {PublicKey} key
 */
export function covered(bytes, key) {
  const payload = cbor.decode(bytes, (r) => {
    r.tuple(4);
    if (r.text(16) !== "Signature1") throw r.fault("not the signature of one signer");
    r.bytes(MAX_PROTECTED);
    r.bytes(0);
    return r.bytes(MAX_SIGNED);
  });
  for (const typ of [UPLOAD, OPERATION]) {
    if (hex(cose.toBeSigned(cose.protectedHeader(typ, key), payload)) === hex(bytes)) {
      return { typ, payload };
    }
  }
  throw new Fault("It is neither an upload nor an operation for this browser's key.");
}

/** Reads and checks a signed request. @param {Bytes} bytes */
export async function verify(bytes) {
  const { key, payload } = await cose.verify(UPLOAD, bytes);
  return { key, payload, request: decode(payload) };
}
