// Private keys in files: PKCS#8 PEM (RFC 5958, RFC 7468) of Ed25519 and P-256, not sealed.

import { Fault, concat, equal, unbase64, unhex } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./public_key.js").Algorithm} Algorithm */

/** Longest file: a key has some 240 bytes of PEM. */
const MAX_PEM = 4_096;

/** PKCS#8 up to the secret, in the oldest form, which every browser reads. */
const FORMS = /** @type {Record<Algorithm, Bytes>} */ ({
  Ed25519: unhex("302e020100300506032b657004220420"),
  "P-256": unhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"),
});
const OIDS = {
  Ed25519: unhex("06032b6570"),
  "P-256": unhex("06072a8648ce3d020106082a8648ce3d030107"),
};

/**
 * One element of DER: definite, in shortest form.
 * @param {Uint8Array} der @param {number} tag
 */
function element(der, tag) {
  const long = der[1] === 0x81;
  const [start, length] = long ? [3, der[2]] : [2, der[1]];
  const fits =
    der[0] === tag && (long ? length >= 128 : length < 128) && start + length <= der.length;
  if (!fits)
    throw new Fault(
      "the key file is damaged, or of a kind that is not supported: use PKCS#8 with Ed25519 or P-256",
    );
  return { body: der.slice(start, start + length), rest: der.slice(start + length) };
}

const [INTEGER, OCTETS, SEQUENCE] = [0x02, 0x04, 0x30];

/**
 * The algorithm, and the key in PKCS#8's oldest form: what follows the secret (attributes, the
 * public key) is left out, since not every browser reads it.
 * @param {string} text @returns {{ algorithm: Algorithm, pkcs8: Bytes }}
 */
export function readPem(text) {
  if (text.length > MAX_PEM) throw new Fault("the file is too long for a private key");
  if (text.includes("ENCRYPTED PRIVATE KEY")) {
    throw new Fault(
      "The key file is sealed with a passphrase, which a browser cannot open. Unseal a copy first: muster key unseal FILE",
    );
  }
  const [, body] =
    /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(text) ?? [];
  if (body === undefined)
    throw new Fault("The file holds no private key in PKCS#8 PEM (-----BEGIN PRIVATE KEY-----).");
  const info = element(unbase64(body.replace(/\s/g, "")), SEQUENCE).body;
  const version = element(info, INTEGER);
  const kind = element(version.rest, SEQUENCE);
  const holder = element(kind.rest, OCTETS).body;
  if (equal(kind.body, OIDS.Ed25519)) return made("Ed25519", element(holder, OCTETS).body);
  if (equal(kind.body, OIDS["P-256"])) {
    const inner = element(element(holder, SEQUENCE).body, INTEGER);
    return made("P-256", element(inner.rest, OCTETS).body);
  }
  throw new Fault("The key is neither Ed25519 nor P-256: make one with muster key new");
}

/** @param {Algorithm} algorithm @param {Uint8Array} secret */
function made(algorithm, secret) {
  if (secret.length !== 32) throw new Fault("the private key is not 32 bytes long");
  return { algorithm, pkcs8: concat(FORMS[algorithm], secret) };
}
