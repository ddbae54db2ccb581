import { describe, test } from 'vitest';
import { specs } from './specs.js';
import type { WorkerResult } from './worker.js';

const MINUTE = 60_000;

/** Runs a spec file in a module worker of its own, as Vitest runs it in a page of its own. */
async function runInWorker(file: string): Promise<readonly WorkerResult[]> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`${file}: the worker did not come to an end`)), 5 * MINUTE);
      worker.onerror = ({ message }) => reject(new Error(`${file}: ${message}`));
      worker.onmessage = ({ data }: MessageEvent<readonly WorkerResult[] | string>) =>
        typeof data === 'string' ? reject(new Error(`${file}: ${data}`)) : resolve(data);
      worker.postMessage(file);
    });
  } finally {
    worker.terminate();
  }
}

// What became of each spec there is reported as if it had run here.
for (const file of Object.keys(specs)) {
  const results = await runInWorker(file);
  describe(file, () => {
    for (const { titles, state, errors } of results) {
      test.skipIf(state === 'skipped')(titles.slice(1).join(' > '), () => {
        if (state === 'failed') throw new Error(errors.join('\n'));
      });
    }
  });
}
