import { describe, expect, test } from 'vitest';
import { editVhdx, memoryFile, resizeVhdx, VhdxError } from '../../src/index.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { resized } from '../support/edit/resized.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const stored = (byte: number): BlockSpec => ({ state: STATE.fullyPresent, data: byte });
const anchored = (state: number, byte: number): BlockSpec => ({ state, data: byte });
/** A BAT entry that leads to nothing, in a slot that does not count. */
const GARBAGE = 0x7ff00006n;

describe('a dynamic disk that grows', () => {
  test('reads as zeros after its old end, whatever its BAT holds there', async () => {
    const spec: ImageSpec = {
      virtualSize: 4 * MiB,
      blocks: { 0: stored(1), 3: stored(2) },
      bat: { 4: GARBAGE, 5: GARBAGE, 600: GARBAGE, 1030: GARBAGE },
    };
    const { report, after } = await resized(spec, 1031 * MiB);
    expect(report).toMatchObject({ batMoved: false, lostBytes: 0 });
    expect(after.bat.present.length).toBe(2);
  });

  test('does not show what its last block holds after its old end', async () => {
    const last = (blocks: Record<number, BlockSpec>): ImageSpec => ({ virtualSize: 3 * MiB + 512, blocks });
    await resized(last({ 3: stored(7) }), 3 * MiB + 5 * 512);
    await resized(last({ 3: stored(7) }), 4 * MiB);
    await resized(last({ 3: stored(7) }), 9 * MiB + 4096);
    for (const state of [STATE.notPresent, STATE.zero]) await resized(last({ 3: { state } }), 9 * MiB);
    for (const state of [STATE.undefined, STATE.unmapped]) await resized(last({ 3: anchored(state, 9) }), 9 * MiB);
  });

  test('takes the slot of a sector bitmap block that did not count before', async () => {
    // Blocks of 256 MiB make chunks of 16; entry 16 is that of the first chunk's bitmap block.
    const spec: ImageSpec = {
      virtualSize: 4 * GiB,
      blockSize: 256 * MiB,
      blocks: {},
      bat: { 16: GARBAGE, 17: GARBAGE },
    };
    const { after } = await resized(spec, 9 * GiB);
    expect(after.bat.blocks).toBe(36);
  });

  test('past the length of its BAT gets a new one, and the old one is free', async () => {
    const spec: ImageSpec = { virtualSize: 131_041 * MiB, blocks: { 0: stored(3), 131040: stored(4) } };
    const { report, before, after } = await resized(spec, 131_500 * MiB);
    expect(report).toMatchObject({ batMoved: true });
    const regions = (view: typeof after) => view.regions.map(({ offset, length }) => [offset / MiB, length / MiB]);
    expect(regions(before)).toEqual([
      [3, 1],
      [2, 1],
    ]);
    expect(regions(after)).toEqual([
      [6, 2],
      [2, 1],
    ]);
    expect(report.fileSizeAfter).toBe(8 * MiB);
  });

  test('makes both region tables equal when its BAT moves', async () => {
    const file = memoryFile();
    const image = buildImage({ virtualSize: 131_041 * MiB, blocks: { 0: stored(3) } });
    await file.write(image.toUint8Array(), 0);
    await file.write(new Uint8Array([1, 2, 3]), 0x40_000 + 40_000);
    await resizeVhdx(file, 131_500 * MiB);
    const tables = new Uint8Array(0x20_000);
    await file.readInto(tables, 0x30_000);
    expectSameBytes(tables.subarray(0, 0x10_000), tables.subarray(0x10_000));
    const disk = await editVhdx(file);
    expect(disk.info.regions.find(({ name }) => name === 'BAT region')?.length).toBe(2 * MiB);
    expect(disk.findings).toEqual([]);
    await disk.close();
  });
});

describe('a fixed disk that grows', () => {
  const spec: ImageSpec = { type: 'fixed', virtualSize: 3 * MiB + 4096, blocks: { 1: stored(1), 3: stored(7) } };

  test('has the space of all its blocks', async () => {
    const { after, report } = await resized(spec, 700 * MiB);
    expect(after.bat.present.length).toBe(700);
    expect(report.fileSizeAfter).toBe((4 + 700) * MiB);
  });

  test('and lacks blocks, as those of QEMU do, is written like a dynamic one', async () => {
    const qemu: ImageSpec = { type: 'fixed', virtualSize: 3 * MiB, blocks: { 1: stored(1) }, otherBlocks: STATE.zero };
    const { after } = await resized(qemu, 9 * MiB);
    expect(after.bat.present).toEqual([1]);
  });
});

