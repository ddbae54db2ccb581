import { linkedController } from './abort.js';

/**
 * Several operations at once, up to a limit. After the first failure no new one should be started, and {@link settle}
 * rejects only when none is running any more: nothing writes into a buffer after its owner got the error.
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

  /** Takes an operation that has been started, and waits while the limit is reached. */
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

/** A part of a read: fills its piece of the target, and writes nothing any more once it has settled. */
export type Job = (signal: AbortSignal | undefined) => Promise<void>;

/**
 * Does the parts of one read, all at once. When one fails or the signal aborts, the others are aborted, and the
 * promise rejects when all of them have settled: from then on nothing writes into the target.
 */
export async function runJobs(jobs: readonly Job[], signal: AbortSignal | undefined): Promise<void> {
  const [first, second] = jobs;
  if (first === undefined) return;
  if (second === undefined) return first(signal);

  const { controller, unlink } = linkedController(signal);
  const running = jobs.map((job) => job(controller.signal));
  try {
    await Promise.all(running);
  } catch (error) {
    controller.abort(error);
    await Promise.allSettled(running);
    throw error;
  } finally {
    unlink();
  }
}

/** Longest time in ms that work goes on before timers, events and painting get their turn, see {@link eventLoopYielder}. */
const TURN = 20;

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });

/**
 * Makes a function for long work to await now and then. If the input is in memory nothing else would ever let the event
 * loop turn, and an abort or the painting of progress would wait for the end.
 */
export function eventLoopYielder(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < TURN) return undefined;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
}
