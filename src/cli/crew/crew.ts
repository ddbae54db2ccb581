import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Progress } from '../../index.js';
import { Claims, sharedClaims } from './claims.js';
import { doShare } from './do-share.js';
import type { Task } from './tasks.js';
import type { Orders, Outcome } from './worker.js';

/** Milliseconds between two looks at how far the threads are. */
const LOOK = 100;

/** How a crew works. */
export interface CrewOptions {
  /** This one and those that it starts. */
  readonly threads: number;
  /** Bytes of the largest disk of the task. */
  readonly size: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** What each thread but this one runs, instead of what is built beside the command. */
  readonly program?: URL;
}

/**
 * Lets several threads do a task, this one among them, which begins at once, while the others start. Returns what came
 * of the share of each; undefined if one of them could not do its share, on whatever: then the caller does it alone, and
 * finds what is wrong where it would have found it.
 */
export async function byCrew<T>(task: Task, options: CrewOptions): Promise<readonly T[] | undefined> {
  const { threads, size, signal, onProgress, program = workerProgram() } = options;
  if (!program) return undefined;
  signal?.throwIfAborted();
  const claims = sharedClaims(size, threads);
  const workers = Array.from({ length: threads - 1 }, (_, i) => {
    const orders: Orders = { task, claims, self: i + 1 };
    return new Worker(program, { workerData: orders });
  });
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
    for (const worker of workers) void worker.terminate();
  };
  signal?.addEventListener('abort', end, { once: true });
  const own = new Claims(claims);
  const look = setInterval(() => {
    const { progress } = own;
    if (progress) onProgress?.(progress);
  }, LOOK);
  try {
    const shares = [outcomeOfShare(doShare(task, claims, 0, stop.signal)), ...workers.map(outcomeOfWorker)];
    const outcomes = await Promise.all(
      shares.map(async (share) => {
        const outcome = await share;
        if (!('result' in outcome)) end(); // what the others do is of no use any more
        return outcome;
      }),
    );
    signal?.throwIfAborted();
    const results = outcomes.flatMap((outcome) => ('result' in outcome ? [outcome.result as T] : []));
    return results.length === threads ? results : undefined;
  } finally {
    clearInterval(look);
    signal?.removeEventListener('abort', end);
  }
}

/** What each thread runs; undefined where the command is one file, which has no second program beside it. */
function workerProgram(): URL | undefined {
  try {
    const program = new URL('./crew-worker.js', import.meta.url);
    return existsSync(fileURLToPath(program)) ? program : undefined;
  } catch {
    return undefined;
  }
}

function outcomeOfShare(share: Promise<unknown>): Promise<Outcome> {
  return share.then(
    (result) => ({ result }),
    (error: unknown) => ({ failed: String(error) }),
  );
}

/** What became of a thread's share, when the thread has ended. */
function outcomeOfWorker(worker: Worker): Promise<Outcome> {
  return new Promise((resolve) => {
    let outcome: Outcome = { failed: 'it ended' };
    worker.on('message', (told: Outcome) => {
      outcome = told;
    });
    worker.on('error', (error) => {
      outcome = { failed: String(error) };
    });
    worker.on('exit', () => resolve(outcome));
  });
}
