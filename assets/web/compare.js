/** One derivative as a picture: alone, or with the original under a slider. */

import { make } from "./element.js";
import { thumbHashToRGBA } from "./thumbhash/thumbhash.js";

/** What some browser shows. The API also makes TIFF. */
const SHOWN = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"];

/** How far the proportions of two pictures may differ, as a ratio, for one to lie on the other. */
const SAME_SHAPE = 1.02;

/** Whether browsers show this derivative. @param {import("./api.js").Derivative} derivative */
export function isShown(derivative) {
  return derivative.url !== undefined && SHOWN.includes(derivative.contentType);
}

/**
 * What stands in for a picture until it is there.
 *
 * @param {NonNullable<import("./api.js").Job["placeholder"]>} placeholder
 * @returns {HTMLCanvasElement}
 */
function blurred({ thumbHash, dominantColor }) {
  const canvas = make("canvas", { className: "blurred", "aria-hidden": true });
  canvas.style.backgroundColor = dominantColor;
  const { w, h, rgba } = thumbHashToRGBA(Uint8Array.from(atob(thumbHash), (character) => character.charCodeAt(0)));
  Object.assign(canvas, { width: w, height: h });
  const pixels = new ImageData(w, h);
  pixels.data.set(rgba);
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * A derivative in a frame of its shape, over its placeholder.
 *
 * @param {import("./api.js").Job} job
 * @param {import("./api.js").Derivative} derivative
 * @param {string} text what it shows, for who cannot see it
 */
export function frame(job, derivative, text) {
  const { width, height, url = "" } = derivative;
  const element = make("div", { className: "frame" });
  element.style.setProperty("--ratio", String(width / height));
  if (job.placeholder) element.append(blurred(job.placeholder));
  if (isShown(derivative)) {
    const image = make("img", { alt: text, decoding: "async", loading: "lazy" });
    image.addEventListener("load", () => element.classList.add("loaded"));
    image.addEventListener("error", () => element.append(make("p", { className: "unshown" }, "The picture did not come. Reload the page to see it.")));
    image.src = url;
    element.append(image);
  } else {
    element.append(make("p", { className: "unshown" }, `A browser does not show ${derivative.contentType}. Download it to see it.`));
  }
  return element;
}

/**
 * Puts the original beside a derivative: under a slider if both have the same shape, else next to it, and not at all if the
 * browser cannot show it.
 *
 * @param {HTMLElement} shown the derivative's frame, on its mat
 * @param {string} original the URL of a local file
 * @param {import("./api.js").Derivative} derivative
 */
export function besideOriginal(shown, original, derivative) {
  const image = make("img", { alt: "The original", className: "original" });
  image.addEventListener("load", () => {
    const mat = shown.parentElement;
    // Another derivative was chosen meanwhile.
    if (!mat) return;
    const [one, other] = [image.naturalWidth / image.naturalHeight, derivative.width / derivative.height];
    if (Math.max(one, other) / Math.min(one, other) > SAME_SHAPE) {
      const frame = make("div", { className: "frame loaded" }, image, make("span", { className: "chip" }, "original"));
      frame.style.setProperty("--ratio", String(one));
      shown.append(make("span", { className: "chip" }, derivative.name));
      mat.classList.add("pair");
      mat.prepend(frame);
    } else if (isShown(derivative)) {
      shown.append(image, ...slider(shown, derivative.name));
    }
  });
  image.src = original;
}

/**
 * A range over the whole picture, so that mouse, touch and arrow keys are the browser's own.
 *
 * @param {HTMLElement} frame
 * @param {string} name
 */
function slider(frame, name) {
  const range = make("input", { type: "range", min: "0", max: "100", value: "50", className: "slider" });
  range.setAttribute("aria-label", `Original beside ${name}`);
  const move = () => {
    frame.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % original`);
  };
  range.addEventListener("input", move);
  move();
  const chips = [make("span", { className: "chip" }, "original"), make("span", { className: "chip right" }, name)];
  return [...chips, range, make("span", { className: "handle", "aria-hidden": true })];
}
