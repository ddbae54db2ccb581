import { describe, expect, test } from 'vitest';
import { type CreateOptions, createVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { crashPoints, crashStates, type Granule } from '../support/crash/crash-states.js';
import { differenceOf, PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { MiB } from '../support/encode-primitives.js';

const parent = buildImage({ virtualSize: 6 * MiB }).toUint8Array();

const KINDS: readonly [string, CreateOptions][] = [
  ['dynamic', { size: 6 * MiB, blockSize: MiB }],
  ['fixed', { size: 6 * MiB, type: 'fixed' }],
  ['differencing', { parent, parentPath: '.\\base.vhdx' }],
  ['of much metadata, with a long log', { size: 200 * 1024 * MiB, blockSize: MiB, logSize: 3 * MiB }],
];

const looksLikeOne = (image: PageImage) => new TextDecoder().decode(image.page(0).subarray(0, 8)) === 'vhdxfile';

/** Every content that a power cut leaves at every point of a trace. */
function* statesOf(file: CrashFile) {
  for (const granule of [512, 4096] as Granule[]) {
    for (const point of crashPoints(file)) yield* crashStates(point, { granule, torn: 16, random: 12 });
  }
}

describe('a creation that loses power', () => {
  test.each(KINDS)('leaves no VHDX, or the whole one: %s', async (_, options) => {
    const file = new CrashFile();
    await createVhdx(file, options);
    const whole = file.content();
    const below = options.parent ? readState(PageImage.of(parent)) : undefined;
    const counts = { none: 0, whole: 0 };
    for (const { id, image } of statesOf(file)) {
      if (looksLikeOne(image)) {
        expect(differenceOf(image, whole), id).toBeUndefined();
        counts.whole += 1;
      } else counts.none += 1;
    }
    readState(whole, below);
    expect(counts.none).toBeGreaterThan(100);
    expect(counts.whole).toBeGreaterThan(1);
  });

  test('of an image over another one leaves the old one, none, or the new one', async () => {
    const old = PageImage.of(
      buildImage({ virtualSize: 9 * MiB, blocks: { 1: { state: 6, data: 0x77 } } }).toUint8Array(),
    );
    const file = new CrashFile(old);
    await createVhdx(file, { size: 6 * MiB, blockSize: MiB, overwrite: true });
    const counts = { old: 0, none: 0, new: 0 };
    for (const { id, image } of statesOf(file)) {
      if (!looksLikeOne(image)) counts.none += 1;
      else if (differenceOf(image, old) === undefined) counts.old += 1;
      else {
        expect(differenceOf(image, file.content()), id).toBeUndefined();
        counts.new += 1;
      }
    }
    expect(counts.old).toBeGreaterThan(0);
    expect(counts.none).toBeGreaterThan(100);
    expect(counts.new).toBeGreaterThan(1);
  });

  test('at a flush that fails leaves no VHDX', async () => {
    let flushes = 0;
    const file = new CrashFile(new PageImage(), {
      fail: (kind) => (kind === 'flush' && flushes++ === 0 ? new Error('EIO') : undefined),
    });
    await expect(createVhdx(file, { size: MiB })).rejects.toThrow('EIO');
    expect(looksLikeOne(file.content())).toBe(false);
    for (const { image } of statesOf(file)) expect(looksLikeOne(image)).toBe(false);
  });
});
