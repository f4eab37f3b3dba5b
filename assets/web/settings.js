/** Which API this page talks to, and the key that it may ask for. */

import { address, apiKey, isOwn, keepApiKey } from "./api.js";
import { part } from "./element.js";
import { announce } from "./words.js";

/** @param {() => void} changed called when a key was entered or taken back */
export function open(changed) {
  const details = part(document, "#settings", HTMLDetailsElement);
  const [form, key] = [part(details, "form", HTMLFormElement), part(details, "#key", HTMLInputElement)];
  const note = part(details, "#key-note", HTMLElement);
  part(details, "#address", HTMLElement).textContent = address;
  part(details, "#foreign", HTMLElement).textContent = isOwn ? "" : new URL(address, location.href).host;
  key.value = apiKey();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepApiKey(key.value.trim());
    note.textContent = key.value ? "Kept until this tab is closed." : "No key is sent.";
    announce(note.textContent);
    details.open = false;
    part(details, "summary", HTMLElement).focus();
    changed();
  });
  addEventListener("key-wanted", (event) => {
    note.textContent = event instanceof CustomEvent ? `${event.detail}.` : "";
    if (!details.open) announce(`The API asks for a key. ${note.textContent}`);
    details.open = true;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    part(details, "summary", HTMLElement).focus();
  });
}
