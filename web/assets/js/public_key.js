// Public keys that sign, and the one signature rule (docs/formats/did.md).

import { Fault, concat, equal } from "./bytes.js";
import { fromBase58, toBase58 } from "./base58.js";
import * as curve from "./curve.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {"Ed25519" | "P-256"} Algorithm */

/** @param {string} reason */
const refused = (reason) => new Fault(`public key: ${reason}`);

/** What each algorithm is called where: multicodec prefix, JOSE, COSE (RFC 9864), WebCrypto. */
const KINDS = {
  Ed25519: {
    prefix: Uint8Array.of(0xed, 1),
    size: 32,
    jose: "EdDSA",
    cose: -19,
    sign: { name: "Ed25519" },
    key: { name: "Ed25519" },
  },
  "P-256": {
    prefix: Uint8Array.of(0x80, 0x24),
    size: 33,
    jose: "ES256",
    cose: -9,
    sign: { name: "ECDSA", hash: "SHA-256" },
    key: { name: "ECDSA", namedCurve: "P-256" },
  },
};

/** @param {Algorithm} algorithm */
export const kindOf = (algorithm) => KINDS[algorithm];

/** Longest multicodec form: prefix and a compressed P-256 point. */
export const MAX_KEY = 35;

export class PublicKey {
  /** @param {Algorithm} algorithm @param {Bytes} raw */
  constructor(algorithm, raw) {
    this.algorithm = algorithm;
    this.raw = raw;
    const kind = KINDS[algorithm];
    if (raw.length !== kind.size) throw refused("wrong length for its type");
    const fault =
      algorithm === "Ed25519"
        ? curve.ed25519Fault(raw)
        : curve.decompress(raw) === null
          ? "not a canonical point of its curve"
          : null;
    if (fault !== null) throw refused(fault);
    /** Prefix and key: the form of CBOR. */
    this.multicodec = concat(kind.prefix, raw);
    /** The form of texts. */
    this.multikey = toBase58(this.multicodec);
  }

  /** @param {Uint8Array} bytes */
  static fromMulticodec(bytes) {
    const [prefix, raw] = [bytes.slice(0, 2), concat(bytes.slice(2))];
    for (const algorithm of /** @type {Algorithm[]} */ (["Ed25519", "P-256"])) {
      if (equal(KINDS[algorithm].prefix, prefix)) return new PublicKey(algorithm, raw);
    }
    throw refused("unsupported key type (Ed25519 and P-256 sign, X25519 agrees)");
  }

  /** @param {string} text */
  static fromMultikey(text) {
    let bytes;
    try {
      bytes = fromBase58(text);
    } catch {
      throw refused("not a Multikey: expected `z` and base58btc characters");
    }
    return PublicKey.fromMulticodec(bytes);
  }

  /**
   * Throws unless the signature is this key's over the message.
   * @param {Bytes} message @param {Bytes} signature
   */
  async verify(message, signature) {
    const kind = KINDS[this.algorithm];
    const ed = this.algorithm === "Ed25519";
    const raw = ed ? this.raw : curve.decompress(this.raw);
    const shaped =
      signature.length === 64 &&
      (ed ? curve.ed25519SignatureOk(signature) : curve.p256SignatureOk(signature));
    if (raw !== null && shaped) {
      const key = await crypto.subtle.importKey("raw", raw, kind.key, false, ["verify"]);
      if (await crypto.subtle.verify(kind.sign, key, signature, message)) return;
    }
    throw new Fault("the signature does not verify");
  }
}

/** @param {import("./cbor.js").Reader} r */
export function readKey(r) {
  return PublicKey.fromMulticodec(r.bytes(MAX_KEY));
}
