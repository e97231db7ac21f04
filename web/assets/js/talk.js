// Talking to the server, and to the person.

const page = /** @type {HTMLMetaElement} */ (document.querySelector('meta[name="muster"]')).dataset;

/** Who is signed in: network and organisation as the server says them, and the key that signs. */
export const here = {
  network: page.network ?? "",
  organisation: page.organisation ?? "",
  key: page.key ?? "",
};

/** A refusal of the server, in its words. */
export class Refused extends Error {
  /** @param {{ status: number, title: string, detail?: string, type?: string }} problem */
  constructor(problem) {
    super(problem.detail ? `${problem.title}. ${capital(problem.detail)}.` : `${problem.title}.`);
    this.status = problem.status;
    this.code = (problem.type ?? "").replace("urn:muster:problem:", "");
  }
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What is known of a change whose answer was lost. */
const LOST = "it is not known whether it was done: look at the page again before you repeat it";

/**
 * Sends an object, and gives what came back.
 * @param {string} path @param {object} [body] without: a GET @param {boolean} [changes] whether something is done by it
 * @returns {Promise<any>}
 */
export async function ask(path, body, changes = body !== undefined) {
  const headers = { "Muster-Csrf": page.csrf ?? "" };
  const asked = body === undefined
    ? { headers }
    : { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    throw new Refused({ status: 0, title: "The server cannot be reached", detail: changes ? LOST : "try again" });
  }
  if (answer.ok && answer.status === 204) return null;
  // What is no JSON broke off, or is a word of somebody on the way.
  const told = await answer.json().catch(() => undefined);
  if (answer.ok && told !== undefined) return told;
  const lost = changes && (answer.ok || answer.status >= 500);
  const broken = answer.ok ? "The answer of the server broke off" : `The server answered ${answer.status}`;
  throw new Refused({ ...(told ?? { title: broken, ...(lost ? { detail: LOST } : {}) }), status: answer.ok ? 0 : answer.status });
}

/** @param {string} path @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function bytesAt(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Refused({ status: answer.status, title: `${path} answered ${answer.status}` });
  return new Uint8Array(await answer.arrayBuffer());
}

/**
 * An element with attributes and children; texts stay texts.
 * @param {string} tag @param {Record<string, string | boolean | ((event: any) => void)>} [attributes]
 * @param {...(Node | string | null | undefined)} children @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Says something at the foot of the page. @param {string} words @param {"good" | "bad"} [kind] */
export function tell(words, kind = "good") {
  const told = /** @type {HTMLElement} */ (document.getElementById("told"));
  const line = element("p", { class: kind }, words);
  line.append(element("button", { type: "button", class: "plain", "aria-label": "Dismiss", click: () => line.remove() }, "×"));
  told.append(line);
  if (kind === "good") setTimeout(() => line.remove(), 8_000);
}

/** Shows a fault where the page has a place for it, else at its foot. @param {unknown} fault */
export function fail(fault) {
  const words = fault instanceof Error ? fault.message : String(fault);
  const place = [...document.querySelectorAll("dialog[open] .fault, main > section > .fault")].at(-1);
  if (!(place instanceof HTMLElement)) return tell(words, "bad");
  place.textContent = words;
  place.hidden = false;
}

/**
 * Runs something of a button: not twice at once, and with its fault told.
 * @param {EventTarget | null} button @param {() => Promise<void>} task
 */
export async function busy(button, task) {
  const disabled = button instanceof HTMLButtonElement ? button : null;
  if (disabled?.disabled) return;
  if (disabled) disabled.disabled = true;
  try {
    await task();
  } catch (fault) {
    fail(fault);
  } finally {
    if (disabled) disabled.disabled = false;
  }
}

/** @param {number} n */
export const grouped = (n) => n.toLocaleString("en-US");

/** Opens a page after what was just said could be read there. @param {string} words @param {string} [path] @param {"good" | "bad"} [kind] */
export function go(words, path = location.pathname + location.search, kind = "good") {
  sessionStorage.setItem("told", words);
  sessionStorage.setItem("told-kind", kind);
  location.assign(path);
}

/** Signs in anew, and comes back to this page. */
function signInAgain() {
  location.assign(`/sign-in?${new URLSearchParams({ next: location.pathname + location.search })}`);
}

/**
 * A stream of news while the page is seen: a browser keeps six connections to a server of HTTP/1.1
 * for all its tabs (RFC 9112 §9.4), and tabs that nobody looks at must not use them up.
 * @param {string} path @param {(news: EventSource) => void} begin hears what comes
 * @param {() => boolean} [needed] whether something waits for this page, seen or not
 * @returns {() => void} ends it for good
 */
export function listen(path, begin, needed = () => false) {
  /** @type {EventSource | undefined} */
  let news;
  let over = false;
  const close = () => {
    news?.close();
    news = undefined;
  };
  const follow = () => {
    if (document.hidden && !needed()) close();
    else if (!over && news === undefined) begin((news = new EventSource(path)));
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", close);
  // A page that comes back as it was left goes on.
  addEventListener("pageshow", follow);
  follow();
  return () => {
    over = true;
    close();
  };
}

/**
 * A page of this console as a document. The parser that XMLHttpRequest has runs no script. Who is
 * not signed in any more goes to sign in: else a page that was left would look alive for ever.
 * @param {string} url @param {{ background?: boolean }} [how] in the background: nobody asked, so it does not count as use of the session
 * @returns {Promise<Document>}
 */
export function pageAt(url, { background = false } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    if (background) request.setRequestHeader("Muster-Background", "1");
    request.responseType = "document";
    request.onload = () => {
      // A browser that names no mode of a request is led there by the server itself.
      const strangers = request.responseURL && new URL(request.responseURL).pathname === "/sign-in";
      if (request.status === 401 || strangers) signInAgain();
      return !strangers && request.status === 200 && request.responseXML
        ? resolve(request.responseXML)
        : reject(new Refused({ status: request.status, title: `The page answered ${request.status}`, detail: "reload it" }));
    };
    request.onerror = () => reject(new Refused({ status: 0, title: "The server cannot be reached" }));
    request.send();
  });
}

/**
 * Puts parts of a page in place of those of this one, in the background; whoever is in one of them keeps it.
 * @param {string} url @param {Iterable<Element>} parts each with an id
 */
export async function renew(url, parts) {
  const old = [...parts].filter((part) => !part.contains(document.activeElement) || document.activeElement === part);
  if (old.length === 0) return;
  const page = await pageAt(url, { background: true });
  for (const part of old) {
    const fresh = page.getElementById(part.id);
    if (!fresh) continue;
    const node = document.importNode(fresh, true);
    part.replaceWith(node);
    node.dispatchEvent(new CustomEvent("muster:renewed", { bubbles: true }));
  }
}
