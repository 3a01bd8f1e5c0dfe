// Photos that come to a page: dropped anywhere on it, also in folders, pasted, or chosen.
import { byId } from "./studio.js";

/** A file, and the name of the folder that it was in. @typedef {{ photo: File, folder: string }} Brought */

/** @param {(brought: Brought[]) => void} take */
export function onPhotos(take) {
  const file = /** @type {HTMLInputElement | null} */ (byId("file"));
  const alone = (/** @type {Iterable<File>} */ files) => [...files].map((photo) => ({ photo, folder: "" }));
  file?.addEventListener("change", () => {
    take(alone(file.files ?? []));
    file.value = "";
  });
  document.addEventListener("paste", (event) => take(alone(event.clipboardData?.files ?? [])));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, async (event) => {
      event.preventDefault();
      byId("drop")?.classList.toggle("over", name === "dragover");
      if (name !== "drop") return;
      const { items = [], files = [] } = /** @type {DragEvent} */ (event).dataTransfer ?? {};
      // Asked for before anything is waited for: then they are gone.
      const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
      // What comes from no disk has no entry.
      if (entries.length === 0) take(alone(files));
      for (const entry of entries) await walk(entry, "", take);
    });
  }
}

/** Brings a file, or those of a folder, some at a time. @param {FileSystemEntry} entry @param {string} folder @param {(brought: Brought[]) => void} take */
async function walk(entry, folder, take) {
  if (entry.name.startsWith(".")) return;
  if (entry instanceof FileSystemFileEntry) {
    const photo = await new Promise((/** @type {(file: File | null) => void} */ done) => entry.file(done, () => done(null)));
    if (photo) take([{ photo, folder }]);
  } else if (entry instanceof FileSystemDirectoryEntry) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ done) => reader.readEntries(done, () => done([])));
      if (some.length === 0) return;
      for (const inner of some) await walk(inner, entry.name, take);
    }
  }
}
