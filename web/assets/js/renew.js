// Parts of a page read again from the server while somebody works in them: the focus, what is
// scrolled and what is open stay, and of two answers the later question's counts.

import { pageAt } from "./talk.js";

/** What stands in each part, as the server said it. @type {Map<string, string>} */
const said = new Map();
let asked = 0;

/** Where something is, so that it is found again in what is read anew. @param {Element | null} it */
function place(it) {
  if (!it || it === document.body) return null;
  if (it.id) return `#${CSS.escape(it.id)}`;
  const row = /** @type {HTMLElement | null} */ (it.closest("tr[data-did]"));
  return row && `tr[data-did="${row.dataset.did}"] ${it.localName}`;
}

/** What a part would lose: the focus, and how far it is scrolled. @param {HTMLElement} part */
function kept(part) {
  const focused = part.contains(document.activeElement) ? place(document.activeElement) : null;
  const left = part.querySelector(".scroll")?.scrollLeft ?? 0;
  const open = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
  return () => {
    const again = focused && document.querySelector(focused);
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
    const scroll = document.getElementById(part.id)?.querySelector(".scroll");
    if (scroll) scroll.scrollLeft = left;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  };
}

/**
 * Puts parts of a page, by their ids, in place of those that are here.
 * @param {string[]} ids @param {string} [url] @param {{ background?: boolean }} [how] as of `pageAt`
 * @returns {Promise<boolean>} whether it was done
 */
export async function renew(ids, url = location.href, how = {}) {
  const turn = ++asked;
  const found = await pageAt(url, how);
  if (turn !== asked) return false;
  for (const id of ids) {
    const [old, made] = [document.getElementById(id), found.getElementById(id)];
    if (!old || !made) continue;
    const text = made.outerHTML;
    // What says the same stays as it is.
    if (said.get(id) === text) continue;
    said.set(id, text);
    const after = kept(old);
    const part = document.importNode(made, true);
    old.replaceWith(part);
    part.dispatchEvent(new CustomEvent("muster:renewed", { bubbles: true }));
    after();
  }
  return true;
}
