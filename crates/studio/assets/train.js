// Begins a training, and shows its curve and table as they grow.
import { ask, byId, el, listen, tell, time } from "./studio.js";

/** @typedef {import("./studio.js").Job} Job */

/** What a form asks for. @param {HTMLFormElement} form */
function asked(form) {
  const fields = new FormData(form);
  const number = (/** @type {string} */ name) => (fields.get(name) ? Number(fields.get(name)) : null);
  return {
    instant: form.dataset.train === "instant",
    arch: fields.get("arch") || null,
    epochs: number("epochs"),
    image_size: number("image_size"),
    learning_rate: number("learning_rate"),
  };
}

for (const form of document.querySelectorAll("form[data-train]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form instanceof HTMLFormElement) ask("/train/begin", asked(form)).catch(tell);
  });
}

const whole = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-train=whole]"));

/** Says how long a training will take, from the last one here or, before there was one, from another machine. */
function estimate() {
  const line = byId("takes");
  if (!whole || !line) return;
  const { arch, epochs, image_size } = asked(whole);
  const choice = whole.querySelector("option:checked");
  const [known, speed] = (line.dataset.measured ?? "").split(" ");
  const usual = Number(choice?.getAttribute("data-speed"));
  const of = whole.querySelector(`option[value="${CSS.escape(known)}"]`);
  // The network that was measured tells how fast this machine is beside the one of the table.
  const ratio = of && speed ? Number(speed) / Number(of.getAttribute("data-speed")) : 1;
  const pixels = ((image_size ?? 224) / 224) ** 2;
  // Four fifths are trained on, the first epoch with a frozen body takes six tenths, and measuring a third of a training step.
  const photos = Number(line.dataset.photos) * (0.8 * ((epochs ?? 4) + 0.6) + (0.2 * ((epochs ?? 4) + 1)) / 1.5);
  const seconds = (photos * pixels) / (usual * ratio);
  line.textContent = Number.isFinite(seconds) && arch ? `Takes about ${time(seconds)}${ratio === 1 ? " on a machine with two fast cores; yours may differ by a factor of two or three" : " on this machine"}.` : "";
}

whole?.addEventListener("input", estimate);
estimate();
byId("rates")?.addEventListener("click", () => whole && ask("/train/rates", asked(whole)).catch(tell));

/** The rates that were tried, and the one to take. @param {Job} job */
function rates(job) {
  const place = byId("found");
  if (!place || job.kind !== "rates" || job.rates.length < 2) return;
  place.hidden = false;
  const take = () => {
    const field = whole?.elements.namedItem("learning_rate");
    if (field instanceof HTMLInputElement) field.value = String(Number(job.suggested_rate?.toPrecision(2)));
  };
  place.replaceChildren(
    el("p", { class: "soft" }, `The loss by learning rate, from ${job.rates[0][0].toExponential(0)} to ${job.rates[job.rates.length - 1][0].toExponential(0)}. ${job.message ?? ""}`),
    curve(job.rates.map(([, loss], step) => [step, loss]), "The loss as the learning rate grows"),
    job.suggested_rate === null ? "" : el("p", {}, el("button", { type: "button", click: take }, `Take ${job.suggested_rate.toExponential(1)}`)),
  );
}

for (const button of document.querySelectorAll("[data-resume]")) {
  button.addEventListener("click", () => ask("/train/resume", { run: button.getAttribute("data-resume") }).catch(tell));
}

/** The loss as a line. @param {[number, number][]} losses @param {string} [what] */
function curve(losses, what = "The training loss") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const values = losses.map(([, loss]) => loss);
  svg.setAttribute("aria-label", `${what}, ${values[0].toFixed(2)} at first, ${values[values.length - 1].toFixed(2)} now`);
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
  if (message.event === "job" && message.job) show(message.job), rates(message.job);
  if (message.event === "jobs") {
    for (const job of message.jobs ?? []) rates(job);
    const training = message.jobs?.filter((job) => job.kind === "train").pop();
    if (training) show(training);
  }
  if (message.event === "folder" || (message.event === "changed" && !document.querySelector("form"))) location.reload();
});