describe('a differencing disk that grows', () => {
  const PARENT: ImageSpec = { virtualSize: 40 * MiB, blocks: {}, otherBlocks: STATE.fullyPresent };
  const parent: ImageSpec = {
    ...PARENT,
    blocks: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i, stored(0x50 + i)])),
  };
  const child = (blocks: Record<number, BlockSpec>, virtualSize = 3 * MiB + 512): ImageSpec => ({
    type: 'differencing',
    virtualSize,
    blocks,
  });

  test('does not show what a longer parent has after its old end', async () => {
    await resized(child({ 0: stored(1) }, 3 * MiB), 20 * MiB, { parent });
    for (const size of [3 * MiB + 3 * 512, 4 * MiB, 20 * MiB]) {
      await resized(child({ 0: stored(1) }), size, { parent });
      await resized(
        child({ 0: { ...stored(1), state: STATE.partiallyPresent, bitmap: sectorBits(2048, [3, 9]) } }),
        size,
        {
          parent,
        },
      );
    }
  });

  test('does not show the parent, nor old bytes, in a last block that is partially present', async () => {
    const bitmap = sectorBits(2048, [0, 1]);
    const block = { state: STATE.partiallyPresent, data: 7, bitmap };
    for (const size of [3 * MiB + 3 * 512, 4 * MiB, 20 * MiB]) await resized(child({ 3: block }), size, { parent });
    await resized(child({ 3: { ...block, bitmap: sectorBits(2048) } }), 20 * MiB, { parent });
    // Bits of an earlier life of the block.
    await resized(child({ 3: { state: STATE.notPresent, bitmap: sectorBits(2048, [0, 2048]) } }), 20 * MiB, { parent });
  });

  test('keeps the bitmap blocks that it has, and no stale slot', async () => {
    const partial = { state: STATE.partiallyPresent, data: 7, bitmap: sectorBits(524_288, [0, 100]) };
    const spec: ImageSpec = {
      type: 'differencing',
      blockSize: 256 * MiB,
      virtualSize: 5 * GiB,
      blocks: { 2: partial },
      extraBitmaps: [1],
      bat: { 34: GARBAGE, 50: GARBAGE },
    };
    const { after } = await resized(spec, 13 * GiB, { parent: { ...PARENT, virtualSize: 40 * MiB } });
    expect(after.bat.owned.filter(({ what }) => what.startsWith('bitmap')).length).toBe(2);
  });

  test('past the length of its BAT', async () => {
    const partial = { state: STATE.partiallyPresent, data: 7, bitmap: sectorBits(2048, [0, 100]) };
    const spec = child({ 2: partial }, 124 * GiB - MiB - 512);
    const { report } = await resized(spec, 124 * GiB + 512, { parent });
    expect(report.batMoved).toBe(true);
  });
});

describe('a disk that gets smaller', () => {
  const spec: ImageSpec = {
    virtualSize: 1100 * MiB,
    blocks: { 0: stored(1), 2: stored(2), 3: anchored(STATE.unmapped, 3), 700: stored(4), 1099: stored(5) },
  };

  test('is refused unless it was asked for, and the file stays as it is', async () => {
    const file = memoryFile();
    await file.write(buildImage(spec).toUint8Array(), 0);
    const before = new Uint8Array(file.size);
    await file.readInto(before, 0);
    const error = await resizeVhdx(file, 1099 * MiB).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VhdxError);
    expect(error).toMatchObject({ code: 'needs-shrink', hints: ['shrink'] });
    const after = new Uint8Array(file.size);
    await file.readInto(after, 0);
    expectSameBytes(after, before);
  });

  test('loses what is past its new end, and the space of it', async () => {
    const { report, after } = await resized(spec, 2 * MiB + 512, { shrink: true });
    expect(report).toMatchObject({ lostBytes: 3 * MiB - 512, batMoved: false });
    expect(report.fileSizeAfter).toBe(6 * MiB);
    expect(after.bat.present).toEqual([0, 2]);
  });

  test('and grows again does not show what it had', async () => {
    const { file } = await resized(spec, 2 * MiB + 512, { shrink: true });
    const grown = memoryFile();
    await grown.write(file.content().read(0, file.size), 0);
    await resizeVhdx(grown, 1100 * MiB);
    const disk = await editVhdx(grown);
    expect((await disk.read(2 * MiB, 512)).every((byte) => byte === 2)).toBe(true);
    expect((await disk.read(2 * MiB + 512, 10 * MiB)).every((byte) => byte === 0)).toBe(true);
    expect((await disk.read(1099 * MiB, MiB)).every((byte) => byte === 0)).toBe(true);
    await disk.close();
  });

  test('keeps no slot of its last chunk but those that count, with and without parent', async () => {
    const partial = { state: STATE.partiallyPresent, data: 7, bitmap: sectorBits(2048, [0, 2048]) };
    const child: ImageSpec = {
      type: 'differencing',
      virtualSize: 5000 * MiB,
      blocks: { 0: partial, 3: partial, 1000: partial, 4500: partial },
    };
    const parent: ImageSpec = { virtualSize: 5000 * MiB, blocks: {} };
    const { after } = await resized(child, 600 * MiB, { shrink: true, parent });
    expect(after.bat.owned.filter(({ what }) => what.startsWith('bitmap')).length).toBe(1);
    await resized({ type: 'fixed', virtualSize: 20 * MiB, blocks: { 9: stored(1) } }, 10 * MiB, { shrink: true });
  });
});

describe('a size', () => {
  test.each([0, -512, 1.5, 513, 64 * TiB + 512, Number.NaN])('of %d is refused', async (size) => {
    const file = memoryFile();
    await file.write(buildImage().toUint8Array(), 0);
    await expect(resizeVhdx(file, size)).rejects.toBeInstanceOf(RangeError);
  });

  test('that the disk has already changes nothing', async () => {
    const file = memoryFile();
    const bytes = buildImage().toUint8Array();
    await file.write(bytes, 0);
    const report = await resizeVhdx(file, 8 * MiB);
    expect(report).toMatchObject({ sizeBefore: 8 * MiB, sizeAfter: 8 * MiB, fileSizeAfter: file.size });
    const after = new Uint8Array(file.size);
    await file.readInto(after, 0);
    expectSameBytes(after, bytes);
  });
});
