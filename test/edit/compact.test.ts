import { describe, expect, test } from 'vitest';
import { compactVhdx, createVhdx, editVhdx, memoryFile, openVhdx, resizeVhdx } from '../../src/index.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { compacted } from '../support/edit/compacted.js';
import { GiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const stored = (byte: number): BlockSpec => ({ state: STATE.fullyPresent, data: byte });
const at = (block: BlockSpec, mebibyte: number): BlockSpec => ({ ...block, offset: mebibyte * MiB });
const anchored = (state: number): BlockSpec => ({ state, data: 9 });

describe('a dynamic image that is compacted', () => {
  test('gives up the space of zeros and of trimmed blocks, and moves what is at its end', async () => {
    const spec: ImageSpec = {
      virtualSize: 12 * MiB,
      blocks: {
        0: anchored(STATE.unmapped),
        1: stored(0),
        2: stored(1),
        3: anchored(STATE.undefined),
        5: stored(2),
        6: { state: STATE.zero },
        7: { state: STATE.unmapped },
        11: stored(3),
      },
    };
    const { report, after } = await compacted(spec);
    expect(report).toMatchObject({ zeroBlocks: 1, freeBlocks: 0, movedBytes: 2 * MiB, fileSizeAfter: 7 * MiB });
    const states = Array.from({ length: 12 }, (_, block) => after.bat.block(block).state);
    expect(states).toEqual([3, 2, 6, 1, 0, 6, 2, 3, 0, 0, 0, 6]);
  });

  test('does not read blocks without scan', async () => {
    const { report } = await compacted(
      { virtualSize: 4 * MiB, blocks: { 0: stored(0), 3: stored(1) } },
      { scan: false },
    );
    expect(report).toMatchObject({ zeroBlocks: 0, movedBytes: 0, fileSizeAfter: 6 * MiB });
  });

  test('looks at all of a block, and of the last one at what is on the disk', async () => {
    const lastByte = new Uint8Array(MiB);
    lastByte[MiB - 1] = 1;
    const lastOfDisk = new Uint8Array(MiB);
    lastOfDisk[8191] = 1;
    const pastDisk = new Uint8Array(MiB).fill(7, 8192);
    const spec = (last: Uint8Array): ImageSpec => ({
      virtualSize: 2 * MiB + 8192,
      blocks: { 0: { state: STATE.fullyPresent, data: lastByte }, 2: { state: STATE.fullyPresent, data: last } },
    });
    expect((await compacted(spec(lastOfDisk))).report.zeroBlocks).toBe(0);
    expect((await compacted(spec(pastDisk))).report.zeroBlocks).toBe(1);
  });

  test('fills holes between blocks wherever they are, and blocks larger than 1 MiB', async () => {
    for (const placement of ['gaps', 'reverse', 'shuffled'] as const) {
      const blocks = Object.fromEntries([0, 3, 4, 7, 9].map((block) => [block, stored(block + 1)]));
      await compacted({ virtualSize: 20 * MiB, blocks, placement });
      const { report } = await compacted({ virtualSize: 20 * MiB, blockSize: 2 * MiB, blocks, placement });
      expect(report.fileSizeAfter).toBeLessThanOrEqual(15 * MiB);
    }
    const far = { 0: at(stored(1), 40), 1: at(stored(2), 30), 2: at(stored(0), 4) };
    const { report } = await compacted({ virtualSize: 12 * MiB, blockSize: 4 * MiB, blocks: far });
    expect(report).toMatchObject({ zeroBlocks: 1, movedBytes: 8 * MiB, fileSizeAfter: 12 * MiB });
  });

  test('and has nothing to give is not written', async () => {
    const file = memoryFile();
    const bytes = buildImage().toUint8Array();
    await file.write(bytes, 0);
    const report = await compactVhdx(file);
    expect(report).toEqual({
      fileSizeBefore: bytes.length,
      fileSizeAfter: bytes.length,
      zeroBlocks: 0,
      freeBlocks: 0,
      movedBytes: 0,
    });
    const after = new Uint8Array(file.size);
    await file.readInto(after, 0);
    expectSameBytes(after, bytes);
  });

  test('gets its BAT back to the start after it grew, and a shorter one after it shrank', async () => {
    const file = memoryFile();
    await createVhdx(file, { size: 1 * GiB, blockSize: MiB });
    const disk = await editVhdx(file);
    const bytes = new Uint8Array(3 * MiB).fill(5);
    await disk.write(bytes, 10 * MiB);
    await disk.close();
    expect(await resizeVhdx(file, 200 * GiB)).toMatchObject({ batMoved: true, fileSizeAfter: 9 * MiB });
    await resizeVhdx(file, 1 * GiB, { shrink: true });
    const report = await compactVhdx(file);
    expect(report.fileSizeAfter).toBe(7 * MiB);
    expect(file.size).toBe(7 * MiB);
    const read = await openVhdx(file, { strict: true });
    expect(read.info.regions.find(({ name }) => name === 'BAT region')).toMatchObject({ offset: 3 * MiB, length: MiB });
    expectSameBytes(await read.read(10 * MiB, 3 * MiB), bytes);
    await read.close();
  });
});

describe('a differencing image that is compacted', () => {
  const parent: ImageSpec = {
    virtualSize: 12 * MiB,
    blocks: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [i, stored(0x50 + i)])),
  };

  test('keeps zeros that hide its parent, and bitmap blocks that blocks need', async () => {
    const partial = { state: STATE.partiallyPresent, data: 4, bitmap: sectorBits(2048, [3, 900]) };
    const spec: ImageSpec = {
      type: 'differencing',
      virtualSize: 12 * MiB,
      blocks: { 0: stored(0), 1: anchored(STATE.unmapped), 2: stored(3), 8: partial, 9: stored(0) },
      placement: 'reverse',
    };
    const { report, after } = await compacted(spec, { parent });
    expect(report).toMatchObject({ zeroBlocks: 2, fileSizeAfter: 7 * MiB });
    expect([0, 1, 2, 8, 9].map((block) => after.bat.block(block).state)).toEqual([2, 3, 6, 7, 2]);
  });

  test('gives up bitmap blocks that no block needs', async () => {
    const spec: ImageSpec = {
      type: 'differencing',
      virtualSize: 12 * GiB,
      blockSize: 256 * MiB,
      blocks: {},
      extraBitmaps: [0, 1, 2],
    };
    const { report } = await compacted(spec, { parent });
    expect(report.fileSizeAfter).toBe(4 * MiB);
  });
});

