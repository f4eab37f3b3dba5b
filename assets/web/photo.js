/** A photo that was dropped here: its card, from the queue to the finished derivatives. */

import { Lost, Refused } from "./api.js";
import { make, part, stamp } from "./element.js";
import { nameOf, show } from "./job.js";
import { finished, upload } from "./upload.js";
import { announce, bytes, percent } from "./words.js";

/** @typedef {"queued" | "uploading" | "developing" | "done" | "failed"} Stage */

export class Photo {
  card = stamp("photo");
  /** @type {Stage} */
  stage = "queued";
  /** Whether another try may help. */
  mayRetry = false;
  /** @type {string | undefined} once the photo is with the API, so that a retry only waits for the rest */
  jobId;
  /** @type {string | undefined} the API's sentence about the recipe, if it refused that */
  refusal;
  /** Whether it was taken off the page. */
  removed = false;
  #stop = new AbortController();
  #original;
  #changed;

  /**
   * @param {File} file
   * @param {() => import("./recipe.js").Spec[] | undefined} recipe asked whenever the photo is sent, so that a retry takes the mended one
   * @param {(photo: Photo) => void} changed called after every change of the stage
   */
  constructor(file, recipe, changed) {
    this.file = file;
    this.recipe = recipe;
    this.#changed = changed;
    this.#original = URL.createObjectURL(file);
    part(this.card, ".name", HTMLElement).textContent = file.name;
    part(this.card, "progress", HTMLElement).setAttribute("aria-label", `Progress of ${file.name}`);
    const [retry, remove] = [part(this.card, ".retry", HTMLButtonElement), part(this.card, ".remove", HTMLButtonElement)];
    retry.setAttribute("aria-label", `Try again: ${file.name}`);
    retry.addEventListener("click", () => {
      remove.focus();
      this.develop();
    });
    remove.setAttribute("aria-label", `Remove ${file.name} from this page`);
    remove.addEventListener("click", () => {
      const next = this.card.nextElementSibling ?? this.card.previousElementSibling;
      this.remove();
      // Whoever came by keyboard should not have to come anew.
      if (next) part(next, ".remove", HTMLButtonElement).focus();
      else part(document, "#files", HTMLInputElement).focus();
    });
    this.#latent();
  }

  /** Takes the photo, or what is left to do of it, through. */
  async develop() {
    const progress = part(this.card, "progress", HTMLProgressElement);
    const { signal } = this.#stop;
    this.#stand("queued", "Waiting for its turn");
    try {
      progress.value = 0;
      this.refusal = undefined;
      this.jobId ??= await upload(this.file, this.recipe(), (share) => {
        if (share < 1) this.#stand("uploading", `Uploading, ${Math.floor(share * 100)} % of ${bytes(this.file.size)}`);
        progress.value = share;
      }, signal);
      this.#stand("developing", "Developing");
      progress.removeAttribute("value");
      const started = performance.now();
      const job = await finished(this.jobId, signal);
      if (job.status === "FAILED") {
        // The API has made up its mind. Should it be the API's own trouble, a new job may fare better.
        this.jobId = undefined;
        const ours = ["TIMED_OUT", "RETRIES_EXHAUSTED", "INTERNAL", "SOURCE_MISSING"].includes(job.errorCode ?? "");
        this.#fail(job.errorMessage ?? "The photo could not be developed.", job.errorCode ?? "", ours);
        return;
      }
      this.#finish(job, performance.now() - started);
    } catch (error) {
      if (signal.aborted) return;
      // Recipes can be changed and keys entered; so of the API's refusals only one of the file itself is final.
      if (error instanceof Refused) {
        if (error.message.startsWith("derivatives")) this.refusal = error.message;
        this.#fail(error.message, error.code, error.status !== 413);
      } else if (error instanceof Lost) {
        this.#fail(error.message, "", true);
      } else {
        this.#fail("The page made a mistake.", "", true);
        throw error;
      }
    }
  }

  /** Takes the card off the page. What was uploaded stays where it is. */
  remove() {
    this.removed = true;
    this.#stop.abort();
    URL.revokeObjectURL(this.#original);
    this.card.remove();
    this.#changed(this);
  }

  /** @param {Stage} stage @param {string} sentence */
  #stand(stage, sentence) {
    part(this.card, ".status", HTMLElement).textContent = sentence;
    if (this.stage === stage && this.card.dataset.stage) return;
    this.stage = stage;
    this.card.dataset.stage = stage;
    part(this.card, "progress", HTMLElement).hidden = stage === "done" || stage === "failed";
    part(this.card, ".retry", HTMLElement).hidden = !(stage === "failed" && this.mayRetry);
    if (stage !== "failed") part(this.card, ".code", HTMLElement).textContent = "";
    this.#changed(this);
  }

  /** @param {string} sentence @param {string} code @param {boolean} mayRetry */
  #fail(sentence, code, mayRetry) {
    this.mayRetry = mayRetry;
    this.#stand("failed", sentence);
    part(this.card, ".code", HTMLElement).textContent = code;
    announce(`${this.file.name} failed: ${sentence}`);
  }

  /** @param {import("./api.js").Job} job @param {number} took milliseconds since the last byte was sent */
  #finish(job, took) {
    this.#stand("done", `Developed in ${(took / 1000).toFixed(1)} s`);
    const outcome = part(this.card, ".outcome", HTMLElement);
    show(job, part(this.card, ".mat", HTMLElement), outcome, this.#original);
    const [best] = job.classification?.predictions ?? [];
    announce(`${nameOf(job)} is developed${best ? `: ${best.label}, ${percent(best.probability)}` : ""}`);
  }

  /** The photo as it is here, not yet developed; browsers that cannot show it leave the mat empty. */
  #latent() {
    const image = make("img", { alt: "", className: "latent", decoding: "async", src: this.#original });
    image.addEventListener("error", () => image.remove());
    part(this.card, ".mat", HTMLElement).append(image);
  }
}
