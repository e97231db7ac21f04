// From what a person means to what is on the ledger: the server builds bytes, this page reads them
// again, compares them with what was asked for, shows them, signs, and sends them back.

import { base64url, unbase64url } from "./bytes.js";
import { Refused, ask, element, grouped, here } from "./talk.js";

/** Operations in one request, as the server takes them. */
const AT_ONCE = 64;
/** Sentences shown before "and N more". */
const SHOWN = 5;
/** From so many devices on, their number is typed to confirm. */
const TYPED = 10;

/**
 * @typedef {object} Meant
 * @property {string} kind the action's word
 * @property {string} title of the dialog
 * @property {string[]} [targets] DIDs and batch ids, each once
 * @property {Record<string, any>} fields what the operation must say besides, exactly
 * @property {object} intent what the server is asked to build; targets are added in parts
 * @property {boolean} [final] it cannot be undone
 * @property {(action: any) => Record<string, any>} [adopt] fields that only the server knows, after a check of its own
 * @property {{ kind: string, fields: Record<string, any> }} [proposed] what is proposed for each target
 * @property {string} [says] a sentence to show besides
 */

/** What reads and signs operations is fetched when somebody acts: most pages are only read. */
const reading = () => import("./operation.js");

/** @typedef {import("./keys.js").KeptKey} KeptKey */

/** The key of this session, as this browser keeps it. */
export async function signer() {
  const keys = await import("./keys.js");
  const key = await keys.get(here.key);
  if (!key) throw new Error("The key of this session is not in this browser any more. Sign in again.");
  const { network, organisation } = key.about;
  if (network !== here.network || organisation !== here.organisation) {
    throw new Error("This page speaks of another network or organisation than your key. Nothing was signed. Tell your admin.");
  }
  return key;
}

/** Asks for the operations of some targets, and refuses those that say anything else than was meant. */
async function prepared(/** @type {Meant} */ meant, /** @type {string[] | undefined} */ targets, /** @type {KeptKey} */ key) {
  const operations = await reading();
  const { operations: built } = await ask("/console/prepare", targets ? { ...meant.intent, targets } : meant.intent, false);
  const left = new Set(targets);
  return built.map((/** @type {any} */ one) => {
    const bytes = unbase64url(one.payload);
    const operation = operations.decode(bytes);
    const does = operation.action.proposed ?? operation.action;
    const aim = does.target ?? (does.device && { device: does.device });
    const target = aim && (aim.device?.did ?? aim.batch);
    if (targets && !left.has(target) && meant.kind !== "release") throw new Error(`Not signed. The server proposed ${target ?? "an operation without a target"}, which you did not choose.`);
    left.delete(target);
    const aimed = targets ? { target: targets.includes(target) ? target : "one of those you chose" } : {};
    const wanted = {
      kind: meant.kind, network: key.about.network, author: key.about.organisation, now: Date.now(),
      ...(meant.proposed ? { proposed: { ...meant.proposed, ...aimed } } : aimed),
      fields: { ...meant.fields, ...meant.adopt?.(operation.action) },
    };
    const differences = operations.expect(operation, wanted);
    if (differences.length > 0) throw new Error(`Not signed. The server proposed something else than you asked for: ${differences.join("; ")}.`);
    return { bytes, wanted, target, devices: one.devices, sentence: operations.describe(operation).sentence, lines: operations.describe(operation).lines };
  });
}

/** A question with what will be signed. @param {Meant} meant @param {any[]} shown @param {number} count @param {number} devices @returns {Promise<HTMLDialogElement | null>} */
function confirm(meant, shown, count, devices) {
  const word = grouped(devices);
  const typed = meant.final && devices >= TYPED;
  const input = element("input", { id: "typed", autocomplete: "off", inputmode: "numeric", required: true });
  const go = element("button", { type: "submit", class: meant.final ? "danger filled" : "primary" }, count === 1 ? "Sign" : `Sign ${grouped(count)} operations`);
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "sign", "aria-labelledby": "sign-t" },
    element("form", { method: "dialog" },
      element("h2", { id: "sign-t" }, meant.title),
      devices > 0 ? element("p", {}, element("strong", {}, `${word} device${devices === 1 ? "" : "s"}`), " by ", `${grouped(count)} operation${count === 1 ? "" : "s"}. `, meant.final ? "This cannot be undone." : "This can be undone.") : null,
      meant.says ? element("p", {}, element("strong", {}, meant.says)) : null,
      element("p", { class: "dim" }, "This browser read the operations again, byte by byte. They say:"),
      element("ul", { class: "says" }, ...shown.map((one) => element("li", {}, one.sentence))),
      count > shown.length ? element("p", { class: "dim" }, `and ${grouped(count - shown.length)} more like these; each is compared with your selection before it is signed.`) : null,
      shown.length === 1 ? element("details", {}, element("summary", {}, "Every field"), element("dl", { class: "facts" }, ...shown[0].lines.map((/** @type {any} */ l) => element("div", {}, element("dt", {}, l.label), element("dd", { class: "id" }, l.value))))) : null,
      typed ? element("p", {}, element("label", { for: "typed" }, `Type the number of devices, ${word}, to go on`), input) : null,
      element("p", { class: "fault", role: "alert", hidden: true }),
      element("progress", { hidden: true, max: String(count), value: "0", "aria-label": "Signed and acknowledged" }),
      element("div", { class: "actions" }, element("button", { type: "button", "data-close": "" }, "Cancel"), go))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => { dialog.remove(); resolve(null); }, { once: true });
    dialog.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const number = /** @type {HTMLInputElement} */ (input).value.replace(/[\s,.']/g, "");
      const fault = /** @type {HTMLElement} */ (dialog.querySelector(".fault"));
      if (typed && number !== String(devices)) {
        fault.textContent = `That is not ${word}.`;
        fault.hidden = false;
        return;
      }
      fault.hidden = true;
      go.toggleAttribute("disabled", true);
      resolve(dialog);
    });
  });
}

