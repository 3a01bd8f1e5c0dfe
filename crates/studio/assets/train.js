// Begins a training, and shows its curve and table as they grow.
import { ask, byId, el, listen, tell, time } from "./studio.js";

/** @typedef {import("./studio.js").Job} Job */

for (const form of document.querySelectorAll("form[data-train]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!(form instanceof HTMLFormElement)) return;
    const fields = new FormData(form);
    const number = (/** @type {string} */ name) => (fields.get(name) ? Number(fields.get(name)) : null);
    ask("/train/begin", {
      instant: form.dataset.train === "instant",
      arch: fields.get("arch") || null,
      epochs: number("epochs"),
      image_size: number("image_size"),
    }).catch(tell);
  });
}

for (const button of document.querySelectorAll("[data-resume]")) {
  button.addEventListener("click", () => ask("/train/resume", { run: button.getAttribute("data-resume") }).catch(tell));
}

/** The loss as a line. @param {[number, number][]} losses */
function curve(losses) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const values = losses.map(([, loss]) => loss);
  svg.setAttribute("aria-label", `The training loss, ${values[0].toFixed(2)} at first, ${values[values.length - 1].toFixed(2)} now`);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const last = losses[losses.length - 1][0];
  const point = (/** @type {[number, number]} */ [at, loss]) =>
    `${((100 * at) / Math.max(last, 1)).toFixed(2)},${(95 - (90 * (loss - least)) / Math.max(most - least, 1e-6)).toFixed(2)}`;
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", `M${losses.map(point).join("L")}`);
  svg.append(path);
  return svg;
}

/** fastai's table. @param {any[]} rows */
function table(rows) {
  const names = rows[0].metrics.map((/** @type {any} */ metric) => metric.name);
  const cell = (/** @type {string} */ text) => el("td", { class: "n" }, text);
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...["epoch", "train_loss", "valid_loss", ...names, "time"].map((name) => el("th", { scope: "col" }, name)))),
    el(
      "tbody",
      {},
      ...rows.map((row) =>
        el(
          "tr",
          {},
          cell(String(row.epoch)),
          cell(row.train_loss.toFixed(4)),
          cell(row.valid_loss.toFixed(4)),
          ...row.metrics.map((/** @type {any} */ metric) => cell(metric.value === null ? "–" : metric.value.toFixed(4))),
          cell(time(row.time)),
        ),
      ),
    ),
  );
}

/** @param {Job} job */
function show(job) {
  const section = byId("training");
  if (!section || job.kind !== "train") return;
  const figure = (/** @type {string} */ name, /** @type {string} */ value) => el("span", {}, el("b", {}, value), name);
  const running = job.status === "running";
  section.hidden = false;
  // What was the newest is no longer.
  byId("newest")?.remove();
  section.dataset.job = `${job.id} ${job.status}`;
  section.replaceChildren(
    el("h2", {}, running ? job.step : job.status === "failed" ? "It could not be trained" : "Trained"),
    job.message ? el("p", { class: job.status === "failed" ? "problem" : "lead" }, job.message) : "",
    el(
      "div",
      { class: "figures" },
      running && job.images_per_second ? figure("photos a second", job.images_per_second.toFixed(0)) : null,
      running && job.seconds_left !== null ? figure("left, about", time(job.seconds_left)) : null,
      job.losses.length > 0 ? figure("training loss", job.losses[job.losses.length - 1][1].toFixed(3)) : null,
    ),
    job.losses.length > 1 ? curve(job.losses) : "",
    job.rows.length > 0 ? table(job.rows) : "",
    ...job.log.map((line) => el("p", { class: "soft" }, line)),
    job.status === "done" ? el("p", {}, el("a", { class: "button do", href: "/clean" }, "See what is odd"), " ", el("a", { class: "button", href: "/results" }, "See where it is wrong")) : "",
  );
}

listen((message) => {
  if (message.event === "job" && message.job) show(message.job);
  if (message.event === "jobs") {
    const training = message.jobs?.filter((job) => job.kind === "train").pop();
    if (training) show(training);
  }
  if (message.event === "folder" || (message.event === "changed" && !document.querySelector("form"))) location.reload();
});
