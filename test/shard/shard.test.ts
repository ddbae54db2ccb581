// A check that is done in parts finds what the check of the whole finds.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckReport, checkVhdx, combineChecks, openVhdx, shardRange } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';

type Image = ReturnType<typeof buildImage>;

async function checkInParts(image: Image, of: number, order = (a: number) => a): Promise<CheckReport[]> {
  const parts = Array.from({ length: of }, (_, index) => order(index));
  return Promise.all(parts.map((index) => checkVhdx(image.source(), { shard: { index, of } })));
}

const states = fc.constantFrom(STATE.fullyPresent, STATE.fullyPresent, STATE.undefined, STATE.unmapped, 4, 5);

/** Blocks anywhere in a file that has room for some of them: they share places, leave gaps and reach past its end. */
const scattered = (places: number, unit: number) =>
  fc.record({
    blocks: fc.dictionary(
      fc.integer({ min: 0, max: 30 }).map(String),
      fc.record({ state: states, offset: fc.integer({ min: 1, max: places }).map((place) => place * unit) }),
    ),
    fileSize: fc.integer({ min: 8, max: places }).map((place) => place * unit + MiB / 2),
    of: fc.integer({ min: 1, max: 9 }),
  });

describe('the reports of all parts', () => {
  test.each([
    { what: 'a small file', blockSize: 2 * MiB, places: 60, unit: MiB },
    { what: 'a file longer than the map', blockSize: 32 * MiB, places: 90, unit: TiB / 16 },
  ])('are together that of the whole, of $what', async ({ blockSize, places, unit }) => {
    await fc.assert(
      fc.asyncProperty(scattered(places, unit), async ({ blocks, fileSize, of }) => {
        const image = buildImage({ blockSize, virtualSize: 31 * blockSize, blocks, fileSize });
        const whole = await checkVhdx(image.source());
        const parts = await checkInParts(image, of, (index) => of - 1 - index);
        expect(await combineChecks(parts)).toEqual(whole);
        expect(await combineChecks(JSON.parse(JSON.stringify([...parts, parts[0]])))).toEqual(whole);
      }),
      propertyRuns(60),
    );
  });

  test('are those of a chain too', async () => {
    const base = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } }, fileSize: 20 * MiB });
    const child = buildImage({ type: 'differencing', blocks: { 1: { state: STATE.fullyPresent, offset: 7 * MiB } } });
    const options = { parent: base.source() };
    const whole = await checkVhdx(child.source(), options);
    const parts = [0, 1, 2].map((index) => checkVhdx(child.source(), { ...options, shard: { index, of: 3 } }));
    expect(whole.parent?.blocks?.leakedBytes).toBeGreaterThan(0);
    expect(await combineChecks(await Promise.all(parts))).toEqual(whole);
  });

  test('of an image that does not open say so, each of them', async () => {
    const image = buildImage({ headers: { signature: 'nope' } });
    const parts = await checkInParts(image, 2);
    expect(parts.map(({ status }) => status)).toEqual(['unreadable', 'unreadable']);
    expect(await combineChecks(parts)).toEqual(await checkVhdx(image.source()));
  });

  test('list of a code the 1,000 lowest entries, and count the others', async () => {
    const block: BlockSpec = { state: STATE.fullyPresent, offset: 8 * MiB };
    const blocks = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [i, block]));
    const image = buildImage({ virtualSize: 2048 * MiB, blocks });
    const whole = await checkVhdx(image.source());
    expect(whole.unlisted).toEqual({ 'bat-block-overlap': 500 });
    expect(await combineChecks(await checkInParts(image, 3))).toEqual(whole);
  });
});

describe('parts that do not fit', () => {
  const image = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } } });

  test.each<[string, (parts: CheckReport[]) => CheckReport[], RegExp]>([
    ['none', () => [], /no parts/],
    ['a whole report', ([part]) => [{ ...part, shard: undefined } as unknown as CheckReport], /not one of a part/],
    ['one is missing', ([one, , three]) => [one, three] as CheckReport[], /part 1 of 3 is missing/],
    ['another number', ([one, two]) => [one, { ...two, shard: { index: 1, of: 2 } }] as CheckReport[], /of 3 and of 2/],
    ['one twice', ([one]) => [one, { ...one, findings: [] }, one].slice(0, 2) as CheckReport[], /twice|missing/],
    ['another image', ([one, two, three]) => [one, { ...two, fileSize: 1 }, three] as CheckReport[], /another image/],
  ])('are refused: %s', async (_, change, message) => {
    const parts = await checkInParts(image, 3);
    await expect(combineChecks(change(parts))).rejects.toThrow(message);
  });

  test.each([
    { index: 1, of: 1 },
    { index: -1, of: 2 },
    { index: 0, of: 0 },
    { index: 0.5, of: 2 },
  ])('part $index of $of is refused', async (shard) => {
    await expect(checkVhdx(image.source(), { shard })).rejects.toThrow(RangeError);
    await expect(shardRange(await openVhdx(image.source()), shard)).rejects.toThrow(RangeError);
  });
});

describe('shardRange', () => {
  test('cuts a disk at the borders of blocks into parts with as much data each', async () => {
    // All data is in one thousandth of the disk.
    const blocks = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [5000 + 3 * i, { state: STATE.fullyPresent, data: pattern(i) }]),
    );
    const disk = await openVhdx(buildImage({ virtualSize: 2 * TiB, blocks }).source());
    let end = 0;
    for (let index = 0; index < 8; index++) {
      const { offset, length } = await shardRange(disk, { index, of: 8 });
      expect(offset).toBe(end);
      expect(offset % disk.blockSize).toBe(0);
      const { data } = await disk.usage({ offset, length, bins: 1 });
      expect(data[0]).toBe(5 * MiB);
      end = offset + length;
    }
    expect(end).toBe(disk.size);
  });

  test('counts what parents have', async () => {
    const full = (i: number) => [i, { state: STATE.fullyPresent, data: pattern(i) }] as const;
    const base = buildImage({ virtualSize: 64 * MiB, blocks: Object.fromEntries([0, 1, 2, 3, 4, 5, 6].map(full)) });
    const child = buildImage({ type: 'differencing', virtualSize: 64 * MiB, blocks: Object.fromEntries([full(60)]) });
    const disk = await openVhdx(child.source(), { parent: base.source() });
    expect(await shardRange(disk, { index: 0, of: 2 })).toEqual({ offset: 0, length: 4 * MiB });
  });

  test('cuts a disk without data by its size, and gives empty parts if there are more than blocks', async () => {
    const disk = await openVhdx(buildImage({ virtualSize: 4 * MiB, blocks: {} }).source());
    expect(await shardRange(disk, { index: 1, of: 2 })).toEqual({ offset: 2 * MiB, length: 2 * MiB });
    const lengths = await Promise.all([...Array(9).keys()].map((index) => shardRange(disk, { index, of: 9 })));
    expect(lengths.reduce((sum, { length }) => sum + length, 0)).toBe(4 * MiB);
  });
});
