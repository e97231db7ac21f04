// Importing files: sending them piece by piece, dry run, run, signing what is asked for on the way.
// What was agreed to is kept in this tab, so that a reload goes on; the node is held to it.

import { Refused, ask, busy, go, grouped, listen, tell } from "./talk.js";

const page = /** @type {HTMLMetaElement} */ (document.querySelector('meta[name="muster"]')).dataset;
const place = (/** @type {string} */ id) => `muster-import-${id}`;

/** @param {string} id @param {object} agreed */
const remember = (id, agreed) => sessionStorage.setItem(place(id), JSON.stringify(agreed));

/** What was agreed to in this tab. @param {string} id @returns {any} */
function remembered(id) {
  try {
    return JSON.parse(sessionStorage.getItem(place(id)) ?? "null");
  } catch {
    return null;
  }
}

/** @param {FormData} given */
function options(given) {
  const text = (/** @type {string} */ name) => String(given.get(name) ?? "").trim();
  return {
    format: text("format"), model: text("model"), challenge: text("challenge"), grant: text("grant"),
    slot: text("slot") === "" ? null : Number(text("slot")), map: /** @type {string[]} */ ([]),
  };
}

/** Starts a dry run, by what was chosen. @param {string} id @param {ReturnType<typeof options>} chosen */
async function rehearse(id, chosen) {
  remember(id, { dryRun: true, grant: chosen.grant, model: chosen.model });
  await ask(`/import/${id}/rehearse`, chosen);
}

/** Sends one piece; a line that drops is tried again. @param {string} path @param {Blob} piece */
async function send(path, piece) {
  for (let left = 3; ; left -= 1) {
    try {
      const answer = await fetch(path, { method: "POST", headers: { "Muster-Csrf": page.csrf ?? "", "Content-Type": "application/octet-stream" }, body: piece });
      if (answer.ok) return;
      const problem = await answer.json().catch(() => ({ title: `The server answered ${answer.status}` }));
      throw new Refused({ ...problem, status: answer.status });
    } catch (fault) {
      if (!(fault instanceof TypeError) || left === 0) throw fault;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

/** @param {HTMLFormElement} form */
async function begin(form) {
  const given = new FormData(form);
  const files = ["manifest", "keys", "signer", "trust"].flatMap((kind) =>
    given.getAll(kind).filter((file) => file instanceof File && file.name !== "").map((file) => ({ kind, file: /** @type {File} */ (file) })));
  const all = files.reduce((sum, { file }) => sum + file.size, 0);
  const bar = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
  const { id, piece } = await ask("/import/jobs", {});
  try {
    bar.hidden = false;
    bar.max = Math.max(all, 1);
    let sent = 0;
    for (const { kind, file } of files) {
      const { file: number } = await ask(`/import/${id}/files`, { kind, name: file.name, bytes: file.size });
      for (let at = 0; at < file.size; at += piece) {
        const part = file.slice(at, at + piece);
        await send(`/import/${id}/files/${number}?at=${at}`, part);
        sent += part.size;
        bar.value = sent;
      }
    }
    await rehearse(id, options(given));
  } catch (fault) {
    bar.hidden = true;
    await ask(`/import/${id}/forget`, {}).catch(() => null);
    throw fault;
  }
  location.assign(`/import/${id}`);
}

document.querySelector("[data-import]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  busyIn(form, () => begin(form));
});

/** As `busy`, with the fault told in the form. @param {HTMLFormElement} form @param {() => Promise<void>} task */
function busyIn(form, task) {
  const fault = /** @type {HTMLElement} */ (form.querySelector(".fault[role=alert]"));
  fault.hidden = true;
  return busy(form.querySelector("[type=submit]"), async () => {
    try {
      await task();
    } catch (error) {
      fault.textContent = error instanceof Error ? error.message : String(error);
      fault.hidden = false;
    }
  });
}

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  const id = button?.dataset.forget;
  if (id === undefined) return;
  busy(button, async () => {
    await ask(`/import/${id}/forget`, {});
    sessionStorage.removeItem(place(id));
    go("The import is removed from this node. What was enrolled stays enrolled.", "/import");
  });
});

