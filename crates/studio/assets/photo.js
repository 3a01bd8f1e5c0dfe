// One photo, large, with what is known of it and the photos most like it.
import { ask, byId, el, say } from "./studio.js";

/** @typedef {{ content: string, label: string, split: string, path: string, pixels: number, size: string, issue: string, score: number, loss: number | null }} Photo */
/** @typedef {{ text: string, key: string | null, act: () => void, kind?: string }} Action */

const dialog = /** @type {HTMLDialogElement | null} */ (byId("photo"));
/** The photo that is shown. @type {string} */
let path = "";

/** Whether a photo is shown. */
export const isOpen = () => dialog?.open === true;

/** Shows a photo. @param {Photo} photo @param {Action[]} actions @param {(path: string) => void} go shows another one */
export function open(photo, actions, go) {
  if (!dialog) return;
  path = photo.path;
  const near = el("div", {});
  const facts = [photo.label, photo.split, photo.size, photo.issue.replaceAll("_", " "), photo.loss === null ? "" : `loss ${photo.loss.toFixed(2)}`];
  const picture = el("img", { src: `/photo/${photo.content}`, alt: photo.path, error: () => picture.replaceWith(el("p", { class: "soft" }, "This file has no picture")) });
  dialog.replaceChildren(
    el("figure", {}, picture, el("figcaption", {}, photo.path)),
    el(
      "aside",
      {},
      el("p", { class: "ask" }, photo.label),
      el("p", { class: "soft" }, facts.slice(1).filter(Boolean).join(" · ")),
      near,
      el("div", { class: "keys" }, ...actions.map(({ text, key, act, kind }) => el("button", { class: kind ?? "", click: act }, text, key ? el("kbd", {}, key) : ""))),
    ),
  );
  if (!dialog.open) dialog.showModal();
  say(`${photo.path}, ${photo.label}`);
  similar(photo, near, go);
}

export function close() {
  dialog?.close();
}

/** @param {Photo} photo @param {HTMLElement} place @param {(path: string) => void} go */
async function similar(photo, place, go) {
  try {
    /** @type {[string, string, number, string][]} */
    const near = await ask(`/clean/similar?path=${encodeURIComponent(photo.path)}`);
    if (path !== photo.path || near.length === 0) return;
    const cell = (/** @type {[string, string, number, string]} */ [content, label, , other]) =>
      el("button", { class: "plain", click: () => go(other), title: other }, el("img", { src: `/thumb/${content}`, alt: "" }), label);
    place.replaceChildren(el("h2", {}, "Most like it"), el("div", { class: "near" }, ...near.map(cell)));
  } catch {
    // Nothing is known of likeness before the photos were looked at.
  }
}
