/** Elements, typed. Nothing here takes markup: text is text, whoever wrote it. */

/**
 * A new element. Properties whose name has a hyphen, and `role`, are set as attributes.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children);
  return element;
}

/**
 * What `selector` finds in `root`. The page's own markup has it, so that its absence is a mistake of ours.
 *
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function part(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A copy of what the template with this id holds.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function stamp(id) {
  const content = part(document, `#${id}`, HTMLTemplateElement).content.cloneNode(true);
  if (!(content instanceof DocumentFragment)) throw new Error(`#${id} is empty`);
  return part(content, "*", HTMLElement);
}
