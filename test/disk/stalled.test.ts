// Work whose source or sink never answers: it keeps what it holds, and that must not be what other work needs.
import { afterAll, describe, expect, test } from 'vitest';
import { compareDisks, exportDisk, openVhdx, type RandomAccessSink, type VhdxDisk } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const imageOf = (seed: number): BuiltImage =>
  buildImage({
    virtualSize: 12 * MiB,
    blocks: Object.fromEntries(
      Array.from({ length: 12 }, (_, block) => [block, { state: STATE.fullyPresent, data: pattern(seed + block) }]),
    ),
  });
const [image, other] = [imageOf(1), imageOf(100)];
const never = new Promise<never>(() => {});

/** A disk whose source stops answering when payload is read. */
async function stalledDisk(): Promise<VhdxDisk> {
  const source = image.source();
  const start = image.layout.blockOffset(0);
  return openVhdx({
    size: source.size,
    readInto: (target, offset, options) => (offset >= start ? never : source.readInto(target, offset, options)),
  });
}

const stalledSink: RandomAccessSink = { truncate: async () => {}, write: () => never };

/** Starts work that stalls, more than enough to hold all buffers that there are. */
const STALLED: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>> = {
  'checksums of a source': async (signal) => (await stalledDisk()).checksum({ signal }),
  'comparisons of a source': async (signal) => compareDisks(await stalledDisk(), await stalledDisk(), { signal }),
  'exports of a source': async (signal) =>
    exportDisk(await stalledDisk(), { truncate: async () => {}, write: async () => {} }, { signal }),
  'exports to a sink': async (signal) => exportDisk(await openVhdx(image.source()), stalledSink, { signal }),
};

describe.each(Object.entries(STALLED))('while %s stall', (_name, start) => {
  const abort = new AbortController();
  afterAll(() => abort.abort(new Error('the spec is over')));

  test('checksums, comparisons and exports of other disks end, and are right', async () => {
    for (let i = 0; i < 10; i++) start(abort.signal).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const disk = await openVhdx(other.source());
    const expected = modelOf(other).expected(0, disk.size);
    expect(await disk.checksum()).toBe(crc32cReference(expected));
    expect(await compareDisks(disk, await openVhdx(other.source()))).toBeUndefined();
    const first = expected.findIndex((byte, at) => byte !== modelOf(image).expected(0, 512)[at]);
    expect(await compareDisks(disk, await openVhdx(image.source()))).toBe(first);
    const written = new Uint8Array(disk.size);
    await exportDisk(disk, { truncate: async () => {}, write: async (bytes, offset) => written.set(bytes, offset) });
    expectSameBytes(written, expected);
    const sums = await Promise.all(Array.from({ length: 12 }, () => disk.checksum()));
    expect(new Set(sums)).toEqual(new Set([crc32cReference(expected)]));
  });
});

describe('while others hold all buffers of the core', () => {
  const abort = new AbortController();
  afterAll(() => abort.abort(new Error('the spec is over')));

  /** A disk, and how many reads of its payload were in flight at a time. */
  async function countedDisk(): Promise<{ disk: VhdxDisk; most: () => number }> {
    const source = other.source();
    let running = 0;
    let most = 0;
    const disk = await openVhdx({
      size: source.size,
      async readInto(target, offset, options) {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        await source.readInto(target, offset, options);
        running--;
      },
    });
    return { disk, most: () => most };
  }

  test.each<[string, (disk: VhdxDisk) => Promise<unknown>, number]>([
    ['a checksum', (disk) => disk.checksum(), 4],
    ['an export', (disk) => exportDisk(disk, { truncate: async () => {}, write: async () => {} }), 4],
    ['a comparison', async (disk) => compareDisks(disk, await openVhdx(other.source())), 2],
  ])('%s still has several reads in flight', async (_, work, least) => {
    for (let i = 0; i < 3; i++) {
      exportDisk(await openVhdx(image.source()), stalledSink, { signal: abort.signal }).catch(() => undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { disk, most } = await countedDisk();
    await work(disk);
    expect(most()).toBeGreaterThanOrEqual(least);
  });
});

describe('an abort does not wait for a source that never answers', () => {
  const works: Readonly<Record<string, (disk: VhdxDisk, signal: AbortSignal) => Promise<unknown>>> = {
    checksum: (disk, signal) => disk.checksum({ signal }),
    stream: async (disk, signal) => {
      for await (const chunk of disk.stream({ signal })) void chunk;
    },
    compareDisks: (disk, signal) => compareDisks(disk, disk, { signal }),
  };
  test.each(Object.entries(works))('in %s', async (_name, work) => {
    const abort = new AbortController();
    const working = work(await stalledDisk(), abort.signal);
    await new Promise((resolve) => setTimeout(resolve, 10));
    abort.abort(new Error('no more'));
    await expect(working).rejects.toThrow('no more');
  });
});
