/** What a recipe is to the page: the JSON that the API takes, some to start from, and how to say it in a few words. */

/**
 * @typedef {"grayscale" | "sepia" | "invert" | Record<string, number>} Filter
 *
 * @typedef {object} Spec One derivative, as `POST /uploads` takes it.
 * @property {string} name
 * @property {{ width?: number, height?: number, fit?: string, background?: string, enlarge?: boolean }} [resize]
 * @property {Filter[]} [filters]
 * @property {false | { text?: string, position?: string, opacity?: number, color?: string }} [watermark]
 * @property {string} [format]
 * @property {number} [quality]
 */

/** Most derivatives of one photo. */
export const MOST = 8;

/** Where to start from. Without a recipe the API has its own: one derivative with the configured watermark.
 * @type {{ name: string, recipe: Spec[] | undefined }[]} */
export const STARTS = [
  { name: "Default", recipe: undefined },
  {
    name: "For the web",
    recipe: [
      { name: "web", resize: { width: 1600, height: 1600 }, format: "webp" },
      { name: "thumb", resize: { width: 320, height: 320, fit: "cover" }, watermark: false, format: "webp" },
    ],
  },
  {
    name: "Print",
    recipe: [{ name: "print", filters: ["grayscale", { contrast: 20 }], watermark: { position: "bottom" } }],
  },
  {
    name: "Four looks",
    recipe: [
      { name: "colour", watermark: false },
      { name: "mono", filters: ["grayscale", { contrast: 15 }], watermark: false },
      { name: "sepia", filters: ["sepia"], watermark: false },
      { name: "negative", filters: ["invert"], watermark: false },
    ],
  },
];

/**
 * The recipe as it is sent for a file of this type: no browser shows a TIFF, so of one a JPEG is asked for where nothing
 * else is.
 *
 * @param {Spec[] | undefined} recipe
 * @param {string} type
 * @returns {Spec[] | undefined}
 */
export function forFile(recipe, type) {
  if (type !== "image/tiff") return recipe;
  return (recipe ?? [{ name: "watermarked" }]).map((spec) => (spec.format ? spec : { ...spec, format: "jpeg" }));
}

/** A derivative in a few words, such as "320 × 320, no watermark, WebP". @param {Spec} spec */
export function inWords(spec) {
  const { resize, filters = [], watermark, format } = spec;
  const words = [];
  if (resize) {
    const { width, height, fit } = resize;
    if (width && height) words.push(`${width} × ${height}${fit ? ` ${fit}` : ""}`);
    else if (width || height) words.push(width ? `${width} wide` : `${height} high`);
  }
  words.push(...filters.map((filter) => (typeof filter === "string" ? filter : Object.keys(filter).join())));
  if (watermark === false) words.push("no watermark");
  else if (watermark?.text) words.push(`“${watermark.text}”`);
  if (format && format !== "auto") words.push(format === "jpeg" || format === "png" || format === "avif" ? format.toUpperCase() : "WebP");
  return words.join(", ") || "size and format of the photo";
}

/**
 * The line that asks for a slot from a shell. A key stays in the shell's own variable.
 *
 * @param {string} address
 * @param {object} body
 * @param {boolean} withKey
 */
export function curl(address, body, withKey) {
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = withKey ? ' -H "x-api-key: $KEY"' : "";
  return `curl -s ${quoted(`${address}/uploads`)} -H 'content-type: application/json'${key} -d ${quoted(JSON.stringify(body))}`;
}
