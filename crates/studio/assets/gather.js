// Begins to gather, and shows what arrives, what does not, and what can be done then.
import "./own.js";
import { readAgain } from "./send.js";
import { Refused, ask, byId, el, listen, state, tell } from "./studio.js";

/** @typedef {{ content: string, file: string, class: string, licence: string | null, link: string | null, credit: string | null }} Arrival */
/** @typedef {{ class: string, reason: string, source: string, link: string | null }} Refusal */
/** @typedef {{ name: string, before: number, kept: number, wanted: number, found: number, rejected: Record<string, number> }} Class */
/** @typedef {{ view: { run: number, number: number, classes: Class[], arrived: Arrival[], rejected: Refusal[] }, labels: string[], why: string | null }} Whole */

/** The newest that are shown. */
const SHOWN = 300;

const form = /** @type {HTMLFormElement} */ (byId("ask"));
const rows = byId("rows");
const grid = /** @type {HTMLElement} */ (document.querySelector(".arrivals"));
const rejected = /** @type {HTMLElement} */ (byId("rejected"));
/** @type {import("./studio.js").Job | null | undefined} */
let job = null;
/** @type {Whole} */
let whole = state();

function asked() {
  const fields = new FormData(form);
  const terms = fields.getAll("terms");
  return {
    classes: fields.getAll("name").map((name, at) => ({ name, terms: terms[at] })),
    per_class: Number(fields.get("per_class")),
    min_size: Number(fields.get("min_size")),
    licences: fields.get("licences"),
    sources: fields.getAll("source"),
  };
}

/** @param {unknown} problem */
function refuse(problem) {
  const wrong = byId("wrong");
  if (!(problem instanceof Refused) || !wrong) return tell(problem);
  wrong.textContent = problem.message;
  wrong.hidden = false;
}

let typed = 0;
/** The command that does the same is asked for: only the studio knows how to quote. */
function changed() {
  byId("wrong")?.setAttribute("hidden", "");
  clearTimeout(typed);
  typed = setTimeout(async () => {
    const code = document.querySelector(".command code");
    const wanted = asked();
    if (!code || !wanted.classes.some(({ name, terms }) => `${name}${terms}`.trim())) return;
    code.textContent = await ask("/gather/command", wanted).then((said) => said.command, (problem) => (refuse(problem), code.textContent));
  }, 300);
}

form.addEventListener("input", changed);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask("/gather/begin", asked()).catch(refuse);
});
const empty = (/** @type {Element} */ row) => row.querySelectorAll("input").forEach((input) => (input.value = ""));
byId("more")?.addEventListener("click", () => {
  const row = /** @type {Element} */ (rows?.lastElementChild?.cloneNode(true));
  empty(row);
  rows?.append(row);
  row.querySelector("input")?.focus();
});
rows?.addEventListener("click", (event) => {
  const row = event.target instanceof Element && event.target.closest("[data-less]") && event.target.closest(".row");
  if (!row) return;
  if (rows.children.length > 1) row.remove();
  else empty(row);
  rows.querySelector("input")?.focus();
  changed();
});

/** A link to somebody else's page, which does not learn from where. @param {string | null} href @param {string} name @param {string} text */
const away = (href, name, text) => (href ? el("a", { class: name, href, target: "_blank", rel: "noopener noreferrer" }, text) : el("span", { class: name }, text));

const arrival = (/** @type {Arrival} */ photo) =>
  el(
    "li",
    { title: photo.credit ?? photo.file },
    el("img", { src: `/gather/thumb/${photo.content}`, alt: photo.file, loading: "lazy" }),
    el("span", {}, photo.class),
    away(photo.link, "badge", photo.licence ?? "your own"),
  );

const refusal = (/** @type {Refusal} */ one) => el("li", {}, `${one.class}: ${one.reason} `, away(one.link, "soft", `at ${one.source}`));

const sum = (/** @type {Class} */ one) => Object.values(one.rejected).reduce((all, count) => all + count, 0);

