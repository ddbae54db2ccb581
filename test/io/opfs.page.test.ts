import { expect, test } from 'vitest';
import type { OpfsOutcome } from '../support/opfs-worker.js';

// WebKitGTK has none.
test.skipIf(globalThis.navigator.storage?.getDirectory === undefined)(
  'a file of the origin private file system is changed in place, and is locked meanwhile',
  async () => {
    const worker = new Worker(new URL('../support/opfs-worker.ts', import.meta.url), { type: 'module' });
    try {
      const outcome = await new Promise<OpfsOutcome>((resolve, reject) => {
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.onmessage = ({ data }: MessageEvent<OpfsOutcome>) => resolve(data);
      });
      expect(outcome).toEqual({
        name: true,
        empty: 0,
        grown: 5003,
        gap: true,
        written: [1, 2, 3],
        intoWasm: [1, 2, 3],
        truncated: 4,
        past: 'RangeError',
        second: 'locked',
        closed: 'closed',
        kept: [1, 2, 3, 0],
        stillOpen: 4,
        closedByOwner: 'closed',
        lock: 'held',
        secondLock: 'locked',
        lockAgain: 'held',
      });
    } finally {
      worker.terminate();
    }
  },
);
