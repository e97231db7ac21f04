// Parts of a page read again from the server. The browser parses the answer as a document of its
// own (XMLHttpRequest §3.6.6): no script of it runs, and no text becomes markup here.

import { localiseAll } from "./app.js";
import { Refused } from "./talk.js";

/** @type {XMLHttpRequest | undefined} */
let under;
/** What stands in each part, as the server said it. @type {Map<string, string>} */
const said = new Map();

/** @param {string} url @returns {Promise<Document | null>} null: another request came after it */
function page(url) {
  under?.abort();
  const asked = new XMLHttpRequest();
  under = asked;
  return new Promise((resolve, reject) => {
    asked.open("GET", url);
    asked.responseType = "document";
    asked.onabort = () => resolve(null);
    asked.onerror = () => reject(new Refused({ status: 0, title: "The server cannot be reached", detail: "what you see is from before" }));
    asked.onload = () => {
      const found = asked.responseXML;
      // Whoever is not signed in any more is sent on to the sign-in.
      if (new URL(asked.responseURL).pathname === "/sign-in" || asked.status === 401) location.reload();
      else if (found?.querySelector("main")) resolve(found);
      else reject(new Refused({ status: asked.status, title: `The server answered ${asked.status}` }));
    };
    asked.send();
  });
}

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
 * Puts parts of a page, by their ids, in place of those that are here. The later of two wins.
 * @param {string[]} ids @param {string} [url] @returns {Promise<boolean>} whether it was done
 */
export async function renew(ids, url = location.href) {
  const found = await page(url);
  if (!found) return false;
  for (const id of ids) {
    const [old, made] = [document.getElementById(id), found.getElementById(id)];
    if (!old) continue;
    // What says the same stays: a reader or a pointer may be in it.
    const text = made?.outerHTML ?? "";
    if (made && said.get(id) === text) continue;
    said.set(id, text);
    const after = kept(old);
    if (made) {
      const part = document.importNode(made, true);
      localiseAll(part);
      old.replaceWith(part);
    } else {
      old.replaceChildren();
    }
    after();
  }
  return true;
}
