// Photos that are dropped, pasted, chosen or taken, and what the model says of them.
import { onCamera } from "./camera.js";
import { onPhotos } from "./drop.js";
import { Refused, ask, byId, el, listen, say } from "./studio.js";

const answers = byId("answers");

/** Answers that wait for the photos most like theirs, with their photo. @type {Map<HTMLElement, Blob>} */
const wanting = new Map();

/** @typedef {{ content: string, label: string, path: string, cosine: number }} Neighbour */

/** The photos of the folder that the model finds most like it. @param {HTMLElement} place @param {Blob} photo @param {Neighbour[] | null} near */
function evidence(place, photo, near) {
  const cell = (/** @type {Neighbour} */ one) => el("div", { title: one.path }, el("img", { src: `/thumb/${one.content}`, alt: one.path }), one.label);
  place.replaceChildren(
    ...(near ? [el("p", { class: "soft" }, "Your photos most like it"), el("div", { class: "near" }, ...near.map(cell))] : [el("p", { class: "soft" }, "The model looks for photos that are like it.")]),
  );
  if (near) wanting.delete(place);
  else wanting.set(place, photo);
}

listen((message) => {
  if (message.event !== "near") return;
  for (const [place, photo] of wanting) ask("/try/photo", photo).then((said) => evidence(place, photo, said.near), () => {});
});

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
      const title = said.rejected ? "None of these" : said.label;
      const unlike = said.rejected ? `It is unlike the photos that the model learnt from. If it had to choose: ${said.label}.` : "";
      const near = el("div", {});
      evidence(near, photo, said.near);
      place.replaceChildren(
        el("div", {}, el("h2", {}, title), unlike && el("p", { class: "soft" }, unlike), el("dl", { class: "odds" }, ...odds), el("p", { class: "soft" }, photo.name)),
        said.picture && image(said.picture, photo.name),
        said.looked && el("div", {}, image(said.looked, "Where the network looked"), el("p", { class: "soft" }, "Where it looked")),
        near,
      );
      say(said.rejected ? `${photo.name}: none of these` : `${photo.name}: ${said.label}, ${(100 * said.probability).toFixed(0)} percent`);
    } catch (problem) {
      const why = problem instanceof Refused ? problem.message : "The studio does not answer.";
      place.replaceChildren(el("p", { class: "problem" }, `${photo.name}: ${why}`));
    }
  }
}

onPhotos((brought) => classify(brought.map(({ photo }) => photo)));
onCamera((photo) => classify([photo]), (why) => answers?.prepend(el("p", { class: "problem" }, why)));
