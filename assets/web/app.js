/** Where the page starts: takes photos in, keeps count of them, and wires the rooms together. */

import * as editor from "./editor.js";
import { make, part } from "./element.js";
import * as gallery from "./gallery.js";
import { Photo } from "./photo.js";
import * as settings from "./settings.js";
import { announce, number } from "./words.js";

/** @type {Set<Photo>} */
const photos = new Set();

const input = part(document, "#files", HTMLInputElement);
const list = part(document, "#photos", HTMLElement);
const again = part(document, "#again", HTMLButtonElement);

/** @param {File[]} files */
function take(files) {
  if (files.length === 0) {
    announce("There was no file in it");
    return;
  }
  announce(`${number(files.length, "photo")} added`);
  const added = files.map((file) => new Photo(file, editor.current, changed));
  // The newest on top, and those that came together in their order.
  list.prepend(...added.map(({ card }) => card));
  editor.preview(files[files.length - 1]);
  for (const photo of added) {
    photos.add(photo);
    photo.develop();
  }
}

/** @param {Photo} photo */
function changed(photo) {
  if (photo.removed) photos.delete(photo);
  else if (photo.stage === "failed" && photo.refusal) editor.refuse(photo.refusal);
  const stages = [...photos].map(({ stage }) => stage);
  const count = (/** @type {string} */ stage) => stages.filter((each) => each === stage).length;
  const words = [
    [count("done"), "developed"],
    [count("developing"), "developing"],
    [count("uploading"), "uploading"],
    [count("queued"), "waiting"],
    [count("failed"), "failed"],
  ];
  part(document, "#session", HTMLElement).hidden = photos.size === 0;
  part(document, "#count", HTMLElement).replaceChildren(
    ...words.filter(([many]) => many).map(([many, word]) => make("span", { className: `count ${word}` }, `${many} ${word}`)),
  );
  again.hidden = [...photos].filter(({ stage, mayRetry }) => stage === "failed" && mayRetry).length < 2;
  part(document, "#clear", HTMLElement).hidden = !stages.some((stage) => stage === "done" || stage === "failed");
}

/**
 * The files that were dropped, those in dropped folders included.
 *
 * @param {DataTransfer} dropped
 * @returns {Promise<File[]>}
 */
async function filesOf(dropped) {
  // Both lists are empty once the event is over.
  const [entries, files] = [[...dropped.items].map((item) => item.webkitGetAsEntry()), [...dropped.files]];
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  return (await Promise.all(entries.map((entry) => (entry ? within(entry) : [])))).flat();
}

/** @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function within(entry) {
  // One that cannot be read, or is gone meanwhile, does not keep the others away.
  const without = (/** @type {(found: any) => void} */ resolve) => () => {
    announce(`${entry.name} cannot be read`);
    resolve([]);
  };
  if (entry instanceof FileSystemFileEntry) {
    return new Promise((resolve) => entry.file((file) => resolve([file]), without(resolve)));
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const found = [];
  // A reader hands out a hundred at a time.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const more = await new Promise((resolve) => reader.readEntries(resolve, without(resolve)));
    if (more.length === 0) break;
    found.push(...more.filter(({ name }) => !name.startsWith(".")));
  }
  return (await Promise.all(found.map(within))).flat();
}

input.addEventListener("change", () => {
  take([...(input.files ?? [])]);
  input.value = "";
});

// Space opens the chooser in every browser, Enter in some.
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  input.click();
});

// The whole page takes drops: who misses the tray by a little should not lose the page to their photo.
addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", async (event) => {
  document.body.classList.remove("dragging");
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  take(await filesOf(event.dataTransfer));
});

again.addEventListener("click", () => {
  // The button is about to go.
  part(document, "#session-title", HTMLElement).focus();
  for (const photo of photos) if (photo.stage === "failed" && photo.mayRetry) photo.develop();
});
part(document, "#clear", HTMLButtonElement).addEventListener("click", () => {
  for (const photo of photos) if (photo.stage === "done" || photo.stage === "failed") photo.remove();
  gallery.load();
  part(document, "#sheet-title", HTMLElement).focus();
});
addEventListener("beforeunload", (event) => {
  if ([...photos].some(({ stage }) => stage === "queued" || stage === "uploading")) event.preventDefault();
});

editor.open();
gallery.open();
settings.open(() => {
  editor.tell();
  gallery.load();
});
gallery.load();
