// The proof of a device, checked by this browser and shown step by step.

import * as keys from "./keys.js";
import * as receipt from "./receipt.js";
import { bytesAt, element, here } from "./talk.js";

/**
 * @param {HTMLElement} place where the steps are shown
 * @param {{ did: string, batch: string, model: string, owner: string }} said what the page says
 */
export async function show(place, said) {
  place.replaceChildren(element("p", { class: "dim" }, "Checking…"));
  try {
    const key = await keys.get(here.key);
    if (!key) throw new Error("The key of this session is not in this browser any more, and with it the genesis that it trusts. Sign in again.");
    const path = `/v1/devices/${said.did}/receipt`;
    const [bytes, genesis] = await Promise.all([bytesAt(path), bytesAt("/v1/genesis")]);
    const found = await receipt.check(bytes, genesis, key.about.network);
    compare("the device", said.did, found.did);
    compare("the batch", said.batch, found.batch);
    compare("the model", said.model, found.model);
    const steps = found.steps.map(({ check, shows }) => element("li", {}, element("strong", {}, check), element("span", { class: "dim id" }, shows)));
    place.replaceChildren(
      element("p", { class: "verdict good", role: "status" }, "Proved: this device was enrolled, as this page says."),
      element("ol", { class: "steps" }, ...steps),
    );
  } catch (fault) {
    const words = fault instanceof Error ? fault.message : String(fault);
    place.replaceChildren(
      element("p", { class: "fault", role: "alert" }, element("strong", {}, "NOT PROVED. "), words.endsWith(".") ? words : `${words}.`),
      element("p", {}, "Do not rely on what this page says of the device. Keep the receipt, and show both to whoever runs the node and to your auditor."),
    );
  }
}

/** A good proof of something else proves nothing here. @param {string} what @param {string} said @param {string} shown */
function compare(what, said, shown) {
  if (said !== shown) throw new Error(`The receipt is of another thing: ${what} is ${shown} by it, and ${said} by this page`);
}
