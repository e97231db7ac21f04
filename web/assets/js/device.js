// One device: acting on it, watching gateways follow, checking its proof.

import { renew } from "./renew.js";
import { busy, go, grouped, tell } from "./talk.js";

/** While gateways are waited for: how often it is looked, and how long. */
const LOOK_MS = 700;
const WATCH_MS = 120_000;
/** What changes when the ledger does; the proof does not. */
const PARTS = ["standing", "coverage", "keys", "history"];
/** A server's clock and this one may differ by so much (ms). */
const CLOCKS_MS = 300_000;

const device = () => /** @type {Record<string, string>} */ ({ .../** @type {HTMLElement} */ (document.getElementById("standing")).dataset });

const DONE = /** @type {Record<string, string>} */ ({ hold: "Held", release: "Released", revoke: "Revoked", deactivate: "Deactivated", "revoke-key": "Key revoked" });

/** Asks why, and for how long. @param {"hold" | "revoke"} kind @returns {Promise<{ reason: string, hours?: number } | null>} */
function why(kind) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("why"));
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (dialog.querySelector(name));
  const form = /** @type {HTMLFormElement} */ (part("form"));
  const holds = kind === "hold";
  part("#why-t").textContent = holds ? "Hold this device?" : "Revoke this device for good?";
  part("[data-why-words]").textContent = holds
    ? "Every gateway refuses it until it is released. This can be undone."
    : "Every gateway refuses it, with all its present and future keys. Nothing lets it in again.";
  part("[data-why-hours]").hidden = !holds;
  part("[data-why-go]").textContent = "Read what will be signed";
  form.reset();
  dialog.showModal();
  return new Promise((resolve) => {
    /** @type {{ reason: string, hours?: number } | null} */
    let given = null;
    form.onsubmit = () => {
      const [reason, hours] = ["reason", "hours"].map((name) => String(new FormData(form).get(name) ?? "").trim());
      given = { reason, ...(holds && hours !== "" ? { hours: Number(hours) } : {}) };
    };
    dialog.addEventListener("close", () => resolve(given), { once: true });
  });
}

/** @param {string} kind @param {DOMStringMap} asked @returns {Promise<import("./sign.js").Meant | null>} */
async function meant(kind, { key }) {
  const { did, holds } = device();
  const targets = [did];
  const intent = { action: kind };
  if (kind === "hold") {
    const given = await why("hold");
    if (!given) return null;
    const until = given.hours === undefined ? undefined : Date.now() + given.hours * 3_600_000;
    return {
      kind, title: "Hold this device?", targets, intent: { ...intent, ...given },
      fields: { power: "owner", reason: given.reason },
      // The server counts the hours from its own clock, which may differ a little.
      adopt: (action) => until === undefined ? {} : { until: Math.abs(Number(action.until) - until) < CLOCKS_MS ? action.until : until },
    };
  }
  if (kind === "revoke") {
    const given = await why("revoke");
    return given && { kind, title: "Revoke this device for good?", targets, intent: { ...intent, reason: given.reason }, fields: { reason: given.reason }, final: true };
  }
  if (kind === "release") {
    const seen = holds.split(" ");
    return { kind, title: "Release this device?", targets, intent, fields: {}, adopt: (action) => ({ hold: seen.includes(action.hold) ? action.hold : "one that this page shows" }) };
  }
  if (kind === "revoke-key") {
    return { kind, title: "Revoke this key for good?", targets, intent: { ...intent, key }, fields: { key }, final: true };
  }
  return { kind, title: "Deactivate this DID for good?", targets, intent, fields: {}, final: true };
}

/** @param {HTMLElement} button */
async function change(button) {
  const kind = button.dataset.do ?? "";
  const wanted = await meant(kind, button.dataset);
  if (!wanted) return;
  const { act } = await import("./sign.js");
  const done = await act(wanted);
  if (!done) return;
  const refused = done.find((one) => one.problem)?.problem;
  if (refused?.type?.endsWith(":needs-approval")) {
    // The page of revoking puts it before those who approve.
    return go(`Not done: ${refused.title}.`, `/revoke?${new URLSearchParams({ action: kind, did: device().did })}`);
  }
  if (refused) throw new Error(`Refused: ${refused.title}.${refused.detail ? ` ${refused.detail}.` : ""}`);
  const entry = done.at(-1)?.entry ?? 0;
  tell(`${DONE[kind]}: entry ${grouped(entry)} of the ledger.`);
  await watch();
}

let watching = false;

/** Looks until every gateway that speaks goes by the last change. */
async function watch() {
  if (watching) return;
  watching = true;
  const until = Date.now() + WATCH_MS;
  try {
    do {
      await renew(PARTS, location.href, { background: true });
      if (waiting() === 0) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    } while (Date.now() < until);
  } finally {
    watching = false;
  }
}

const waiting = () => Number(/** @type {HTMLElement | null} */ (document.querySelector("[data-waiting]"))?.dataset.waiting ?? 0);

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (button?.dataset.do !== undefined) busy(button, () => change(button));
  if (button?.dataset.check !== undefined) {
    busy(button, async () => {
      const { show } = await import("./proof.js");
      const { did, batch, model, owner } = device();
      await show(/** @type {HTMLElement} */ (document.getElementById("proof")), { did, batch, model, owner });
    });
  }
});

let size = 0;
document.addEventListener("muster:head", (event) => {
  const head = /** @type {CustomEvent} */ (event).detail;
  const grew = size !== 0 && head.size > size;
  size = head.size;
  // Somebody else may have acted on it.
  if (grew && !document.hidden) watch().catch(() => {});
});
document.addEventListener("muster:coverage", () => {
  if (waiting() > 0) watch().catch(() => {});
});
if (waiting() > 0) watch().catch(() => {});
