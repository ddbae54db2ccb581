import { whenAborted } from '../../base/abort.js';
import type { VhdxError } from '../../errors.js';

/** How often to try again, and how fast. */
export interface RetryPolicy {
  /** How often to try again after the first failure. */
  readonly retries: number;
  /** Pause before the first new attempt, in milliseconds; it doubles with each failure. */
  readonly retryDelay: number;
}

/** Longest pause between two attempts, in milliseconds, whatever the server asks for. */
const LONGEST_PAUSE = 30_000;

/** A failure that may be over a moment later. */
export class TransientError extends Error {
  /** What to throw if it is not. */
  readonly failure: VhdxError;
  /** How long the server asked to be left alone, in milliseconds. */
  readonly pause: number;

  constructor(failure: VhdxError, pause = 0) {
    super(failure.message);
    this.failure = Object.assign(failure, { isTransient: true });
    this.pause = pause;
  }
}

/**
 * Does something that may fail for a moment, and again after pauses that double, until it succeeds, fails for good
 * or has failed too often. The pauses vary by chance, so that many readers of one server do not come back together.
 *
 * @throws the last failure, without the wrapping; the signal's reason when that aborts
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (failures >= policy.retries) throw error.failure;
      const pause = policy.retryDelay * 2 ** failures * (0.5 + Math.random() / 2);
      await sleep(Math.min(LONGEST_PAUSE, Math.max(pause, error.pause)), signal);
    }
  }
}

/** What `Retry-After` asks for, in milliseconds: it holds seconds or a date (RFC 9110, 10.2.3). */
export function retryAfter(headers: Headers): number {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      forget();
      resolve();
    }, milliseconds);
    const forget = whenAborted(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}

/** Longest time that a timer can wait, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** How slow a server may be. */
export interface Patience {
  /** Longest time without a byte, in milliseconds. */
  readonly timeout: number;
  /** Fewest bytes per second, over each `timeout`. */
  readonly minimumSpeed: number;
}

/** Calls back when a server sends nothing for too long, or too little. Each byte may be reported at next to no cost. */
export class ProgressWatch {
  readonly #limit: number;
  /** Fewest bytes in one window of `#limit`. */
  readonly #least: number;
  readonly #onStall: (what: string) => void;
  #last = performance.now();
  #windowStart = this.#last;
  #windowBytes = 0;
  #timer: ReturnType<typeof setTimeout>;
  #pausedAt: number | undefined;

  /** @param onStall gets what the server did, as the end of a sentence */
  constructor({ timeout, minimumSpeed }: Patience, onStall: (what: string) => void) {
    this.#limit = Math.min(timeout, LONGEST_TIMER);
    this.#least = (minimumSpeed * this.#limit) / 1000;
    this.#onStall = onStall;
    this.#timer = setTimeout(() => this.#check(), this.#limit);
  }

  /** Some bytes came. */
  progress(bytes: number): void {
    this.#last = performance.now();
    this.#windowBytes += bytes;
  }

  /** The time until {@link resume} does not count: nobody waits for the server. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#pausedAt ??= performance.now();
  }

  /** Goes on where {@link pause} left off. */
  resume(): void {
    if (this.#pausedAt === undefined) return;
    const pause = performance.now() - this.#pausedAt;
    this.#pausedAt = undefined;
    this.#last += pause;
    this.#windowStart += pause;
    this.#wait();
  }

  /** Ends the watch. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    const now = performance.now();
    const seconds = `${Math.round(this.#limit / 100) / 10} seconds`;
    // Timers may come a moment early by the other clock.
    if (now - this.#last > this.#limit - 1) {
      this.#onStall(`has not sent anything for ${seconds}`);
      return;
    }
    if (now - this.#windowStart > this.#limit - 1) {
      if (this.#windowBytes < this.#least) {
        this.#onStall(`sent only ${this.#windowBytes} bytes in ${seconds}`);
        return;
      }
      this.#windowStart = now;
      this.#windowBytes = 0;
    }
    this.#wait();
  }

  /** Waits until there is something to judge. */
  #wait(): void {
    const next = Math.min(this.#last, this.#windowStart) + this.#limit - performance.now();
    this.#timer = setTimeout(() => this.#check(), next);
  }
}
