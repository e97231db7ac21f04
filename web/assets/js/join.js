// Joining by an invitation: `/join#SECRET.NETWORK`. The fragment stays in this browser; the
// network in it is what this browser pins, and what it signs for from now on.

import { base64url, unhex } from "./bytes.js";
import * as keys from "./keys.js";
import { newKey } from "./operation.js";
import { login } from "./token.js";
import { ask, busy, element, fail } from "./talk.js";

const [secret, network] = location.hash.slice(1).split(".");
const place = /** @type {HTMLElement} */ (document.getElementById("invitation"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("join"));
const label = /** @type {HTMLInputElement} */ (document.getElementById("label"));

/** What this browser is, in a word or two. */
function guess() {
  const agent = navigator.userAgent;
  const [, browser] = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox", "Firefox"], ["Chrom", "Chromium"], ["Safari", "Safari"]]
    .find(([mark]) => agent.includes(mark)) ?? ["", "Browser"];
  const [, system] = [["Windows", "Windows"], ["Mac OS", "Mac"], ["Android", "Android"], ["iPhone", "iPhone"], ["Linux", "Linux"]]
    .find(([mark]) => agent.includes(mark)) ?? ["", ""];
  return system ? `${browser} on ${system}` : browser;
}

/** @param {any} invitation */
function show(invitation) {
  const line = (/** @type {string} */ what, /** @type {Node | string} */ value) =>
    element("div", {}, element("dt", {}, what), element("dd", {}, value));
  const list = element("dl", { class: "facts" },
    line("You are", invitation.name),
    line("Organisation", invitation.label || invitation.organisation),
    line("Role", `${invitation.role}: ${invitation.purpose}`),
    line("Network", element("span", { class: "id", title: network }, network)));
  const words = invitation.further ? "This link brings a further key of yours in." : "You are invited.";
  place.replaceChildren(element("p", {}, words), list);
  label.value = guess();
  form.hidden = false;
}

/** Shows that the key waits for somebody with a root key, and looks again until it is in. @param {keys.KeptKey} key @param {number} seq */
async function wait(key, seq) {
  form.hidden = true;
  place.replaceChildren(
    element("p", { role: "status" }, "Your key is made. Now somebody with a root key admits it to the ledger. Keep this page open."),
    element("p", {}, "Tell them that your key begins and ends like this:"),
    element("p", { class: "id big" }, key.about.multikey),
  );
  for (let signedFor = seq; ;) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const state = await ask("/console/join/state", { secret, key: key.about.multikey });
    if (state.joined) return;
    // The organisation changed meanwhile: the proof is for one state of it alone.
    if (state.seq !== signedFor) {
      signedFor = state.seq;
      await claim(key, signedFor);
    }
  }
}

/** @param {keys.KeptKey} key @param {number} seq */
async function claim(key, seq) {
  const [multikey, proof] = await newKey(network, key.about.organisation, seq, key);
  return ask("/console/join/claim", { secret, key: multikey, label: key.about.label, seq, proof: base64url(unhex(proof)) });
}

/** @param {any} invitation */
async function join(invitation) {
  const { organisation, role, seq } = invitation;
  // A page that was left and opened again goes on with the key it made.
  const begun = (await keys.list()).findLast(({ about }) => about.network === network && about.organisation === organisation && about.origin === location.origin && about.label === label.value);
  const make = () => keys.make({ network, organisation, origin: location.origin, label: label.value, role });
  let key = begun ?? await make();
  const { joined } = await claim(key, seq).catch(async (fault) => {
    // A key whose access was ended does not come back: a new one does.
    if (!begun || fault.code !== "key-ended") throw fault;
    key = await make();
    return claim(key, seq);
  });
  if (!joined) await wait(key, seq);
  const { nonce, time } = await ask("/console/challenge", {});
  await ask("/console/session", { login: await login({ organisation, network, nonce, now: time }, key) });
  location.replace(invitation.further ? "/organisation" : "/");
}

async function begin() {
  if (!secret || !/^[0-9a-f]{64}$/.test(network ?? "")) {
    throw new Error("This link is not whole: an invitation ends with # and two parts. Copy all of it.");
  }
  if (!keys.canKeepKeys()) throw new Error("This browser keeps keys only on pages with TLS (https) or of this machine. Open the link that way.");
  const invitation = await ask("/console/join/look", { secret });
  if (invitation.network !== network) throw new Error("This server runs another network than the one you are invited to. Do not go on; tell who invited you.");
  show(invitation);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(form.querySelector("button"), () => join(invitation));
  });
}

begin().catch((fault) => {
  place.replaceChildren();
  fail(fault);
});
