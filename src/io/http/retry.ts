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
  /** What to tell when it is not. */
  readonly failure: VhdxError;
  /** How long the other side asked to be left alone, in milliseconds. */
  readonly pause: number;

  constructor(failure: VhdxError, pause = 0) {
    super(failure.message);
    this.failure = failure;
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
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
