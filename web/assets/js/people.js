// People of the organisation: inviting, admitting, further keys, ending access.

import { act, signer, summary } from "./sign.js";
import { ask, busy, element, go, here } from "./talk.js";

/** What keys of a role may do on the ledger, as the page itself knows it. */
const CAPABILITIES = /** @type {Record<string, string[]>} */ ({
  operator: ["enrol", "operate"],
  admin: ["root", "enrol", "operate", "approve", "gateway"],
});

/** Makes a link and shows it, once. @param {string} name @param {any} role */
async function link(name, role) {
  const key = await signer();
  const { invite } = await import("./token.js");
  const made = await invite({ organisation: here.organisation, network: key.about.network, role, name, now: Date.now(), seconds: 24 * 60 * 60 }, key);
  await ask("/console/invites", { token: made.token });
  const url = `${location.origin}/join#${made.secret}.${key.about.network}`;
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-labelledby": "link-t" },
    element("h2", { id: "link-t" }, `A link for ${name}`),
    element("p", {}, "Whoever opens it first, joins. Send it by a way you trust. It works once, for 24 hours, and is shown only now."),
    element("p", { class: "id link" }, url),
    element("div", { class: "actions" }, element("button", { type: "button", class: "primary", "data-copy": url }, "Copy"), element("button", { type: "button", "data-close": "" }, "Done"))));
  document.body.append(dialog);
  dialog.addEventListener("close", () => { dialog.remove(); location.reload(); });
  dialog.showModal();
}

document.querySelector("[data-invite]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const given = new FormData(form);
  busy(form.querySelector("[type=submit]"), async () => {
    form.closest("dialog")?.close();
    await link(String(given.get("name")).trim(), given.get("role"));
  });
});

document.querySelector("[data-settle]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  busy(form.querySelector("button"), async () => {
    await ask("/console/settle", { recovery: new FormData(form).get("recovery") });
    go("Joining is finished.");
  });
});

/** @param {HTMLElement} button */
async function admit({ dataset: { admit: id, name, role, key } }) {
  const done = await act({
    kind: "change-keys",
    title: `Admit ${name} as ${role}?`,
    intent: { action: "admit", invite: id },
    fields: { remove: [] },
    // The proof is the new key's own; who it is and what it may do, the person just read.
    adopt: ({ add }) => ({ add: [[[key, add?.[0]?.[0]?.[1]], CAPABILITIES[role ?? ""]]] }),
  });
  if (done) go(summary(done, `key of ${name} admitted`));
}

/** @param {HTMLElement} button */
async function removeKey({ dataset: { removeKey: key, ledger, whose } }) {
  let left = "";
  if (ledger === "yes") {
    try {
      const done = await act({
        kind: "change-keys",
        title: `Remove this key of ${whose}, on the ledger too?`,
        intent: { action: "remove-keys", keys: [key] },
        fields: { add: [], remove: [key] },
        final: true,
      });
      if (!done) return;
      if (done.some((one) => one.problem)) left = summary(done, "removed");
    } catch (fault) {
      left = fault instanceof Error ? fault.message : String(fault);
    }
  }
  // Whatever the ledger says: the key opens this console no longer.
  await ask("/console/people/remove-key", { key });
  go(left
    ? `The key of ${whose} opens this console no longer, but it is still on the ledger: ${left} Remove it there with muster org key remove.`
    : `The key of ${whose} is removed.`);
}

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (!button) return;
  const { admit: admits, removeKey: removes, withdraw, secondKey, name, role } = button.dataset;
  if (admits !== undefined) busy(button, () => admit(button));
  if (removes !== undefined) busy(button, () => removeKey(button));
  if (secondKey !== undefined) busy(button, () => link(name ?? "", role));
  if (withdraw !== undefined) {
    busy(button, async () => {
      await ask("/console/invites/withdraw", { id: withdraw });
      go("The invitation is taken back.");
    });
  }
});
