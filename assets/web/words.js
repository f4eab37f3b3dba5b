/** How the page says numbers and names, and tells what happens to who cannot see it. */

import { part } from "./element.js";

/** @param {number} count */
export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const [amount, unit] = count < 1e6 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
}

/** @param {number} probability */
export function percent(probability) {
  return `${(probability * 100).toFixed(1)} %`;
}

/** @param {number} count @param {string} one */
export function number(count, one) {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}

/** "2 minutes ago". @param {string} time */
export function ago(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of /** @type {const} */ ([["day", 86400], ["hour", 3600], ["minute", 60]])) {
    if (-seconds >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/** @type {string[]} */
let unsaid = [];

/**
 * Has a screen reader say something. What happens within a moment is said together, so that of many photos none is lost.
 *
 * @param {string} sentence
 */
export function announce(sentence) {
  unsaid.push(/[.!?]$/.test(sentence) ? sentence : `${sentence}.`);
  if (unsaid.length > 1) return;
  setTimeout(() => {
    part(document, "#announcer", HTMLElement).textContent = unsaid.join(" ");
    unsaid = [];
  }, 250);
}
