/** A row of tabs, as the ARIA practices have it: arrows, Home and End move, one stop for Tab. */

import { make } from "./element.js";

/** How many panels have a name, so that the next one gets another. */
let panels = 0;

/**
 * @param {string} label what the tabs choose
 * @param {string[]} names
 * @param {HTMLElement} panel what they change; it may have one row of tabs only
 * @param {(index: number) => void} choose called for every change, and first for `chosen`
 * @param {number} [chosen]
 * @returns {HTMLElement}
 */
export function tabs(label, names, panel, choose, chosen = 0) {
  panel.id ||= `panel-${++panels}`;
  panel.setAttribute("role", "tabpanel");
  const row = make("div", { role: "tablist", "aria-label": label, className: "tabs" });
  const buttons = names.map((name, index) => {
    const button = make("button", { type: "button", role: "tab", "aria-controls": panel.id, textContent: name });
    button.id = `${panel.id}-${index}`;
    button.addEventListener("click", () => select(index));
    return button;
  });
  /** @param {number} index */
  const select = (index) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[index].id);
    choose(index);
  };
  row.addEventListener("keydown", (event) => {
    const at = buttons.findIndex((button) => button === document.activeElement);
    const last = buttons.length - 1;
    const to = { ArrowRight: at < last ? at + 1 : 0, ArrowLeft: at > 0 ? at - 1 : last, Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[to].focus();
    select(to);
  });
  row.append(...buttons);
  select(Math.min(chosen, names.length - 1));
  return row;
}
