// Signing in: a challenge of the server, signed by a key of this browser.

import * as keys from "./keys.js";
import { login } from "./token.js";
import { Refused, ask, busy, element, fail, here } from "./talk.js";

const place = /** @type {HTMLElement} */ (document.getElementById("keys"));

/** Where to go on: a page of this console, never another site, by the parser that will open it (URL §4.4). */
function next() {
  const home = `${location.origin}/`;
  try {
    const { origin, href } = new URL(new URLSearchParams(location.search).get("next") ?? "/", home);
    // The whole address: a path may begin with two slashes, which alone would name a host.
    return origin === location.origin ? href : home;
  } catch {
    return home;
  }
}

/** Keys of which the server said that they are nobody's here. @type {Set<string>} */
const strangers = new Set();

/** @param {keys.KeptKey} key */
async function signIn(key) {
  const { nonce, time } = await ask("/console/challenge", {}, false);
  // The server's clock only where it and ours agree: else the ledger would refuse what we sign.
  const off = Math.abs(time - Date.now());
  if (off > 5 * 60_000) throw new Error("This machine's clock and the server's are more than five minutes apart. Set yours, and try again.");
  const { organisation, network } = key.about;
  const token = await login({ organisation, network, nonce, now: time }, key);
  try {
    await ask("/console/session", { login: token });
  } catch (fault) {
    if (fault instanceof Refused && fault.code === "unknown-key") {
      strangers.add(key.about.multikey);
      await show();
    }
    throw fault;
  }
  location.assign(next());
}

async function show() {
  if (!keys.canKeepKeys()) {
    place.replaceChildren(element("p", { class: "fault" }, "This browser keeps keys only on pages with TLS (https) or of this machine. Open the console that way."));
    return;
  }
  const ours = (await keys.list()).filter(({ about }) => about.origin === location.origin && about.network === here.network);
  if (ours.length === 0) {
    place.replaceChildren(element("p", { class: "empty" }, "There is no key of this network in this browser yet."));
    return;
  }
  place.replaceChildren(...ours.flatMap((key) => [
    element("button", { type: "button", class: "primary wide key", click: (/** @type {Event} */ e) => busy(e.currentTarget, () => signIn(key)) },
      element("span", {}, `Sign in${key.about.role ? ` as ${key.about.role}` : ""}, with ${key.about.label}`),
      element("span", { class: "id" }, key.about.multikey)),
    ...(strangers.has(key.about.multikey) ? [removal(key)] : []),
  ]));
}

/** A way to be rid of a key that nobody knows here. It may wait to be admitted, so one press does not do it. @param {keys.KeptKey} key */
function removal(key) {
  const { multikey } = key.about;
  let pressed = false;
  const button = element("button", { type: "button", class: "wide", "data-remove": multikey, click: () => busy(button, async () => {
    if (!pressed) {
      pressed = true;
      button.textContent = "It cannot be brought back. Press again to remove it";
      return;
    }
    await keys.remove(multikey);
    await show();
  }) }, "Remove this key from this browser");
  return button;
}

document.getElementById("file")?.addEventListener("change", async (event) => {
  const input = /** @type {HTMLInputElement} */ (event.target);
  const file = input.files?.[0];
  if (!file) return;
  try {
    if (file.size > 16_384) throw new Error("A key file is a few hundred bytes; this one is larger.");
    const { organisation } = await ask("/console/organisation");
    const key = await keys.importPem(await file.text(), {
      network: here.network, organisation, origin: location.origin, label: file.name, role: "",
    });
    await signIn(key);
  } catch (fault) {
    fail(fault);
  } finally {
    input.value = "";
  }
});

show().catch(fail);
