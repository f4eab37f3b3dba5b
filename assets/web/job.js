/** A completed job: its pictures, what the classifier saw, and the way to the files. */

import { findJob } from "./api.js";
import { besideOriginal, frame, isShown } from "./compare.js";
import { make } from "./element.js";
import { tabs } from "./tabs.js";
import { announce, bytes, percent } from "./words.js";

/** The classifier's labels as bars. @param {NonNullable<import("./api.js").Job["classification"]>} classification */
function labels({ model, predictions }) {
  const rows = predictions.map(({ label, probability }) => {
    const bar = make("span", { className: "bar", "aria-hidden": true });
    bar.style.setProperty("--share", String(probability));
    return make("li", {}, make("span", { className: "label" }, label), make("span", { className: "share" }, percent(probability)), bar);
  });
  return make("ol", { className: "labels", "aria-label": `What ${model} sees` }, ...rows);
}

/** @param {import("./api.js").Job} job */
export function nameOf(job) {
  return job.filename ?? job.source?.key.split("/").at(-1) ?? job.jobId;
}

/** What the picture shows, for who cannot see it. @param {import("./api.js").Job} job */
function altOf(job) {
  return `${nameOf(job)}, probably ${job.classification?.predictedClass ?? "a photo"}`;
}

/**
 * The link to a derivative. Its URL lives for an hour or so, and the page may stay open for longer.
 *
 * @param {import("./api.js").Job} job
 * @param {import("./api.js").Derivative} derivative
 */
function download(job, derivative) {
  const text = `Download ${derivative.name}`;
  const link = make("a", { className: "button", href: derivative.url ?? "", download: "" }, text);
  let expires = Date.parse(job.downloadUrlExpiresAt ?? "");
  // A URL that has just come is good, whatever this machine's clock says.
  let isFresh = false;
  link.addEventListener("click", async (event) => {
    if (isFresh || !(expires < Date.now())) {
      isFresh = false;
      return;
    }
    event.preventDefault();
    try {
      const fresh = await findJob(job.jobId, 0);
      link.href = fresh.derivatives?.find(({ name }) => name === derivative.name)?.url ?? link.href;
      expires = Date.parse(fresh.downloadUrlExpiresAt ?? "");
      isFresh = true;
      link.textContent = text;
      link.click();
    } catch (error) {
      // The old one would lead away from the page, to an error in XML.
      link.textContent = `Try again: ${text}`;
      announce(error instanceof Error ? error.message : String(error));
    }
  });
  return link;
}

/**
 * Shows a completed job.
 *
 * @param {import("./api.js").Job} job
 * @param {HTMLElement} mat where the picture goes
 * @param {HTMLElement} outcome where everything else goes
 * @param {string} [original] the URL of the local file, as long as there is one
 */
export function show(job, mat, outcome, original) {
  const { derivatives = [], source, classification } = job;
  const facts = make("p", { className: "facts" });
  const actions = make("p", { className: "actions" });
  const choose = (/** @type {number} */ index) => {
    const derivative = derivatives[index];
    mat.classList.remove("pair");
    const picture = frame(job, derivative, altOf(job));
    mat.replaceChildren(picture);
    if (original) besideOriginal(picture, original, derivative);
    const { width, height, contentType } = derivative;
    const kind = (/** @type {string} */ name) => name.replace("image/", "").toUpperCase();
    const to = `${width} × ${height} ${kind(contentType)}, ${bytes(derivative.bytes)}`;
    const from = source ? `${source.width} × ${source.height} ${kind(source.format)}, ${bytes(source.bytes)}` : "";
    const arrow = [make("span", { "aria-hidden": true }, "→"), make("span", { className: "unseen" }, "became")];
    facts.replaceChildren(make("span", {}, from), ...arrow, make("span", {}, to));
    actions.replaceChildren(download(job, derivative));
  };
  const first = Math.max(0, derivatives.findIndex(isShown));
  if (derivatives.length > 1) {
    outcome.append(tabs("Derivatives", derivatives.map(({ name }) => name), mat, choose, first));
  } else {
    choose(first);
  }
  if (classification) outcome.append(labels(classification));
  outcome.append(facts, actions);
}
