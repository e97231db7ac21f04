// The list of devices: search as one types, a selection that stays from page to page, keys.

import { renew } from "./renew.js";
import { busy, fail, grouped } from "./talk.js";

/** A pause in typing. */
const PAUSE_MS = 120;
/** The list follows the ledger, and no faster than this. */
const FOLLOW_MS = 3_000;
/** Devices that an address names; more go by this browser's own memory. */
const NAMED = 20;
/** Single devices of a selection: more are found by a search. */
const CHOSEN = 10_000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("search"));
const bar = /** @type {HTMLElement} */ (document.getElementById("chosen"));
const found = () => /** @type {HTMLElement} */ (document.getElementById("found"));

/** @type {Set<string>} */
let chosen = new Set(JSON.parse(sessionStorage.getItem("devices") ?? "[]"));
/** All that match the search, whatever page they are on. */
let all = false;

/** @param {HTMLInputElement} box */
const name = (box) => /** @type {HTMLElement | null} */ (box.closest("tr"))?.dataset.did ?? "";
const boxes = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("[data-pick]")]);

/** Shows what is selected. */
function show() {
  const [rows, total] = [boxes(), Number(found().dataset.total ?? NaN)];
  for (const box of rows) {
    box.checked = all || chosen.has(name(box));
    box.closest("tr")?.toggleAttribute("data-chosen", box.checked);
  }
  const here = rows.filter((box) => box.checked).length;
  const head = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-pick-all]"));
  if (head) {
    head.checked = rows.length > 0 && here === rows.length;
    head.indeterminate = here > 0 && here < rows.length;
  }
  const many = all ? (Number.isNaN(total) ? "All devices" : `All ${grouped(total)} devices`) : `${grouped(chosen.size)} device${chosen.size === 1 ? "" : "s"}`;
  const words = all ? `${many} that match this search are selected.` : `${many} selected.`;
  bar.hidden = !all && chosen.size === 0;
  const place = /** @type {HTMLElement} */ (bar.querySelector("[data-chosen]"));
  if (place.textContent !== words) place.textContent = words;
  const more = /** @type {HTMLElement} */ (bar.querySelector("[data-choose-all]"));
  // Without a search it would be the whole ledger: that is no slip to make by two presses.
  more.hidden = all || !head?.checked || total <= rows.length || !found().dataset.query;
  more.textContent = Number.isNaN(total) ? "Select all that match this search" : `Select all ${grouped(total)} that match this search`;
  sessionStorage.setItem("devices", JSON.stringify([...chosen]));
}

/** @param {HTMLInputElement[]} which @param {boolean} on */
function choose(which, on) {
  if (all) {
    // From all of a search to some of a page: what is seen is what stays.
    all = false;
    chosen = new Set(boxes().map(name));
  }
  for (const box of which) on ? chosen.add(name(box)) : chosen.delete(name(box));
  if (chosen.size > CHOSEN) {
    for (const box of which) chosen.delete(name(box));
    fail(`At most ${grouped(CHOSEN)} single devices are selected at once. Narrow the search, and select all that match.`);
  }
  show();
}

/** The search of the form as an address. */
function address() {
  const query = new URLSearchParams();
  for (const [field, value] of new FormData(form)) {
    if (String(value).trim() !== "") query.append(field, String(value).trim());
  }
  return query.size > 0 ? `/devices?${query}` : "/devices";
}

/** Whether the list is that of the form, on whatever page of it. */
function inStep() {
  const asked = (/** @type {string} */ url) => {
    const fields = [...new URL(url, location.href).searchParams].filter(([field, value]) => field !== "after" && value.trim() !== "");
    return fields.map((pair) => String(new URLSearchParams([pair]))).sort().join("&");
  };
  return asked(address()) === asked(location.href);
}

let searches = 0;

