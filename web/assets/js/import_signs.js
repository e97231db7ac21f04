// What an import asks this browser to sign, held against what the person agreed to.

import { base64url, unbase64url } from "./bytes.js";
import * as operations from "./operation.js";
import * as uploads from "./upload.js";
import { signer } from "./sign.js";
import { ask, element, grouped } from "./talk.js";

/** Longest life of a signature that is asked for: 24 h. */
const LIFETIME_MS = 24 * 60 * 60 * 1_000;

/**
 * What the person agreed to. A dry run: nothing is enrolled, under the grant and for the model that
 * were chosen, if any were. A run: exactly these batches.
 * @typedef {{ dryRun: true, grant: string, model: string }} Rehearsal
 * @typedef {{ grant: string, model: string, count: number, root: string, scrap: boolean }} Planned
 * @typedef {{ dryRun: false, rows: number, grant: string, batches: Planned[] }} Run
 */

/**
 * How an upload request differs from what was agreed.
 * @param {uploads.UploadRequest} request @param {Rehearsal | Run} agreed
 * @param {{ network: string, organisation: string }} key @param {number} now @returns {string[]}
 */
export function uploadDifferences(request, agreed, key, now) {
  const found = [];
  const { grant, model, rows } = request;
  if (request.network !== key.network) found.push("another network");
  if (request.organisation !== key.organisation) found.push("another organisation");
  if (request.validUntil <= now || request.validUntil > now + LIFETIME_MS) found.push("a time that is over, or far off");
  if (request.rehearsal !== agreed.dryRun) found.push(agreed.dryRun ? "an upload that is no dry run" : "a dry run in place of a run");
  if (agreed.grant && grant !== agreed.grant) found.push(`grant ${grant}, you chose ${agreed.grant}`);
  if (agreed.dryRun) {
    return found;
  }
  // What the line says of devices comes by an upload of one row, which enrols nothing.
  const line = rows === 1;
  if (!line && !agreed.batches.some((batch) => batch.grant === grant && batch.model === model)) {
    found.push(`rows of model ${model} under grant ${grant}, which the dry run did not name`);
  }
  if (rows > agreed.rows) found.push(`${grouped(rows)} rows, the dry run had ${grouped(agreed.rows)}`);
  return found;
}

/**
 * How an operation differs from every batch that was agreed.
 * @param {operations.Operation} operation @param {Rehearsal | Run} agreed
 * @param {{ network: string, organisation: string }} key @param {number} now @returns {string[]}
 */
export function enrolDifferences(operation, agreed, key, now) {
  if (agreed.dryRun) return ["an operation, and a dry run needs none"];
  const each = agreed.batches.map(({ grant, model, count, root }) =>
    operations.expect(operation, { kind: "enrol", network: key.network, author: key.organisation, now, fields: { grant, model, count, root } }));
  if (each.length === 0) return ["an operation, and nothing is to be enrolled"];
  // Of several batches the nearest says best what is wrong.
  return each.reduce((best, one) => (one.length < best.length ? one : best));
}

/**
 * Reads what is asked for.
 * @param {{ number: number, bytes: string }} asked @param {Rehearsal | Run | null} agreed
 */
export async function look(asked, agreed) {
  const key = await signer();
  const bytes = unbase64url(asked.bytes);
  const { typ, payload } = uploads.covered(bytes, key.publicKey);
  const about = { network: key.about.network, organisation: key.about.organisation };
  const now = Date.now();
  if (typ === uploads.UPLOAD) {
    const request = uploads.decode(payload);
    const rows = `${grouped(request.rows)} row${request.rows === 1 ? "" : "s"}`;
    const sentence = request.rehearsal
      ? `Look at up to ${rows} of model ${request.model} under grant ${request.grant}; nothing is enrolled.`
      : `Send up to ${rows} of model ${request.model} under grant ${request.grant}; nothing is enrolled by that alone.`;
    return { key, bytes, sentence, differences: agreed ? uploadDifferences(request, agreed, about, now) : [] };
  }
  const operation = operations.decode(payload);
  if (operation.action.kind !== "enrol") throw new Error(`It asks to ${operation.action.kind}, and an import only enrols.`);
  const { sentence } = operations.describe(operation);
  return { key, bytes, sentence, differences: agreed ? enrolDifferences(operation, agreed, about, now) : [] };
}

/**
 * Signs what is asked for, if it is what was agreed; else tells the node why not.
 * @param {string} job @param {{ number: number, bytes: string }} asked @param {Rehearsal | Run} agreed
 * @returns {Promise<string>} what was signed, in words
 */
export async function sign(job, asked, agreed) {
  const refuse = async (/** @type {string} */ why) => {
    await ask(`/import/${job}/answer`, { number: asked.number, refused: why });
    throw new Error(`Not signed. ${why}`);
  };
  let found;
  try {
    found = await look(asked, agreed);
  } catch (fault) {
    return refuse(fault instanceof Error ? fault.message : String(fault));
  }
  const { key, bytes, sentence, differences } = found;
  if (differences.length > 0) {
    return refuse(`The node proposed something else than you agreed to: ${differences.join("; ")}.`);
  }
  const signature = await key.sign(bytes);
  await key.publicKey.verify(bytes, signature);
  await ask(`/import/${job}/answer`, { number: asked.number, signature: base64url(signature) });
  return sentence;
}

/** A sentence with its ids set apart. @param {string} sentence */
const apart = (sentence) => sentence.split(/([0-9a-f]{64})/).map((part, i) => (i % 2 ? element("span", { class: "id" }, part) : part));

/**
 * A question before something is signed. @param {string} title @param {string} lead
 * @param {string[]} sentences @param {string} word of the button @param {string} [note] @returns {Promise<boolean>}
 */
export function agree(title, lead, sentences, word, note) {
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "sign", "aria-labelledby": "agree-t" },
    element("form", { method: "dialog" },
      element("h2", { id: "agree-t" }, title),
      element("p", {}, lead),
      element("ul", { class: "says" }, ...sentences.map((one) => element("li", {}, ...apart(one)))),
      note ? element("p", { class: "dim" }, note) : null,
      element("div", { class: "actions" },
        element("button", { type: "button", "data-close": "" }, "Cancel"),
        element("button", { type: "submit", class: "primary" }, word)))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    let yes = false;
    dialog.querySelector("form")?.addEventListener("submit", () => (yes = true));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(yes); }, { once: true });
  });
}
