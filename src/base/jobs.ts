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
