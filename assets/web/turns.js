/** Takes turns: at most so many at once, the rest in order. */
export class Turns {
  /** @type {(() => void)[]} */
  #waiting = [];
  #free;

  /** @param {number} most */
  constructor(most) {
    this.#free = most;
  }

  /**
   * What `task` comes to, once it had its turn. One that is called off while it waits never starts.
   *
   * @template T
   * @param {AbortSignal} signal
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  async run(signal, task) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((/** @type {(_: void) => void} */ next) => this.#waiting.push(next));
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
