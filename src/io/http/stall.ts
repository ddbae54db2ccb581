/** Longest time that a timer can wait, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Rings when nothing has happened for a while. Telling it that something happened costs next to nothing. */
export class StallWatch {
  readonly #limit: number;
  readonly #onStall: () => void;
  #last = performance.now();
  #timer: ReturnType<typeof setTimeout>;

  /** @param limit longest time without progress, in milliseconds */
  constructor(limit: number, onStall: () => void) {
    this.#limit = Math.min(limit, LONGEST_TIMER);
    this.#onStall = onStall;
    this.#timer = setTimeout(() => this.#check(), this.#limit);
  }

  /** Something happened. */
  progress(): void {
    this.#last = performance.now();
  }

  /** Rings no more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    const rest = this.#limit - (performance.now() - this.#last);
    // Timers may come a moment early by the other clock.
    if (rest < 1) this.#onStall();
    else this.#timer = setTimeout(() => this.#check(), rest);
  }
}
