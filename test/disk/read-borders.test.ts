// Reads at the borders of blocks, chunks and pages, at the far end of the largest disk, and outside of the disk.
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { GiB, KiB, MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

import { SLOW } from '../support/time-limits.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const presentBlocks = (...blocks: number[]) => Object.fromEntries(blocks.map((block) => [block, present(block)]));

describe('borders', () => {
  for (const placement of ['sequential', 'reverse', 'shuffled', 'gaps'] as const) {
    test(`of blocks that lie in the file ${placement}`, async () => {
      const image = buildImage({
        placement,
        virtualSize: 12 * MiB + 1536,
        blocks: presentBlocks(0, 1, 2, 4, 5, 9, 11, 12),
      });
      const disk = await openVhdx(image.source());
      const model = modelOf(image);
      for (let block = 0; block <= 12; block++) {
        for (const [before, after] of [
          [1, 1],
          [0, 1],
          [1, 0],
          [513, 700],
          [4096, 64 * KiB],
        ] as const) {
          const offset = Math.max(0, block * MiB - before);
          const length = Math.min(disk.size, block * MiB + after) - offset;
          expectSameBytes(
            await disk.read(offset, length),
            model.expected(offset, length),
            `${length} bytes at ${offset}`,
          );
        }
      }
      expectSameBytes(await disk.read(0, disk.size), model.expected(0, disk.size));
    });
  }

  for (const [logicalSectorSize, blockSize] of [
    [512, MiB],
    [512, 256 * MiB],
    [4096, 64 * MiB],
  ] as const) {
    test(`of chunks: blocks of ${blockSize / MiB} MiB and sectors of ${logicalSectorSize} bytes`, async () => {
      const inChunk = (2 ** 23 * logicalSectorSize) / blockSize;
      const image = buildImage({
        logicalSectorSize,
        blockSize,
        virtualSize: 3 * inChunk * blockSize + blockSize,
        blocks: presentBlocks(inChunk - 1, inChunk, 2 * inChunk, 3 * inChunk - 1, 3 * inChunk),
      });
      const disk = await openVhdx(image.source());
      const model = modelOf(image);
      for (const chunk of [1, 2, 3]) {
        const offset = chunk * inChunk * blockSize - 300 * KiB;
        expectSameBytes(await disk.read(offset, 600 * KiB), model.expected(offset, 600 * KiB), `chunk ${chunk}`);
      }
    });
  }

  test('of BAT pages: every block around the end of each, in one read', async () => {
    // A page of the BAT has 8,192 entries, two chunks' bitmap entries among them.
    const around = [8188, 8189, 8190, 8191, 8192, 16380, 16381, 16382, 16383, 16384];
    const image = buildImage({ virtualSize: 20 * GiB, blocks: presentBlocks(...around) });
    const disk = await openVhdx(image.source());
    const model = modelOf(image);
    for (const block of [8187, 16379]) {
      const offset = block * MiB + 700 * KiB;
      expectSameBytes(await disk.read(offset, 6 * MiB), model.expected(offset, 6 * MiB));
    }
  });
});

describe('the largest disk', () => {
  for (const [logicalSectorSize, blockSize] of [
    [512, MiB],
    [4096, MiB],
    [512, 256 * MiB],
  ] as const) {
    test(`of 64 TiB is read at its far end: blocks of ${blockSize / MiB} MiB, sectors of ${logicalSectorSize} bytes`, async () => {
      const last = (64 * TiB) / blockSize - 1;
      const image = buildImage({
        logicalSectorSize,
        blockSize,
        virtualSize: 64 * TiB,
        blocks: presentBlocks(0, last - 1, last),
      });
      const source = image.source();
      const disk = await openVhdx(source);
      const model = modelOf(image);
      for (const [offset, length] of [
        [64 * TiB - 1, 1],
        [64 * TiB - 512 * KiB, 512 * KiB],
        [64 * TiB - blockSize - 4096, 8192],
        [0, 4096],
        [32 * TiB, 4096],
      ] as const) {
        expectSameBytes(await disk.read(offset, length), model.expected(offset, length), `at ${offset}`);
      }
      expect(await disk.checksum({ offset: 64 * TiB - 100, length: 100 })).toBeGreaterThan(0);
      const extents = [];
      for await (const { offset, length, kind } of disk.extents({ offset: 64 * TiB - 4 * blockSize }))
        extents.push({ offset, length, kind });
      expect(extents).toEqual([
        { offset: 64 * TiB - 4 * blockSize, length: 2 * blockSize, kind: 'unmapped' },
        { offset: 64 * TiB - 2 * blockSize, length: 2 * blockSize, kind: 'data' },
      ]);
      // The BAT is read where it is needed, and not as a whole.
      expect(source.bytesRead).toBeLessThan(8 * MiB);
      await expect(disk.read(64 * TiB - 1, 2)).rejects.toThrow(RangeError);
    });
  }

  test('with holes only: its extents are one, and its checksum needs no time', SLOW.largest, async () => {
    const disk = await openVhdx(buildImage({ blockSize: 256 * MiB, virtualSize: 64 * TiB, blocks: {} }).source());
    const extents = [];
    for await (const extent of disk.extents()) extents.push(extent);
    expect(extents).toEqual([{ offset: 0, length: 64 * TiB, kind: 'unmapped', depth: 0 }]);
    expect(await disk.checksum()).toBe(
      await (
        await openVhdx(buildImage({ blockSize: 128 * MiB, virtualSize: 64 * TiB, blocks: {} }).source())
      ).checksum(),
    );
  });
});

describe('what is outside of the disk', () => {
  const image = buildImage({ virtualSize: 3 * MiB + 512, blocks: presentBlocks(0, 3) });
  const size = 3 * MiB + 512;

  for (const [offset, length] of [
    [size, 1],
    [size - 1, 2],
    [0, size + 1],
    [-1, 1],
    [-1, 0],
    [0, -1],
    [size + 1, 0],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
    [Number.POSITIVE_INFINITY, 0],
  ] as const) {
    test(`${length} bytes at ${offset} are a RangeError, however they are asked for`, async () => {
      const disk = await openVhdx(image.source());
      await expect(disk.read(offset, length)).rejects.toThrow(RangeError);
      await expect(disk.checksum({ offset, length })).rejects.toThrow(RangeError);
      await expect(async () => disk.stream({ offset, length })).rejects.toThrow(RangeError);
      await expect(disk.extents({ offset, length }).next()).rejects.toThrow(RangeError);
      if (Number.isInteger(length) && length >= 0) {
        await expect(disk.readInto(new Uint8Array(length), offset)).rejects.toThrow(RangeError);
      }
    });
  }

  test('a target that is no Uint8Array is a TypeError, and is not written to', async () => {
    const disk = await openVhdx(image.source());
    for (const target of [
      new Uint16Array(8).fill(7),
      new Uint8ClampedArray(8).fill(7),
      new DataView(new ArrayBuffer(8)),
    ]) {
      const before = new Uint8Array(target.buffer).slice();
      await expect(disk.readInto(target as unknown as Uint8Array, 0)).rejects.toThrow(TypeError);
      expect(new Uint8Array(target.buffer)).toEqual(before);
    }
  });

  test('reads of nothing are no error, at the end of the disk too', async () => {
    const disk = await openVhdx(image.source());
    for (const offset of [0, 5, size]) {
      expect(await disk.read(offset, 0)).toEqual(new Uint8Array(0));
      expect(await disk.checksum({ offset, length: 0 })).toBe(0);
      for await (const extent of disk.extents({ offset, length: 0 }))
        throw new Error(`an extent of nothing: ${extent.kind}`);
      for await (const chunk of disk.stream({ offset, length: 0 })) throw new Error(`${chunk.length} bytes of nothing`);
    }
  });

  test('the range is all of the disk, or what is left from an offset on, where nothing else is said', async () => {
    const disk = await openVhdx(image.source());
    const sizes = async (options: { offset?: number; length?: number }) => {
      let total = 0;
      for await (const { length } of disk.extents(options)) total += length;
      let streamed = 0;
      for await (const { length } of disk.stream(options)) streamed += length;
      return [total, streamed];
    };
    expect(await sizes({})).toEqual([size, size]);
    expect(await sizes({ offset: MiB })).toEqual([size - MiB, size - MiB]);
    expect(await sizes({ length: 7 })).toEqual([7, 7]);
  });
});