describe('ranges that are free', () => {
  const spec: ImageSpec = {
    virtualSize: 6 * MiB,
    blocks: Object.fromEntries(Array.from({ length: 6 }, (_, block) => [block, stored(block + 1)])),
  };

  test('give up the blocks that lie in them as a whole, and children must notice', async () => {
    const free = [
      { offset: MiB - 512, length: 512 },
      { offset: MiB, length: 1024 },
      { offset: MiB + 1024, length: MiB - 1024 },
      { offset: 3 * MiB - 1, length: 1 },
      { offset: 3 * MiB, length: MiB - 1 },
      { offset: 4 * MiB, length: 2 * MiB },
    ];
    const { report, after } = await compacted(spec, { free });
    expect(report).toMatchObject({ freeBlocks: 3, zeroBlocks: 0, fileSizeAfter: 7 * MiB });
    expect(Array.from({ length: 6 }, (_, block) => after.bat.block(block).state)).toEqual([6, 3, 6, 6, 3, 3]);
  });

  test('may come one after another from an asynchronous iterable', async () => {
    const file = memoryFile();
    await file.write(buildImage(spec).toUint8Array(), 0);
    async function* ranges() {
      yield { offset: 0, length: MiB };
      yield { offset: 5 * MiB, length: MiB };
    }
    expect(await compactVhdx(file, { free: ranges() })).toMatchObject({ freeBlocks: 2, fileSizeAfter: 8 * MiB });
  });

  test.each([
    [[{ offset: 0, length: 7 * MiB }]],
    [
      [
        { offset: MiB, length: MiB },
        { offset: MiB + 512, length: 512 },
      ],
    ],
    [
      [
        { offset: 5 * MiB, length: 512 },
        { offset: 0, length: 512 },
      ],
    ],
    [[{ offset: 0.5, length: 512 }]],
    [[{ offset: 512, length: -1 }]],
  ])('that are wrong are refused, and nothing is written: %j', async (free) => {
    const file = memoryFile();
    const bytes = buildImage(spec).toUint8Array();
    await file.write(bytes, 0);
    await expect(compactVhdx(file, { free })).rejects.toBeInstanceOf(RangeError);
    const after = new Uint8Array(file.size);
    await file.readInto(after, 0);
    expectSameBytes(after, bytes);
  });
});

describe('what is refused', () => {
  test('is a fixed image', async () => {
    const file = memoryFile();
    await file.write(buildImage({ type: 'fixed', virtualSize: 4 * MiB }).toUint8Array(), 0);
    await expect(compactVhdx(file)).rejects.toMatchObject({ code: 'unsupported-input' });
  });

  test('is work whose signal has aborted', async () => {
    const file = memoryFile();
    await file.write(buildImage().toUint8Array(), 0);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(compactVhdx(file, { signal })).rejects.toThrow('enough');
  });
});
