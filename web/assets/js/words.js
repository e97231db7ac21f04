// Operations in words, for people who decide whether to sign.

import { Fault } from "./bytes.js";

/** @typedef {import("./action.js").Action} Action */

/**
 * A line to show. `name` is what a node calls the thing: its word, not the ledger's.
 * @typedef {{ label: string, value: string, name?: string }} Line
 */

/** @param {number} ms */
const moment = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** @param {number | bigint} n */
const grouped = (n) => n.toLocaleString("en-US");

/** @param {number | bigint} n @param {string} one */
const counted = (n, one) => `${grouped(n)} ${one}${Number(n) === 1 ? "" : "s"}`;

const EVIDENCE = {
  enroller: "the enroller's own word",
  document: "a document of the vendor",
  possession: "the device's own signature",
};
const POWER = {
  owner: "as the owner",
  incident: "as a gateway, for an incident",
  governance: "for the network",
};

/** @param {any} target of an action: a device or a batch */
function aim(target) {
  return target.device ? `device ${target.device.did}` : `every device of batch ${target.batch}`;
}

/**
 * Marks that turn the direction of writing could make a sentence read as another: they are shown.
 * @param {string} text
 */
const visible = (text) =>
  text.replace(/\p{Bidi_Control}/gu, (c) => {
    return `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });

/** @param {string} reason */
const because = (reason) => (reason === "" ? "No reason is given." : `Reason: ${visible(reason)}.`);

/** @param {any[]} list @param {string} one @param {string} more */
const keys = (list, one, more) => `${counted(list.length, "key")} ${list.length === 1 ? one : more}`;

/** @param {any} rules */
function approvals({ approval }) {
  if (!approval) return "One signature suffices for everything.";
  const { devices, people, governance } = approval;
  const what = [
    ...(devices === undefined ? [] : [`ending more than ${counted(devices, "device")} in a day`]),
    ...(governance ? ["changes of keys, rules and protocol"] : []),
  ];
  return `${people === 1 ? "One more person" : `${people} more people`} must approve ${what.join(", and ")}.`;
}

const MATTERS = ["admissions", "expulsions", "grants", "validators", "rules", "protocol", "holds"];
const SHARES = /** @type {Record<string, string>} */ ({
  half: "more than half",
  "two-thirds": "more than two thirds",
  all: "all",
});

/** How many organisations decide what. @param {(number | string)[] | undefined} table */
function decisions(table) {
  if (table === undefined) return "";
  const each = table.map((threshold, at) => `${MATTERS[at]} ${SHARES[threshold] ?? threshold}`);
  return ` Of the organisations must agree: ${each.join(", ")}.`;
}

/** @type {Record<string, (a: any) => string>} */
const SENTENCES = {
  enrol: (a) => `Enrol ${counted(a.count, "device")} of model ${a.model} under grant ${a.grant}.`,
  hold: (a) =>
    `Hold ${aim(a.target)}, ${POWER[/** @type {"owner"} */ (a.power)]}, ${a.until === undefined ? "until it is released" : `until ${moment(a.until)}`}. ${because(a.reason)}`,
  release: (a) => `Release ${aim(a.target)} from hold ${a.hold}.`,
  revoke: (a) => `Revoke for good: ${aim(a.target)}. ${because(a.reason)}`,
  deactivate: (a) => `Deactivate for good: ${aim(a.target)}. Its document becomes empty.`,
  "revoke-key": (a) => `Revoke for good one key of device ${a.device.did}: ${a.key}.`,
  rotate: (a) => `Replace the key of device ${a.device.did} by ${a.key[0]}.`,
  "change-keys": (a) =>
    `Change the keys of the organisation: ${keys(a.add, "comes in", "come in")}, ${keys(a.remove, "ends for good", "end for good")}.`,
  grant: (a) =>
    `Let ${a.organisation} enrol ${counted(a.count, "device")} until ${moment(a.expires)}.`,
  "withdraw-grant": (a) => `End grant ${a.grant}. What it enrolled stays enrolled.`,
  "change-validators": (a) =>
    `Hand the ledger to ${counted(a.validators.length, "other validator")}.`,
  "change-rules": (a) =>
    `Change the rules of the network. ${approvals(a.rules)}${decisions(a.rules.table)}`,
  "upgrade-protocol": (a) =>
    a.upgrade
      ? `Go over to protocol version ${a.upgrade[0]} at height ${grouped(a.upgrade[1])}.`
      : "Call off the protocol upgrade that was announced.",
  propose: (a) =>
    `Propose, for others to approve until ${moment(a.expires)}: ${SENTENCES[a.proposed.kind](a.proposed)} ${because(a.reason)}`,
  approve: (a) => `Approve proposal ${a.proposal}.`,
  "withdraw-proposal": (a) => `Withdraw proposal ${a.proposal}.`,
  admit: (a) => `Admit the organisation ${visible(a.admission.label)} to the network.`,
  expel: (a) => `Expel the organisation ${a.organisation} from the network.`,
  "offer-transfer": (a) =>
    `Offer ${aim(a.target)} to the organisation ${a.to}, until ${moment(a.expires)}.`,
  "accept-transfer": (a) => `Take over ${aim(a.target)} by the offer ${a.offer}.`,
  "cancel-transfer": (a) => `End the offer ${a.offer} of ${aim(a.target)}.`,
  recover: (a) => `Replace the lost key of device ${a.device.did} by ${a.key[0]}.`,
};

/** What each field is called. */
const LABELS = /** @type {Record<string, string>} */ ({
  grant: "Grant",
  model: "Model",
  models: "Models",
  count: "Devices",
  root: "Root of the leaves",
  hold: "Hold",
  power: "By which power",
  until: "Until",
  seen: "Log size seen",
  reason: "Reason (public)",
  seq: "Change counter",
  key: "Key",
  next: "Commitment to the next key",
  organisation: "Organisation",
  expires: "Expires",
  evidence: "Evidence asked for",
  validators: "Validators",
  upgrade: "Version and height",
  proposal: "Proposal",
  to: "New owner",
  offer: "Offer",
});

/** @param {string} field @param {any} value @returns {Line[]} */
function lines(field, value) {
  if (field === "kind") return [];
  if (field === "target")
    return lines(value.device ? "device" : "batch", value.device ?? value.batch);
  if (field === "device")
    return [
      { label: "Device", value: value.did },
      ...(value.part ? [{ label: "Batch of the device", value: value.part.batch }] : []),
    ];
  if (field === "batch") return [{ label: "Batch", value }];
  if (field === "add")
    return value.map((/** @type {any} */ [[key], can]) => ({
      label: "New key",
      value: `${key} (${can.join(", ")})`,
    }));
  if (field === "remove")
    return value.map((/** @type {string} */ key) => ({ label: "Key that ends", value: key }));
  if (field === "proposed") return actionLines(value);
  if (field === "admission")
    return [
      { label: "Organisation that comes in", value: visible(value.label) },
      ...lines("add", value.keys),
    ];
  if (field === "rules")
    return [
      { label: "Trust period", value: `${grouped(value.trustPeriodMs)} ms` },
      ...lines("evidence", value.evidence),
      { label: "Approvals", value: approvals(value) },
      ...(value.table ? [{ label: "Organisations", value: decisions(value.table).trim() }] : []),
    ];
  return [{ label: LABELS[field] ?? field, value: said(field, value) }];
}

/** @param {string} field @param {any} value @returns {string} */
function said(field, value) {
  if (field === "until" || field === "expires") return moment(value);
  if (field === "evidence") return EVIDENCE[/** @type {"enroller"} */ (value)];
  if (field === "power") return POWER[/** @type {"owner"} */ (value)];
  if (field === "key") return Array.isArray(value) ? value[0] : value;
  if (field === "models" && value.length === 0) return "every model";
  if (field === "reason") return value === "" ? "none" : visible(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "string" ? value : grouped(value);
}

/** @param {Action} action @returns {Line[]} */
const actionLines = (action) =>
  Object.entries(action).flatMap(([field, value]) => lines(field, value));

/**
 * An operation in one sentence, and line by line. An approval names a proposal by its id alone:
 * with the proposal that `operation.verify` read from its signed bytes, it says what is approved.
 * @param {import("./operation.js").Operation} operation
 * @param {(id: string) => string | undefined} [names] what a node calls a DID or an id
 * @param {{ proposal: string, operation: import("./operation.js").Operation }} [proposal]
 * @returns {{ sentence: string, lines: Line[] }}
 */
export function describe(operation, names = () => undefined, proposal = undefined) {
  const { action, author, network, validUntil } = operation;
  const until = moment(validUntil);
  let does = SENTENCES[action.kind](action);
  let lines = actionLines(action);
  if (proposal !== undefined) {
    if (proposal.proposal !== action.proposal) throw new Fault("this is not the proposal in question");
    const proposed = proposal.operation.action;
    does = `${does} It says: ${SENTENCES[proposed.kind](proposed)}`;
    lines = [...lines, ...actionLines(proposed)];
  }
  const all = [
    ...lines,
    { label: "In the name of", value: author },
    { label: "Network", value: network },
    { label: "Valid until", value: until },
  ];
  return {
    sentence: `${does} Valid until ${until}.`,
    lines: all.map((line) => ({ ...line, name: names(line.value) })),
  };
}
