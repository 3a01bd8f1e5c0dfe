// Photos that are dropped, pasted or chosen, and what the model says of them.
import { Refused, ask, byId, el, say } from "./studio.js";

const drop = byId("drop");
const file = /** @type {HTMLInputElement | null} */ (byId("file"));
const answers = byId("answers");

/** @param {Iterable<File>} files */
async function classify(files) {
  for (const photo of files) {
    const place = el("article", { class: "answer" }, el("p", { class: "soft" }, `${photo.name}: looking`));
    answers?.prepend(place);
    try {
      const said = await ask("/try/photo", photo);
      const image = (/** @type {string} */ data, /** @type {string} */ alt) => el("img", { src: `data:image/jpeg;base64,${data}`, alt });
      const odds = said.ranking.flatMap((/** @type {[string, number]} */ [label, probability]) => [
        el("dt", {}, label),
        el("dd", {}, el("meter", { min: 0, max: 1, value: probability })),
        el("dd", { class: "n" }, `${(100 * probability).toFixed(1)} %`),
      ]);
      place.replaceChildren(
        el("div", {}, el("h2", {}, said.label), el("dl", { class: "odds" }, ...odds), el("p", { class: "soft" }, photo.name)),
        said.picture && image(said.picture, photo.name),
        said.looked && el("div", {}, image(said.looked, "Where the network looked"), el("p", { class: "soft" }, "Where it looked")),
      );
      say(`${photo.name}: ${said.label}, ${(100 * said.probability).toFixed(0)} percent`);
    } catch (problem) {
      const why = problem instanceof Refused ? problem.message : "The studio does not answer.";
      place.replaceChildren(el("p", { class: "problem" }, `${photo.name}: ${why}`));
    }
  }
}

file?.addEventListener("change", () => {
  classify([...(file.files ?? [])]);
  file.value = "";
});
document.addEventListener("paste", (event) => classify([...(event.clipboardData?.files ?? [])]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop?.classList.toggle("over", name === "dragover");
    if (name === "drop") classify([.../** @type {DragEvent} */ (event).dataTransfer?.files ?? []]);
  });
}
