/** The public API, and nothing else: the page has no way in of its own. */

import { API } from "./config.js";

/**
 * @typedef {{ name: string, url?: string, key: string, width: number, height: number, bytes: number, contentType: string }} Derivative
 *
 * @typedef {object} Job
 * @property {string} jobId
 * @property {"PENDING" | "PROCESSING" | "COMPLETED" | "FAILED"} status
 * @property {string} createdAt
 * @property {string} updatedAt
 * @property {string} [filename]
 * @property {string} [errorCode]
 * @property {string} [errorMessage]
 * @property {string} [downloadUrlExpiresAt]
 * @property {{ key: string, bytes: number, format: string, width: number, height: number }} [source]
 * @property {{ model: string, predictedClass: string, predictions: { label: string, probability: number }[] }} [classification]
 * @property {Derivative[]} [derivatives]
 * @property {{ thumbHash: string, dominantColor: string }} [placeholder]
 *
 * @typedef {{ filename: string, size: number, contentType?: string, derivatives?: import("./recipe.js").Spec[] }} Wish
 * @typedef {{ jobId: string, method: string, url: string, headers: Record<string, string> }} Slot
 */

/** The request was answered, and with a no. The message is the API's own sentence. */
export class Refused extends Error {
  /** @param {string} message @param {number} status @param {string} code */
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether it may go better another time. */
  get passes() {
    return this.status >= 500 || this.status === 429;
  }
}

/** There was no answer. */
export class Lost extends Error {}

// A page that was set up for one API (config.js) can't be talked into another by a link.
const named = API || new URLSearchParams(location.search).get("api") || "";

/** Where the API is; where the page came from, if what was named is no address. */
export const address = (/^https?:/.test(named) && URL.canParse(named) ? named : location.origin).replace(/\/+$/, "");

/** Whether that is where the page came from. */
export const isOwn = address === location.origin;

// A key is for the API that it was entered for, and for this tab.
const KEY = `x-api-key of ${address}`;
let key = "";
try {
  key = sessionStorage.getItem(KEY) ?? "";
} catch {
  // Where the browser keeps nothing for the page, a key lasts as long as the page does.
}

export function apiKey() {
  return key;
}

/** @param {string} entered empty for none */
export function keepApiKey(entered) {
  key = entered;
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

/** Longest wait for an answer, in milliseconds: API Gateway itself gives up after 30 seconds. */
const PATIENCE = 45_000;

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function call(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key) headers.set("x-api-key", key);
  const limit = AbortSignal.timeout(PATIENCE);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const away = () => new Lost("The API cannot be reached. Check the connection, then try again.");
  let answer;
  try {
    answer = await fetch(address + path, { ...options, headers, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw away();
  }
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (limit.aborted) throw away();
    throw new Refused(`The API gave an answer that is no JSON (${answer.status}).`, answer.status, "");
  }
  if (answer.ok) return body;
  const refusal = new Refused(body.error ?? body.message ?? `refused (${answer.status})`, answer.status, body.code ?? "");
  if (answer.status === 401) dispatchEvent(new CustomEvent("key-wanted", { detail: refusal.message }));
  throw refusal;
}

/**
 * @param {Wish} wish
 * @param {string} key the same for a wish that is sent again, because its answer may have been lost
 * @param {AbortSignal} signal
 * @returns {Promise<Slot>}
 */
export function askForSlot(wish, key, signal) {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  return call("/uploads", { method: "POST", headers, body: JSON.stringify(wish), signal });
}

/** @param {string} id @param {number} wait seconds that the answer is held for, until the job is over @param {AbortSignal} [signal] @returns {Promise<Job>} */
export function findJob(id, wait, signal) {
  return call(`/jobs/${encodeURIComponent(id)}${wait ? `?wait=${wait}` : ""}`, { signal, cache: "no-store" });
}

/** @param {string} [cursor] @returns {Promise<{ jobs: Job[], cursor?: string }>} */
export function listJobs(cursor) {
  return call(`/jobs?limit=24${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, { cache: "no-store" });
}
