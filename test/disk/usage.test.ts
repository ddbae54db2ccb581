import { describe, expect, test } from 'vitest';
import { openVhdx, type Usage } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { GiB, KiB, MiB, TiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';

const KINDS = ['data', 'zero', 'unmapped', 'parent', 'partial', 'damaged'] as const;
const totals = (usage: Usage) =>
  Object.fromEntries(
    KINDS.map((kind) => [kind, usage[kind].reduce((a, b) => a + b, 0)]).filter(([, sum]) => sum !== 0),
  );

describe('usage', () => {
  const spec = {
    virtualSize: 9 * MiB + 512 * KiB,
    blocks: {
      1: { state: STATE.fullyPresent, data: pattern(1) },
      2: { state: STATE.zero },
      3: { state: STATE.unmapped },
      9: { state: STATE.fullyPresent, data: pattern(9) },
    },
    bat: { 5: 4n },
  };

  test('sums what each bin consists of', async () => {
    const disk = await openVhdx(buildImage(spec).source());
    const usage = await disk.usage({ bins: 10 });
    expect(usage.binBytes).toBe(Math.ceil(disk.size / 10));
    expect(totals(usage)).toEqual({ data: 1.5 * MiB, zero: MiB, unmapped: 6 * MiB, damaged: MiB });
    const width = usage.binBytes;
    expect(usage.data[0]).toBe(0);
    expect(usage.data[1]).toBe(2 * width - MiB);
    expect(usage.data[2]).toBe(Math.max(0, 2 * MiB - 2 * width));
    expect(KINDS.reduce((sum, kind) => sum + (usage[kind][4] ?? 0), 0)).toBe(width);
  });

  test('can be asked of a part, in bins finer than a block', async () => {
    const disk = await openVhdx(buildImage(spec).source());
    const usage = await disk.usage({ offset: MiB + 4 * KiB, length: 64 * KiB, bins: 128 });
    expect(usage.binBytes).toBe(512);
    expect([...usage.data]).toEqual(Array.from({ length: 128 }, () => 512));
  });

  test('tells what lies in the parent, wholly and in part', async () => {
    const image = buildImage({
      type: 'differencing',
      blocks: {
        0: { state: STATE.partiallyPresent, data: pattern(0), bitmap: sectorBits(2048, [0, 8]) },
        1: { state: STATE.fullyPresent, data: pattern(1) },
      },
    });
    const disk = await openVhdx(image.source(), { parent: false });
    expect(totals(await disk.usage({ bins: 8 }))).toEqual({ data: MiB, partial: MiB, parent: 6 * MiB });
  });

  test('goes through many chunks and pages', async () => {
    const blocks = Object.fromEntries(
      [0, 4095, 4096, 8191, 8192, 20_000, 32_767].map((block) => [block, { state: STATE.fullyPresent, data: 1 }]),
    );
    const disk = await openVhdx(buildImage({ virtualSize: 32 * GiB, blocks }).source());
    const usage = await disk.usage({ bins: 32 });
    const full = [...usage.data].flatMap((bytes, bin) => (bytes > 0 ? [[bin, bytes / MiB]] : []));
    expect(full).toEqual([
      [0, 1],
      [3, 1],
      [4, 1],
      [7, 1],
      [8, 1],
      [19, 1],
      [31, 1],
    ]);
  });

  test('of 64 TiB in blocks of 1 MiB is whole', async () => {
    const disk = await openVhdx(
      buildImage({ virtualSize: 64 * TiB, blocks: { 67108863: { state: 6, data: 1 } } }).source(),
    );
    const usage = await disk.usage({ bins: 1000 });
    expect(totals(usage)).toEqual({ data: MiB, unmapped: 64 * TiB - MiB });
    expect(usage.data[999]).toBe(MiB);
  });

  test('refuses bins that cannot be, ranges that leave the disk, and stops when it is aborted', async () => {
    const disk = await openVhdx(buildImage(spec).source());
    for (const bins of [0, -1, 1.5, 10_001]) await expect(disk.usage({ bins })).rejects.toThrow(RangeError);
    await expect(disk.usage({ bins: 2, offset: disk.size, length: 1 })).rejects.toThrow(RangeError);
    await expect(disk.usage({ bins: 2, signal: AbortSignal.abort() })).rejects.toThrow();
  });
});