/** @param {{ background?: boolean }} [how] */
async function search(how = {}) {
  const url = address();
  typing = false;
  if (url === location.pathname + location.search && !found().hasAttribute("aria-busy")) return;
  const turn = ++searches;
  found().setAttribute("aria-busy", "true");
  try {
    if (!(await renew(["found"], url, how))) return;
    all = false;
    history.replaceState(null, "", url);
    for (const link of document.querySelectorAll("[data-export]")) {
      link.setAttribute("href", `${/** @type {HTMLElement} */ (link).dataset.export}${location.search}`);
    }
    const top = /** @type {HTMLInputElement | null} */ (document.getElementById("find"));
    if (top) top.value = "";
    show();
  } finally {
    // A later search is still under way.
    if (turn === searches) found().removeAttribute("aria-busy");
  }
}

/** @type {number | undefined} */
let pause;
/** Something is typed that was not searched for yet. */
let typing = false;
form.addEventListener("input", () => {
  clearTimeout(pause);
  typing = true;
  pause = setTimeout(() => search().catch(fail), PAUSE_MS);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(pause);
  busy(form.querySelector("[type=submit]"), () => search());
});

document.addEventListener("change", (event) => {
  const box = /** @type {HTMLInputElement} */ (event.target);
  if (box.dataset.pick !== undefined) choose([box], box.checked);
  if (box.dataset.pickAll !== undefined) choose(boxes(), box.checked);
  if (box.name === "column") {
    const words = [...document.querySelectorAll("[name=column]:checked")].map((c) => /** @type {HTMLInputElement} */ (c).value);
    document.cookie = `columns=${words.join(".") || "none"}; Path=/; Max-Age=31536000; SameSite=Strict`;
    renew(["found"]).then(show, fail);
  }
});

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (!button) return;
  if (button.dataset.chooseAll !== undefined) all = true;
  if (button.dataset.chooseNone !== undefined) [all, chosen] = [false, new Set()];
  if (button.dataset.chooseAll !== undefined || button.dataset.chooseNone !== undefined) show();
  if (button.dataset.act !== undefined) {
    const next = hand();
    // It is the next page's now; whoever goes back finds it in this one.
    sessionStorage.removeItem("devices");
    location.assign(next);
  }
});

/** Where the selection is acted on: by its search, by name, or by this browser's memory. */
function hand() {
  if (all) return `/revoke?${found().dataset.query}`;
  if (chosen.size <= NAMED) return `/revoke?${new URLSearchParams([...chosen].map((did) => ["did", did]))}`;
  sessionStorage.setItem("muster:chosen", JSON.stringify([...chosen]));
  return "/revoke?list=1";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {HTMLElement} */ (event.target);
  const row = /** @type {HTMLElement | null} */ (target.closest("tr[data-did]"));
  const down = event.key === "ArrowDown";
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("tr[data-did]")]);
  if (target.id === "q" && down && rows.length > 0) {
    event.preventDefault();
    return rows[0].querySelector("a")?.focus();
  }
  if (!row) return;
  if (down || event.key === "ArrowUp") {
    event.preventDefault();
    const next = rows[rows.indexOf(row) + (down ? 1 : -1)];
    if (next) next.querySelector("a")?.focus();
    else if (!down) document.getElementById("q")?.focus();
  } else if (event.key === "x") {
    const box = /** @type {HTMLInputElement} */ (row.querySelector("[data-pick]"));
    choose([box], !box.checked);
  } else if (event.key === "Enter" && target instanceof HTMLInputElement) {
    row.querySelector("a")?.click();
  }
});

/** @type {number | undefined} */
let following;
let size = 0;
document.addEventListener("muster:head", (event) => {
  const head = /** @type {CustomEvent} */ (event).detail;
  const grew = size !== 0 && head.size > size;
  size = head.size;
  if (!grew || following !== undefined) return;
  following = setTimeout(() => {
    following = undefined;
    // A search under way brings what is new itself; one that is about to begin will.
    if (document.hidden || typing || found().hasAttribute("aria-busy")) return;
    const renewed = inStep() ? renew(["found"], location.href, { background: true }) : search({ background: true });
    renewed.then((done) => done && show(), () => {});
  }, FOLLOW_MS);
});

addEventListener("pageshow", show);
show();
