import { expect, onTestFinished, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const image = buildImage({ virtualSize: 12 * MiB, blocks: { 0: present(0), 7: present(7), 11: present(11) } });

test('a File is read synchronously in a worker, also while other reads of it are under way', async () => {
  const worker = new Worker(new URL('./support/sync-worker.ts', import.meta.url), { type: 'module' });
  onTestFinished(() => worker.terminate());
  const answer = new Promise((resolve) => worker.addEventListener('message', ({ data }) => resolve(data)));
  worker.postMessage(new File([image.toUint8Array() as Uint8Array<ArrayBuffer>], 'disk.vhdx'));
  const expected = modelOf(image).expected(0, 12 * MiB);
  const wanted = [0, 7 * MiB - 100, 11 * MiB + 5].map((at) => crc32cReference(expected.subarray(at, at + 70_000)));
  const whole = crc32cReference(expected);
  expect(await answer).toEqual({ parts: wanted, meanwhile: whole, whole });
});
