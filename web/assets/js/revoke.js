// Holding, releasing, revoking: one device or ten thousand by the same few presses.

import { act, summary } from "./sign.js";
import { ask, busy, element, fail, go, grouped, renew, tell } from "./talk.js";

/** What another page chose, where it is too long for a link. */
const LIST = "muster:chosen";

/** How far the server's clock may be from ours when it computes the end of a hold (ms). */
const SLACK = 5 * 60_000;

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("do"));
/** @type {string[] | null} */
let listed = null;

/** Devices and batches to name. @param {string} action @returns {Promise<{ targets: string[], devices: number, more: boolean }>} */
async function chosen(action) {
  if (listed) return { targets: listed, devices: Number(document.getElementById("devices")?.dataset.devices), more: false };
  const query = new URLSearchParams(location.search);
  query.set("action", action);
  return ask(`/console/targets?${query}`);
}

const DONE = /** @type {Record<string, string>} */ ({ hold: "held", release: "released", revoke: "revoked", deactivate: "deactivated" });

/** @param {string} action @param {string[]} targets @param {number} devices @param {string} reason @param {number | undefined} hours */
async function sign(action, targets, devices, reason, hours) {
  const named = `${grouped(devices)} device${devices === 1 ? "" : "s"}`;
  const titles = /** @type {Record<string, string>} */ ({
    hold: `Hold ${named}?`, release: `Release ${named}?`, revoke: `Revoke ${named} for good?`, deactivate: `Deactivate ${named} for good?`,
  });
  const end = hours === undefined ? undefined : Date.now() + hours * 3_600_000;
  const intent = { action, ...(action === "release" || action === "deactivate" ? {} : { reason }), ...(action === "hold" && hours !== undefined ? { hours } : {}) };
  const fields = action === "hold" ? { reason, power: "owner" } : action === "revoke" ? { reason } : {};
  return act({
    kind: action,
    title: titles[action],
    targets,
    intent,
    fields,
    final: action === "revoke" || action === "deactivate",
    adopt: (says) => {
      // Which hold is released, the ledger knows; when one ends, the server's clock said.
      if (action === "release") return { hold: says.hold };
      if (action !== "hold") return {};
      const near = end !== undefined && Math.abs(Number(says.until) - end) < SLACK;
      return { until: near ? says.until : end };
    },
  }, () => devices);
}

/** Days for which a proposal may be approved. */
const PROPOSED_DAYS = 7;

/** Puts an ending before those who approve. @param {string} action @param {string[]} targets @param {number} devices @param {string} reason */
async function propose(action, targets, devices, reason) {
  const end = Date.now() + PROPOSED_DAYS * 24 * 3_600_000;
  const done = await act({
    kind: "propose",
    title: `Propose to ${action} ${grouped(devices)} devices?`,
    says: "The rules ask for the approval of somebody else. Until then nothing happens; you can hold the devices at once.",
    targets,
    intent: { action: "propose", proposed: action, reason },
    fields: { reason: "" },
    proposed: { kind: action, fields: action === "revoke" ? { reason } : {} },
    adopt: (says) => ({ expires: Math.abs(Number(says.expires) - end) < SLACK ? says.expires : end }),
  }, () => devices);
  if (done) go(summary(done, "proposed"), "/approvals");
}

/** @param {{ entry?: number, problem?: any }[] | null} done @param {string} action */
function after(done, action) {
  if (!done) return;
  const last = done.findLast((one) => one.entry !== undefined);
  const words = summary(done, DONE[action]);
  sessionStorage.removeItem(LIST);
  // What was not done stays to be read until somebody puts it away.
  if (last) go(words, `/revoke/${last.entry}`, done.some((one) => one.problem) ? "bad" : "good");
  else tell(words, "bad");
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("[type=submit]"), async () => {
    const given = new FormData(form);
    const action = String(given.get("action"));
    const typed = String(given.get("hours") ?? "").trim();
    const { targets, devices, more } = await chosen(action);
    if (more) throw new Error("The search finds more devices than one selection can name. Narrow it, or choose whole batches.");
    if (targets.length === 0) {
      throw new Error(action === "release"
        ? "None of them has a hold of its own to release. What a whole batch is held by is released for the whole batch."
        : "The search finds no device any more.");
    }
    const reason = String(given.get("reason") ?? "").trim();
    const free = form.dataset.free;
    if ((action === "revoke" || action === "deactivate") && free !== undefined && devices > Number(free)) {
      await propose(action, targets, devices, reason);
      return;
    }
    after(await sign(action, targets, devices, reason, typed === "" ? undefined : Number(typed)), action);
  });
});

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("[data-release]");
  if (!(button instanceof HTMLElement)) return;
  busy(button, async () => after(await sign("release", [button.dataset.release ?? ""], 1, "", undefined), "release"));
});

/** Shows what a list that another page handed over would stop. */
async function showListed() {
  const list = sessionStorage.getItem(LIST);
  if (!location.search.includes("list=1") || !list) return;
  const targets = JSON.parse(list);
  const { effect } = await ask("/console/effect", { targets }, false);
  const tile = (/** @type {string} */ name, /** @type {number} */ n, /** @type {Record<string, string>} */ more = {}) =>
    element("div", { class: "tile" }, element("dt", {}, name), element("dd", more, grouped(n)));
  const place = /** @type {HTMLElement} */ (document.getElementById("listed"));
  place.replaceChildren(element("section", { class: "card" }, element("h2", {}, "What it will stop"),
    element("dl", { class: "tiles" },
      tile("Devices", effect.devices, { id: "devices", "data-devices": String(effect.devices) }),
      tile("Active now", effect.states.active),
      tile("Seen in the last day", effect.seen_day),
      tile("Gateways that will refuse", effect.gateways.registered))));
  place.hidden = false;
  document.getElementById("nothing")?.remove();
  if (form) form.hidden = false;
  listed = targets;
}
showListed().catch(fail);

// News tell when somebody confirms; a page whose news do not come asks by itself.
setInterval(() => {
  const waiting = document.querySelector("[data-waiting]");
  if (waiting && !document.hidden) renew(location.href, [waiting]).catch(() => {});
}, 3_000);
