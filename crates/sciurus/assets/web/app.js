// A model of Sciurus in the browser: photos that are dropped, pasted or chosen, and what the model says of them. Nothing is sent.

/** @typedef {{ labels: string[], thresholds: number[] | null, runtime: string, about: string }} Description */
/** @typedef {{ probabilities: number[], label: number | null, on: boolean[] | null, similarity: number | null, rejected: boolean | null }} Answer */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const file = /** @type {HTMLInputElement} */ (byId("file"));
/** The runtime comes as a script of its own. @type {any} */
const ort = /** @type {any} */ (globalThis).ort;

/** An element with its children. @param {string} tag @param {Record<string, string>} attributes @param {...(Node | string)} children */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The upright pixels of a photo. Colours stay as they are in the file. @param {Blob} photo */
async function decoded(photo) {
  const bitmap = await createImageBitmap(photo, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser can't read pixels");
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = rgba[from] ?? 0;
    rgb[to + 1] = rgba[from + 1] ?? 0;
    rgb[to + 2] = rgba[from + 2] ?? 0;
  }
  return { rgb, width, height };
}

async function load() {
  const description = /** @type {Description} */ (await (await fetch("model.json")).json());
  ort.env.wasm.wasmPaths = new URL(description.runtime, location.href).href;
  // More threads need a page that is isolated from others, which a plain server of files doesn't arrange.
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  return { description, session };
}

const loaded = load();

/** What the model says of a photo. @param {Blob} photo @returns {Promise<Answer>} */
async function ask(photo) {
  const { session } = await loaded;
  const { rgb, width, height } = await decoded(photo);
  const outputs = await session.run({ photo: new ort.Tensor("uint8", rgb, [1, height, width, 3]) });
  const first = (/** @type {string} */ name) => (outputs[name] ? Number(outputs[name].data[0]) : null);
  return {
    probabilities: [...outputs.probabilities.data],
    label: first("label"),
    on: outputs.on ? [...outputs.on.data].map(Boolean) : null,
    similarity: first("similarity"),
    rejected: outputs.rejected ? Boolean(outputs.rejected.data[0]) : null,
  };
}

/** @param {File} photo */
async function classify(photo) {
  const image = el("img", { src: URL.createObjectURL(photo), alt: photo.name });
  const words = el("div", {}, el("p", { class: "soft" }, "looking"));
  byId("answers").prepend(el("article", { class: "answer" }, image, words));
  try {
    const { labels } = (await loaded).description;
    const said = await ask(photo);
    const ranking = labels.map((label, place) => ({ label, probability: said.probabilities[place] ?? 0, on: said.on?.[place] }));
    ranking.sort((a, b) => b.probability - a.probability);
    const best = ranking[0]?.label ?? "";
    const shown = said.on ? ranking.filter(({ on }) => on).map(({ label }) => label).join(", ") || "No label" : best;
    const title = said.rejected ? "None of these" : shown;
    const unlike = said.rejected ? `Unlike the photos that it learnt from: if it had to choose, ${best}.` : "";
    const rows = ranking.slice(0, 5).flatMap(({ label, probability }) => [
      el("dt", {}, label),
      el("dd", {}, el("meter", { min: "0", max: "1", value: String(probability) })),
      el("dd", {}, `${(100 * probability).toFixed(1)} %`),
    ]);
    words.replaceChildren(el("h2", {}, title), ...(unlike ? [el("p", { class: "soft" }, unlike)] : []), el("dl", {}, ...rows), el("p", { class: "soft" }, photo.name));
    byId("said").textContent = `${photo.name}: ${title}`;
  } catch (problem) {
    words.replaceChildren(el("p", { class: "problem" }, `${photo.name}: ${problem instanceof Error ? problem.message : problem}`));
  }
}

/** @param {Iterable<File>} photos */
async function all(photos) {
  for (const photo of photos) await classify(photo);
}

file.addEventListener("change", () => {
  void all([...(file.files ?? [])]);
  file.value = "";
});
document.addEventListener("paste", (event) => void all(event.clipboardData?.files ?? []));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") void all(/** @type {DragEvent} */ (event).dataTransfer?.files ?? []);
  });
}
try {
  const { description } = await loaded;
  byId("state").textContent = "Drop photos here, paste them, or choose them";
  byId("about").textContent = description.about;
} catch (problem) {
  byId("state").textContent = `The model can't be loaded: ${problem instanceof Error ? problem.message : problem}`;
}
// For programs that play this page.
Object.assign(globalThis, { sciurusAsk: ask });

// A module: its names are its own.
export {};
