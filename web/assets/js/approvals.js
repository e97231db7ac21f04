// Approving what somebody else proposed: this page reads the signed proposal itself.

import { unbase64url } from "./bytes.js";
import { act, signer, summary } from "./sign.js";
import { busy, go } from "./talk.js";

/** The proposal of this id, as its author signed it. @param {string} id @param {string} signed */
async function read(id, signed) {
  const key = await signer();
  const operations = await import("./operation.js");
  const { operation, proposal, key: by } = await operations.verify(unbase64url(signed));
  if (proposal !== id) throw new Error("Not signed. The server shows another proposal than the one that you would approve.");
  const { network, organisation } = key.about;
  if (operation.network !== network || operation.author !== organisation || operation.action.kind !== "propose") {
    throw new Error("Not signed. This is no proposal of your organisation.");
  }
  if (by.multikey === key.about.multikey) throw new Error("You proposed this yourself: somebody else must approve it.");
  return operations.describe(operation);
}

/** @param {HTMLElement} button */
async function approve({ dataset: { approve: id = "", signed = "" } }) {
  const { sentence } = await read(id, signed);
  const done = await act({
    kind: "approve", title: "Approve this?", intent: { action: "approve", proposal: id }, fields: { proposal: id },
    final: true, says: `You approve what was signed: ${sentence}`,
  });
  if (!done) return;
  const [one] = done;
  if (one?.problem) throw new Error(summary(done, "approved"));
  go("Approved. If nobody else must approve, it is done.", `/revoke/${one?.entry}`);
}

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (!button) return;
  if (button.dataset.approve !== undefined) busy(button, () => approve(button));
  const id = button.dataset.withdrawProposal;
  if (id !== undefined) {
    busy(button, async () => {
      const done = await act({ kind: "withdraw-proposal", title: "End this proposal?", intent: { action: "withdraw-proposal", proposal: id }, fields: { proposal: id } });
      if (done) go(summary(done, "proposal ended"));
    });
  }
});