/** A class, with numbers that add up. @param {Class} one */
function row(one) {
  const [kept, not] = [one.kept - one.before, sum(one)];
  const why = Object.entries(one.rejected).map(([reason, count]) => `${count} ${reason}`);
  const rest = one.found - kept - not;
  const parts = [`${one.found} found`, `${kept} kept`, `${not} not kept${not ? ` (${why.join(", ")})` : ""}`, rest > 0 && `${rest} not looked at`];
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, one.name),
    el("td", { class: "n" }, `${one.kept} of ${one.wanted}`),
    el("td", { class: "wide" }, el("meter", { min: 0, max: one.wanted, value: one.kept }), el("span", { class: "soft" }, parts.filter(Boolean).join(" · "))),
  );
}

/** The run while it goes on, how it ended, and what comes next. */
function show() {
  const section = byId("gathering");
  const then = byId("then");
  if (!section || !then) return;
  const running = job?.status === "running";
  then.hidden = running || !grid.children.length;
  then.replaceChildren(
    ...(whole.why
      ? [el("p", {}, `Not a data set yet: ${whole.why}`)]
      : [el("p", {}, "The photos are there."), el("span", {}, el("a", { class: "button do", href: "/look" }, "Look at them"), " ", el("a", { class: "button", href: "/train" }, "Train"))]),
  );
  section.hidden = !job;
  if (!job) return;
  const failed = job.status === "failed";
  section.dataset.job = `${job.id} ${job.status}`;
  section.replaceChildren(
    el("h2", {}, running ? job.step : failed ? "Nothing could be gathered" : "Gathered"),
    job.message ? el("p", { class: failed ? "problem" : "lead" }, job.message) : "",
    el("table", { class: "bars" }, el("tbody", {}, ...whole.view.classes.map(row))),
    ...job.log.map((line) => el("p", { class: "soft" }, line)),
  );
}

/** Puts what is new before what is there. @param {Element} list @param {HTMLElement[]} news */
function prepend(list, news) {
  list.prepend(...news.reverse());
  while (list.children.length > SHOWN) list.lastElementChild?.remove();
}

/** @param {Whole} said */
function take(said) {
  const list = /** @type {Element} */ (rejected.lastElementChild);
  if (said.view.run !== whole.view.run) [grid, list].forEach((one) => one.replaceChildren());
  whole = said;
  prepend(grid, said.view.arrived.map(arrival));
  prepend(list, said.view.rejected.map(refusal));
  byId("arrived")?.toggleAttribute("hidden", !grid.children.length);
  const not = said.view.classes.reduce((all, one) => all + sum(one), 0);
  rejected.hidden = not === 0;
  if (rejected.firstElementChild) rejected.firstElementChild.textContent = `${not} not kept${not > list.children.length ? `, the newest ${list.children.length} here` : ""}`;
  byId("labels")?.replaceChildren(...said.labels.map((value) => el("option", { value })));
  show();
}

let asking = false;
let again = false;
let later = 0;
/** Asks for what is new, however often it is called. */
async function refresh() {
  again = true;
  if (asking) return;
  asking = true;
  while (again) {
    again = false;
    const { run, number } = whole.view;
    await ask(`/gather/state?run=${run}&after=${number}`).then(take, () => {});
  }
  asking = false;
  clearTimeout(later);
  // The last of many reports may not have been sent.
  if (job?.status === "running") later = setTimeout(refresh, 1500);
}

take(whole);
listen(({ event, job: one, jobs }) => {
  if (event === "jobs") job = jobs?.filter(({ kind }) => kind === "gather").pop();
  if (event === "job" && one?.kind === "gather") job = one;
  // The studio may have had no time for that before.
  if (event === "jobs" || one?.status !== "running") readAgain();
  if (event === "job" ? one?.kind === "gather" : ["jobs", "gathering", "folder", "changed"].includes(event)) refresh();
});
