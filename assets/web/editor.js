/** The recipe editor: a form for each derivative, and the JSON and the command that come of them. */

import { address, apiKey } from "./api.js";
import { make, part, stamp } from "./element.js";
import { MOST, STARTS, curl, inWords } from "./recipe.js";
import { tabs } from "./tabs.js";
import { wish } from "./upload.js";
import { announce } from "./words.js";

/** @typedef {import("./recipe.js").Spec} Spec */

const PLACES = ["top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"];
const AMOUNTS = ["brightness", "contrast", "saturation", "sharpen", "blur"];

/** Replaced with every change, and never changed itself: photos that wait for their turn hold the one they were dropped with.
 * @type {Spec[] | undefined} undefined: the API's own */
let recipe;

/** Which derivative the form shows. */
let chosen = 0;

/** Whose wish is shown: the photo that was sent last, or one that might be. */
let file = { name: "photo.jpg", size: 1234567, type: "image/jpeg" };

/** The recipe as it stands. @returns {Spec[] | undefined} */
export function current() {
  return recipe;
}

/** Shows what is sent for this file. @param {File} sent */
export function preview(sent) {
  file = sent;
  tell();
}

/** Wires the editor up. */
export function open() {
  const starts = part(document, "#starts", HTMLElement);
  for (const { name, recipe: start } of STARTS) {
    const button = make("button", { type: "button", className: "chip-button", "aria-pressed": false }, name);
    button.addEventListener("click", () => {
      recipe = structuredClone(start);
      chosen = 0;
      draw();
      announce(`Recipe: ${part(document, "#recipe-summary", HTMLElement).textContent}`);
    });
    starts.append(button);
  }
  part(document, "#add", HTMLButtonElement).addEventListener("click", add);
  for (const id of ["json", "curl"]) {
    const button = part(document, `#copy-${id}`, HTMLButtonElement);
    // A page that did not come by https has no clipboard.
    button.hidden = !isSecureContext;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(part(document, `#${id}`, HTMLElement).textContent ?? "");
      button.textContent = "Copied";
      announce("Copied");
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  draw();
}

/**
 * Shows why the API refused a recipe, at the field that it names.
 *
 * @param {string} sentence such as `derivatives[1].resize.width: …`
 */
export function refuse(sentence) {
  const path = /^derivatives(?:\[(\d+)\])?\.?([\w.]*)/.exec(sentence);
  const shown = part(document, "#refusal", HTMLElement);
  // Of many photos each is refused for the same reason.
  if (!path || shown.textContent === sentence) return;
  part(document, "#recipe", HTMLDetailsElement).open = true;
  const at = Number(path[1] ?? chosen);
  // The form that is shown already stays as it is: somebody may be writing in it.
  if (at !== chosen && recipe?.[at]) {
    chosen = at;
    draw();
  }
  shown.textContent = sentence;
  const fields = [...part(document, "#spec", HTMLElement).querySelectorAll("[data-path]")];
  const named = fields.find((field) => field instanceof HTMLElement && path[2].startsWith(field.dataset.path ?? "-"));
  named?.setAttribute("aria-invalid", "true");
}

function add() {
  const specs = recipe ?? [{ name: "watermarked" }];
  const names = specs.map(({ name }) => name);
  let count = names.length + 1;
  while (names.includes(`picture-${count}`)) count += 1;
  recipe = [...specs, { name: `picture-${count}` }];
  chosen = recipe.length - 1;
  draw();
  part(document, "#spec [data-path=name]", HTMLInputElement).select();
}

/** Builds tabs and form anew. */
function draw() {
  const specs = recipe ?? [];
  const panel = part(document, "#spec", HTMLElement);
  chosen = Math.min(chosen, Math.max(0, specs.length - 1));
  const row = part(document, "#spec-tabs", HTMLElement);
  row.replaceChildren();
  if (specs.length === 0) {
    for (const name of ["role", "aria-labelledby"]) panel.removeAttribute(name);
    const own = "The API’s own recipe: one derivative of the photo’s size and format, with the configured watermark.";
    panel.replaceChildren(make("p", { className: "quiet" }, own));
  } else {
    row.append(tabs("Derivatives of the recipe", specs.map(({ name }) => name || "?"), panel, (index) => {
      chosen = index;
      panel.replaceChildren(form(index));
    }, chosen));
  }
  part(document, "#add", HTMLButtonElement).disabled = specs.length >= MOST;
  tell();
}

/** Says the recipe in words, as JSON and as a command. */
export function tell() {
  part(document, "#refusal", HTMLElement).textContent = "";
  for (const field of document.querySelectorAll("#spec [aria-invalid]")) field.removeAttribute("aria-invalid");
  const words = recipe?.map((spec) => `${spec.name}: ${inWords(spec)}`).join("; ");
  part(document, "#recipe-summary", HTMLElement).textContent = words ?? "one watermarked derivative, in the photo’s size and format";
  const body = wish(file, recipe);
  part(document, "#json", HTMLElement).textContent = JSON.stringify(body, null, 2);
  part(document, "#curl", HTMLElement).textContent = curl(address, body, apiKey() !== "");
  const same = JSON.stringify(recipe);
  document.querySelectorAll("#starts button").forEach((button, index) => {
    button.setAttribute("aria-pressed", String(JSON.stringify(STARTS[index].recipe) === same));
  });
}

/**
 * The form of a derivative. Nothing is checked here: what is wrong the API says better.
 *
 * @param {number} index
 * @returns {HTMLElement}
 */
function form(index) {
  const element = stamp("spec-form");
  if (!recipe || !(element instanceof HTMLFormElement)) throw new Error("there is no derivative to edit");
  places(part(element, ".places", HTMLElement));
  fill(element, recipe[index]);
  element.addEventListener("submit", (event) => event.preventDefault());
  element.addEventListener("input", () => {
    const spec = read(element);
    recipe = recipe?.with(index, spec);
    reveal(element, spec);
    const tab = document.querySelectorAll("#spec-tabs [role=tab]")[index];
    if (tab) tab.textContent = spec.name || "?";
    tell();
  });
  part(element, ".drop-spec", HTMLButtonElement).addEventListener("click", () => {
    recipe = recipe?.toSpliced(index, 1);
    if (recipe?.length === 0) recipe = undefined;
    draw();
    part(document, "#add", HTMLButtonElement).focus();
  });
  return element;
}

/** The nine places of a watermark as they lie in the picture, and everywhere. @param {HTMLElement} group */
function places(group) {
  const radio = (/** @type {string} */ value) => make("input", { type: "radio", name: "position", value });
  const nine = PLACES.map((place) => make("label", { title: place }, radio(place), make("span", { className: "unseen" }, place)));
  group.append(make("div", { className: "nine" }, ...nine), make("label", { className: "check" }, radio("tile"), "everywhere"));
}

/** @param {HTMLFormElement} form @param {string} name */
function field(form, name) {
  const found = form.elements.namedItem(name);
  if (found instanceof HTMLInputElement || found instanceof HTMLSelectElement || found instanceof RadioNodeList) return found;
  throw new Error(`the form has no ${name}`);
}

/** @param {HTMLFormElement} form @param {string} name */
function box(form, name) {
  return part(form, `input[name=${name}]`, HTMLInputElement);
}

/** @param {HTMLFormElement} form @param {Spec} spec */
function fill(form, spec) {
  const set = (/** @type {string} */ name, /** @type {unknown} */ value) => {
    if (value !== undefined) field(form, name).value = String(value);
  };
  const { resize, filters = [], watermark } = spec;
  set("name", spec.name);
  set("width", resize?.width);
  set("height", resize?.height);
  set("fit", resize?.fit);
  set("background", resize?.background);
  box(form, "enlarge").checked = resize?.enlarge ?? false;
  set("format", spec.format);
  set("quality", spec.quality);
  for (const filter of filters) {
    if (typeof filter === "string") set("tone", filter);
    else for (const [name, amount] of Object.entries(filter)) set(name, amount);
  }
  box(form, "marked").checked = watermark !== false;
  set("position", "bottom-right");
  if (watermark) {
    set("text", watermark.text);
    set("position", watermark.position);
    set("color", watermark.color);
    set("opacity", watermark.opacity);
  }
  reveal(form, spec);
}

/** What stands in the form. What is as it would be anyway is left out. @param {HTMLFormElement} form @returns {Spec} */
function read(form) {
  const text = (/** @type {string} */ name) => field(form, name).value;
  const amount = (/** @type {string} */ name) => (text(name) === "" ? undefined : Number(text(name)));
  const resize = {
    ...(text("width") && { width: amount("width") }),
    ...(text("height") && { height: amount("height") }),
    ...(text("fit") !== "inside" && { fit: text("fit") }),
    ...(text("fit") === "contain" && text("background") !== "#ffffff" && { background: text("background") }),
    ...(box(form, "enlarge").checked && { enlarge: true }),
  };
  /** @type {import("./recipe.js").Filter[]} */
  const filters = text("tone") ? [/** @type {"sepia"} */ (text("tone"))] : [];
  for (const name of AMOUNTS) if (amount(name)) filters.push({ [name]: Number(text(name)) });
  const mark = {
    ...(text("text") && { text: text("text") }),
    ...(text("position") !== "bottom-right" && { position: text("position") }),
    ...(text("color") !== "#ffffff" && { color: text("color") }),
    ...(text("opacity") && { opacity: amount("opacity") }),
  };
  return {
    name: text("name"),
    ...(Object.keys(resize).length && { resize }),
    ...(filters.length && { filters }),
    ...(!box(form, "marked").checked ? { watermark: false } : Object.keys(mark).length && { watermark: mark }),
    ...(text("format") && { format: text("format") }),
    ...(text("quality") !== "85" && { quality: amount("quality") }),
  };
}

/** Shows the fields that mean something for what the others say, and the sliders' numbers. @param {HTMLFormElement} form @param {Spec} spec */
function reveal(form, spec) {
  part(form, ".if-marked", HTMLFieldSetElement).disabled = spec.watermark === false;
  part(form, ".if-contain", HTMLElement).hidden = field(form, "fit").value !== "contain";
  for (const amount of form.querySelectorAll("[data-of]")) {
    if (amount instanceof HTMLElement) amount.textContent = field(form, amount.dataset.of ?? "").value;
  }
}
