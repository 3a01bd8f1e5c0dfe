// The user's own photos, brought or taken by this machine's camera, for a class that they name.
import { onCamera } from "./camera.js";
import { bring, isFull, onBrought, wrong } from "./send.js";
import { byId } from "./studio.js";

const label = /** @type {HTMLInputElement} */ (byId("class"));

/** @param {import("./drop.js").Brought[]} brought */
function take(brought) {
  if (bring(brought, label.value.trim())) return;
  label.focus();
  wrong("Say which class they belong to, then bring them again.");
}

onBrought(take);
onCamera((photo) => take([{ photo, folder: "" }]), wrong, isFull);
