// A power cut at every write of a resize: the disk has its old size or its new one, what it had is there, and what it
// gained reads as zeros.
import { describe, expect, test } from 'vitest';
import { resizeImage } from '../../src/edit/resize/resize-image.js';
import type { ResizeOptions } from '../../src/index.js';
import { sectorBits } from '../support/block-content.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { type Exploration, exploreCrashes } from '../support/crash/explore.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { jobFile, resizeDifference } from '../support/edit/resized.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';

/** What blocks hold past the end of the disk: nothing of it may ever show. */
const stored = (block: number, state: number = STATE.fullyPresent): BlockSpec => ({
  state,
  data: taggedBytes(1000 + block, block * MiB, MiB),
});
const GARBAGE = 0x7ff00006n;

/** Resizes an image and looks at every state that a power cut could leave; returns how many there were. */
async function survives(
  spec: ImageSpec,
  size: number,
  {
    parent: parentSpec,
    granules,
    ...options
  }: ResizeOptions & Pick<Exploration, 'granules'> & { readonly parent?: ImageSpec } = {},
): Promise<number> {
  const { file, before, parent } = jobFile(spec, parentSpec);
  await resizeImage(file, size, options, countedIdentity());
  checkTrace(file);
  checkClosed(file.content());
  const sizes = new Set<number>();
  const states = await exploreCrashes(file, {
    ...(parent && { parent }),
    ...(granules && { granules }),
    also: (_, view) => {
      sizes.add(view.metadata.size);
      expect(resizeDifference(before, view)).toBeUndefined();
      // A child must notice.
      if (view.metadata.size !== before.metadata.size) {
        expect(view.header.dataWriteGuid).not.toBe(before.header.dataWriteGuid);
      }
    },
  });
  expect(sizes).toEqual(new Set([before.metadata.size, size]));
  return states;
}

const PARENT: ImageSpec = {
  virtualSize: 12 * MiB,
  blocks: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [i, stored(i)])),
};
const child = (virtualSize: number, blocks: Record<number, BlockSpec>, more: ImageSpec = {}): ImageSpec => ({
  type: 'differencing',
  virtualSize,
  blocks,
  ...more,
});

describe('a resize survives a power cut at every write', () => {
  test('of a disk that grows in place, over slots that hold anything', SLOW.crashes, async () => {
    const bat = Object.fromEntries([4, 5, 6, 511, 512, 600, 1023, 1024].map((slot) => [slot, GARBAGE]));
    const spec: ImageSpec = { virtualSize: 3 * MiB + 1024, blocks: { 0: stored(0), 3: stored(3) }, bat };
    expect(await survives(spec, 1025 * MiB)).toBeGreaterThan(50);
    expect(await survives(spec, 3 * MiB + 4096)).toBeGreaterThan(50);
    expect(await survives({ ...spec, type: 'fixed', bat: {} }, 9 * MiB)).toBeGreaterThan(50);
  });

  test('of a disk that grows past the length of its BAT', SLOW.crashes, async () => {
    const blocks = { 0: stored(0), 131040: stored(131_040) };
    expect(await survives({ virtualSize: 131_041 * MiB - 512, blocks }, 131_045 * MiB)).toBeGreaterThan(50);
  });

  test('of a child that grows past the length of its BAT', SLOW.crashes, async () => {
    const last = { ...stored(126_975, STATE.partiallyPresent), bitmap: sectorBits(2048, [0, 40]) };
    const spec = child(124 * GiB - 64 * KiB, { 126975: last });
    expect(await survives(spec, 124 * GiB + 512, { parent: PARENT, granules: [512] })).toBeGreaterThan(50);
  });

  test('of a child that grows, whatever its longer parent holds after its old end', SLOW.crashes, async () => {
    const bitmap = sectorBits(2048, [0, 1]);
    const [size, larger] = [3 * MiB + 512, 6 * MiB + 512];
    const last: BlockSpec[] = [
      { state: STATE.notPresent },
      { state: STATE.notPresent, bitmap: sectorBits(2048, [0, 2048]) },
      { ...stored(3, STATE.partiallyPresent), bitmap },
      stored(3),
      { state: STATE.zero },
    ];
    for (const block of last) {
      const spec = child(size, { 0: stored(0), 3: block });
      expect(await survives(spec, larger, { parent: PARENT })).toBeGreaterThan(50);
    }
  });

  test('of a disk that gets smaller', SLOW.crashes, async () => {
    const blocks = { 0: stored(0), 2: stored(2), 3: stored(3, STATE.unmapped), 700: stored(700), 1099: stored(1099) };
    const shrink = { shrink: true };
    expect(await survives({ virtualSize: 1100 * MiB, blocks }, 2 * MiB + 512, shrink)).toBeGreaterThan(50);
    expect(
      await survives({ type: 'fixed', virtualSize: 9 * MiB, blocks: { 1: stored(1) } }, 2 * MiB, shrink),
    ).toBeGreaterThan(50);
    const bitmap = sectorBits(2048, [0, 2048]);
    const partial = (block: number) => ({ ...stored(block, STATE.partiallyPresent), bitmap });
    const chain = child(4500 * MiB, { 0: partial(0), 9: stored(9), 4400: partial(4400) });
    expect(await survives(chain, 4 * MiB, { ...shrink, parent: PARENT })).toBeGreaterThan(50);
  });
});
