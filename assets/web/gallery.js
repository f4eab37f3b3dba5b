/** The contact sheet: recent jobs as the API lists them, whoever made them, and one of them in a dialog. */

import { findJob, listJobs } from "./api.js";
import { frame, isShown } from "./compare.js";
import { make, part } from "./element.js";
import { nameOf, show } from "./job.js";
import { finished } from "./upload.js";
import { ago, announce } from "./words.js";

/** What a picture on the sheet is wide, in pixels of a dense screen. */
const WIDE = 400;

/** @type {string | undefined} */
let cursor;

/** How often the sheet was asked for: of two answers that are on their way, only that to the last question counts. */
let asked = 0;

/** Wires the sheet up. */
export function open() {
  part(document, "#older", HTMLButtonElement).addEventListener("click", () => load(cursor));
  part(document, "#refresh", HTMLButtonElement).addEventListener("click", () => load());
  const dialog = part(document, "#viewer", HTMLDialogElement);
  part(dialog, ".close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  // A click beside the dialog's content is one on its backdrop.
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

/**
 * Lists jobs: the newest, or those after `after`.
 *
 * @param {string} [after]
 */
export async function load(after) {
  const [sheet, note] = [part(document, "#sheet", HTMLElement), part(document, "#sheet-note", HTMLElement)];
  const older = part(document, "#older", HTMLButtonElement);
  const question = ++asked;
  try {
    const page = await listJobs(after);
    if (question !== asked) return;
    if (!after) sheet.replaceChildren();
    const cells = page.jobs.map(cell);
    sheet.append(...cells);
    note.textContent = sheet.childElementCount ? "" : "Nothing yet. “Refresh” lists what was uploaded since, or copied into the bucket.";
    cursor = page.cursor;
    older.hidden = !cursor;
    if (after) {
      announce(`${page.jobs.length} older jobs`);
      cells[0]?.querySelector("button")?.focus();
    }
  } catch (error) {
    if (question === asked) note.textContent = error instanceof Error ? error.message : String(error);
  }
}

/** @param {import("./api.js").Job} job */
function cell(job) {
  const button = make("button", { type: "button", className: "cell" });
  const shown = (job.derivatives ?? []).filter(isShown).sort((a, b) => a.width - b.width);
  const derivative = shown.find(({ width }) => width >= WIDE) ?? shown.at(-1);
  const state = { PENDING: "waiting", PROCESSING: "developing", FAILED: "failed", COMPLETED: "" }[job.status];
  if (derivative) button.append(frame(job, derivative, ""));
  else button.append(make("span", { className: `blank ${state}`, "aria-hidden": true }));
  button.append(make("span", { className: "title" }, nameOf(job)));
  button.append(make("span", { className: "when" }, state ? `${state}, ${ago(job.createdAt)}` : ago(job.createdAt)));
  button.addEventListener("click", () => view(job));
  return make("li", {}, button);
}

/** Shows a job by itself: as it is now, since it may have ended since it was listed. @param {import("./api.js").Job} listed */
async function view(listed) {
  const dialog = part(document, "#viewer", HTMLDialogElement);
  const [mat, outcome] = [part(dialog, ".mat", HTMLElement), part(dialog, ".outcome", HTMLElement)];
  const status = part(dialog, ".status", HTMLElement);
  const stop = new AbortController();
  dialog.addEventListener("close", () => stop.abort(), { once: true });
  part(dialog, ".name", HTMLElement).textContent = nameOf(listed);
  part(dialog, ".code", HTMLElement).textContent = listed.jobId;
  // What the job before left there.
  mat.replaceChildren();
  outcome.replaceChildren();
  for (const name of ["role", "aria-labelledby"]) mat.removeAttribute(name);
  delete dialog.dataset.stage;
  status.textContent = "Waiting";
  dialog.showModal();
  try {
    const now = await findJob(listed.jobId, 0, stop.signal);
    const job = now.status === "COMPLETED" || now.status === "FAILED" ? now : await finished(listed.jobId, stop.signal);
    dialog.dataset.stage = job.status === "FAILED" ? "failed" : "done";
    status.textContent = job.errorMessage ?? `Developed ${ago(job.updatedAt)}`;
    if (job.status === "COMPLETED") show(job, mat, outcome);
  } catch (error) {
    if (!stop.signal.aborted) status.textContent = error instanceof Error ? error.message : String(error);
  }
}
