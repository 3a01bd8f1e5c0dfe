// Photos on their way to the studio: sent one after the other, each until the studio has it, with counts that add up.
import { onPhotos } from "./drop.js";
import { Refused, ask, byId, el, say, tell } from "./studio.js";

/** @typedef {import("./drop.js").Brought} Brought */

/** Most bytes that the studio takes of a photo. */
const LARGEST = 64 * 2 ** 20;

/** @type {{ photo: Blob, name: string, label: string }[]} */
const waiting = [];
const counts = { all: 0, added: 0, copies: 0, refused: 0 };
/** Photos that are sent at this moment. */
let sending = 0;
/** Whether some were added since the folder was read. */
let unread = false;

/** @param {"copies" | "refused"} what @param {string} name @param {string} why */
function not(what, name, why) {
  const notes = byId("refused");
  counts[what] += 1;
  notes?.prepend(el("li", {}, `${name}: `, el("span", { class: "soft" }, why)));
  if (notes && notes.children.length > 50) notes.lastElementChild?.remove();
}

/** @param {string} [note] */
function count(note) {
  const { all, added, copies, refused } = counts;
  const parts = [`${added} of ${all} added`, copies && `${copies} there before`, refused && `${refused} refused`, note];
  const value = added + copies + refused;
  byId("queue")?.replaceChildren(value < all ? el("progress", { max: all, value, "aria-label": "Photos that were sent" }) : "", parts.filter(Boolean).join(" · "));
}

/** @param {{ photo: Blob, name: string, label: string }} one */
async function send({ photo, name, label }) {
  for (;;) {
    try {
      const said = await ask(`/gather/add?${new URLSearchParams({ class: label, name })}`, photo);
      if (said.copy) return not("copies", name, `there already, as ${said.copy.of}`);
      counts.added += 1;
      unread = true;
      return;
    } catch (problem) {
      if (problem instanceof Refused && problem.status !== 503) return not("refused", name, problem.message);
      count("waiting for the studio");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

/** Sends what waits, two at a time. */
async function pump() {
  const one = sending < 2 && waiting.shift();
  if (!one) return sending || readAgain();
  sending += 1;
  pump();
  await send(one);
  sending -= 1;
  count();
  pump();
}

/** Has the folder read again when all are sent: now, or later if the studio has no time. */
export async function readAgain() {
  if (!unread || sending || waiting.length) return;
  unread = false;
  say(byId("queue")?.textContent ?? "");
  await ask("/gather/added", {}).catch(() => (unread = true));
}

/** Whether photos are on their way. */
export const isBusy = () => waiting.length + sending > 0;

/** Whether so many wait that no more should come. */
export const isFull = () => waiting.length > 50;

/** Says why nothing can be sent. @param {string} why */
export const wrong = (why) => byId("queue")?.replaceChildren(el("p", { class: "problem" }, why));

/** Sends photos to the folder of a class; without one, each to that of the folder that it was in.
 * @param {Brought[]} brought @param {string} label @returns {boolean} whether it is known where they belong */
export function bring(brought, label) {
  const archives = brought.filter(({ photo }) => photo.name.toLowerCase().endsWith(".zip"));
  for (const { photo } of archives) ask("/folder/zip", photo).catch(tell);
  const photos = brought.filter((one) => !archives.includes(one));
  if (photos.some(({ folder }) => !label && !folder)) return false;
  for (const { photo, folder } of photos) {
    counts.all += 1;
    if (photo.size > LARGEST) not("refused", photo.name, "it has more than 64 MB; save it smaller");
    else waiting.push({ photo, name: photo.name, label: label || folder });
  }
  if (photos.length > 0) count();
  pump();
  return true;
}

/** Sends what comes to the page. @param {(brought: Brought[]) => void} take */
export function onBrought(take) {
  onPhotos((brought) => brought.length > 0 && take(brought));
  addEventListener("beforeunload", (event) => {
    if (isBusy()) event.preventDefault();
  });
}