/**
 * What the server built for parts of what is meant, from one of them on to the first for which there is something to do.
 * @param {Meant} meant @param {(string[] | undefined)[]} parts @param {number} from @param {KeptKey} key
 */
async function nextOf(meant, parts, from, key) {
  for (let at = from; at < parts.length; at += 1) {
    const ready = await prepared(meant, parts[at], key);
    if (ready.length > 0) return { at, ready };
  }
  return { at: parts.length, ready: [] };
}

/**
 * Does what is meant. Gives what became of each operation, or nothing if the person left it. What
 * a later fault kept from being done is in it too, as a problem.
 * @param {Meant} meant @param {(targets?: string[]) => number} [counted] devices of all targets, where more than one request is needed
 * @returns {Promise<{ target?: string, entry?: number, problem?: any }[] | null>}
 */
export async function act(meant, counted) {
  const [key, operations] = [await signer(), await reading()];
  const all = meant.targets;
  const parts = all ? Array.from({ length: Math.ceil(all.length / AT_ONCE) }, (_, i) => all.slice(i * AT_ONCE, (i + 1) * AT_ONCE)) : [undefined];
  let { at, ready } = await nextOf(meant, parts, 0, key);
  if (ready.length === 0) throw new Error("There is nothing to do: what you chose is in that state already.");
  const sum = ready.reduce((/** @type {number} */ n, /** @type {any} */ one) => n + one.devices, 0);
  // Of the parts that come later it is not known yet whether there is something to do.
  const left = all?.slice(at * AT_ONCE) ?? [];
  const single = (all?.length ?? 0) - left.length;
  const several = at + 1 < parts.length;
  const devices = several ? Math.max((counted?.(all) ?? all?.length ?? 0) - single, sum) : sum;
  const count = several ? left.length : ready.length;
  const dialog = await confirm(meant, ready.slice(0, SHOWN), count, devices);
  if (!dialog) return null;
  const bar = /** @type {HTMLProgressElement} */ (dialog.querySelector("progress"));
  bar.hidden = false;
  /** @type {{ target?: string, entry?: number, problem?: any }[]} */
  const done = [];
  let sent = 0;
  try {
    while (ready.length > 0) {
      sent = 0;
      const signed = [];
      for (const one of ready) signed.push(base64url(await operations.sign(one.bytes, one.wanted, key)));
      // A release that gives several operations may be more than one request takes.
      for (; sent < signed.length; sent += AT_ONCE) {
        const answer = await ask("/console/submit", { operations: signed.slice(sent, sent + AT_ONCE) });
        answer.done.forEach((/** @type {any} */ result, /** @type {number} */ n) => done.push({ target: ready[sent + n].target, ...result }));
        bar.value = done.length;
      }
      // From here on these are done, whatever becomes of the next ones.
      [ready, at] = [[], at + 1];
      ({ at, ready } = await nextOf(meant, parts, at, key));
    }
  } catch (fault) {
    if (done.length === 0) throw fault;
    const title = (fault instanceof Error ? fault.message : String(fault)).replace(/\.$/, "");
    // A request whose answer was lost may have been carried out.
    const lost = fault instanceof Refused && (fault.status === 0 || fault.status >= 500) ? AT_ONCE : 0;
    ready.slice(sent).forEach((/** @type {any} */ { target }, /** @type {number} */ n) => done.push({ target, problem: { title, unknown: n < lost } }));
    for (const target of parts.slice(ready.length > 0 ? at + 1 : at).flat()) done.push({ target, problem: { title, unknown: false } });
  } finally {
    dialog.close();
  }
  return done;
}

/** A result in words. @param {{ problem?: any }[]} done @param {string} what such as "revoked" */
export function summary(done, what) {
  const bad = done.filter((one) => one.problem);
  const good = done.length - bad.length;
  if (bad.length === 0) return `${grouped(good)} ${what}.`;
  const { title, detail } = bad[0].problem;
  const unknown = bad.filter((one) => one.problem.unknown).length;
  return `${grouped(good)} ${what}, ${grouped(bad.length - unknown)} not${unknown > 0 ? `, of ${grouped(unknown)} it is not known` : ""}: ${title}${detail ? `. ${detail}` : ""}.`;
}