/** Which columns are which fields, in the words of `--map`. @param {HTMLFormElement} form */
function mapping(form) {
  const headless = /** @type {HTMLInputElement | null} */ (form.querySelector("[name=headless]"))?.checked ?? false;
  return [.../** @type {NodeListOf<HTMLSelectElement>} */ (form.querySelectorAll("[data-column]"))]
    .filter((select) => select.value !== "")
    .map((select) => `${select.value}=${headless ? `#${select.dataset.place}` : select.dataset.column}`);
}

/** The page as it is now, from its top: what is new stands there. */
function afresh() {
  scrollTo(0, 0);
  location.reload();
}

/** A pause before an answer that did not arrive is given again. */
const AGAIN_MS = 1_000;

/** @param {HTMLElement} job */
function watch(job) {
  const id = job.dataset.job ?? "";
  const mine = job.dataset.key === page.key;
  const one = (/** @type {string} */ css) => /** @type {HTMLElement | null} */ (document.querySelector(css));
  const WORDS = /** @type {Record<string, string>} */ ({ reading: "Reading and checking the files", staging: "The node checks the rows", sealing: "Computing the root of the batch", acknowledging: "Signed; waiting for the ledger" });
  const BUSY = ["rehearsing", "running"];
  let first = "";
  let last = 0;

  /** Shows how far it is. @param {any} news */
  const show = ({ progress, cancelling }) => {
    const words = one("[data-words]");
    const text = cancelling ? "Cancelling…" : WORDS[progress?.phase];
    if (words && text && words.textContent !== text) words.textContent = text;
    const bar = /** @type {HTMLProgressElement | null} */ (one("[data-progress]"));
    const counts = one("[data-counts]");
    if (!progress || !bar || !counts) return;
    bar.max = Math.max(progress.total, 1);
    bar.value = progress.done;
    const { enrolled, already, waiting, refused } = progress.counts;
    const parts = [["to enrol", enrolled], ["already", already], ["waiting", waiting], ["refused", refused]];
    counts.textContent = [`${grouped(progress.rows)} ${progress.phase === "reading" || progress.phase === "staging" ? "rows" : "batches"}`, ...parts.filter(([, n]) => n > 0).map(([word, n]) => `${grouped(/** @type {number} */ (n))} ${word}`)].join(", ");
  };

  /** Signs by what was agreed to in this tab; in another one, the person looks first. @param {any} asked */
  const signs = async (asked) => {
    if (!mine || asked.number <= last) return;
    const before = last;
    last = asked.number;
    try {
      await answer(asked);
    } catch (fault) {
      // An answer that did not arrive is given again when the news ask again; one that was refused is not.
      const lost = !(fault instanceof Refused) || fault.status === 0 || fault.status >= 500;
      if (lost) setTimeout(() => (last = last === asked.number ? before : last), AGAIN_MS);
      throw fault;
    }
  };

  /** @param {any} asked */
  const answer = async (asked) => {
    const { look, sign, agree } = await import("./import_signs.js");
    const agreed = remembered(id);
    if (agreed) {
      await sign(id, asked, agreed);
      return;
    }
    const panel = one("[data-ask]");
    const words = one("[data-ask-words]");
    const button = one("[data-sign]");
    if (!panel || !words || !button) return;
    words.textContent = "The import waits for a signature. What it was begun with is not known in this tab.";
    panel.hidden = false;
    button.onclick = () => busy(button, async () => {
      const { key, bytes, sentence } = await look(asked, null);
      if (!(await agree("Sign this?", "This browser read it byte by byte. It says:", [sentence], "Sign"))) return;
      const { base64url } = await import("./bytes.js");
      await ask(`/import/${id}/answer`, { number: asked.number, signature: base64url(await key.sign(bytes)) });
      panel.hidden = true;
    });
  };

  // A run asks this page for signatures, and fails if none comes in time: it is heard in the back too.
  const needed = () => mine && one("[data-progress]") !== null;
  const end = listen(`/import/${id}/events`, (news) => news.addEventListener("import", (event) => {
    const now = JSON.parse(event.data);
    first ||= now.stage;
    if (now.stage !== first || (!BUSY.includes(now.stage) && one("[data-progress]"))) {
      end();
      if (!document.querySelector("dialog[open]")) afresh();
      return;
    }
    show(now);
    if (now.ask) signs(now.ask).catch((fault) => tell(fault instanceof Error ? fault.message : String(fault), "bad"));
  }), needed);

  const button = (/** @type {string} */ css, /** @type {(button: HTMLElement) => Promise<void>} */ task) => {
    const found = one(css);
    found?.addEventListener("click", () => busy(found, () => task(found)));
  };
  button("[data-cancel]", async () => {
    await ask(`/import/${id}/cancel`, {});
  });
  button("[data-run]", async () => {
    const { rows, batches } = JSON.parse(job.dataset.plan ?? "{}");
    const earlier = remembered(id);
    const grant = earlier?.grant ?? "";
    const other = batches.find((/** @type {any} */ batch) => grant && batch.grant !== grant);
    if (other) throw new Error(`Not signed. The plan is under grant ${other.grant}, you chose ${grant}.`);
    const { agree } = await import("./import_signs.js");
    const sentences = batches.map((/** @type {any} */ b) => `Enrol ${grouped(b.count)} device${b.count === 1 ? "" : "s"} of model ${b.model} under grant ${b.grant}, by the root ${b.root}.${b.scrap ? " They are scrap: revoke them right after." : ""}`);
    if (batches.length === 0) sentences.push("Send what the line says of these devices. Nothing is enrolled.");
    const lead = "This browser will sign this, and nothing else the node may ask for in its place:";
    const note = "The root was computed by the node, from the files you sent it. Enrolling cannot be undone; devices can be revoked.";
    if (!(await agree("Enrol these devices?", lead, sentences, batches.length > 1 ? `Sign ${grouped(batches.length)} operations` : "Sign", batches.length > 0 ? note : undefined))) return;
    remember(id, { dryRun: false, rows, grant, batches });
    await ask(`/import/${id}/run`, {});
    afresh();
  });
  const revokeScrap = async (/** @type {string[]} */ targets) => {
    const { act, summary } = await import("./sign.js");
    const reason = "withdrawn by the owner";
    const done = await act({ kind: "revoke", title: "Revoke the scrap?", targets, intent: { action: "revoke", reason }, fields: { reason }, final: true });
    if (done) go(summary(done, "batches of scrap revoked"));
  };
  button("[data-scrap]", (found) => revokeScrap((found.dataset.scrap ?? "").trim().split(" ")));
  // Whoever just enrolled scrap agreed to end it: what is scrap is valid until then.
  const scrap = one("[data-scrap]");
  if (scrap && remembered(id)?.dryRun === false) {
    sessionStorage.removeItem(place(id));
    scrap.click();
  }

  const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-again]"));
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    busyIn(form, async () => {
      await rehearse(id, { ...options(new FormData(form)), map: mapping(form) });
      afresh();
    });
  });
}

const job = document.getElementById("job");
if (job) watch(job);
