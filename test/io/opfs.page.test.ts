import { expect, test } from 'vitest';
import { pickedFile } from '../../src/io/picked-file.js';
import type { OpfsOutcome } from '../support/opfs-worker.js';
import { sourceBytes } from '../support/scripted-source.js';

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

test.skipIf(globalThis.navigator.storage?.getDirectory === undefined)(
  'a file handle in a page is swapped in when it is closed',
  async () => {
    const root = await navigator.storage.getDirectory();
    const name = `picked-${crypto.randomUUID()}`;
    const handle = await root.getFileHandle(name, { create: true });
    if (handle.createWritable === undefined) return; // WebKit
    const first = await pickedFile(handle);
    await first.write(sourceBytes(0, 100_000), 0);
    await first.close();
    const second = await pickedFile(handle);
    await second.truncate(70_000);
    await second.write(Uint8Array.of(9), 80_000);
    expect((await handle.getFile()).size).toBe(100_000);
    await second.close();
    const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
    const expected = new Uint8Array(80_001);
    expected.set(sourceBytes(0, 70_000));
    expected[80_000] = 9;
    expect(bytes.length).toBe(80_001);
    expect(bytes.findIndex((byte, index) => byte !== expected[index])).toBe(-1);
    await root.removeEntry(name);
  },
);
