/**
 * Waits for a promise no longer than its signal allows: rejects with the signal's reason as soon as that aborts.
 * What the promise does afterwards is nobody's business any more, so it must not write into anyone's memory.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const forget = () => signal.removeEventListener('abort', onAbort);
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error: unknown) => {
        forget();
        reject(error);
      },
    );
  });
}

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

/** A part of a read: fills its piece of the target, and writes nothing any more once it has settled. */
export type Job = (signal: AbortSignal | undefined) => Promise<void>;

/**
 * Does the parts of one read, all at once. When one fails or the signal aborts, the others are told to stop, and the
 * promise rejects when all of them have: from then on nothing writes into the target.
 */
export async function runJobs(jobs: readonly Job[], signal: AbortSignal | undefined): Promise<void> {
  const [first, second] = jobs;
  if (first === undefined) return;
  if (second === undefined) return first(signal);

  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const running = jobs.map((job) => job(stop.signal));
  try {
    await Promise.all(running);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(running);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Longest time in ms that work goes on before timers, events and painting get their turn. */
const TURN = 20;

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });

/**
 * Makes a function to be awaited now and then by long work: where the input is in memory nothing else would ever let
 * the event loop turn, and giving up and painting progress would wait for the end.
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
