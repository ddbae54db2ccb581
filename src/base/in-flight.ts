/**
 * Several operations under way at once, up to a limit. After the first failure no new one is awaited for, and
 * {@link settle} rejects only when none is running any more: nobody writes into a buffer whose owner was told "failed".
 */
export class InFlight {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failed = false;
  #error: unknown;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether something failed, so that starting more is pointless. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Takes an operation that has been started, and waits while there are too many. */
  async add(operation: Promise<void>): Promise<void> {
    const running: Promise<void> = operation.then(
      () => {
        this.#running.delete(running);
      },
      (error: unknown) => {
        this.#running.delete(running);
        this.fail(error);
      },
    );
    this.#running.add(running);
    if (this.#running.size >= this.#limit) await Promise.race(this.#running);
  }

  /** Takes a failure; the first one counts. */
  fail(error: unknown): void {
    if (!this.#failed) this.#error = error;
    this.#failed = true;
  }

  /** Waits until nothing is running, then rejects with the first failure if there was one. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failed) throw this.#error;
  }
}
