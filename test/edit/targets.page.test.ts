import { expect, test } from 'vitest';
import { createVhdx, editVhdx, openVhdx, repairVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import type { TargetsOutcome } from '../support/edit/targets-worker.js';
import { MiB } from '../support/encode-primitives.js';
import { rejection } from '../support/scripted-source.js';

// WebKitGTK has none.
const hasOrigin = globalThis.navigator.storage?.getDirectory !== undefined;

test.skipIf(!hasOrigin)('a file of the origin private file system is written in a worker, with its log', async () => {
  const worker = new Worker(new URL('../support/edit/targets-worker.ts', import.meta.url), { type: 'module' });
  try {
    const outcome = await new Promise<TargetsOutcome>((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.onmessage = ({ data }: MessageEvent<TargetsOutcome>) => resolve(data);
    });
    expect(outcome).toEqual({
      again: 'exists',
      second: 'locked',
      flushed: [0, 7, 7],
      repairs: 0,
      sectors: 512,
      content: [1, 0, 7, 7, 0, 0, 7, 0],
    });
  } finally {
    worker.terminate();
  }
});

test.skipIf(!hasOrigin)('a file handle in a page is created and repaired as a whole', async () => {
  const root = await navigator.storage.getDirectory();
  const name = `picked-${crypto.randomUUID()}.vhdx`;
  const handle = await root.getFileHandle(name, { create: true });
  if (handle.createWritable === undefined) return; // WebKit
  await createVhdx(handle, { size: 64 * MiB });
  await (await openVhdx(await handle.getFile(), { strict: true })).close();

  const plain = buildImage();
  const writable = await handle.createWritable();
  await writable.write(dirtied(plain, structureSectors(plain)).toUint8Array());
  await writable.close();
  const { repairs } = await repairVhdx(handle);
  expect(repairs.map(({ kind }) => kind)).toEqual(['replay-log']);
  await (await openVhdx(await handle.getFile(), { replay: 'refuse', strict: true })).close();
  expect(await rejection(editVhdx(handle))).toMatchObject({ code: 'unsupported-input', file: name });
  await root.removeEntry(name);
});
