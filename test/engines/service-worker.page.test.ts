import { describe, expect, onTestFinished, test } from 'vitest';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import type { Answer, Question } from '../support/service-worker/worker.js';

const hasOne = 'serviceWorker' in navigator;

/** Asks a service worker of this page. */
async function ask(image: BuiltImage, ...parents: BuiltImage[]): Promise<Answer> {
  const scope = '/of-a-service-worker/';
  const registration = await navigator.serviceWorker.register('/service-worker.js', { scope });
  onTestFinished(async () => {
    await registration.unregister();
  });
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (!worker) throw new Error('there is no service worker');
  const { port1, port2 } = new MessageChannel();
  const question: Question = { image: image.toUint8Array(), parents: parents.map((parent) => parent.toUint8Array()) };
  const answer = await new Promise<Answer | string>((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question, [port2]);
  });
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

describe(`a service worker${hasOne ? '' : ' (left out: this engine has none)'}`, () => {
  test.runIf(hasOne)('reads an image, checks it, exports it and sums it, here and on a server', async () => {
    const image = buildImage({ blocks: { 1: present(1), 3: { state: STATE.zero }, 5: present(5) } });
    const { exported, ...rest } = await ask(image);
    const expected = modelOf(image).expected(0, rest.size);
    expectSameBytes(exported, expected);
    const checksum = crc32cReference(expected);
    expect(rest).toMatchObject({ scope: 'ServiceWorkerGlobalScope', checksum, remoteChecksum: checksum, replayed: 0 });
    expect(rest.status).toBe('sound');
  });

  test.runIf(hasOne)('replays the log of a dirty image and reads through to its parent', async () => {
    const parent = buildImage({ blocks: { 0: present(1), 1: present(2), 2: present(3) } });
    const partial = { ...present(9), state: STATE.partiallyPresent, bitmap: sectorBits(MiB / 512, [5, 900]) };
    const child = buildImage({ type: 'differencing', blocks: { 1: partial } });
    const { exported, size, replayed } = await ask(dirtied(child, structureSectors(child)), parent);
    expectSameBytes(exported, modelOf(child, modelOf(parent)).expected(0, size));
    expect(replayed).toBeGreaterThan(0);
  });
});
