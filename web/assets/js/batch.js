// A batch: holding, releasing, revoking it as a whole, and watching gateways confirm; uploads as
// they come.

import { localiseAll } from "./app.js";
import { ask, busy, element, go, grouped } from "./talk.js";

/** @param {HTMLFormElement} form @param {(given: FormData) => Promise<void>} task */
function submits(form, task) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(form.querySelector("[type=submit]"), async () => {
      const given = new FormData(form);
      form.closest("dialog")?.close();
      await task(given);
    });
  });
}

/** @param {any} meant @param {string} word */
async function act(meant, word) {
  const sign = await import("./sign.js");
  const done = await sign.act(meant);
  if (done) go(sign.summary(done, word));
}

const hold = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-hold]"));
if (hold) {
  submits(hold, async (given) => {
    const reason = String(given.get("reason")).trim();
    const hours = String(given.get("hours")) === "" ? null : Number(given.get("hours"));
    const from = Date.now();
    await act({
      kind: "hold", title: "Hold this batch?", targets: [hold.dataset.hold ?? ""],
      intent: { action: "hold", reason, hours }, fields: { reason, power: "owner" },
      // When it ends is by the node's clock, which may differ by minutes.
      adopt: (/** @type {any} */ { until }) => {
        if (hours === null) return {};
        const meant = from + hours * 3_600_000;
        return { until: until !== undefined && Math.abs(until - meant) < 600_000 ? until : meant };
      },
    }, "batch held");
  });
}

const revoke = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-revoke]"));
if (revoke) {
  submits(revoke, async (given) => {
    const reason = String(given.get("reason")).trim();
    await act({ kind: "revoke", title: "Revoke this batch?", targets: [revoke.dataset.revoke ?? ""], intent: { action: "revoke", reason }, fields: { reason }, final: true }, "batch revoked");
  });
}

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  const id = button?.dataset.release;
  if (id === undefined) return;
  busy(button, () => act({
    kind: "release", title: "Release this batch?", targets: [id], intent: { action: "release" }, fields: {},
    // Which hold ends, only the node knows; it cannot be another target's.
    adopt: (/** @type {any} */ { hold: which }) => ({ hold: which }),
  }, "holds released"));
});

/** Shows who goes by the last restriction, until all do. @param {HTMLElement} place */
function watchCoverage(place) {
  let asking = false;
  const show = async () => {
    if (asking) return;
    asking = true;
    try {
      const now = await ask(`/batches/${place.dataset.batch}/coverage`);
      const words = place.querySelector("[data-covered]");
      if (words) words.textContent = `${grouped(now.acknowledged)} of ${grouped(now.registered)}`;
      const bar = /** @type {HTMLProgressElement | null} */ (place.querySelector("[data-covered-bar]"));
      if (bar) [bar.max, bar.value] = [now.registered, now.acknowledged];
      const rows = now.gateways.map((/** @type {any} */ g) => element("tr", {},
        element("td", {}, element("bdi", {}, g.gateway)), element("td", {}, element("bdi", {}, g.site)),
        element("td", {}, element("span", { class: g.refuses ? "tag good" : "tag warn" }, g.refuses ? "yes" : `${g.state}, not yet`)),
        element("td", {}, g.since ? element("time", { datetime: new Date(g.since).toISOString() }) : null)));
      const body = place.querySelector("[data-gateways]");
      body?.replaceChildren(...rows);
      localiseAll(place);
      if (now.acknowledged >= now.registered) clearInterval(timer);
    } catch {
      // The next round asks again.
    }
    asking = false;
  };
  const timer = setInterval(show, 1_000);
  document.addEventListener("muster:coverage", show);
}

const coverage = document.getElementById("coverage");
if (coverage && coverage.dataset.waiting !== "0") watchCoverage(coverage);

/** Shows how far an upload is. @param {{ number: number, staged: number, rows: number }} upload */
function showUpload({ number, staged, rows }) {
  const line = document.querySelector(`[data-upload="${Number(number)}"]`);
  const bar = line?.querySelector("progress");
  const words = line?.querySelector("[data-staged]");
  if (bar) [bar.max, bar.value] = [rows, staged];
  if (words) words.textContent = grouped(staged);
}

// Rows as they come. An upload that is over became a batch, or nothing: a fresh page says which.
document.addEventListener("muster:progress", (event) => showUpload(/** @type {CustomEvent} */ (event).detail));
const table = document.getElementById("uploads");
if (table) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const now = await ask("/batches/uploads").catch(() => null);
    if (!now) return;
    now.uploads.forEach(showUpload);
    const open = new Set(now.uploads.map((/** @type {any} */ upload) => String(upload.number)));
    const over = [.../** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll("[data-upload]"))].filter((line) => !open.has(line.dataset.upload ?? ""));
    if (over.length === 0) return;
    clearInterval(timer);
    location.reload();
  }, 1_000);
}
