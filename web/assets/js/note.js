// Checkpoints: C2SP signed notes with cosignatures (docs/formats/log-and-checkpoint.md).

import { Fault, base64, concat, equal, sha256, unbase64, unhex, utf8 } from "./bytes.js";
import { PublicKey } from "./public_key.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/**
 * @typedef {{ network: string, size: bigint, logRoot: Bytes, height: bigint, time: bigint, stateRoot: Bytes, validators: Bytes }} Head
 * @typedef {{ name: string, blob: Bytes }} SignatureLine
 * @typedef {{ head: Head, body: string, lines: SignatureLine[] }} Note
 */

const MAX_NOTE = 32_768;
const MAX_U64 = (1n << 64n) - 1n;

/** @param {string} reason */
const refused = (reason) => new Fault(`checkpoint: ${reason}`);

/** @param {Head} head its one text */
function bodyOf(head) {
  return [
    `muster/${head.network}`,
    head.size,
    base64(head.logRoot),
    `height ${head.height}`,
    `time ${head.time}`,
    `state ${base64(head.stateRoot)}`,
    `validators ${base64(head.validators)}`,
    "protocol 1",
    "",
  ].join("\n");
}

/** @param {string} text */
function number(text) {
  // With a sign or leading zeros it is a number, but not in its one form: the whole is compared.
  const n = /^\+?[0-9]{1,40}$/.test(text) ? BigInt(text.replace("+", "")) : MAX_U64 + 1n;
  if (n > MAX_U64) throw refused("a number is malformed");
  return n;
}

/** @param {string} text */
function hash(text) {
  try {
    const bytes = unbase64(text);
    if (bytes.length === 32) return bytes;
  } catch {
    // Said below.
  }
  throw refused("a hash is 32 bytes in base64");
}

/** @param {string} body @returns {Head} */
function readHead(body) {
  // A line that ends in CR LF is read, and then not in the one form of its content.
  const lines = body.replace(/\n$/, "").split(/\r?\n/);
  const line = () => {
    const next = lines.shift();
    if (next === undefined) throw refused("a line is missing");
    return next;
  };
  /** @param {string} name */
  const extension = (name) => {
    const next = line();
    if (next.startsWith(`${name} `)) return next.slice(name.length + 1);
    throw refused("the extension lines are height, time, state, validators, protocol");
  };
  const network = /^muster\/([0-9a-f]{64})$/.exec(line())?.[1];
  if (network === undefined) throw refused("the origin is muster/<genesis hash>");
  const [size, logRoot] = [number(line()), hash(line())];
  const [height, time] = [number(extension("height")), number(extension("time"))];
  const [stateRoot, validators] = [hash(extension("state")), hash(extension("validators"))];
  if (number(extension("protocol")) !== 1n) {
    throw refused("upgrade needed, it is of another protocol version");
  }
  const head = { network, size, logRoot, height, time, stateRoot, validators };
  if (bodyOf(head) !== body) throw refused("not the one form of its content");
  return head;
}

/** @param {string} line @returns {SignatureLine} */
function readLine(line) {
  const [, name, text] = /^— ([^ ]*) (.*)$/.exec(line) ?? [];
  if (name === undefined) throw refused("a signature line is malformed");
  let blob;
  try {
    blob = unbase64(text);
  } catch {
    throw refused("a signature is not in base64");
  }
  if (name === "" || /[+\s\p{Cc}]/u.test(name) || blob.length < 5) {
    throw refused("a signature line is malformed");
  }
  return { name, blob };
}

/** Reads a note; no signature is checked. @param {string} note @returns {Note} */
export function parse(note) {
  if (utf8(note).length > MAX_NOTE) throw refused("longer than 32,768 bytes");
  const cut = note.indexOf("\n\n");
  if (cut < 0) throw refused("no empty line before signatures");
  const body = note.slice(0, cut + 1);
  const head = readHead(body);
  const rest = note.slice(cut + 2);
  if (!rest.endsWith("\n")) throw refused("the last line is cut");
  return { head, body, lines: rest.slice(0, -1).split("\n").map(readLine) };
}

/** How many of `n` validators are a quorum: more than two thirds. @param {number} n */
export const quorum = (n) => Math.floor((2 * n) / 3) + 1;

/**
 * Throws unless the note is of the network and a quorum of the validators signed it.
 * @param {Note} note @param {string} network @param {string[]} validators their Multikeys
 * @returns {Promise<{ good: number, needed: number }>}
 */
export async function verify(note, network, validators) {
  if (note.head.network !== network) throw refused("it belongs to another network");
  const signed = await Promise.all(validators.map((name) => signedBy(note, name)));
  const [good, needed] = [signed.filter(Boolean).length, quorum(validators.length)];
  if (good < needed) {
    throw refused(`${good} of ${needed} needed validator signatures are good`);
  }
  return { good, needed };
}

/** By C2SP cosignature/v1, for the second of the head's own time. @param {Note} note @param {string} name */
async function signedBy({ head, body, lines }, name) {
  const key = PublicKey.fromMultikey(name);
  const id = (await sha256(utf8(`${name}\n`), [4], key.raw)).slice(0, 4);
  const seconds = head.time / 1_000n;
  const message = utf8(`cosignature/v1\ntime ${seconds}\n${body}`);
  const stamp = unhex(seconds.toString(16).padStart(16, "0"));
  for (const line of lines) {
    if (line.name !== name || !equal(line.blob.slice(0, 12), concat(id, stamp))) continue;
    try {
      await key.verify(message, line.blob.slice(12));
      return true;
    } catch {
      // Another line may be the good one.
    }
  }
  return false;
}
