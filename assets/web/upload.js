/** A file's way: a slot, the PUT, and the wait for what becomes of it. */

import { Lost, Refused, askForSlot, findJob } from "./api.js";
import { forFile } from "./recipe.js";
import { Turns } from "./turns.js";

/** Uploads at once: no more connections than that does a browser open to a server that speaks HTTP/1.1, as S3 does. */
const uploads = new Turns(6);

/** Answers that are held at once: of six connections to a server that speaks HTTP/1.1, two are left for all else. */
const waits = new Turns(4);

/** Longest time without a sign of progress, in milliseconds, before an upload counts as lost. */
const PATIENCE = 60_000;

/** Pauses before the API is asked once more, in milliseconds. */
const PAUSES = [1000, 2000, 4000];

const TYPES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"];

/**
 * What `POST /uploads` is sent for a file.
 *
 * @param {{ name: string, size: number, type: string }} file
 * @param {import("./recipe.js").Spec[] | undefined} recipe
 * @returns {import("./api.js").Wish}
 */
export function wish(file, recipe) {
  const derivatives = forFile(recipe, file.type);
  return {
    filename: file.name,
    // What a browser takes a file for may be no type that the API knows; then it goes by the name, and in the end by content.
    ...(TYPES.includes(file.type) && { contentType: file.type }),
    size: file.size,
    ...(derivatives && { derivatives }),
  };
}

/**
 * Uploads a file; answers the id of its job.
 *
 * @param {File} file
 * @param {import("./recipe.js").Spec[] | undefined} recipe
 * @param {(share: number) => void} progress from 0 to 1; called first when its turn has come
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export function upload(file, recipe, progress, signal) {
  return uploads.run(signal, async () => {
    progress(0);
    const key = newKey();
    const slot = await patiently(() => askForSlot(wish(file, recipe), key, signal));
    await put(slot, file, progress, signal);
    return slot.jobId;
  });
}

/** A key that no other upload has. Not `randomUUID`: a page that came without TLS is not given that. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}

/**
 * PUTs a file where the slot says. By XMLHttpRequest, since fetch tells no progress of uploads.
 *
 * @param {import("./api.js").Slot} slot
 * @param {File} file
 * @param {(share: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function put(slot, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    // From the first bytes on: until then the browser itself may hold the request back, for another tab's.
    let silence = 0;
    const lost = () => reject(new Lost("The connection was lost before the whole photo was through."));
    request.open(slot.method, slot.url);
    for (const [name, value] of Object.entries(slot.headers)) {
      // The browser's own business.
      if (name !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), PATIENCE);
      progress(event.loaded / event.total);
    };
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new Refused(`The storage refused the photo (${request.status}).`, request.status, ""));
    };
    request.onerror = lost;
    request.onabort = () => (signal.aborted ? reject(signal.reason) : lost());
    request.onloadend = () => clearTimeout(silence);
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/**
 * The job once it is over.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<import("./api.js").Job>}
 */
export async function finished(id, signal) {
  for (;;) {
    const job = await patiently(() => waits.run(signal, () => findJob(id, 20, signal)));
    if (job.status === "COMPLETED" || job.status === "FAILED") return job;
  }
}

/**
 * What the API answers. One that is away, or asks for patience, is asked again.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
async function patiently(ask) {
  for (const pause of PAUSES) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Lost || (error instanceof Refused && error.passes))) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return ask();
}
