// A power cut at every write of a compact: the disk shows what it showed, and is the same to its children.
import { describe, expect, test } from 'vitest';
import { compactImage } from '../../src/edit/compact/compact-image.js';
import type { CompactOptions } from '../../src/index.js';
import { sectorBits } from '../support/block-content.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { exploreCrashes } from '../support/crash/explore.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { contentDifference, jobFile } from '../support/edit/resized.js';
import { MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';

const stored = (block: number, state: number = STATE.fullyPresent): BlockSpec => ({
  state,
  data: taggedBytes(1000 + block, block * MiB, MiB),
});
const zeros: BlockSpec = { state: STATE.fullyPresent, data: 0 };
const blocksOf = (blocks: readonly number[]) => Object.fromEntries(blocks.map((block) => [block, stored(block)]));

/** Compacts an image and looks at every state that a power cut could leave; returns how many there were. */
async function survives(
  spec: ImageSpec,
  { parent: parentSpec, ...options }: CompactOptions & { readonly parent?: ImageSpec } = {},
): Promise<number> {
  const { file, before, parent } = jobFile(spec, parentSpec);
  const report = await compactImage(file, options, countedIdentity());
  checkTrace(file);
  checkClosed(file.content());
  expect(report.fileSizeAfter).toBeLessThan(report.fileSizeBefore);
  const isFree = (block: number) =>
    report.freeBlocks > 0 &&
    [...(options.free as Iterable<{ offset: number }>)].some(({ offset }) => offset === block * MiB);
  return exploreCrashes(file, {
    ...(parent && { parent }),
    also: (_, view) => {
      if (report.freeBlocks === 0) {
        expect(contentDifference(before, view)).toBeUndefined();
        expect(view.header.dataWriteGuid).toBe(before.header.dataWriteGuid);
        return;
      }
      for (const block of before.bat.present) {
        const now = view.bat.block(block).state;
        const isNew = view.header.dataWriteGuid !== before.header.dataWriteGuid;
        if (now !== 6) expect({ block, free: isFree(block), isNew }).toEqual({ block, free: true, isNew: true });
      }
    },
  });
}

describe('a compact survives a power cut at every write', () => {
  test('of zeros that go, and of blocks that move into their places', SLOW.crashes, async () => {
    const blocks = { ...blocksOf([1, 4, 6, 7]), 0: zeros, 2: zeros, 3: stored(3, STATE.unmapped) };
    expect(await survives({ virtualSize: 8 * MiB, blocks })).toBeGreaterThan(100);
  });

  test('of blocks that are scattered over the file and over the pages of the BAT', SLOW.crashes, async () => {
    const blocks = { ...blocksOf([1, 600, 601, 1050, 1051]), 0: zeros, 602: zeros };
    for (const placement of ['reverse', 'gaps'] as const) {
      expect(await survives({ virtualSize: 1100 * MiB, blocks, placement })).toBeGreaterThan(100);
    }
  });

  test('of blocks that are larger than the holes between them', SLOW.crashes, async () => {
    const large = (block: number) => ({ ...stored(block), data: taggedBytes(1000 + block, 2 * block * MiB, 2 * MiB) });
    const blocks = {
      0: { ...zeros, offset: 4 * MiB },
      1: { ...large(1), offset: 7 * MiB },
      2: { ...large(2), offset: 12 * MiB },
    };
    expect(await survives({ virtualSize: 8 * MiB, blockSize: 2 * MiB, blocks })).toBeGreaterThan(100);
  });

  test('of a child whose bitmap blocks move and go', SLOW.crashes, async () => {
    const partial = (block: number) => ({
      ...stored(block, STATE.partiallyPresent),
      bitmap: sectorBits(2048, [3, 900]),
    });
    const parent: ImageSpec = { virtualSize: 4200 * MiB, blocks: blocksOf([0, 1, 2, 3, 4098]) };
    const child: ImageSpec = {
      type: 'differencing',
      virtualSize: 4200 * MiB,
      blocks: { 0: zeros, 1: partial(1), 3: { ...stored(3), state: STATE.unmapped }, 4098: stored(4098) },
      extraBitmaps: [1],
      placement: 'reverse',
    };
    expect(await survives(child, { parent })).toBeGreaterThan(100);
  });

  test('of a BAT that moves, and that is longer than it must be', SLOW.crashes, async () => {
    const spec = (places: NonNullable<ImageSpec['places']>): ImageSpec => ({
      virtualSize: 8 * MiB,
      blocks: { ...blocksOf([1, 4]), 0: zeros },
      firstBlockOffset: 3 * MiB,
      places,
    });
    expect(await survives(spec({ bat: { offset: 9 * MiB } }))).toBeGreaterThan(100);
    expect(await survives(spec({ bat: { offset: 9 * MiB, length: 3 * MiB } }))).toBeGreaterThan(100);
  });

  test('of ranges that are free, which children must notice', SLOW.crashes, async () => {
    const spec: ImageSpec = { virtualSize: 8 * MiB, blocks: { ...blocksOf([1, 4, 6, 7]), 0: stored(0) } };
    const free = [
      { offset: 0, length: MiB },
      { offset: 4 * MiB, length: MiB },
    ];
    expect(await survives(spec, { free })).toBeGreaterThan(100);
  });
});
