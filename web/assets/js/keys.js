// The person's keys: made here, never extractable, kept in this browser's IndexedDB, used to sign
// and nothing else. A key is bound to the network, organisation and origin it was made for.

import { Fault, concat, unbase64url } from "./bytes.js";
import { compress } from "./curve.js";
import { readPem } from "./pem.js";
import { PublicKey, kindOf } from "./public_key.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./public_key.js").Algorithm} Algorithm */

/**
 * What is kept beside a key; `invite` is the hash of the secret of the invitation that it was made for.
 * @typedef {{ network: string, organisation: string, origin: string, label: string, role: string, invite?: string }} About
 * @typedef {About & { multikey: string, algorithm: Algorithm, privateKey: CryptoKey, made: number }} Row
 */

const [DATABASE, STORE] = ["muster", "keys"];

/** A key of this browser. */
export class KeptKey {
  #privateKey;

  /** @param {Row} row */
  constructor(row) {
    const { privateKey, ...about } = row;
    this.#privateKey = privateKey;
    /** @type {Omit<Row, "privateKey">} */
    this.about = about;
    this.publicKey = PublicKey.fromMultikey(row.multikey);
  }

  /** @param {Bytes} message @returns {Promise<Bytes>} 64 bytes */
  async sign(message) {
    const { sign } = kindOf(this.publicKey.algorithm);
    return new Uint8Array(await crypto.subtle.sign(sign, this.#privateKey, message));
  }
}

/** @template T @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest<T>} task @returns {Promise<T>} */
async function within(mode, task) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "multikey" });
  const database = await settled(opening);
  try {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const request = task(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () =>
        reject(transaction.error ?? new Fault("The browser did not keep the key."));
    });
    return request.result;
  } finally {
    database.close();
  }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Whether this browser can make keys here: it gives WebCrypto to secure contexts alone. */
export function canKeepKeys() {
  return globalThis.crypto?.subtle !== undefined && globalThis.indexedDB !== undefined;
}

/** Makes a key and keeps it. Ed25519 where the browser has it. @param {About} about @param {Algorithm} [algorithm] */
export async function make(about, algorithm) {
  const [pair, found] = await generate(algorithm);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return keep(
    new PublicKey(found, found === "P-256" ? compress(raw) : raw),
    pair.privateKey,
    about,
  );
}

/** @param {Algorithm} [algorithm] @returns {Promise<[CryptoKeyPair, Algorithm]>} */
async function generate(algorithm) {
  const pair = async (/** @type {Algorithm} */ which) =>
    /** @type {CryptoKeyPair} */ (
      await crypto.subtle.generateKey(kindOf(which).key, false, ["sign", "verify"])
    );
  if (algorithm !== undefined) return [await pair(algorithm), algorithm];
  try {
    return [await pair("Ed25519"), "Ed25519"];
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotSupportedError") throw error;
    return [await pair("P-256"), "P-256"];
  }
}

/** Keeps the key of a file that the person chose. The file stays what it was. @param {string} pem @param {About} about */
export async function importPem(pem, about) {
  const { algorithm, pkcs8 } = readPem(pem);
  const { key } = kindOf(algorithm);
  let readable;
  try {
    readable = await crypto.subtle.importKey("pkcs8", pkcs8, key, true, ["sign"]);
  } catch {
    throw new Fault("The browser cannot read the private key in this file.");
  }
  // The public key is told by the readable form alone; what is kept cannot be read again.
  const jwk = await crypto.subtle.exportKey("jwk", readable);
  const [x, y] = [jwk.x, jwk.y].map((text) => unbase64url(text ?? ""));
  const raw = algorithm === "P-256" ? compress(concat([4], x, y)) : x;
  const kept = await crypto.subtle.importKey("pkcs8", pkcs8, key, false, ["sign"]);
  pkcs8.fill(0);
  const publicKey = new PublicKey(algorithm, raw);
  const there = await get(publicKey.multikey);
  const fits = (/** @type {"network" | "organisation" | "origin"} */ name) => there?.about[name] === about[name];
  if (there && fits("network") && fits("organisation") && fits("origin")) return there;
  // Whoever brings the file says what the key is for now.
  return keep(publicKey, kept, about, there !== null);
}

/** @param {PublicKey} publicKey @param {CryptoKey} privateKey @param {About} about @param {boolean} [again] in place of what is kept of it */
async function keep(publicKey, privateKey, about, again = false) {
  const { multikey, algorithm } = publicKey;
  const { network, organisation, origin, label, role, invite } = about;
  const row = {
    multikey,
    algorithm,
    privateKey,
    network,
    organisation,
    origin,
    label,
    role,
    ...(invite === undefined ? {} : { invite }),
    made: Date.now(),
  };
  const key = new KeptKey(row);
  // A key that signs wrongly must be found before anybody relies on it.
  const probe = new TextEncoder().encode("muster");
  await publicKey.verify(concat(probe), await key.sign(concat(probe)));
  await within("readwrite", (store) => (again ? store.put(row) : store.add(row)));
  // Else a browser short of room may throw keys away.
  await navigator.storage?.persist?.();
  return key;
}

/** All keys of this browser, oldest first. */
export async function list() {
  const rows = await within("readonly", (store) => store.getAll());
  return rows.sort((a, b) => a.made - b.made).map((row) => new KeptKey(row));
}

/** @param {string} multikey @returns {Promise<KeptKey | null>} */
export async function get(multikey) {
  const row = await within("readonly", (store) => store.get(multikey));
  return row === undefined ? null : new KeptKey(row);
}

/** Changes label or role of a kept key. @param {string} multikey @param {Partial<Pick<About, "label" | "role">>} change */
export async function update(multikey, change) {
  const row = await within("readonly", (store) => store.get(multikey));
  if (row === undefined) throw new Fault("This browser has no such key.");
  await within("readwrite", (store) => store.put({ ...row, ...change }));
}

/** Removes a key from this browser, for good. @param {string} multikey */
export async function remove(multikey) {
  await within("readwrite", (store) => store.delete(multikey));
}
