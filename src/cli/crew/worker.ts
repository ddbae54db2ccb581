/** What each thread of a crew runs, but the first. It tells that one what came of its share, or that it failed. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedClaims } from './claims.js';
import { doShare } from './do-share.js';
import type { Task } from './tasks.js';

/** What a thread is told. */
export interface Orders {
  readonly task: Task;
  readonly claims: SharedClaims;
  /** The number of the thread. */
  readonly self: number;
}

/** What a thread tells: what came of its share, or that it failed, on whatever. */
export type Outcome = { readonly result: unknown } | { readonly failed: string };

const { task, claims, self } = workerData as Orders;
const tell = (outcome: Outcome): void => parentPort?.postMessage(outcome);

doShare(task, claims, self).then(
  (result) => tell({ result }),
  (error: unknown) => tell({ failed: String(error) }),
);
