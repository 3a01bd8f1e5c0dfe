// What all pages share: questions to the studio, one stream of events for all tabs, the job that runs, and a line that is read aloud.

/** @typedef {{ id: number, kind: string, status: string, step: string, done: number, total: number, seconds_left: number | null,
 *   images_per_second: number | null, losses: [number, number][], rows: any[], rates: [number, number][], suggested_rate: number | null, log: string[], message: string | null }} Job */
/** @typedef {{ event: string, job?: Job, jobs?: Job[], instance?: string, changes?: number }} Message */

/**
 * An element. Attributes that are functions listen; texts stay texts, whatever is in them.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** @param {string} id @returns {HTMLElement | null} */
export const byId = (id) => document.getElementById(id);

/** A refusal, with what the studio said. */
export class Refused extends Error {
  /** @param {number} status @param {string} why */
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/**
 * Asks the studio. Fails with `Refused` if it says no, and with another error if it does not answer.
 * @param {string} url @param {any} [body] what is sent; without it, a question @returns {Promise<any>}
 */
export async function ask(url, body) {
  const options =
    body === undefined
      ? {}
      : body instanceof Blob
        ? { method: "POST", body }
        : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await fetch(url, options);
  const said = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Refused(answer.status, said.error ?? `the studio answered ${answer.status}`);
  return said;
}

/** Says something to who cannot see it. @param {string} text */
export function say(text) {
  const line = byId("say");
  if (line) line.textContent = text;
}

/** @param {number} seconds */
export function time(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** What the page began with. @returns {any} */
export function state() {
  return JSON.parse(byId("state")?.textContent || "null");
}

/** @type {Set<(message: Message) => void>} */
const listeners = new Set();

/** Hears what happens in the studio. @param {(message: Message) => void} listener */
export function listen(listener) {
  listeners.add(listener);
}

const channel = "BroadcastChannel" in window ? new BroadcastChannel("sciurus") : null;

/** How many changes the page knows of. */
let known = Number(document.body.dataset.changes ?? 0);

/** @param {Message} message */
function heard(message) {
  const missed = message.event === "jobs" && message.changes !== undefined && message.changes !== known;
  if (message.changes !== undefined) known = message.changes;
  for (const listener of listeners) listener(message);
  // Something changed between the page and the stream, or while it was cut.
  if (missed) for (const listener of listeners) listener({ event: "changed" });
}

/** @param {Message} message */
function spread(message) {
  heard(message);
  channel?.postMessage(message);
}

const pause = (/** @type {number} */ milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Listens until the stream ends for good, as it does if the studio no longer knows this browser. @returns {Promise<void>} */
const source = () =>
  new Promise((done) => {
    const events = new EventSource("/events");
    events.onmessage = ({ data }) => spread(JSON.parse(data));
    events.onerror = () => {
      spread({ event: "lost" });
      if (events.readyState === EventSource.CLOSED) done();
    };
  });

/** A browser opens few connections to a host, so one tab listens and tells the others. */
async function follow() {
  if (channel) channel.onmessage = ({ data }) => heard(data);
  // Who is not the one that listens asks once.
  ask("/now").then(heard).catch(() => {});
  for (;;) {
    if (channel && navigator.locks) await navigator.locks.request("sciurus-events", source);
    else await source();
    await pause(2000);
  }
}

/** @type {Job | null} */
let shown = null;

/** Shows the job that runs, in a corner. @param {Job} job */
function show(job) {
  const corner = byId("job");
  if (!corner) return;
  if (job.status === "running") {
    shown = job;
    const left = job.seconds_left === null ? "" : `about ${time(job.seconds_left)} left`;
    const bar = el("progress", { max: job.total || 1, "aria-label": job.step });
    if (job.total) bar.setAttribute("value", String(job.done));
    else bar.removeAttribute("value");
    const stops = ["train", "rates", "gather", "look"].includes(job.kind);
    const stop = el("button", { click: () => ask(`/jobs/${job.id}/stop`, {}).catch(() => {}) }, "Stop");
    corner.replaceChildren(
      el("p", {}, el("strong", {}, job.step), el("span", { class: "soft" }, job.total ? `${job.done} of ${job.total}` : "")),
      bar,
      el("p", {}, el("span", { class: "soft" }, left), stops && stop),
    );
    corner.hidden = false;
  } else if (shown?.id === job.id) {
    shown = null;
    // What was looked at can be seen.
    const here = ["train", "gather"].includes(job.kind) && document.body.dataset.page === `/${job.kind}`;
    corner.hidden = here || ((job.kind === "look" || job.kind === "list") && job.status === "done");
    const close = el("button", { click: () => (corner.hidden = true) }, "Close");
    const failed = job.status === "failed";
    corner.replaceChildren(
      el("p", { class: failed ? "problem" : "" }, job.message ?? ""),
      ...job.log.slice(-5).map((line) => el("p", { class: "soft" }, line)),
      el("p", {}, close),
    );
    say(job.message ?? "");
    if (!failed && job.log.length === 0) setTimeout(() => shown === null && (corner.hidden = true), 4000);
  }
}

/** The studio that this page was made by. @type {string | null} */
let instance = null;

listen((message) => {
  const saved = byId("saved");
  if (message.event === "lost" && saved) saved.textContent = "The studio does not answer. This page tries again by itself; if it was started anew, open the address that it printed.";
  if (message.event === "job" && message.job) show(message.job);
  if (message.event === "jobs" && message.jobs) {
    if (saved?.textContent?.startsWith("The studio")) saved.textContent = "";
    if (instance !== null && instance !== message.instance) location.reload();
    instance = message.instance ?? null;
    for (const job of message.jobs) if (job.status === "running" || shown?.id === job.id) show(job);
  }
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-post]") : null;
  const url = button?.getAttribute("data-post");
  if (url) ask(url, {}).catch((refused) => tell(refused));
});

/** Shows why something was refused. @param {unknown} problem */
export function tell(problem) {
  const text = problem instanceof Refused ? problem.message : "The studio does not answer. Is it still running in its terminal?";
  const corner = byId("job");
  if (corner) {
    corner.replaceChildren(el("p", { class: "problem" }, text), el("p", {}, el("button", { click: () => (corner.hidden = true) }, "Close")));
    corner.hidden = false;
  }
  say(text);
}

follow();
