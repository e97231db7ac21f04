// What every page does: times in the reader's zone, news as they come, light and dark, the
// shortcut to the search, signing out.

import { ask, busy, listen, pageAt, renew, tell } from "./talk.js";

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const STEPS = /** @type {const} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]]);

/** @param {number} ms */
function ago(ms) {
  const seconds = Math.round((ms - Date.now()) / 1_000);
  if (Math.abs(seconds) < 5) return "just now";
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS[3];
  return relative.format(Math.round(seconds / size), unit);
}

/** Shows a time as the reader's clock does; UTC stays where the pointer rests. @param {HTMLTimeElement} time */
function localise(time) {
  const at = Date.parse(time.dateTime);
  if (Number.isNaN(at)) return;
  time.title = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC`;
  time.textContent = time.hasAttribute("data-ago") ? ago(at) : full.format(at);
}

/** Times of a part of the page. @param {ParentNode} [part] */
export function localiseAll(part = document) {
  for (const time of part.querySelectorAll("time")) localise(time);
}

/** @param {string} state @param {string} words */
function live(state, words) {
  const place = /** @type {HTMLElement | null} */ (document.querySelector("[data-live]"));
  if (!place) return;
  place.dataset.live = state;
  const text = place.querySelector("[data-live-words]");
  if (text && text.textContent !== words) text.textContent = words;
}

/** News: each event becomes one on the document, for whoever shows it. */
function follow() {
  if (!document.querySelector("[data-live]")) return;
  let before = false;
  listen("/events", hear);

  /** @param {EventSource} news */
  function hear(news) {
    news.onopen = () => {
      live("on", "live");
      // What happened while nobody looked was not told.
      if (before) document.dispatchEvent(new CustomEvent("muster:missed", { detail: {} }));
      before = true;
    };
    news.onerror = () => {
      const over = news.readyState === EventSource.CLOSED;
      live("off", over ? "not live: reload" : "connecting again");
      // A stream does not say why it was refused; the page does, and leads to the sign-in.
      if (over) pageAt(location.href, { background: true }).catch(() => {});
    };
    for (const kind of ["head", "batch", "progress", "coverage", "gateway", "people", "missed"]) {
      news.addEventListener(kind, (event) => {
        document.dispatchEvent(new CustomEvent(`muster:${kind}`, { detail: JSON.parse(event.data) }));
      });
    }
  }
}

document.addEventListener("muster:head", (event) => {
  const head = /** @type {CustomEvent} */ (event).detail;
  for (const name of ["size", "height"]) {
    for (const place of document.querySelectorAll(`[data-live-${name}]`)) {
      place.textContent = head[name].toLocaleString("en-US");
    }
  }
  for (const place of document.querySelectorAll("[data-live-time] time")) {
    /** @type {HTMLTimeElement} */ (place).dateTime = new Date(head.time).toISOString();
    localise(/** @type {HTMLTimeElement} */ (place));
  }
});

/** Parts that are shown anew when something happens: `data-renew` names what. */
const due = new Set();
let renewing = false;

/** @param {string} kind */
function happened(kind) {
  for (const part of document.querySelectorAll(`[data-renew~="${kind}"]`)) due.add(part.id);
  if (!renewing && due.size > 0) renewAll();
}

/** One after the other, at most one a second: a busy ledger must not make a busy page. */
async function renewAll() {
  renewing = true;
  while (due.size > 0) {
    const parts = [...due].map((id) => document.getElementById(id)).filter((part) => part !== null);
    due.clear();
    if (!document.hidden) await renew(location.href, parts).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  renewing = false;
}

for (const kind of ["batch", "progress", "coverage", "gateway", "people"]) document.addEventListener(`muster:${kind}`, () => happened(kind));
let size = 0;
document.addEventListener("muster:head", (event) => {
  const head = /** @type {CustomEvent} */ (event).detail;
  if (size !== 0 && head.size !== size) happened("change");
  size = head.size;
});
document.addEventListener("muster:missed", () => ["change", "batch", "progress", "coverage", "gateway", "people"].forEach(happened));
document.addEventListener("muster:renewed", (event) => localiseAll(/** @type {Element} */ (event.target)));

/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Strict`;
}

document.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  if (target.closest("[data-theme-switch]")) {
    const now = document.documentElement.dataset.theme;
    setTheme((now === "auto" ? dark : now === "dark") ? "light" : "dark");
  }
  const out = /** @type {HTMLElement | null} */ (target.closest("[data-sign-out]"));
  if (out) {
    busy(out, async () => {
      const done = await ask("/console/sign-out", { which: out.dataset.signOut || null });
      if (done.own) location.assign("/sign-in");
      else location.reload();
    });
  }
  const copy = /** @type {HTMLElement | null} */ (target.closest("[data-copy]"));
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy ?? "").then(() => tell("Copied."), () => tell("The browser did not copy it.", "bad"));
  }
  const opens = /** @type {HTMLElement | null} */ (target.closest("[data-open]"));
  if (opens) /** @type {HTMLDialogElement | null} */ (document.getElementById(opens.dataset.open ?? ""))?.showModal();
  if (target.closest("[data-close]")) target.closest("dialog")?.close();
});

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const writes = target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("find")?.focus();
  }
});

localiseAll();
setInterval(() => localiseAll(), 30_000);
follow();
const told = sessionStorage.getItem("told");
if (told) {
  const kind = sessionStorage.getItem("told-kind") === "bad" ? "bad" : "good";
  sessionStorage.removeItem("told");
  tell(told, kind);
}
