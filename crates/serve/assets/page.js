// Photos that are dropped, pasted or chosen, and what the model says of them.

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const select = /** @type {HTMLSelectElement} */ (byId("model"));
const key = /** @type {HTMLInputElement} */ (byId("key"));
const file = /** @type {HTMLInputElement} */ (byId("file"));

/** @typedef {{ label: string, probability: number, rejected: boolean | null, similarity: number | null, top: { label: string, probability: number }[], labels: string[], error?: string }} Predicted */

/** @returns {HeadersInit} */
const headers = () => (key.value ? { authorization: `Bearer ${key.value}` } : {});

/** An element with its children. @param {string} tag @param {Record<string, string>} attributes @param {...(Node | string)} children */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

async function models() {
  const answer = await fetch("/models", { headers: headers() });
  byId("with-key").hidden = answer.status !== 401 && !key.value;
  if (!answer.ok) return;
  const known = /** @type {{ models: { name: string }[] }} */ (await answer.json());
  select.replaceChildren(...known.models.map(({ name }) => el("option", { value: name }, name)));
  command();
}

function command() {
  const secret = key.value ? ' \\\n     -H "Authorization: Bearer $KEY"' : "";
  byId("command").textContent = `curl --data-binary @photo.jpg${secret} \\\n     '${location.origin}/predict?model=${encodeURIComponent(select.value)}'`;
}

/** @param {File} photo */
async function classify(photo) {
  const image = el("img", { src: URL.createObjectURL(photo), alt: photo.name });
  const words = el("div", {}, el("p", { class: "soft" }, "looking"));
  byId("answers").prepend(el("article", { class: "answer" }, image, words));
  try {
    const address = `/predict?model=${encodeURIComponent(select.value)}`;
    const type = "application/octet-stream";
    const answer = await fetch(address, { method: "POST", headers: { ...headers(), "content-type": type }, body: photo });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    const [predicted] = /** @type {Predicted[]} */ (said.predictions);
    if (!predicted) throw new Error("The server said nothing of it.");
    const title = predicted.rejected ? "None of these" : predicted.labels.join(", ") || "No label";
    const rows = predicted.top.flatMap(({ label, probability }) => [
      el("dt", {}, label),
      el("dd", {}, el("meter", { min: "0", max: "1", value: String(probability) })),
      el("dd", {}, `${(100 * probability).toFixed(1)} %`),
    ]);
    const unlike = predicted.rejected ? `Unlike the photos that it learnt from: if it had to choose, ${predicted.label}.` : "";
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
select.addEventListener("change", command);
key.addEventListener("change", () => void models());
void models();
